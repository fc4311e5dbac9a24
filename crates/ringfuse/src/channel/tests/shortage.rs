//! Memory that runs short, and commits that cannot be made: everybody else is served.

use nix::errno::Errno;

use super::{Played, error, lookup, refuse, turn};
use crate::channel::Answer;
use crate::channel::queue::GROWTH;

const REQUESTS: u64 = 20;

/// A channel whose queue is deep, with as many requests as need more slots than there are.
fn asked(played: &Played, device: bool) -> crate::Channel<crate::scripted::Scripted> {
    let channel = played.channel(if device { &[] } else { &[0] }, 64, device);
    for request in 1..=REQUESTS {
        let request = lookup(2 * request);
        if device {
            played.script.device_request(request.bytes());
        } else {
            played.script.request(0, request);
        }
    }
    channel
}

#[test]
fn without_memory_for_more_slots_a_channel_goes_on_with_those_that_it_has() {
    for device in [false, true] {
        let played = Played::new(1);
        let mut channel = asked(&played, device);
        channel.slots.full = true;
        let first = turn(&mut channel);
        assert_eq!(first.len(), GROWTH);
        assert_eq!(turn(&mut channel), []);
        // A loop that watched /dev/fuse now would spin.
        assert_eq!(channel.can_receive(), !device);
        let mut ready = first;
        let mut answered = 0;
        while !ready.is_empty() {
            answered += ready.len() as u64;
            refuse(&mut channel, &ready);
            ready = turn(&mut channel);
        }
        assert_eq!(answered, REQUESTS);
        assert_eq!(played.script.replies().len() as u64, REQUESTS);
        assert_eq!(played.stats().slots, GROWTH as u64);
    }
}

#[test]
fn a_channel_that_had_no_memory_grows_when_there_is_some() {
    for device in [false, true] {
        let played = Played::new(1);
        let mut channel = asked(&played, device);
        channel.slots.full = true;
        let held = turn(&mut channel);
        channel.slots.full = false;
        refuse(&mut channel, &held[..2]);
        let mut ready = turn(&mut channel);
        ready.extend(turn(&mut channel));
        assert!(played.stats().slots > GROWTH as u64);
    }
}

#[test]
fn a_commit_that_cannot_be_made_takes_no_other_with_it() {
    for device in [false, true] {
        let played = Played::new(1);
        let mut channel = asked(&played, device);
        let ready = turn(&mut channel);
        let too_long = channel.slots.payload_size() + 1;
        let nowhere = u32::MAX;
        channel.commit_all([
            (ready[0], Answer::Error(Errno::ENOENT)),
            (nowhere, Answer::Payload(0)),
            (ready[1], Answer::Payload(too_long)),
            // Answered already: the slot is the kernel's.
            (ready[0], Answer::Payload(0)),
            (ready[2], Answer::Error(Errno::EACCES)),
        ]);
        turn(&mut channel);
        let mut replies = played.script.replies();
        replies.sort_by_key(|reply| reply.unique);
        assert_eq!(replies, [error(2, Errno::ENOENT), error(4, Errno::EIO), error(6, Errno::EACCES)]);
        assert_eq!(played.stats().refused_replies, 3);
    }
}
