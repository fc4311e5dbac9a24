//! What the channels of a connection tell one another: interrupts that are not for the one that read them, and the
//! end.
//!
//! A channel sleeps in its ring, or in an event loop: its mailbox has a *bell*, an eventfd that it watches there.
//! A request never looks into a mailbox; a turn looks at one flag.

use std::os::fd::{AsFd, BorrowedFd};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};

/// What one channel has to know from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letter {
    /// The caller of the request with this id wants to give it up.
    Interrupted(u64),
    /// The connection ended.
    Ended,
}

/// One channel's letters. While the lock is free, the bell rings if and only if there are letters.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    full: AtomicBool,
    bell: EventFd,
}

impl Mailbox {
    fn new() -> Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_flags(flags).map_err(|errno| Error::Mailbox { errno })?;
        Ok(Self { letters: Mutex::default(), full: AtomicBool::new(false), bell })
    }

    fn letters(&self) -> MutexGuard<'_, Vec<Letter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, letter: Letter) {
        let mut letters = self.letters();
        letters.push(letter);
        if !self.full.swap(true, Ordering::Release) {
            // This fails only if the bell rings already.
            let _: Result<_, Errno> = self.bell.write(1);
        }
    }

    /// Whether there are letters.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Takes all letters, and stops the bell.
    pub(crate) fn take(&self) -> Vec<Letter> {
        let mut letters = self.letters();
        self.full.store(false, Ordering::Relaxed);
        // This fails only if the bell does not ring.
        let _: Result<_, Errno> = self.bell.read();
        std::mem::take(&mut letters)
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// The mailboxes of a connection's channels.
#[derive(Debug, Default)]
pub(crate) struct PostOffice {
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
    ended: AtomicBool,
}

impl PostOffice {
    fn mailboxes(&self) -> MutexGuard<'_, Vec<Weak<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mailbox, which gets letters until it is dropped.
    ///
    /// # Errors
    /// [`Error::Mailbox`].
    pub(crate) fn open(&self) -> Result<Arc<Mailbox>> {
        let mailbox = Arc::new(Mailbox::new()?);
        let mut mailboxes = self.mailboxes();
        mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        mailboxes.push(Arc::downgrade(&mailbox));
        Ok(mailbox)
    }

    /// Whether there is more than one channel.
    pub(crate) fn is_shared(&self) -> bool {
        self.channels() > 1
    }

    /// How many channels there are.
    pub(crate) fn channels(&self) -> usize {
        self.mailboxes().iter().filter(|mailbox| mailbox.strong_count() > 0).count()
    }

    /// Tells all channels but that of `sender` of an interrupt.
    pub(crate) fn interrupt(&self, unique: u64, sender: &Arc<Mailbox>) {
        for mailbox in self.mailboxes().iter().filter_map(Weak::upgrade) {
            if !Arc::ptr_eq(&mailbox, sender) {
                mailbox.post(Letter::Interrupted(unique));
            }
        }
    }

    /// Tells all channels that the connection ended.
    pub(crate) fn end(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            for mailbox in self.mailboxes().iter().filter_map(Weak::upgrade) {
                mailbox.post(Letter::Ended);
            }
        }
    }

    /// Whether the end was told.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::is_readable as rings;

    #[cfg(not(loom))]
    #[test]
    fn an_interrupt_goes_to_all_channels_but_the_one_that_read_it() {
        let office = PostOffice::default();
        let (reader, other) = (office.open().unwrap(), office.open().unwrap());
        office.interrupt(8, &reader);
        office.interrupt(10, &reader);
        assert!(!reader.is_full() && !rings(&*reader));
        assert!(other.is_full() && rings(&*other));
        assert_eq!(other.take(), [Letter::Interrupted(8), Letter::Interrupted(10)]);
        assert!(!other.is_full() && !rings(&*other));
    }

    #[cfg(not(loom))]
    #[test]
    fn the_end_is_told_once_to_everybody() {
        let office = PostOffice::default();
        let mailboxes = [office.open().unwrap(), office.open().unwrap()];
        drop(office.open().unwrap());
        office.end();
        office.end();
        assert!(office.has_ended());
        for mailbox in mailboxes {
            assert_eq!(mailbox.take(), [Letter::Ended]);
        }
    }

    /// Every order in which threads can run.
    #[cfg(loom)]
    mod orders {
        use loom::thread;

        use super::*;

        #[test]
        fn no_letter_is_lost_and_the_bell_rings_while_there_are_any() {
            loom::model(|| {
                let mailbox = Arc::new(Mailbox::new().unwrap());
                let senders = [2, 4].map(|unique| {
                    let mailbox = Arc::clone(&mailbox);
                    thread::spawn(move || mailbox.post(Letter::Interrupted(unique)))
                });
                // As a turn does: whoever sees no letter sleeps until the bell rings.
                let mut letters = if mailbox.is_full() { mailbox.take() } else { Vec::new() };
                senders.into_iter().for_each(|sender| sender.join().unwrap());
                assert_eq!(mailbox.is_full(), rings(&*mailbox));
                assert_eq!(mailbox.is_full(), letters.len() < 2);
                letters.extend(mailbox.take());
                assert!(!mailbox.is_full() && !rings(&*mailbox));
                letters.sort_by_key(|letter| format!("{letter:?}"));
                assert_eq!(letters, [Letter::Interrupted(2), Letter::Interrupted(4)]);
            });
        }

        #[test]
        fn two_channels_that_see_the_end_at_once_tell_it_once() {
            loom::model(|| {
                let office = Arc::new(PostOffice::default());
                let mailboxes = [office.open().unwrap(), office.open().unwrap()];
                let other = Arc::clone(&office);
                let teller = thread::spawn(move || other.end());
                office.end();
                teller.join().unwrap();
                for mailbox in &mailboxes {
                    assert_eq!(mailbox.take(), [Letter::Ended]);
                }
            });
        }

        #[test]
        fn an_interrupt_and_the_end_both_arrive() {
            loom::model(|| {
                let office = Arc::new(PostOffice::default());
                let (reader, other) = (office.open().unwrap(), office.open().unwrap());
                let teller = Arc::clone(&office);
                let teller = thread::spawn(move || teller.end());
                office.interrupt(2, &reader);
                teller.join().unwrap();
                let letters = other.take();
                assert_eq!(letters.len(), 2);
                assert!(letters.contains(&Letter::Interrupted(2)) && letters.contains(&Letter::Ended));
                assert_eq!(reader.take(), [Letter::Ended]);
            });
        }
    }
}
