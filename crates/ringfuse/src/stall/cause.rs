//! Why a serving thread does not poll for its requests.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::Pid;

use crate::stall::bounded::within;
use crate::stall::callers::{Caller, wait_channel, waiting, waits_for_answer};
use crate::stall::fuse_wait::is_uninterruptible;
use crate::stall::system_calls::call_of;

/// How long finding the callers may take. /proc can block on locks that a stuck process holds.
const DIAGNOSIS: Duration = Duration::from_millis(500);

/// The system call that a thread of this process is in.
pub(super) fn call(thread: Pid) -> Option<String> {
    within(DIAGNOSIS, move || call_of(Pid::this(), thread)).flatten()
}

/// The threads that wait for a FUSE filesystem, this process's first. If that takes too long, those
/// that were found in time.
pub(super) fn callers() -> Vec<Caller> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let finding = Arc::clone(&found);
    let push = move |caller| finding.lock().unwrap_or_else(PoisonError::into_inner).push(caller);
    within(DIAGNOSIS, move || waiting(push));
    let mut callers = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    callers.sort_by_key(|caller| !caller.ours);
    callers
}

/// Why a thread does not poll for its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It waits in the kernel for a mount that it serves itself.
    OwnMount {
        /// The system call that it is in.
        call: Option<String>,
    },
    /// It waits in the kernel for a FUSE filesystem, most likely one of another process.
    OtherMount {
        /// The system call that it is in.
        call: Option<String>,
        /// The mountpoints that have requests and that it may wait for.
        mounts: Vec<PathBuf>,
    },
    /// It waits for a process that it started, and that waits for a FUSE filesystem.
    Child {
        /// That process, or one that it started.
        child: Caller,
    },
    /// It runs: a long computation, or an endless loop.
    Busy,
    /// It waits in the kernel for what no signal ends, such as a lock of another filesystem or a device.
    Kernel {
        /// The system call that it is in.
        call: Option<String>,
        /// The name of the kernel's function.
        function: String,
    },
    /// It sleeps in a function of the kernel.
    Asleep {
        /// The function's name.
        function: String,
    },
}

impl Cause {
    /// The cause for a thread that does not surely wait for itself, while `callers` wait. `mounts` are
    /// those that it may wait for if it waits for a FUSE filesystem.
    pub(super) fn of(thread: Pid, callers: &[Caller], mounts: impl FnOnce() -> Vec<PathBuf>) -> Self {
        let process = Pid::this();
        let Some(function) = wait_channel(process, thread) else { return Self::Busy };
        if waits_for_answer(process, thread) {
            return Self::OtherMount { call: call(thread), mounts: mounts() };
        }
        match callers.iter().find(|caller| caller.ours && caller.process != process) {
            Some(child) => Self::Child { child: child.clone() },
            None if is_uninterruptible(thread) => Self::Kernel { call: call(thread), function },
            None => Self::Asleep { function },
        }
    }

    /// A stable name for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OwnMount { .. } => "own-mount",
            Self::OtherMount { .. } => "other-mount",
            Self::Child { .. } => "child",
            Self::Busy => "busy",
            Self::Kernel { .. } => "kernel",
            Self::Asleep { .. } => "asleep",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |call: &Option<String>| call.clone().unwrap_or_else(|| "a system call".to_owned());
        match self {
            Self::OwnMount { call } => write!(
                formatter,
                "it is in {}, and waits for this mount: no thread can wait for a mount that it serves itself. Use the \
                 asynchronous form (fs.promises, not fs.*Sync), or another process",
                name(call)
            ),
            Self::OtherMount { call, mounts } => {
                write!(formatter, "it is in {}, and waits for ", name(call))?;
                match &mounts[..] {
                    [] => write!(formatter, "a FUSE filesystem"),
                    [mount] => write!(formatter, "the FUSE filesystem at {}", mount.display()),
                    [first, rest @ ..] => {
                        write!(formatter, "a FUSE filesystem, at {}", first.display())?;
                        rest.iter().try_for_each(|mount| write!(formatter, " or {}", mount.display()))
                    }
                }?;
                write!(formatter, ", which does not answer")
            }
            Self::Child { child } => {
                let Caller { process, program, call, .. } = child;
                write!(
                    formatter,
                    "it waits for a process that it started, and process {process} ({program}) waits in {} for a \
                     FUSE filesystem. Use the asynchronous form (spawn or exec, not execSync or spawnSync), and start \
                     no program with its cwd or its file in a mount that this thread serves",
                    name(call)
                )
            }
            Self::Busy => write!(
                formatter,
                "it is busy: a long computation, or an endless loop. Do such work in a worker thread, or in pieces"
            ),
            Self::Kernel { call, function } => write!(
                formatter,
                "it is in {}, and waits in the kernel ({function}) for a lock or a device, such as that of a file in a \
                 mirror's source. The lock's holder may itself wait for this mount: onStall 'fail' ends the requests",
                name(call)
            ),
            Self::Asleep { function } => write!(
                formatter,
                "it sleeps in the kernel ({function}): Atomics.wait, a synchronous call, or a debugger"
            ),
        }
    }
}
