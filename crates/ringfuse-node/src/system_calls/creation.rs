//! Files made as another user makes them: theirs from the start, with the mode that their umask and the directory's
//! default ACL give it. A mode that is completed afterwards would be completed by name, and the name may be another
//! file's by then.
//!
//! The kernel applies the umask of the thread. A thread shares its umask with the process, unless it has its own
//! `fs_struct` (`unshare(CLONE_FS)`). Where the umask of the process does not suit, a helper thread with its own makes
//! the file.
#![expect(clippy::too_many_arguments, reason = "a file, and who makes it")]

use std::cell::Cell;
use std::ffi::CString;
use std::os::fd::{IntoRawFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::{fs, thread};

use napi_derive::napi;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat as open_at};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, mkdirat as make_directory, mknodat as make_node, umask as set_umask};
use nix::time::{ClockId, clock_gettime};

use super::directories::TYPE;
use super::identity::{Identity, User};
use super::xattrs::get;
use super::{done, outcome};
use crate::file_descriptor::lend_fd;
use crate::javascript_bytes::Bytes;

/// The bits of a mode that a umask takes away.
const MASKABLE: u32 = 0o777;

/// Milliseconds for which the umask of the process is taken to be what it was.
const UMASK_LIFETIME: u64 = 100;

thread_local! {
    /// The umask of this thread alone, if it has its own.
    static OWN_UMASK: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Gives this thread a umask, a root and a working directory of its own: `unshare(CLONE_FS)`. Only for a thread that
/// runs no code of others: they would expect it to follow `process.chdir()`.
///
/// # Errors
/// The errno of `unshare(2)`.
#[napi]
#[must_use]
pub fn unshare_umask() -> i32 {
    done(have_own_umask())
}

/// `openat(2)` that makes a file as a user (see [`super::identity::begin_caller`]; -1: as this process) with this umask;
/// always with `O_CLOEXEC`.
#[napi]
#[must_use]
pub fn openat_as(
    dir: i32,
    path: Bytes<'_>,
    flags: i32,
    mode: u32,
    umask: u32,
    uid: i64,
    gid: i64,
    groups: Bytes<'_>,
    kept: u32,
) -> i32 {
    let open = || {
        let path = path.to_path()?;
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC;
        Maker::new(umask, User::new(uid, gid, groups, kept)?).make(dir, path, mode, move |dir, path, mode| {
            open_at(lend_fd(dir)?, path.as_c_str(), flags, Mode::from_bits_retain(mode))
                .map(IntoRawFd::into_raw_fd)
        })
    };
    outcome(open())
}

/// `mkdirat(2)`, as [`openat_as`].
#[napi]
#[must_use]
pub fn mkdirat_as(
    dir: i32,
    path: Bytes<'_>,
    mode: u32,
    umask: u32,
    uid: i64,
    gid: i64,
    groups: Bytes<'_>,
    kept: u32,
) -> i32 {
    let make = || {
        let path = path.to_path()?;
        Maker::new(umask, User::new(uid, gid, groups, kept)?).make(dir, path, mode, |dir, path, mode| {
            make_directory(lend_fd(dir)?, path.as_c_str(), Mode::from_bits_retain(mode)).map(|()| 0)
        })
    };
    outcome(make())
}

/// `mknodat(2)`, as [`openat_as`]; `rdev` as `makedev(3)` of 32 bits.
#[napi]
#[must_use]
pub fn mknodat_as(
    dir: i32,
    path: Bytes<'_>,
    mode: u32,
    rdev: u32,
    umask: u32,
    uid: i64,
    gid: i64,
    groups: Bytes<'_>,
    kept: u32,
) -> i32 {
    let make = || {
        let path = path.to_path()?;
        Maker::new(umask, User::new(uid, gid, groups, kept)?).make(dir, path, mode, move |dir, path, mode| {
            let kind = SFlag::from_bits_retain(mode & TYPE);
            let permissions = Mode::from_bits_retain(mode & !TYPE);
            make_node(lend_fd(dir)?, path.as_c_str(), kind, permissions, rdev.into()).map(|()| 0)
        })
    };
    outcome(make())
}

/// Who makes a file.
struct Maker {
    umask: u32,
    user: Option<User>,
}

impl Maker {
    fn new(umask: u32, user: Option<User>) -> Self {
        Self { umask: umask & MASKABLE, user }
    }

    /// Calls `call` with `dir`, `path` and the mode to ask the kernel for, where the kernel then does what it does for
    /// the maker.
    fn make<Call>(self, dir: RawFd, path: CString, mode: u32, call: Call) -> nix::Result<i32>
    where
        Call: FnOnce(RawFd, CString, u32) -> nix::Result<i32> + Send + 'static,
    {
        if OWN_UMASK.get().is_some() {
            return self.make_with_own_umask(|| call(dir, path, mode));
        }
        // The process's umask may be narrower than is known here, but what the maker's takes away is never given.
        let masked = if mode & self.umask == 0 || has_default_acl(dir) { mode } else { mode & !self.umask };
        if masked & process_umask() == 0 {
            return self.act(|| call(dir, path, masked));
        }
        match helper() {
            Some(helper) => run_in(helper, move || self.make_with_own_umask(|| call(dir, path, mode))),
            // Too few permissions are all that is left.
            None => self.act(|| call(dir, path, masked)),
        }
    }

    fn make_with_own_umask(self, call: impl FnOnce() -> nix::Result<i32>) -> nix::Result<i32> {
        if OWN_UMASK.get() != Some(self.umask) {
            set_umask(Mode::from_bits_retain(self.umask));
            OWN_UMASK.set(Some(self.umask));
        }
        self.act(call)
    }

    fn act(self, call: impl FnOnce() -> nix::Result<i32>) -> nix::Result<i32> {
        let _identity = self.user.map(Identity::of).transpose()?;
        call()
    }
}

/// Whether files in the directory get an ACL, which takes the umask's place.
fn has_default_acl(dir: RawFd) -> bool {
    let size = lend_fd(dir).and_then(|dir| get(dir, c"system.posix_acl_default", Bytes::NONE));
    size.is_ok_and(|size| size > 0)
}

/// The umask of the process, as it was at most [`UMASK_LIFETIME`] ago. Only umask(2) tells it at once, which changes it
/// for all threads meanwhile.
fn process_umask() -> u32 {
    static KNOWN: AtomicU32 = AtomicU32::new(MASKABLE);
    static KNOWN_UNTIL: AtomicU64 = AtomicU64::new(0);
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(u64::MAX, |time| {
        time.tv_sec().unsigned_abs() * 1000 + time.tv_nsec().unsigned_abs() / 1_000_000
    });
    if now < KNOWN_UNTIL.load(Ordering::Acquire) {
        return KNOWN.load(Ordering::Relaxed);
    }
    // Where it cannot be read, each file is the helper's to make.
    let umask = read_umask().unwrap_or(MASKABLE);
    KNOWN.store(umask, Ordering::Relaxed);
    KNOWN_UNTIL.store(now.saturating_add(UMASK_LIFETIME), Ordering::Release);
    umask
}

/// The `Umask` line, proc_pid_status(5).
fn read_umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(umask.trim(), 8).ok()
}

