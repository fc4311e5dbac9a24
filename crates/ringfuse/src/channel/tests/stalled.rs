//! Requests that are answered in the place of the thread that should have.

use fuse_abi::{ForgetIn, Opcode};
use nix::errno::Errno;
use zerocopy::IntoBytes;

use super::{Played, error, lookup, refuse, turn};
use crate::channel::Answer;
use crate::scripted::ScriptedRequest;

const DEPTH: usize = 4;

fn forget(unique: u64) -> ScriptedRequest {
    ScriptedRequest::new(Opcode::Forget, unique, ForgetIn { nlookup: 1 }.as_bytes(), &[])
}

#[test]
fn requests_that_wait_and_that_are_held_are_answered_once() {
    let played = Played::new(1);
    let mut channel = played.channel(&[], DEPTH, true);
    played.script.device_request(lookup(2).bytes());
    let held = turn(&mut channel);
    played.script.device_request(lookup(4).bytes());
    played.script.device_request(lookup(6).bytes());

    let answered = channel.answer_in_place(Errno::ETIMEDOUT, |_| true).unwrap();
    let mut uniques: Vec<_> = answered.iter().map(|request| request.unique).collect();
    uniques.sort_unstable();
    assert_eq!(uniques, [2, 4, 6]);
    assert!(answered.iter().all(|request| request.opcode == Opcode::Lookup as u32));
    let mut replies = played.script.replies();
    replies.sort_unstable_by_key(|reply| reply.unique);
    assert_eq!(replies, [2, 4, 6].map(|unique| error(unique, Errno::ETIMEDOUT)));
    assert_eq!(channel.answer_in_place(Errno::ETIMEDOUT, |_| true).unwrap(), []);

    // The thread comes back: what it answers goes nowhere, and it hears nothing of those that it did not see.
    for slot in held {
        channel.commit(slot, Answer::Payload(0)).unwrap();
    }
    assert_eq!(turn(&mut channel), []);
    assert_eq!(played.script.replies(), []);
    assert_eq!(played.stats().outstanding, 0);
    assert_eq!(played.stats().replies, 3);
    assert_eq!(channel.held(), []);
}

#[test]
fn a_slot_stays_with_its_holder_until_that_answers_too() {
    let played = Played::new(1);
    let mut channel = played.channel(&[], DEPTH, true);
    played.script.device_request(lookup(2).bytes());
    let held = turn(&mut channel);
    channel.answer_in_place(Errno::ETIMEDOUT, |_| true).unwrap();
    for unique in (4..).step_by(2).take(2 * DEPTH) {
        played.script.device_request(lookup(unique).bytes());
        let ready = turn(&mut channel);
        assert_eq!(ready.len(), 1);
        assert_ne!(ready, held);
        refuse(&mut channel, &ready);
    }
    assert_eq!(channel.commit(held[0], Answer::Payload(0)), Ok(()));
    assert!(channel.commit(held[0], Answer::Payload(0)).is_err());
}

#[test]
fn what_nobody_waits_for_is_left_to_the_thread() {
    let played = Played::new(1);
    let mut channel = played.channel(&[], DEPTH, true);
    played.script.device_request(forget(2).bytes());
    played.script.device_request(lookup(4).bytes());
    played.script.device_request(forget(6).bytes());
    assert_eq!(channel.answer_in_place(Errno::ETIMEDOUT, |_| true).unwrap().len(), 1);
    assert_eq!(played.script.replies(), [error(4, Errno::ETIMEDOUT)]);
    let ready = turn(&mut channel);
    assert_eq!(ready.len(), 2);
    for slot in ready {
        channel.commit(slot, Answer::Payload(0)).unwrap();
    }
    assert_eq!(played.script.replies(), []);
}

#[test]
fn more_requests_than_slots_are_answered_all() {
    let played = Played::new(1);
    let mut channel = played.channel(&[], DEPTH, true);
    for unique in (2..).step_by(2).take(10 * DEPTH) {
        played.script.device_request(lookup(unique).bytes());
    }
    assert_eq!(channel.answer_in_place(Errno::ETIMEDOUT, |_| true).unwrap().len(), 10 * DEPTH);
    assert_eq!(played.script.replies().len(), 10 * DEPTH);
}

#[test]
fn the_requests_of_a_ring_belong_to_its_thread() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], DEPTH, true);
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    assert_eq!(channel.answer_in_place(Errno::ETIMEDOUT, |_| true), None);
    assert_eq!(channel.held().len(), 1);
    assert_eq!(played.script.replies(), []);
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.script.replies(), [error(2, Errno::ENOENT)]);
}
