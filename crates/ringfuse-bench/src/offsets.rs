//! Where in a file the next block lies.

use std::num::Wrapping;

/// Of how many random blocks one may come again before the page cache must be emptied: one in so many.
const REPEATED: u64 = 8;

/// The offsets of whole blocks within a file.
#[derive(Debug, Clone)]
pub struct Offsets {
    block: u64,
    blocks: u64,
    next: Next,
    /// How many blocks there were since the last time that [`Offsets::repeats`] was true.
    moved: u64,
}

#[derive(Debug, Clone)]
enum Next {
    /// The number of the next block.
    Sequential(u64),
    /// The state of a generator.
    Random(Wrapping<u64>),
}

impl Offsets {
    /// From the first block to the last and again; none if the file is shorter than one.
    #[must_use]
    pub fn sequential(length: u64, block: u64) -> Option<Self> {
        Self::new(length, block, Next::Sequential(0))
    }

    /// Blocks by chance; each `seed` has its own.
    #[must_use]
    pub fn random(length: u64, block: u64, seed: u64) -> Option<Self> {
        Self::new(length, block, Next::Random(Wrapping(seed)))
    }

    fn new(length: u64, block: u64, next: Next) -> Option<Self> {
        let blocks = length / block;
        (blocks > 0).then_some(Self { block, blocks, next, moved: 0 })
    }

    /// The next offset.
    pub fn advance(&mut self) -> u64 {
        self.moved += 1;
        let number = match &mut self.next {
            Next::Sequential(next) => {
                let number = *next;
                *next = (number + 1) % self.blocks;
                number
            }
            Next::Random(state) => splitmix(state) % self.blocks,
        };
        number * self.block
    }

    /// Whether it is time to forget the blocks there were, as they begin to come again.
    pub fn repeats(&mut self) -> bool {
        let limit = match self.next {
            Next::Sequential(_) => self.blocks,
            Next::Random(_) => self.blocks.div_ceil(REPEATED),
        };
        let due = self.moved >= limit;
        if due {
            self.moved = 0;
        }
        due
    }
}

/// Steele, Lea and Flood's SplitMix64.
fn splitmix(state: &mut Wrapping<u64>) -> u64 {
    *state += 0x9e37_79b9_7f4a_7c15;
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * Wrapping(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)) * Wrapping(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).0
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sequential_offsets_cycle_through_the_whole_blocks_of_a_file() {
        let mut offsets = Offsets::sequential(3 * 4096 + 100, 4096).unwrap();
        let seen: Vec<_> = (0..5).map(|_| offsets.advance()).collect();
        assert_eq!(seen, [0, 4096, 8192, 0, 4096]);
    }

    #[test]
    fn a_file_of_one_block_is_read_at_its_beginning_only() {
        let mut offsets = Offsets::sequential(4096, 4096).unwrap();
        assert_eq!((offsets.advance(), offsets.advance()), (0, 0));
    }

    #[test]
    fn a_file_shorter_than_a_block_has_no_offsets() {
        assert!(Offsets::sequential(4095, 4096).is_none());
        assert!(Offsets::random(4095, 4096, 0).is_none());
    }

    #[test]
    fn random_offsets_are_whole_blocks_all_over_the_file_and_differ_by_seed() {
        let take = |seed| {
            let mut offsets = Offsets::random(1 << 20, 4096, seed).unwrap();
            (0..1000).map(|_| offsets.advance()).collect::<Vec<_>>()
        };
        let seen = take(0);
        assert!(seen.iter().all(|offset| offset % 4096 == 0 && *offset < 1 << 20));
        assert!(seen.iter().collect::<HashSet<_>>().len() > 200);
        assert_ne!(seen, take(1));
    }

    #[test]
    fn blocks_repeat_after_a_pass_through_the_file_or_an_eighth_of_it_by_chance() {
        for (mut offsets, limit) in
            [(Offsets::sequential(64, 1).unwrap(), 64), (Offsets::random(64, 1, 0).unwrap(), 8)]
        {
            for _ in 0..2 {
                let before = (0..).take_while(|_| {
                    offsets.advance();
                    !offsets.repeats()
                });
                assert_eq!(before.count() + 1, limit);
            }
        }
    }
}
