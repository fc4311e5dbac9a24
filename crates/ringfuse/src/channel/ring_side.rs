//! The ring: what is given to the kernel, and what it gives back.

use std::time::Instant;

use nix::errno::Errno;

use crate::channel::queue::Owner;
use crate::channel::{Channel, State, Wait};
use crate::error::Result;
use crate::kernel::{DeviceSide, Kernel, RingSide};
use crate::ring::{Completion, Token, Watched};
use crate::slot::SlotIndex;
use crate::stats::add;

impl<K: Kernel> Channel<K> {
    pub(super) fn start_ring(&mut self) -> Result<()> {
        if let Some(ring) = &self.ring {
            ring.adopt()?;
        }
        self.watch(Watched::Mailbox);
        if self.reads_device {
            self.watch(Watched::Device);
        }
        for slot in 0..self.slots.count() {
            // Replies that wait belong to requests that a dead thread held: see `rescue`.
            match (self.owners[slot], self.states[slot], SlotIndex::try_from(slot)) {
                (Owner::Queue(queue), State::Free, Ok(slot)) => self.register(queue, slot),
                (Owner::Queue(queue), State::Committed { unique, .. }, Ok(slot)) => {
                    self.push_commit(queue, slot, unique);
                }
                _ => {}
            }
        }
        self.submit(0)?;
        // A refusal comes at once. Requests that are here already are ready for the first turn.
        self.take_completions();
        Ok(())
    }

    /// Gives a free slot to the kernel as an entry of its queue.
    pub(super) fn register(&mut self, queue: usize, slot: SlotIndex) {
        self.queues[queue].entries += 1;
        self.push_register(queue, slot);
    }

    fn push_register(&mut self, queue: usize, slot: SlotIndex) {
        self.slots.clear_entry(slot);
        self.states[slot as usize] = State::Registered;
        if let Some(ring) = &mut self.ring {
            ring.register(self.queues[queue].id, slot, &self.slots);
        }
    }

    /// Gives the reply in a slot to the kernel.
    pub(super) fn push_commit(&mut self, queue: usize, slot: SlotIndex, unique: u64) {
        self.states[slot as usize] = State::Committed { unique, batch: self.batch };
        if let Some(ring) = &mut self.ring {
            ring.commit(self.queues[queue].id, slot, unique);
        }
    }

    pub(super) fn turn_ring(&mut self, wait: Wait) -> Result<()> {
        let ring = self.ring.as_mut().expect("called with a ring");
        if ring.has_submissions() || ring.has_completions() {
            self.submit(0)?;
        }
        self.receive()?;
        if self.has_nothing_to_tell() {
            self.wait(wait)?;
            self.receive()?;
        }
        // Requests that were answered on arrival: nobody may turn again for them.
        while self.ring.as_mut().is_some_and(RingSide::has_submissions) {
            self.submit(0)?;
            self.receive()?;
        }
        Ok(())
    }

    fn wait(&mut self, wait: Wait) -> Result<()> {
        match wait {
            Wait::Block => self.submit(1).map(drop),
            Wait::Poll(duration) if !duration.is_zero() => {
                let deadline = Instant::now() + duration;
                while self.has_nothing_to_tell() && Instant::now() < deadline {
                    if !self.look()? {
                        std::thread::yield_now();
                    }
                }
                Ok(())
            }
            Wait::Poll(_) => Ok(()),
        }
    }

    /// Takes what the kernel says that it has; false if that was nothing.
    ///
    /// `IORING_SQ_TASKRUN` can stay set with nothing behind it: the kernel puts its work down, and then sets the flag
    /// (`io_req_local_work_add` of Linux 6.18). If this thread has done the work by then, only the next work clears it.
    pub(super) fn look(&mut self) -> Result<bool> {
        if !self.ring.as_mut().is_some_and(RingSide::has_completions) {
            return Ok(false);
        }
        let whole = self.submit(0)?;
        Ok(self.take_completions() || !whole)
    }

    /// Takes what the kernel and the other channels have, and gives the kernel more slots where all are held.
    fn receive(&mut self) -> Result<()> {
        self.take_completions();
        self.open_mail();
        if self.device_readable {
            self.read_device()?;
        }
        self.find_interrupted()?;
        if self.exhausted.is_empty() { Ok(()) } else { self.grow() }
    }

    /// Whether the kernel did its whole part: see [`RingSide::enter`].
    pub(super) fn submit(&mut self, minimum: u32) -> Result<bool> {
        add(&self.counters.enters, 1);
        let Some(ring) = &mut self.ring else { return Ok(true) };
        let whole = ring.enter(minimum)?;
        if !ring.has_submissions() {
            self.batch = self.batch.wrapping_add(1);
        }
        Ok(whole)
    }

    /// Whether there was any.
    pub(super) fn take_completions(&mut self) -> bool {
        let mut any = false;
        while let Some(completion) = self.ring.as_mut().and_then(RingSide::next) {
            any = true;
            match completion.token {
                Token::Slot(slot) => self.complete(slot, completion.result),
                Token::Watch(watched) => self.watch_event(watched, completion),
            }
        }
        any
    }

    fn watch_event(&mut self, watched: Watched, completion: Completion) {
        self.device_readable |= watched == Watched::Device;
        if !completion.more && !self.ended {
            self.watch(watched);
        }
    }

    /// The kernel is done with a slot's REGISTER or COMMIT_AND_FETCH.
    pub(super) fn complete(&mut self, slot: SlotIndex, result: i32) {
        let index = slot as usize;
        let (Some(Owner::Queue(queue)), Some(State::Registered | State::Committed { .. })) =
            (self.owners.get(index).copied(), self.states.get(index))
        else {
            // No command of this slot is under way: whatever the kernel means, the slot is not its to change.
            add(&self.counters.malformed, 1);
            return;
        };
        if result >= 0 {
            add(&self.counters.ring_requests, 1);
            let length = self.slots.entry(slot).payload_sz as usize;
            self.arrive(slot, length);
            return;
        }
        // The states tell which command it was: a committed slot's reply is still in its header block.
        match (Errno::from_raw(-result), self.states[index]) {
            // The kernel had no memory for its part, or INIT was not quite processed: again.
            (Errno::EAGAIN | Errno::EINTR, State::Committed { unique, .. }) => {
                self.push_commit(queue, slot, unique);
            }
            (Errno::EAGAIN | Errno::EINTR, _) => self.push_register(queue, slot),
            // An entry is given back when its connection ends, also one whose last reply was taken, and when the
            // thread that submitted it ends: see `rescue`.
            (Errno::ENOTCONN | Errno::ECANCELED | Errno::ECONNABORTED, _) => {
                self.lose_entry(slot, State::Free);
                if !self.ended && self.device.has_ended() {
                    self.end();
                }
            }
            // The request is gone, and with it the entry: the slot can be another one.
            (Errno::ENOENT, State::Committed { .. }) => {
                add(&self.counters.refused_replies, 1);
                self.push_register(queue, slot);
            }
            (_, State::Committed { .. }) => {
                add(&self.counters.refused_replies, 1);
                self.lose_entry(slot, State::Refused);
            }
            (errno, _) => {
                self.refusal = Some(errno);
                self.lose_entry(slot, State::Refused);
            }
        }
    }
}
