//! Calls that a filesystem may never answer.

use std::{
    panic,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use crate::error::Error;

/// Does `work` in a thread of its own, for so long at most.
///
/// # Errors
///
/// [`Error::Stalled`] if it takes longer. The thread then stays behind, blocked in the kernel, until its requests are
/// answered or aborted.
pub fn within<Outcome: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<Outcome, Error> + Send + 'static,
) -> Result<Outcome, Error> {
    let (sender, receiver) = sync_channel(1);
    let thread = thread::spawn(move || {
        // The receiver is gone if the work is given up: nobody wants its outcome then.
        let _ = sender.send(work());
    });
    receiver.recv_timeout(limit).unwrap_or_else(|missing| match (missing, thread) {
        (RecvTimeoutError::Timeout, _) => Err(Error::Stalled(limit)),
        (RecvTimeoutError::Disconnected, thread) => match thread.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(()) => unreachable!("work that ends has sent its outcome"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_end_is_given_up() {
        let outcome = within(Duration::from_millis(10), || {
            thread::sleep(Duration::from_secs(1));
            Ok(())
        });
        assert!(matches!(outcome, Err(Error::Stalled(_))));
        assert_eq!(within(Duration::from_secs(60), || Ok(7)).unwrap(), 7);
    }
}
