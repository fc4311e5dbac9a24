//! Requests that callers want to give up.
//!
//! FUSE_INTERRUPT comes by /dev/fuse, to whichever channel reads it; its request may be in a slot of any channel. So
//! it goes to all others by their mailboxes if it is none of the reader's own.
//!
//! An interrupt can overtake its request, but not by much. The kernel sends it only when the request was sent
//! (`FR_SENT`), which happens while the thread that gets the request is in the kernel (`fuse_uring_prepare_send` and
//! `fuse_dev_do_read` of Linux 6.18): the completion is there as soon as that thread has entered its ring once more.
//! A request that is not found then was answered. On the ring, a caller that gives up before its request was sent
//! interrupts nothing: the kernel does not look again when it sends it.

use fuse_abi::UNIQUE_RESEND;

use crate::channel::{Channel, State};
use crate::error::Result;
use crate::kernel::Kernel;
use crate::mailbox::Letter;
use crate::slot::SlotIndex;

impl<K: Kernel> Channel<K> {
    /// Takes what other channels have to say.
    pub(super) fn open_mail(&mut self) {
        if !self.mailbox.is_full() {
            return;
        }
        for letter in self.mailbox.take() {
            match letter {
                Letter::Interrupted(unique) => self.letters.push(unique),
                Letter::Ended => self.end(),
            }
        }
    }

    /// Finds the slots of interrupted requests.
    pub(super) fn find_interrupted(&mut self) -> Result<()> {
        if self.interrupts.is_empty() && self.letters.is_empty() {
            return Ok(());
        }
        self.submit(0)?;
        self.take_completions();
        for unique in std::mem::take(&mut self.interrupts) {
            if !self.interrupt(unique) {
                self.shared.post_office.interrupt(unique, &self.mailbox);
            }
        }
        for unique in std::mem::take(&mut self.letters) {
            self.interrupt(unique);
        }
        Ok(())
    }

    /// Whether the request is in a slot of this channel, which is then listed as interrupted.
    fn interrupt(&mut self, unique: u64) -> bool {
        let held = |state: &State| state.holds(unique);
        let found = self.states.iter().position(held).and_then(|slot| SlotIndex::try_from(slot).ok());
        self.interrupted.extend(found.map(|slot| (slot, unique)));
        found.is_some()
    }

    /// Slots whose callers gave up waiting (FUSE_INTERRUPT), since this was last asked. A slot whose request was
    /// answered meanwhile is not among them, even if it holds another one.
    pub fn take_interrupted(&mut self) -> Vec<SlotIndex> {
        let interrupted = std::mem::take(&mut self.interrupted);
        let holds =
            |(slot, unique): (SlotIndex, u64)| self.states[slot as usize].holds(unique).then_some(slot);
        interrupted.into_iter().filter_map(holds).collect()
    }
}

impl State {
    /// Whether the request with this id is in the slot. One that was sent again has the same id, with a bit more.
    fn holds(&self, unique: u64) -> bool {
        matches!(self, Self::Held { unique: held, .. } if (*held ^ unique) & !UNIQUE_RESEND == 0)
    }
}
