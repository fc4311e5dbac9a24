//! Many requests with many faults, in an order that a seed decides.

use std::collections::HashMap;

use fuse_abi::UringCmd::CommitAndFetch;
use nix::errno::Errno;

use super::{Played, lookup, turn};
use crate::channel::Answer;
use crate::scripted::ScriptedRequest;

const QUEUES: u16 = 3;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Every request is answered once, whatever happens, but for those that the kernel itself refuses to end.
#[test]
fn every_request_is_answered_once() {
    let (seeds, steps) = if cfg!(miri) { (2, 100) } else { (200, 500) };
    for seed in 1..=seeds {
        let played = Played::new(QUEUES.into());
        let mut channel = played.channel(&[0, 1, 2], 4, true);
        let mut random = Random(seed);
        let (mut asked, mut held, mut gone) = (0, Vec::new(), 0);
        for _ in 0..steps {
            match random.below(10) {
                0..=3 => {
                    asked += 1;
                    let request = lookup(asked * 2);
                    // Some are malformed.
                    let request = match random.below(8) {
                        0 => ScriptedRequest {
                            payload_size: u32::try_from(random.below(9000)).unwrap(),
                            ..request
                        },
                        _ => request,
                    };
                    match random.below(4) {
                        3 => played.script.device_request(lookup(asked * 2).bytes()),
                        queue => played.script.request(u16::try_from(queue).unwrap(), request),
                    }
                }
                4..=7 if !held.is_empty() => {
                    let index = usize::try_from(random.below(held.len() as u64)).unwrap();
                    channel.commit(held.swap_remove(index), Answer::Error(Errno::ENOENT)).unwrap();
                }
                8 => {
                    let errno = match random.below(3) {
                        0 => Errno::EAGAIN,
                        1 => Errno::EINTR,
                        _ => Errno::ENOENT,
                    };
                    played.script.refuse_commands(CommitAndFetch, &[Some(errno)]);
                    gone += u64::from(errno == Errno::ENOENT);
                }
                9 if random.below(20) == 0 => {
                    channel.rescue().unwrap();
                    channel.start().unwrap();
                    held.clear();
                }
                _ => held.extend(turn(&mut channel)),
            }
        }
        loop {
            held.extend(turn(&mut channel));
            if held.is_empty() {
                break;
            }
            for slot in held.drain(..) {
                channel.commit(slot, Answer::Error(Errno::ENOENT)).unwrap();
            }
        }
        let mut answers = HashMap::<u64, usize>::new();
        for reply in played.script.replies() {
            *answers.entry(reply.unique).or_default() += 1;
        }
        assert!(answers.values().all(|count| *count == 1), "seed {seed}: {answers:?}");
        let stats = played.stats();
        assert_eq!(stats.outstanding, 0, "seed {seed}");
        assert!(stats.refused_replies <= gone, "seed {seed}");
        assert_eq!(answers.len() as u64, asked - stats.refused_replies, "seed {seed}");
    }
}
