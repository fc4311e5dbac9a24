//! A channel given up by its thread, in every state that a slot can be in.

use std::thread;

use nix::errno::Errno;

use super::{Played, error, lookup, refuse, turn};
use crate::channel::{Answer, Channel};
use crate::scripted::{Scripted, ScriptedReply};

/// One request is answered, one is answered without a turn, one is held, one is on its way.
fn prepare(played: &Played) -> Channel<Scripted> {
    let mut channel = played.channel(&[0], 8, false);
    for unique in [2, 4, 6] {
        played.script.request(0, lookup(unique));
    }
    let ready = turn(&mut channel);
    refuse(&mut channel, &ready[..1]);
    turn(&mut channel);
    assert_eq!(played.script.replies(), [error(2, Errno::ENOENT)]);
    channel.commit(ready[1], Answer::Error(Errno::ENOTDIR)).unwrap();
    played.script.request(0, lookup(8));
    channel
}

/// Starts the channel again, and returns the replies that come of it.
fn restart(played: &Played, channel: &mut Channel<Scripted>) -> Vec<ScriptedReply> {
    channel.start().unwrap();
    assert_eq!(played.script.kicks(), 6);
    let unseen = turn(channel);
    refuse(channel, &unseen);
    turn(channel);
    assert_eq!(played.script.available(0), 8);
    assert_eq!((played.stats().refused_replies, played.stats().outstanding), (0, 0));
    let mut replies = played.script.replies();
    replies.sort_by_key(|reply| reply.unique);
    replies
}

#[test]
fn a_thread_that_gives_its_channel_up_leaves_every_slot_answered_served_or_registered_again() {
    let played = Played::new(1);
    let mut channel = prepare(&played);
    channel.rescue().unwrap();
    let expected = [error(4, Errno::ENOTDIR), error(6, Errno::EIO), error(8, Errno::ENOENT)];
    assert_eq!(restart(&played, &mut channel), expected);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no kill(2)")]
fn a_thread_that_died_leaves_every_slot_answered_or_registered_again() {
    let played = Played::new(1);
    let mut channel = thread::scope(|scope| scope.spawn(|| prepare(&played)).join().unwrap());
    channel.rescue().unwrap();
    let expected = [error(4, Errno::ENOTDIR), error(6, Errno::EIO), error(8, Errno::ECANCELED)];
    assert_eq!(restart(&played, &mut channel), expected);
}

#[test]
fn a_request_whose_completion_had_no_room_is_found_in_its_slot() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 8, false);
    // Both a slot that never had a request, and one that had.
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.script.replies().len(), 1);
    played.script.request(0, lookup(4));
    played.script.request(0, lookup(6));
    channel.submit(0).unwrap();
    played.script.lose_completions(0);
    channel.rescue().unwrap();
    channel.start().unwrap();
    let unseen = turn(&mut channel);
    assert_eq!(unseen.len(), 2);
    refuse(&mut channel, &unseen);
    turn(&mut channel);
    assert_eq!(played.script.replies().len(), 2);
    assert_eq!(played.script.available(0), 8);
}

#[test]
fn requests_that_wait_are_served_when_somebody_starts() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 2, false);
    channel.rescue().unwrap();
    for unique in [2, 4, 6] {
        played.script.request(0, lookup(unique));
    }
    channel.start().unwrap();
    // A kick for each of the two entries; the third is pulled by a commit.
    assert_eq!(played.script.kicks(), 2);
    for expected in [2, 1] {
        let ready = turn(&mut channel);
        assert_eq!(ready.len(), expected);
        refuse(&mut channel, &ready);
    }
    turn(&mut channel);
    assert_eq!(played.script.replies().len(), 3);
}

#[test]
fn a_ring_that_cannot_be_made_again_leaves_the_channel_as_it_was() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 2, false);
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    played.script.refuse_ring(1, Errno::ENOMEM);
    assert!(channel.rescue().is_err());
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.script.replies(), [error(2, Errno::ENOENT)]);
}
