//! How many slots a queue has: few at first, more while it runs out of them, and more still for requests that wait
//! for one another, so that none starves.

use crate::channel::{Channel, State};
use crate::error::Result;
use crate::kernel::{DeviceSide, Kernel};
use crate::slot::SlotIndex;
use crate::stats::add;

/// Slots that a queue begins with, and that it gets more at a time.
pub(super) const GROWTH: usize = 8;

/// Requests of one queue that may wait for another request at once, beyond the queue's depth. Further ones fail
/// with ENOLCK.
pub(super) const MOST_BLOCKING: usize = 1024;

/// Whom a slot serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The queue at this index of the channel's.
    Queue(usize),
    /// The reader of /dev/fuse.
    Device,
}

/// One of the kernel's queues, or /dev/fuse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queue {
    pub(super) id: u16,
    /// Slots that requests can come in: for a ring's queue, those that the kernel knows as entries.
    pub(super) entries: usize,
    /// Those of them that hold a request.
    held: usize,
    /// Those of them that hold a request that may wait for another.
    blocking: usize,
    /// Whether there was no memory for more slots, since a request was last answered.
    short: bool,
}

impl Queue {
    pub(super) fn new(id: u16) -> Self {
        Self { id, entries: 0, held: 0, blocking: 0, short: false }
    }

    /// Whether more than half of its slots are held: the others are to be there before requests wait for them.
    fn runs_out(&self) -> bool {
        self.held * 2 > self.entries
    }

    /// How many slots it is to get more: some if it runs out of them, up to `depth`, and beyond that one for each
    /// request that may wait for another, so that the one it waits for finds a slot. Where memory is short, it goes on
    /// with those that it has, and asks again after the next answer.
    pub(super) fn growth(&self, depth: usize) -> usize {
        if self.short {
            return 0;
        }
        let most = depth + self.blocking.min(MOST_BLOCKING);
        if self.runs_out() { most.saturating_sub(self.entries).min(GROWTH) } else { 0 }
    }

    /// There is no memory for more slots.
    pub(super) fn run_short(&mut self) {
        self.short = true;
    }

    /// Whether a slot is free for a request.
    pub(super) fn has_room(&self) -> bool {
        self.held < self.entries
    }

    /// Counts a request that it gave up.
    pub(super) fn release(&mut self, blocking: bool) {
        self.held -= 1;
        self.short = false;
        self.blocking -= usize::from(blocking);
    }
}

impl<K: Kernel> Channel<K> {
    pub(super) fn queue(&mut self, owner: Owner) -> &mut Queue {
        match owner {
            Owner::Queue(index) => &mut self.queues[index],
            Owner::Device => &mut self.device_queue,
        }
    }

    /// Counts a request that its queue now holds; says whether it is one too many of those that may wait for
    /// another.
    pub(super) fn hold(&mut self, slot: SlotIndex, blocking: bool) -> bool {
        add(&self.counters.outstanding, 1);
        let owner = self.owners[slot as usize];
        let queue = self.queue(owner);
        queue.held += 1;
        queue.blocking += usize::from(blocking);
        let (runs_out, blocking) = (queue.runs_out(), queue.blocking);
        if let Owner::Queue(index) = owner
            && runs_out
        {
            self.exhausted.push(index);
        }
        blocking > MOST_BLOCKING
    }

    /// Gives queues that run out of slots some more, if there is memory for them.
    pub(super) fn grow(&mut self) -> Result<()> {
        for index in std::mem::take(&mut self.exhausted) {
            let queue = self.queues[index];
            let growth = queue.growth(self.depth);
            if growth == 0 {
                continue;
            }
            let Ok(added) = self.add_slots(Owner::Queue(index), growth) else {
                self.queues[index].run_short();
                continue;
            };
            for slot in added {
                self.register(index, slot);
            }
            self.submit(0)?;
            // Only where requests wait for one another is there no other way.
            if queue.blocking > 0 {
                self.device.kick(queue.id, growth);
            }
        }
        Ok(())
    }

    /// Takes an entry that the kernel does not have any more out of its queue's count.
    pub(super) fn lose_entry(&mut self, slot: SlotIndex, state: State) {
        self.states[slot as usize] = state;
        if let Owner::Queue(queue) = self.owners[slot as usize] {
            self.queues[queue].entries -= 1;
        }
    }
}