fn have_own_umask() -> nix::Result<()> {
    if OWN_UMASK.get().is_none() {
        unshare(CloneFlags::CLONE_FS)?;
        set_umask(Mode::from_bits_retain(MASKABLE));
        OWN_UMASK.set(Some(MASKABLE));
    }
    Ok(())
}

type Job = Box<dyn FnOnce() + Send>;

/// The helper, if there can be one.
fn helper() -> Option<&'static Sender<Job>> {
    static HELPER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    HELPER.get_or_init(start_helper).as_ref()
}

/// Starts a thread with its own umask, which runs what it is sent.
fn start_helper() -> Option<Sender<Job>> {
    let (jobs, taken) = channel::<Job>();
    let (ready, is_ready) = sync_channel(1);
    let run = move || {
        let own = have_own_umask();
        let _ = ready.send(own);
        if own.is_ok() {
            for job in taken {
                job();
            }
        }
    };
    thread::Builder::new().name("ringfuse-umask".to_owned()).spawn(run).ok()?;
    is_ready.recv().ok()?.ok()?;
    Some(jobs)
}

/// Runs `job` on the helper, and waits for it.
fn run_in(helper: &Sender<Job>, job: impl FnOnce() -> nix::Result<i32> + Send + 'static) -> nix::Result<i32> {
    let (answer, answered) = sync_channel(1);
    let job: Job = Box::new(move || {
        let _ = answer.send(job());
    });
    helper.send(job).map_err(|_| Errno::EIO)?;
    answered.recv().map_err(|_| Errno::EIO)?
}
