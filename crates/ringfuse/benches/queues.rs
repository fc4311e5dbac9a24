//! What a request costs on its way through a channel with more queues than this machine has CPUs, and what memory:
//! `cargo bench -p ringfuse --features testing --bench queues`.
//!
//! The kernel is [`ringfuse::scripted`]: its own part is in the figures, and the same for any number of queues.

use std::fs;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use fuse_abi::{GetattrIn, Opcode};
use nix::errno::Errno;
use ringfuse::scripted::{Script, Scripted, ScriptedRequest, answer_ready, channel};
use ringfuse::{Answer, Channel, Wait};
use zerocopy::IntoBytes;

/// Requests in one batch, whatever the number of queues.
const BATCH: u16 = 64;

/// Slots a queue, as `serve()` has them.
const DEPTH: usize = 8;

const QUEUES: [u16; 4] = [8, 64, 128, 256];

fn main() {
    say_memory();
    divan::main();
}

/// A channel that has served a request in every queue.
fn served(queues: u16) -> (Script, Channel<Scripted>) {
    let script = Script::new(queues.into());
    let mut channel = channel(&script, queues, DEPTH, false).expect("memory and a descriptor");
    channel.start().expect("a ring that takes everything");
    script.be_quick();
    for queue in 0..queues {
        ask(&script, queue);
    }
    turn(&mut channel);
    turn(&mut channel);
    (script, channel)
}

fn ask(script: &Script, queue: u16) {
    let arguments = GetattrIn::default();
    let request = ScriptedRequest::new(Opcode::Getattr, u64::from(queue) * 2 + 2, arguments.as_bytes(), &[]);
    script.request(queue, request);
}

fn turn(channel: &mut Channel<Scripted>) {
    channel.turn(Wait::Poll(Duration::ZERO)).expect("a kernel without faults");
    answer_ready(channel, |_| Answer::Error(Errno::ENOENT));
}

/// A batch of requests from their arrival to their commits, spread over all queues.
#[divan::bench(args = QUEUES)]
fn dispatch(bencher: Bencher<'_, '_>, queues: u16) {
    let (script, mut channel) = served(queues);
    let mut next = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            ask(&script, next);
            next = (next + 1) % queues;
        }
        turn(&mut channel);
        turn(&mut channel);
    });
}

/// Says what a channel's memory comes to.
fn say_memory() {
    for queues in QUEUES {
        let before = resident();
        let kept = served(queues);
        let bytes = resident().saturating_sub(before);
        println!(
            "{queues:3} queues x {DEPTH}: {} KiB resident, {} bytes a queue",
            bytes / 1024,
            bytes / usize::from(queues)
        );
        drop(kept);
    }
}

/// Bytes of this process that are in memory, by /proc/self/statm.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("proc is mounted");
    let pages: usize =
        pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
