//! The words that JavaScript and the binding leave for each other between calls.
//!
//! All are 32 bits. First single ones, below; then, for `n` slots: `n` ready slots, `n` interrupted slots, `n` commits
//! of three words: slot, error (an errno, or 0), reply length.

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use ringfuse::slot::SlotIndex;
use ringfuse::{Answer, Region, Result};

const WORD: usize = 4;
/// 1 when the connection ended.
const ENDED: usize = 0;
/// How many slots are ready.
const READY: usize = 1;
/// How many slots were interrupted.
const INTERRUPTED: usize = 2;
/// How many commits JavaScript left.
const COMMITS: usize = 3;
/// How long to look for requests, microseconds.
const POLL: usize = 4;
const LISTS: usize = 5;
const COMMIT_WORDS: usize = 3;

pub(crate) struct Exchange {
    region: Arc<Region>,
    slots: usize,
}

impl Exchange {
    pub(crate) fn new(slots: usize) -> Result<Self> {
        let words = LISTS + slots * (2 + COMMIT_WORDS);
        Ok(Self { region: Arc::new(Region::new(words * WORD)?), slots })
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// The commits that JavaScript left.
    pub(crate) fn take_commits(&self) -> impl Iterator<Item = (SlotIndex, Answer)> + '_ {
        let count = self.read(COMMITS) as usize;
        self.write(COMMITS, 0);
        (0..count.min(self.slots)).map(|index| self.commit(index))
    }

    /// How long JavaScript wants to look for requests.
    pub(crate) fn poll(&self) -> Duration {
        Duration::from_micros(self.read(POLL).into())
    }

    /// The `index`th commit that JavaScript left.
    fn commit(&self, index: usize) -> (SlotIndex, Answer) {
        let at = LISTS + 2 * self.slots + index * COMMIT_WORDS;
        let (error, length) = (self.read(at + 1), self.read(at + 2));
        let answer = if error == 0 {
            Answer::Payload(length as usize)
        } else {
            // Numbers that Linux does not have would reach the caller as nonsense, or as success.
            match Errno::from_raw(error.cast_signed()) {
                Errno::UnknownErrno => Answer::Error(Errno::EIO),
                errno => Answer::Error(errno),
            }
        };
        (self.read(at), answer)
    }

    pub(crate) fn set_ready(&self, ready: &[SlotIndex]) {
        self.write(READY, u32::try_from(ready.len()).unwrap_or(0));
        self.write_list(LISTS, ready);
    }

    pub(crate) fn set_interrupted(&self, interrupted: &[SlotIndex]) {
        let count = interrupted.len().min(self.slots);
        self.write(INTERRUPTED, u32::try_from(count).unwrap_or(0));
        self.write_list(LISTS + self.slots, &interrupted[..count]);
    }

    pub(crate) fn set_ended(&self) {
        self.write(ENDED, 1);
    }

    fn write_list(&self, at: usize, slots: &[SlotIndex]) {
        for (index, slot) in slots.iter().enumerate() {
            self.write(at + index, *slot);
        }
    }

    fn read(&self, word: usize) -> u32 {
        self.region.read(word * WORD)
    }

    fn write(&self, word: usize, value: u32) {
        self.region.write(word * WORD, value);
    }
}
