//! Channels of event loops: the one descriptor that is watched where /dev/fuse is shared, and the end of a turn.

use std::os::fd::{AsFd, AsRawFd};

use super::interrupts::interrupt;
use super::{Played, lookup, refuse, turn};
use crate::ring::Waiting;
use crate::scripted::is_readable;

#[test]
#[cfg_attr(miri, ignore = "Miri's epoll is edge-triggered")]
fn it_is_readable_while_the_channel_can_do_something_and_only_then() {
    let played = Played::new(1);
    let mut first = played.made(&[], 1, Waiting::EventLoop, true);
    let mut other = played.made(&[], 4, Waiting::EventLoop, true);
    first.start().unwrap();
    other.start().unwrap();
    let readable = |channel: &super::Channel<_>| {
        let both = channel.both.as_ref().expect("two descriptors");
        assert_eq!(channel.poll_fd(), both.as_fd().as_raw_fd());
        is_readable(both)
    };
    assert!(!readable(&first));
    played.script.device_request(lookup(2).bytes());
    assert!(readable(&first));
    let held = turn(&mut first);
    assert_eq!(held.len(), 1);

    // Requests wait, but there is no slot to read them into; letters are read all the same.
    played.script.device_request(interrupt(2));
    assert!(!readable(&first));
    assert_eq!(turn(&mut other), []);
    assert!(readable(&first));
    assert_eq!(turn(&mut first), []);
    assert_eq!(first.take_interrupted(), held);
    assert!(!readable(&first));

    played.script.device_request(lookup(4).bytes());
    assert!(!readable(&first));
    refuse(&mut first, &held);
    let ready = turn(&mut first);
    assert_eq!(ready.len(), 1);
    refuse(&mut first, &ready);
    assert_eq!(turn(&mut first), []);
    assert!(!readable(&first));
    played.script.device_request(lookup(6).bytes());
    assert!(readable(&first));
}

#[test]
#[cfg_attr(miri, ignore = "Miri's epoll is edge-triggered")]
fn the_end_shows_though_all_slots_are_held() {
    let played = Played::new(1);
    let mut first = played.made(&[], 1, Waiting::EventLoop, true);
    let mut other = played.made(&[], 1, Waiting::EventLoop, true);
    first.start().unwrap();
    other.start().unwrap();
    played.script.device_request(lookup(2).bytes());
    assert_eq!(turn(&mut first).len(), 1);
    played.script.end();
    turn(&mut other);
    assert!(other.ended());
    assert!(is_readable(first.both.as_ref().unwrap()));
    turn(&mut first);
    assert!(first.ended());
}

#[test]
fn a_channel_that_is_alone_is_watched_by_its_device() {
    let played = Played::new(1);
    let mut channel = played.made(&[], 1, Waiting::EventLoop, true);
    channel.start().unwrap();
    assert_eq!(channel.poll_fd(), played.script.device().as_fd().as_raw_fd());
    assert!(channel.can_receive());
    played.script.device_request(lookup(2).bytes());
    assert_eq!(turn(&mut channel).len(), 1);
    assert!(!channel.can_receive());
}

#[test]
fn a_turn_ends_although_the_ring_says_that_there_is_work() {
    let played = Played::new(1);
    let mut channel = played.made(&[0], 4, Waiting::Eventfd, true);
    channel.start().unwrap();
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    assert_eq!(ready.len(), 1);
    refuse(&mut channel, &ready);
    // The kernel took the reply, put the next request down, and was late to say so.
    assert_eq!(turn(&mut channel), []);
    played.script.boast(0);
    assert_eq!(turn(&mut channel), []);
    played.script.request(0, lookup(4));
    assert_eq!(turn(&mut channel).len(), 1);
    assert_eq!(played.stats().replies, 1);
}
