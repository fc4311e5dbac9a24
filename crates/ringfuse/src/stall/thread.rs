//! What a serving thread is stuck in.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::Pid;

use crate::connection::Connection;
use crate::outside::outside;
use crate::stall::callers::{Caller, sleeps_in, waiting, waits_for_fuse};
use crate::stall::system_calls::{call_of, object_of};

/// How long a diagnosis may take. What /proc tells of a process may wait for locks which that process holds, and so for
/// the very filesystem that does not answer.
const DIAGNOSIS: Duration = Duration::from_millis(500);

/// What was found so far.
#[derive(Default)]
struct Found {
    call: Option<String>,
    callers: Vec<Caller>,
}

/// What a thread of this process is stuck in, and who waits for a FUSE filesystem, as far as it can be told soon.
pub(super) fn diagnose(thread: Pid) -> (Cause, Vec<Caller>) {
    let found = Arc::new(Mutex::new(Found::default()));
    let looking = Arc::clone(&found);
    let look = move || {
        let call = call_of(Pid::this(), thread);
        lock(&looking).call = call;
        waiting(|caller| lock(&looking).callers.push(caller));
    };
    if let Ok(end) = outside("ringfuse-look", look) {
        let _ = end.recv_timeout(DIAGNOSIS);
    }
    let Found { call, mut callers } = std::mem::take(&mut *lock(&found));
    callers.sort_by_key(|caller| !caller.ours);
    (Cause::of(thread, call, &callers), callers)
}

/// Whether a thread of this process waits for the mount, as far as it can be told soon: a call of its, on a path in the
/// mount or on a file of it, waits in the kernel for a FUSE filesystem.
pub(super) fn waits_for_mount(thread: Pid, connection: &Arc<Connection>) -> bool {
    if !waits_for_fuse(Pid::this(), thread) {
        return false;
    }
    let connection = Arc::downgrade(connection);
    let look = move || {
        let Some(connection) = connection.upgrade() else { return false };
        object_of(thread, connection.mount().path()).is_some_and(|object| connection.mount().shows(&object))
    };
    outside("ringfuse-look", look).is_ok_and(|end| end.recv_timeout(DIAGNOSIS).unwrap_or(false))
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a thread does not come to its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It waits in the kernel for a FUSE filesystem, most likely its own.
    OwnMount {
        /// The system call that it is in.
        call: Option<String>,
    },
    /// It waits for a process that it started, and that waits for a FUSE filesystem.
    Child {
        /// That process, or one that it started.
        child: Caller,
    },
    /// It runs: a long computation, or an endless loop.
    Busy,
    /// It sleeps in a function of the kernel.
    Asleep {
        /// The function's name.
        function: String,
    },
}

impl Cause {
    /// What a thread of this process is stuck in, perhaps in `call`, while `callers` wait.
    fn of(thread: Pid, call: Option<String>, callers: &[Caller]) -> Self {
        let process = Pid::this();
        let Some(function) = sleeps_in(process, thread) else { return Self::Busy };
        if waits_for_fuse(process, thread) {
            return Self::OwnMount { call };
        }
        match callers.iter().find(|caller| caller.ours && caller.process != process) {
            Some(child) => Self::Child { child: child.clone() },
            None => Self::Asleep { function },
        }
    }

    /// A stable name for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OwnMount { .. } => "own-mount",
            Self::Child { .. } => "child",
            Self::Busy => "busy",
            Self::Asleep { .. } => "asleep",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnMount { call } => {
                let call = call.as_deref().unwrap_or("a system call");
                write!(
                    formatter,
                    "it is in {call}, and waits for a FUSE filesystem: no thread can wait for a mount that it serves \
                     itself. Use the asynchronous form (fs.promises, not fs.*Sync), or another process"
                )
            }
            Self::Child { child } => {
                let Caller { process, program, call, .. } = child;
                let call = call.as_deref().unwrap_or("a system call");
                write!(
                    formatter,
                    "it waits for a process that it started, and process {process} ({program}) waits in {call} for a \
                     FUSE filesystem. Use the asynchronous form (spawn or exec, not execSync or spawnSync), and start \
                     no program with its cwd or its file in a mount that this thread serves"
                )
            }
            Self::Busy => write!(
                formatter,
                "it is busy: a long computation, or an endless loop. Do such work in a worker thread, or in pieces"
            ),
            Self::Asleep { function } => write!(
                formatter,
                "it sleeps in the kernel ({function}): Atomics.wait, a synchronous call, or a debugger"
            ),
        }
    }
}
