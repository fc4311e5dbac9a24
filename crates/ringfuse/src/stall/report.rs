//! The report of a stall.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fuse_abi::Opcode;
use nix::unistd::Pid;

use crate::channel::HeldRequest;
use crate::stall::callers::{Caller, program};
use crate::stall::cause::Cause;

/// The most callers, and the most requests, that a report lists.
const MOST_LISTED: usize = 16;

/// What happened to the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They still wait.
    Waiting,
    /// They were answered ETIMEDOUT, and the mount goes on.
    Answered,
    /// The mount was ended, and they with it.
    Ended,
}

/// A stall.
#[derive(Debug, Clone)]
pub struct Stall {
    /// The mountpoint.
    pub path: PathBuf,
    /// The serving thread.
    pub thread: Pid,
    /// How long requests have waited, at least.
    pub waited: Duration,
    /// How many requests wait, if the kernel says.
    pub waiting: Option<u64>,
    /// What the thread is stuck in.
    pub cause: Cause,
    /// Requests that the thread took and did not answer, or that were answered in its place.
    pub requests: Vec<HeldRequest>,
    /// Threads that wait for a FUSE filesystem.
    pub callers: Vec<Caller>,
    /// What happened to the requests.
    pub outcome: Outcome,
}

impl fmt::Display for Stall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, thread, waited, waiting, cause, requests, callers, outcome } = self;
        let count = waiting.map_or_else(
            || "requests wait".to_owned(),
            |count| match count {
                1 => "1 request waits".to_owned(),
                count => format!("{count} requests wait"),
            },
        );
        writeln!(
            formatter,
            "ringfuse: {}: for {:.1} s, {count} and the serving thread ({thread}) has not polled for them: {cause}.",
            path.display(),
            waited.as_secs_f64(),
        )?;
        for caller in callers.iter().take(MOST_LISTED) {
            let Caller { process, program, call, .. } = caller;
            let call = call.as_deref().unwrap_or("a system call");
            writeln!(
                formatter,
                "ringfuse:   process {process} ({program}) waits for a FUSE filesystem, in {call}"
            )?;
        }
        for request in requests.iter().take(MOST_LISTED) {
            let name = Opcode::try_from(request.opcode)
                .map_or_else(|_| format!("operation {}", request.opcode), |opcode| opcode.name().to_owned());
            let pid = request.pid.cast_signed();
            let program = if pid == 0 { "the kernel".to_owned() } else { program(Pid::from_raw(pid)) };
            writeln!(formatter, "ringfuse:   {name} of node {} for {pid} ({program})", request.nodeid)?;
        }
        let listed = callers.len().min(MOST_LISTED) + requests.len().min(MOST_LISTED);
        if callers.len() + requests.len() > listed {
            writeln!(formatter, "ringfuse:   and {} more", callers.len() + requests.len() - listed)?;
        }
        let own = matches!(cause, Cause::OwnMount { .. });
        let end = match outcome {
            Outcome::Answered if own => "It was answered ECANCELED, and the mount goes on.",
            Outcome::Answered => "They were answered ETIMEDOUT (onStall 'fail').",
            Outcome::Ended if own => {
                "The mount was ended: over io_uring nothing else ends such a wait, not even a signal. Over /dev/fuse \
                 (transport 'dev_fuse') it would have gone on."
            }
            Outcome::Ended => {
                "The mount was ended (onStall 'fail'): over io_uring only the thread itself can answer requests. Over \
                 /dev/fuse (transport 'dev_fuse') it would have gone on."
            }
            Outcome::Waiting => "They still wait: with onStall 'fail' they would be ended with an error.",
        };
        write!(formatter, "ringfuse:   {end}")
    }
}
