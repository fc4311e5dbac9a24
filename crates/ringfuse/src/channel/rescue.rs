//! What becomes of a channel whose thread died.
//!
//! The kernel gives a request to an entry in the context of the thread that submitted the entry's command. A thread
//! that ends leaves its entries behind, and they go on taking requests, until their ring is closed; requests that they
//! take without a thread end with ECANCELED. What the kernel does with an entry when its ring is closed depends on the
//! entry's state (`fs/fuse/dev_uring.c` of Linux 6.18.39 and later, `io_ring_exit_work`):
//!
//! | the slot's entry was | the kernel | the slot is then |
//! | --- | --- | --- |
//! | available | frees the entry | registered anew |
//! | getting a request, in task work of the dead thread | ends the request with ECANCELED, frees the entry | registered anew |
//! | delivered, but no turn had made it known | keeps it | ready for the next owner |
//! | held by a handler | keeps it, to be committed from any ring | answered EIO |
//! | answered, but not submitted | keeps it | committed with that answer |
//!
//! Requests that find no entry, as between the ring's end and the next start, wait in the kernel. As registering pulls
//! none of them, each queue is kicked. Before Linux 6.18.39 a request that the kernel was about to cancel waits until
//! the connection ends instead: its id was never told.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, gettid};

use crate::channel::queue::Owner;
use crate::channel::{Answer, Channel, Life, State};
use crate::error::{Error, Result};
use crate::kernel::{DeviceSide, Kernel, RingSide};
use crate::ring::Token;
use crate::slot::SlotIndex;

/// How long a thread that was joined may still be known to the kernel.
const LAST_BREATH: Duration = Duration::from_secs(1);

impl<K: Kernel> Channel<K> {
    /// Makes a channel usable again that was started by a thread which has ended, or is this one, for another thread
    /// to [`start`](Channel::start): what the dead thread held is answered EIO, what it had answered keeps its answer,
    /// and what it had not seen yet is ready for its successor. The slots and their memory stay what they are. On
    /// /dev/fuse the answers leave at once, on a ring with the next start.
    ///
    /// # Errors
    /// [`Error::Rescue`] if the thread has not ended, [`Error::Ring`] if there cannot be another ring, and
    /// [`Error::IoUring`] if this thread is the owner and cannot submit. Nothing was done then: callers wait until
    /// the channel is rescued or the mount ends.
    pub fn rescue(&mut self) -> Result<()> {
        let Life::Started(thread) = self.life else { return Ok(()) };
        if thread == gettid() {
            self.submit(0)?;
        } else if !has_ended(thread) {
            return Err(Error::Rescue { thread: thread.as_raw() });
        }
        let ring = if self.ring.is_some() { Some(self.new_ring()?) } else { None };
        if let Some(dead) = self.ring.take() {
            self.reap(dead);
        }
        self.life = Life::Rescued;
        self.both = None;
        self.device_readable = self.reads_device;
        self.exhausted.clear();
        self.answer_held();
        // Not before: what the dead thread's requests gave rise to is pushed by the start.
        self.ring = ring;
        Ok(())
    }

    /// Takes the completions of a ring that nobody will turn any more, and ends it.
    fn reap(&mut self, mut ring: K::Ring) {
        let completions: Vec<_> = std::iter::from_fn(|| ring.next()).collect();
        ring.close();
        for completion in completions {
            if let Token::Slot(slot) = completion.token {
                self.complete(slot, completion.result);
            }
        }
        // No completion: the entry was available, or its completion did not fit into the ring (the kernel keeps those,
        // for the ring's owner only), or its command was not submitted.
        for slot in 0..self.slots.count() {
            let Ok(index) = SlotIndex::try_from(slot) else { return };
            match self.states[slot] {
                State::Registered | State::Committed { .. } if self.slots.has_request(index) => {
                    self.complete(index, 0);
                }
                State::Committed { batch, .. } if batch == self.batch => {}
                State::Registered | State::Committed { .. } => self.lose_entry(index, State::Free),
                State::Free | State::Held { .. } | State::Refused => {}
            }
        }
    }

    /// Answers the requests that the dead thread's handlers held. Those that it had not seen yet stay ready.
    fn answer_held(&mut self) {
        self.ready.drain(..self.known);
        self.known = 0;
        self.interrupted.clear();
        for slot in 0..self.slots.count() {
            let Ok(index) = SlotIndex::try_from(slot) else { return };
            if matches!(self.states[slot], State::Held { .. }) && !self.ready.contains(&index) {
                self.answer(index, Answer::Error(Errno::EIO));
            }
        }
    }

    /// Lets requests in that waited while there was nobody to take them: one for each entry that is new.
    pub(super) fn kick_queues(&mut self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        for (index, queue) in self.queues.iter().enumerate() {
            let of_queue =
                self.owners.iter().zip(&self.states).filter(|(owner, _)| **owner == Owner::Queue(index));
            let registered = of_queue.filter(|(_, state)| **state == State::Registered).count();
            self.device.kick(queue.id, registered);
        }
        self.submit(0)?;
        self.take_completions();
        Ok(())
    }
}

/// Whether a thread of this process has ended, or does so within [`LAST_BREATH`].
fn has_ended(thread: Pid) -> bool {
    let limit = Instant::now() + LAST_BREATH;
    // A thread's id can be asked for like a process's.
    while kill(thread, None) != Err(Errno::ESRCH) {
        if Instant::now() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
