//! Requests that contradict themselves, or that nobody expects.

use fuse_abi::{InHeader, Opcode, WriteIn};
use nix::errno::Errno;
use zerocopy::IntoBytes;

use super::{Played, error, lookup, refuse, turn};
use crate::channel::Answer;
use crate::scripted::ScriptedRequest;

/// Requests that are cut short, or longer than they say, or than a slot.
fn malformed() -> Vec<ScriptedRequest> {
    let write = WriteIn { size: 100, ..WriteIn::default() };
    let cut = |request: ScriptedRequest, payload_size| ScriptedRequest { payload_size, ..request };
    let extended = |request: ScriptedRequest| {
        let header = InHeader { total_extlen: u16::MAX, ..request.header };
        ScriptedRequest { header, ..request }
    };
    vec![
        ScriptedRequest::new(Opcode::Lookup, 2, &[], b"no end"),
        ScriptedRequest::new(Opcode::Lookup, 2, &[], b"\0"),
        ScriptedRequest::new(Opcode::Rename2, 2, &[0; 16], b"only one\0"),
        ScriptedRequest::new(Opcode::Getattr, 2, &[0; 16], b"more"),
        ScriptedRequest::new(Opcode::Write, 2, write.as_bytes(), &[1; 99]),
        ScriptedRequest::new(Opcode::Write, 2, write.as_bytes(), &[1; 101]),
        ScriptedRequest::new(Opcode::BatchForget, 2, &[0xff; 8], &[]),
        cut(lookup(2), 0),
        cut(lookup(2), 3),
        cut(lookup(2), u32::MAX),
        extended(lookup(2)),
    ]
}

#[test]
fn a_malformed_request_of_the_ring_gets_eio_and_its_slot_is_used_again() {
    for request in malformed() {
        let played = Played::new(1);
        let mut channel = played.channel(&[0], 1, false);
        played.script.request(0, request.clone());
        assert_eq!(turn(&mut channel), [], "{request:?}");
        assert_eq!(played.script.replies(), [error(2, Errno::EIO)], "{request:?}");
        assert_eq!(played.stats().malformed, 1);

        played.script.request(0, lookup(4));
        let ready = turn(&mut channel);
        refuse(&mut channel, &ready);
        turn(&mut channel);
        assert_eq!(played.script.replies(), [error(4, Errno::ENOENT)]);
    }
}

#[test]
fn a_name_that_is_too_long_gets_enametoolong_and_is_not_handed_out() {
    let long = ScriptedRequest::new(Opcode::Lookup, 2, &[], &[[0xff; 4095].as_slice(), b"\0"].concat());
    for device in [false, true] {
        let played = Played::new(1);
        let mut channel = played.channel(if device { &[] } else { &[0] }, 1, device);
        if device {
            played.script.device_request(long.bytes());
        } else {
            played.script.request(0, long.clone());
        }
        assert_eq!(turn(&mut channel), []);
        turn(&mut channel);
        assert_eq!(played.script.replies(), [error(2, Errno::ENAMETOOLONG)]);
        assert_eq!(played.stats().malformed, 0);
    }
}

#[test]
fn a_malformed_request_of_dev_fuse_gets_eio_and_its_slot_is_used_again() {
    let long = ScriptedRequest::new(Opcode::Lookup, 2, &[], &vec![b'x'; 1 << 20]);
    let lying = |length| {
        let header = InHeader { len: length, ..lookup(2).header };
        ScriptedRequest { header, ..lookup(2) }
    };
    // The ring says how long a payload is in a place of its own: on /dev/fuse it cannot be wrong by itself.
    let malformed =
        malformed().into_iter().filter(|request| request.payload_size as usize == request.payload.len());
    for request in malformed.chain([long, lying(0), lying(44), lying(u32::MAX)]) {
        let played = Played::new(1);
        let mut channel = played.channel(&[], 1, true);
        played.script.device_request(request.bytes());
        assert_eq!(turn(&mut channel), [], "{request:?}");
        assert_eq!(played.stats().malformed, 1);

        played.script.device_request(lookup(4).bytes());
        let ready = turn(&mut channel);
        refuse(&mut channel, &ready);
        let replies = played.script.replies();
        assert!(replies.ends_with(&[error(4, Errno::ENOENT)]), "{request:?}: {replies:?}");
    }
}

#[test]
fn less_than_a_header_of_dev_fuse_is_nothing() {
    for length in 0..size_of::<InHeader>() {
        let played = Played::new(1);
        let mut channel = played.channel(&[], 1, true);
        played.script.device_request(lookup(2).bytes()[..length].to_vec());
        assert_eq!(turn(&mut channel), []);
        played.script.device_request(lookup(4).bytes());
        assert_eq!(turn(&mut channel).len(), 1);
    }
}

#[test]
fn an_unknown_opcode_is_for_the_holder_to_refuse() {
    let header = InHeader { opcode: 4000, ..lookup(2).header };
    let request = ScriptedRequest { header, ..lookup(2) };
    for (queues, reads_device) in [(&[0][..], false), (&[], true)] {
        let played = Played::new(1);
        let mut channel = played.channel(queues, 1, reads_device);
        if reads_device {
            played.script.device_request(request.bytes());
        } else {
            played.script.request(0, request.clone());
        }
        let ready = turn(&mut channel);
        assert_eq!(channel.slots().record(ready[0]).opcode, 4000);
        channel.commit(ready[0], Answer::Error(Errno::ENOSYS)).unwrap();
        turn(&mut channel);
        assert_eq!(played.script.replies(), [error(2, Errno::ENOSYS)]);
    }
}

#[test]
fn two_requests_with_one_id_are_answered_once_each() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 4, false);
    played.script.request(0, lookup(2));
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    assert_eq!(ready.len(), 2);
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.script.replies(), [error(2, Errno::ENOENT), error(2, Errno::ENOENT)]);
    assert_eq!(played.script.available(0), 4);
}

#[test]
fn the_order_of_completions_does_not_matter() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 8, false);
    for unique in [2, 4, 6, 8] {
        played.script.request(0, lookup(unique));
    }
    played.script.reverse_tasks(0);
    let ready = turn(&mut channel);
    let uniques: Vec<_> = ready.iter().map(|slot| channel.slots().in_header(*slot).unique).collect();
    assert_eq!(uniques, [8, 6, 4, 2]);
    refuse(&mut channel, &ready);
    turn(&mut channel);
    let replies: Vec<_> = uniques.into_iter().map(|unique| error(unique, Errno::ENOENT)).collect();
    assert_eq!(played.script.replies(), replies);
}

#[test]
fn a_completion_that_no_command_asked_for_changes_nothing() {
    let played = Played::new(1);
    let mut channel = played.channel(&[0], 8, true);
    played.script.request(0, lookup(2));
    let ready = turn(&mut channel);
    let device_slot = 0;
    for slot in [ready[0], device_slot, 1_000_000] {
        for result in [0, -(Errno::ENOTCONN as i32), -(Errno::EINVAL as i32)] {
            played.script.complete(0, slot, result);
            assert_eq!(turn(&mut channel), []);
        }
    }
    assert_eq!(played.stats().malformed, 9);
    assert!(!channel.ended());
    refuse(&mut channel, &ready);
    turn(&mut channel);
    assert_eq!(played.script.replies(), [error(2, Errno::ENOENT)]);
}
