//! Every errno that Linux has for REGISTER and COMMIT_AND_FETCH (`fs/fuse/dev_uring.c` of 6.14 to 7.3).

use fuse_abi::UringCmd::{CommitAndFetch, Register};
use nix::errno::Errno;

use super::{Played, error, lookup, refuse, turn};
use crate::ring::Waiting;

#[test]
fn a_registration_that_is_to_be_repeated_is() {
    for errno in [Errno::EAGAIN, Errno::EINTR] {
        let played = Played::new(1);
        played.script.refuse_commands(Register, &[None, Some(errno)]);
        let mut channel = played.channel(&[0], 4, false);
        turn(&mut channel);
        assert_eq!(played.script.available(0), 4);
        assert_eq!(channel.refusal(), None);
    }
}

#[test]
fn a_refused_registration_is_told_and_not_repeated() {
    let refusals =
        [Errno::EOPNOTSUPP, Errno::EINVAL, Errno::EPERM, Errno::EFAULT, Errno::ENOMEM, Errno::EBUSY];
    for errno in refusals {
        let played = Played::new(1);
        played.script.refuse_commands(Register, &[None, Some(errno)]);
        let mut channel = played.channel(&[0], 4, false);
        turn(&mut channel);
        assert_eq!(channel.refusal(), Some(errno));
        assert_eq!(played.script.available(0), 3);
        assert!(!channel.ended());
    }
}

#[test]
fn a_queue_that_the_kernel_does_not_have_is_refused() {
    let played = Played::new(2);
    let channel = played.channel(&[2], 4, false);
    assert_eq!(channel.refusal(), Some(Errno::EINVAL));
}

#[test]
fn a_registration_that_comes_too_late_shows_the_end() {
    let played = Played::new(1);
    let mut channel = played.made(&[0], 4, Waiting::Enter, false);
    played.script.end();
    channel.start().unwrap();
    assert!(channel.ended());
    assert_eq!(channel.refusal(), None);
}

#[test]
fn a_commit_that_is_to_be_repeated_is() {
    for errno in [Errno::EAGAIN, Errno::EINTR] {
        let played = Played::new(1);
        let mut channel = played.channel(&[0], 1, false);
        played.script.request(0, lookup(2));
        let ready = turn(&mut channel);
        played.script.refuse_commands(CommitAndFetch, &[Some(errno), Some(errno)]);
        refuse(&mut channel, &ready);
        turn(&mut channel);
        assert_eq!(played.script.replies(), [error(2, Errno::ENOENT)]);
        assert_eq!(played.stats().refused_replies, 0);
    }
}

#[test]
fn a_slot_whose_request_is_gone_is_another_entry() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 1, false);
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    played.script.refuse_commands(CommitAndFetch, &[Some(Errno::ENOENT)]);
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.stats().refused_replies, 1);

    played.script.request(0, lookup(4));
    let ready = turn(&mut channel);
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.script.replies(), [error(4, Errno::ENOENT)]);
}

#[test]
fn a_slot_whose_entry_the_kernel_may_still_have_is_not_used_again() {
    for errno in [Errno::EIO, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::EPERM] {
        let played = Played::new(1);
        let mut channel = played.channel(&[0], 2, false);
        played.script.request(0, lookup(2));
        let ready = turn(&mut channel);
        played.script.refuse_commands(CommitAndFetch, &[Some(errno)]);
        refuse(&mut channel, &ready);
        turn(&mut channel);
        assert_eq!(played.stats().refused_replies, 1);
        assert_eq!(channel.refusal(), None);
        assert_eq!(played.script.available(0), 1);
        assert!(!channel.ended());
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_batch_ends_the_channel() {
    let played = Played::new(2);
    let mut channel = played.channel(&[0, 1], 8, false);
    for unique in [2, 4, 6, 8] {
        played.script.request(0, lookup(unique));
        played.script.request(1, lookup(unique));
    }
    let ready = turn(&mut channel);
    assert_eq!(ready.len(), 8);
    let (committed, kept) = ready.split_at(4);
    refuse(&mut channel, committed);
    played.script.end();
    turn(&mut channel);
    assert!(channel.ended());
    // Commits go nowhere now, and do no harm.
    refuse(&mut channel, kept);
    turn(&mut channel);
    assert_eq!(played.script.replies(), []);
    assert_eq!(played.stats().outstanding, 0);
}

#[test]
fn entries_that_are_given_back_while_the_connection_lives_do_not_end_it() {
    for errno in [Errno::ENOTCONN, Errno::ECANCELED] {
        let played = Played::new(1);
        let mut channel = played.channel(&[0], 2, false);
        played.script.request(0, lookup(2));
        let ready = turn(&mut channel);
        played.script.refuse_commands(CommitAndFetch, &[Some(errno)]);
        refuse(&mut channel, &ready);
        turn(&mut channel);
        assert!(!channel.ended());
        played.script.request(0, lookup(4));
        assert_eq!(turn(&mut channel).len(), 1);
    }
}
