//! Work that may block for good, such as reading what /proc says of a process that is stuck.
//!
//! It runs on a few threads that are made before anything is stuck. Making a thread takes locks of the
//! dynamic loader, and a serving thread can hold these while it waits for its own mount: in
//! `dlopen(3)` of a file in the mount.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::outside::outside;

/// How many threads there are. If all are stuck, no further work is done.
const THREADS: usize = 3;

type Job = Box<dyn FnOnce() + Send>;

/// Threads for work that may block.
#[derive(Debug, Default)]
struct Pool {
    /// Where the threads take their work from. `None` before they are made.
    jobs: Mutex<Option<Sender<Job>>>,
    idle: AtomicUsize,
}

static POOL: Pool = Pool { jobs: Mutex::new(None), idle: AtomicUsize::new(0) };

/// Makes the threads, and lets them and this one use all that they need later: the loader resolves
/// symbols and thread-local storage at the first use, which takes its locks.
pub(super) fn prepare(rehearsal: fn()) {
    POOL.prepare();
    for _ in 0..THREADS {
        within(Duration::from_millis(100), rehearsal);
    }
}

/// Runs `work` on another thread. `None` if it takes longer than `limit`; the thread is then left
/// alone.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    POOL.within(limit, work)
}

impl Pool {
    fn prepare(&'static self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.is_some() {
            return;
        }
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let receiver = Arc::clone(&receiver);
            // With fewer threads, less can be found out.
            if outside("ringfuse-inspect", move || self.run(&receiver)).is_ok() {
                self.idle.fetch_add(1, Ordering::Relaxed);
            }
        }
        *jobs = Some(sender);
    }

    fn run(&self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            job();
            self.idle.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let take = |idle: usize| idle.checked_sub(1);
        self.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        let (sender, receiver) = channel();
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // The receiver is gone if the work took too long.
        jobs.as_ref()?.send(Box::new(move || drop(sender.send(work())))).ok()?;
        drop(jobs);
        receiver.recv_timeout(limit).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no close_range(2)")]
    fn work_that_blocks_is_left_alone_and_only_so_many_threads_are_stuck() {
        static POOL: Pool = Pool { jobs: Mutex::new(None), idle: AtomicUsize::new(0) };
        POOL.prepare();
        let (sender, receiver) = channel::<()>();
        let receiver = Arc::new(Mutex::new(receiver));
        let limit = Duration::from_millis(10);
        for _ in 0..THREADS {
            let receiver = Arc::clone(&receiver);
            assert!(POOL.within(limit, move || receiver.lock().unwrap().recv()).is_none());
        }
        assert_eq!(POOL.within(limit, || 1), None, "all threads are stuck");
        drop(sender);
        while POOL.within(Duration::from_secs(10), || 1).is_none() {
            std::thread::yield_now();
        }
    }
}
