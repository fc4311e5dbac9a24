//! Anything that a kernel may send, by the ring and by /dev/fuse, and any answers: the channel neither panics nor loses
//! a request.
#![no_main]

use std::time::Duration;

use fuse_abi::{InHeader, UringCmd};
use libfuzzer_sys::fuzz_target;
use nix::errno::Errno;
use ringfuse::scripted::{Script, ScriptedRequest, channel};
use ringfuse::{Answer, Wait};
use zerocopy::FromBytes;

const QUEUES: u16 = 2;

fuzz_target!(|steps: Vec<(u8, Vec<u8>, u32)>| {
    let script = Script::new(QUEUES.into());
    let mut channel = channel(&script, QUEUES, 2, true).unwrap();
    channel.start().unwrap();
    let mut held = Vec::new();
    for (kind, bytes, number) in steps {
        match kind % 6 {
            0 => {
                let Ok((header, rest)) = InHeader::read_from_prefix(&bytes) else { continue };
                let (arguments, payload) = rest.split_at(rest.len().min(128));
                let (arguments, payload) = (arguments.to_vec(), payload.to_vec());
                let request = ScriptedRequest { header, arguments, payload, payload_size: number };
                script.request(u16::from(kind) / 6 % QUEUES, request);
            }
            1 => script.device_request(bytes),
            2 if !held.is_empty() => {
                let slot = held.swap_remove(number as usize % held.len());
                let answer = match kind / 6 % 2 {
                    0 => Answer::Error(Errno::from_raw((number % 140).cast_signed())),
                    _ => Answer::Payload(bytes.len()),
                };
                // What does not fit is refused, and the request is still to be answered.
                if channel.commit(slot, answer).is_err() {
                    channel.commit(slot, Answer::Error(Errno::EIO)).unwrap();
                }
            }
            3 => script.complete(0, number % 64, i32::from(kind / 6) - 20),
            4 => {
                let command = if number % 2 == 0 { UringCmd::Register } else { UringCmd::CommitAndFetch };
                let errno = [Errno::EAGAIN, Errno::EINTR, Errno::ENOENT, Errno::EINVAL, Errno::ENOMEM];
                script.refuse_commands(command, &[Some(errno[number as usize % errno.len()])]);
            }
            _ => held.extend_from_slice(channel.turn(Wait::Poll(Duration::ZERO)).unwrap()),
        }
        assert!(channel.slots().capacity() >= held.len());
    }
    for slot in held {
        channel.commit(slot, Answer::Error(Errno::EIO)).unwrap();
    }
});
