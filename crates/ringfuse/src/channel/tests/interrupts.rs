//! Interrupts, wherever their requests are.

use fuse_abi::{InterruptIn, Opcode, UNIQUE_RESEND};
use nix::errno::Errno;
use zerocopy::IntoBytes;

use super::{Played, error, lookup, turn};
use crate::channel::Answer;
use crate::scripted::ScriptedRequest;

pub(super) fn interrupt(unique: u64) -> Vec<u8> {
    let arguments = InterruptIn { unique };
    ScriptedRequest::new(Opcode::Interrupt, unique + 1, arguments.as_bytes(), &[]).bytes()
}

#[test]
fn an_interrupt_finds_its_request_in_another_channel() {
    let played = Played::new(2);
    let mut reader = played.channel(&[0], 4, true);
    let mut other = played.channel(&[1], 4, false);
    played.script.request(1, lookup(2));
    let ready = turn(&mut other);
    played.script.device_request(interrupt(2));
    turn(&mut reader);
    assert_eq!(reader.take_interrupted(), []);
    assert_eq!(turn(&mut other), []);
    assert_eq!(other.take_interrupted(), ready);
    other.commit(ready[0], Answer::Error(Errno::EINTR)).unwrap();
    turn(&mut other);
    assert_eq!(played.script.replies(), [error(2, Errno::EINTR)]);
    assert_eq!(played.stats().interrupts, 1);
}

#[test]
fn an_interrupt_that_overtakes_its_request_finds_it() {
    let played = Played::new(2);
    let mut reader = played.channel(&[0], 4, true);
    let mut other = played.channel(&[1], 4, false);
    for queue in 0..2 {
        let unique = 2 + 2 * u64::from(queue);
        played.script.device_request(interrupt(unique));
        played.script.request(queue, lookup(unique));
    }
    // The other's letter is there before it looks at its ring.
    let own = turn(&mut reader);
    assert_eq!(reader.take_interrupted(), own);
    let others = turn(&mut other);
    assert_eq!(other.take_interrupted(), others);
    assert_eq!((own.len(), others.len()), (1, 1));
}

#[test]
fn an_interrupt_after_the_reply_is_nobodys() {
    let played = Played::new(2);
    let mut reader = played.channel(&[0], 4, true);
    let mut other = played.channel(&[1], 4, false);
    played.script.device_request(interrupt(2));
    turn(&mut reader);
    turn(&mut other);
    // Another request with that id is another request.
    played.script.request(1, lookup(2));
    assert_eq!(turn(&mut other).len(), 1);
    assert_eq!((reader.take_interrupted(), other.take_interrupted()), (vec![], vec![]));
}

#[test]
fn an_interrupt_is_not_the_next_requests_in_the_slot() {
    for resent in [0, UNIQUE_RESEND] {
        let played = Played::new(1);
        let mut channel = played.channel(&[0], 1, true);
        played.script.request(0, lookup(2));
        let first = turn(&mut channel);
        played.script.device_request(interrupt(2));
        turn(&mut channel);
        // Its holder answers it before it asks who was interrupted.
        channel.commit(first[0], Answer::Error(Errno::EINTR)).unwrap();
        played.script.request(0, lookup(4));
        assert_eq!(turn(&mut channel), first);
        assert_eq!(channel.take_interrupted(), []);
        // The next request's own interrupt arrives.
        played.script.device_request(interrupt(4 | resent));
        turn(&mut channel);
        assert_eq!(channel.take_interrupted(), first);
    }
}

#[test]
fn channels_of_dev_fuse_find_each_others_requests() {
    let played = Played::new(1);
    let mut channels = [played.channel(&[], 4, true), played.channel(&[], 4, true)];
    played.script.device_request(lookup(2).bytes());
    let ready = turn(&mut channels[1]);
    played.script.device_request(interrupt(2));
    turn(&mut channels[0]);
    assert_eq!(turn(&mut channels[1]), []);
    assert_eq!(channels[1].take_interrupted(), ready);
}

#[test]
fn the_end_reaches_a_channel_all_of_whose_slots_are_held() {
    let played = Played::new(2);
    let mut reader = played.channel(&[0], 1, true);
    let mut other = played.channel(&[1], 1, false);
    played.script.request(1, lookup(2));
    assert_eq!(turn(&mut other).len(), 1);
    played.script.end();
    assert_eq!(turn(&mut other), []);
    assert!(!other.ended());
    turn(&mut reader);
    assert!(reader.ended());
    turn(&mut other);
    assert!(other.ended());
}
