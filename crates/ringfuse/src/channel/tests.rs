//! Channels with a kernel that misbehaves: see [`crate::scripted`].

mod commands;
mod event_loop;
mod interrupts;
mod random;
mod requests;
mod rescue;
mod set_up;
mod shortage;
mod stalled;

use std::sync::Arc;
use std::time::Duration;

use fuse_abi::Opcode;
use nix::errno::Errno;

use crate::channel::{Answer, Channel, Wait};
use crate::ring::Waiting;
use crate::scripted::{Script, Scripted, ScriptedReply, ScriptedRequest, shared};
use crate::shared::Shared;
use crate::slot::SlotIndex;
use crate::stats::Stats;

/// A connection to a kernel that is played.
struct Played {
    script: Script,
    shared: Arc<Shared>,
}

impl Played {
    fn new(queues: usize) -> Self {
        Self { script: Script::new(queues), shared: shared() }
    }

    /// A channel that is not started.
    fn made(&self, queues: &[u16], depth: usize, waiting: Waiting, reads_device: bool) -> Channel<Scripted> {
        let shared = Arc::clone(&self.shared);
        let device = self.script.device();
        Channel::new(shared, device, queues.to_vec(), depth, waiting, reads_device).unwrap()
    }

    fn channel(&self, queues: &[u16], depth: usize, reads_device: bool) -> Channel<Scripted> {
        let mut channel = self.made(queues, depth, Waiting::Enter, reads_device);
        channel.start().unwrap();
        channel
    }

    fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}

/// A request for a name.
fn lookup(unique: u64) -> ScriptedRequest {
    ScriptedRequest::new(Opcode::Lookup, unique, &[], b"name\0")
}

/// What is ready now.
fn turn(channel: &mut Channel<Scripted>) -> Vec<SlotIndex> {
    channel.turn(Wait::Poll(Duration::ZERO)).unwrap().to_vec()
}

/// Answers ENOENT.
fn refuse(channel: &mut Channel<Scripted>, slots: &[SlotIndex]) {
    for slot in slots {
        channel.commit(*slot, Answer::Error(Errno::ENOENT)).unwrap();
    }
}

fn error(unique: u64, errno: Errno) -> ScriptedReply {
    ScriptedReply { unique, error: -(errno as i32), payload: Vec::new() }
}
