//! What there is to say of a stall.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fuse_abi::Opcode;
use nix::unistd::Pid;

use crate::channel::HeldRequest;
use crate::stall::callers::{Caller, program};
use crate::stall::thread::Cause;

/// Waiting threads, and requests, that are told of at most.
const MOST_TOLD: usize = 16;

/// What became of the requests that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They wait on.
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
    /// For how long requests have waited, at least.
    pub waited: Duration,
    /// Requests that wait, if the kernel tells.
    pub waiting: Option<u64>,
    /// What the thread is stuck in.
    pub cause: Cause,
    /// Requests that the thread has taken and not answered, or that were answered in its place.
    pub requests: Vec<HeldRequest>,
    /// Threads that wait for a FUSE filesystem.
    pub callers: Vec<Caller>,
    /// What became of the requests.
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
            "ringfuse: {}: for {:.1} s, {count} and the thread that serves the mount ({thread}) has not looked for \
             them: {cause}.",
            path.display(),
            waited.as_secs_f64(),
        )?;
        for caller in callers.iter().take(MOST_TOLD) {
            let Caller { process, program, call, .. } = caller;
            let call = call.as_deref().unwrap_or("a system call");
            writeln!(
                formatter,
                "ringfuse:   process {process} ({program}) waits for a FUSE filesystem, in {call}"
            )?;
        }
        for request in requests.iter().take(MOST_TOLD) {
            let name = Opcode::try_from(request.opcode).map_or_else(
                |_| format!("operation {}", request.opcode),
                |opcode| format!("{opcode:?}").to_lowercase(),
            );
            let pid = request.pid.cast_signed();
            let program = if pid == 0 { "the kernel".to_owned() } else { program(Pid::from_raw(pid)) };
            writeln!(formatter, "ringfuse:   {name} of node {} for {pid} ({program})", request.nodeid)?;
        }
        let told = callers.len().min(MOST_TOLD) + requests.len().min(MOST_TOLD);
        if callers.len() + requests.len() > told {
            writeln!(formatter, "ringfuse:   and {} more", callers.len() + requests.len() - told)?;
        }
        let own = matches!(cause, Cause::OwnMount { .. });
        match outcome {
            Outcome::Answered
                if own && requests.iter().all(|request| request.pid.cast_signed() == thread.as_raw()) =>
            {
                write!(formatter, "ringfuse:   It was told ECANCELED, and the mount goes on.")
            }
            Outcome::Ended if own => write!(
                formatter,
                "ringfuse:   The mount was ended: over io_uring nothing else ends such a wait, no signal either. With \
                 transport 'dev_fuse' it would have gone on."
            ),
            Outcome::Waiting => write!(
                formatter,
                "ringfuse:   They wait on: with onStall 'fail' they would be ended with an error."
            ),
            Outcome::Answered => {
                write!(formatter, "ringfuse:   They were answered ETIMEDOUT (onStall 'fail').")
            }
            Outcome::Ended => write!(
                formatter,
                "ringfuse:   The mount was ended (onStall 'fail'): over io_uring only the thread itself can answer \
                 requests. With transport 'dev_fuse' it would have gone on."
            ),
        }
    }
}
