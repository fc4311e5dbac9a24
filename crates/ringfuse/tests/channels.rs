//! Several channels on one connection.

mod support;

use std::process::Command;
use std::sync::mpsc;
use std::thread;

use fuse_abi::Opcode;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringfuse::cpu::possible_cpus;
use ringfuse::slot::SlotIndex;
use ringfuse::{Answer, Channel, Transport, Unmount, Wait, Waiting};
use support::{Mounted, PATIENCE, name, opcode, received};

const WAYS: [(Transport, Waiting); 4] = [
    (Transport::IoUring, Waiting::Enter),
    (Transport::IoUring, Waiting::EventLoop),
    (Transport::IoUring, Waiting::Eventfd),
    (Transport::DevFuse, Waiting::Enter),
];

/// Serves until the end: holds requests for names that begin with `held`, and tells of each, until they are
/// interrupted; whatever else is asked for is not there.
fn serve(mut channel: Channel, held: &mpsc::Sender<String>) -> Channel {
    channel.start().unwrap();
    while !channel.ended() {
        let ready = channel.turn(Wait::Block).unwrap().to_vec();
        for slot in ready {
            if opcode(&channel, slot) == Some(Opcode::Lookup) && name(&channel, slot).starts_with("held") {
                held.send(name(&channel, slot)).unwrap();
            } else {
                channel.commit(slot, Answer::Error(Errno::ENOENT)).unwrap();
            }
        }
        let interrupted: Vec<SlotIndex> = channel.take_interrupted();
        for slot in interrupted {
            channel.commit(slot, Answer::Error(Errno::EINTR)).unwrap();
        }
    }
    channel
}

#[test]
fn an_interrupt_reaches_the_channel_that_holds_its_request() {
    for (transport, waiting) in WAYS {
        let Some((mounted, channels)) = Mounted::new(transport, 8, waiting) else { return };
        thread::scope(|scope| {
            let _end = mounted.end();
            let (sender, held) = mpsc::channel();
            for channel in channels {
                let sender = sender.clone();
                scope.spawn(move || serve(channel, &sender));
            }
            for round in 0..4 {
                for cpu in 0..possible_cpus() {
                    let expected = format!("held-{round}-{cpu}");
                    let mut client = Command::new("taskset")
                        .args(["-c", &cpu.to_string(), "stat"])
                        .arg(mounted.path(&expected))
                        .spawn()
                        .unwrap();
                    assert_eq!(received(&held), expected);
                    kill(Pid::from_raw(client.id().cast_signed()), Signal::SIGTERM).unwrap();
                    let (sender, ended) = mpsc::channel();
                    thread::spawn(move || sender.send(client.wait().unwrap().code()));
                    let ended = ended.recv_timeout(PATIENCE);
                    assert_eq!(ended, Ok(None), "{transport:?}: the caller did not end by the signal");
                }
            }
            let interrupts = mounted.connection.stats().interrupts;
            assert_eq!(interrupts, 4 * possible_cpus() as u64);
        });
    }
}

#[test]
fn every_channel_sees_the_end_though_all_its_slots_are_held() {
    for (transport, waiting) in WAYS {
        let Some((mounted, channels)) = Mounted::new(transport, 1, waiting) else { return };
        let (sender, held) = mpsc::channel();
        let (ended_sender, ended) = mpsc::channel();
        for channel in channels {
            let (sender, ended_sender) = (sender.clone(), ended_sender.clone());
            thread::spawn(move || {
                let channel = serve(channel, &sender);
                ended_sender.send(channel.ended()).unwrap();
            });
        }
        let answers: Vec<_> = (0..possible_cpus())
            .map(|cpu| {
                let answer = mounted.ask(cpu, &format!("held-{cpu}"));
                received(&held);
                answer
            })
            .collect();
        mounted.connection.unmount(Unmount::Force).unwrap().recv().unwrap().unwrap();
        for answer in answers {
            assert_eq!(received(&answer), Errno::ECONNABORTED);
            assert!(received(&ended));
        }
        assert!(mounted.connection.ended());
    }
}
