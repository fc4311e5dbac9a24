//! How often nodes are open, for passthrough: all opens of a node at once must have the same backing file. A node that is
//! open no more may keep it for the next open.

use std::collections::HashMap;

/// Whether the kernel reads and writes an open file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backing {
    /// A thread makes it just now.
    Making,
    /// By this id.
    With(u32),
    /// It cannot be had.
    Without,
}

#[derive(Debug)]
struct Open {
    count: u32,
    /// How many of them may write.
    writers: u32,
    backing: Backing,
}

/// The open nodes by number. They are apart from the nodes, as the kernel may tell of a node's end before it tells of
/// the end of its opens.
#[derive(Debug, Default)]
pub(super) struct Opens(HashMap<u64, Open>);

impl Opens {
    /// Counts one more open, which may write or not, unless another thread is `Making` its backing file. Nothing, if the
    /// caller is to make it.
    pub(super) fn begin(&mut self, number: u64, writes: bool) -> Option<Backing> {
        let writers = u32::from(writes);
        let Some(open) = self.0.get_mut(&number) else {
            self.0.insert(number, Open { count: 1, writers, backing: Backing::Making });
            return None;
        };
        if open.backing != Backing::Making {
            open.count += 1;
            open.writers += writers;
        }
        Some(open.backing)
    }

    /// Counts one more open, which does not write, if the node has a backing file: its id.
    pub(super) fn again(&mut self, number: u64) -> Option<u32> {
        let open = self.0.get_mut(&number)?;
        let Backing::With(id) = open.backing else { return None };
        open.count += 1;
        Some(id)
    }

    /// Whether the kernel may write the node itself.
    pub(super) fn is_written(&self, number: u64) -> bool {
        self.0.get(&number).is_some_and(|open| open.writers > 0 && open.backing != Backing::Without)
    }

    /// Whether the node is open, or keeps a backing file.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.contains_key(&number)
    }

    /// The thread that was to make the backing file is gone.
    pub(super) fn give_up(&mut self, number: u64) {
        if let Some(open) = self.0.get_mut(&number)
            && open.backing == Backing::Making
        {
            open.backing = Backing::Without;
        }
    }

    /// The backing file was made, with this id, or could not be.
    pub(super) fn made(&mut self, number: u64, id: u32) {
        if let Some(open) = self.0.get_mut(&number) {
            open.backing = if id == 0 { Backing::Without } else { Backing::With(id) };
        }
    }

    /// Counts one open less: the id of a backing file that is not used any more, or 0. With `keep` the last open leaves
    /// it to the node, until [`Opens::forget`].
    pub(super) fn end(&mut self, number: u64, writes: bool, keep: bool) -> u32 {
        let Some(open) = self.0.get_mut(&number) else { return 0 };
        open.count = open.count.saturating_sub(1);
        open.writers = open.writers.saturating_sub(u32::from(writes));
        if open.count > 0 || (keep && matches!(open.backing, Backing::With(_))) {
            return 0;
        }
        self.remove(number)
    }

    /// The node is gone: the id of the backing file that it kept, or 0.
    pub(super) fn forget(&mut self, number: u64) -> u32 {
        if self.0.get(&number).is_some_and(|open| open.count == 0) { self.remove(number) } else { 0 }
    }

    fn remove(&mut self, number: u64) -> u32 {
        match self.0.remove(&number) {
            Some(Open { backing: Backing::With(id), .. }) => id,
            _ => 0,
        }
    }
}
