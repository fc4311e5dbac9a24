//! Words for the system call that a thread is in: its name and its object, from
//! /proc/PID/task/TID/syscall.
//!
//! The table is for reports. Which connection a thread waits for is decided by facts that hold for
//! every call: see `deadlock`.

use std::collections::BTreeSet;
use std::fs::{File, read_link, read_to_string};
use std::os::unix::fs::FileExt;
use std::path::Path as FilePath;

use nix::unistd::Pid;

use crate::mount::{connections_at, connections_of};

/// Which argument is the object of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// A descriptor, in the argument of this index.
    Descriptor(usize),
    /// The address of a path, in the argument of this index.
    Path(usize),
}

use About::{Descriptor, Path};

/// Longest path that is shown, bytes.
const LONGEST_PATH: usize = 256;

const CALLS: &[(i64, &str, About)] = &[
    (libc::SYS_openat, "openat", Path(1)),
    (libc::SYS_newfstatat, "newfstatat", Path(1)),
    (libc::SYS_statx, "statx", Path(1)),
    (libc::SYS_faccessat, "faccessat", Path(1)),
    (libc::SYS_faccessat2, "faccessat2", Path(1)),
    (libc::SYS_mkdirat, "mkdirat", Path(1)),
    (libc::SYS_unlinkat, "unlinkat", Path(1)),
    (libc::SYS_renameat2, "renameat2", Path(1)),
    (libc::SYS_readlinkat, "readlinkat", Path(1)),
    (libc::SYS_statfs, "statfs", Path(0)),
    (libc::SYS_truncate, "truncate", Path(0)),
    (libc::SYS_chdir, "chdir", Path(0)),
    (libc::SYS_execve, "execve", Path(0)),
    (libc::SYS_getxattr, "getxattr", Path(0)),
    (libc::SYS_read, "read", Descriptor(0)),
    (libc::SYS_pread64, "pread64", Descriptor(0)),
    (libc::SYS_readv, "readv", Descriptor(0)),
    (libc::SYS_write, "write", Descriptor(0)),
    (libc::SYS_pwrite64, "pwrite64", Descriptor(0)),
    (libc::SYS_writev, "writev", Descriptor(0)),
    (libc::SYS_fstat, "fstat", Descriptor(0)),
    (libc::SYS_fsync, "fsync", Descriptor(0)),
    (libc::SYS_fdatasync, "fdatasync", Descriptor(0)),
    (libc::SYS_ftruncate, "ftruncate", Descriptor(0)),
    (libc::SYS_getdents64, "getdents64", Descriptor(0)),
    (libc::SYS_close, "close", Descriptor(0)),
    (libc::SYS_fcntl, "fcntl", Descriptor(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "stat", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "lstat", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, "access", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_readlink, "readlink", Path(0)),
];

/// The FUSE connections that the arguments of a thread's call name. This reads a thread's memory, but
/// no filesystem: a path is taken by its text, and only if it is absolute.
///
/// Registers that the call does not use hold remains of earlier calls, so this is a hint. It decides
/// only among connections that the thread can be waiting for.
pub(super) fn connections_named(thread: Pid) -> BTreeSet<u32> {
    let Some(Call { about, arguments, .. }) = Call::of(Pid::this(), thread) else { return BTreeSet::new() };
    let at_path = |address: &u64| {
        let path = path_at(*address)?;
        path.starts_with('/').then(|| connections_at(FilePath::new(&path)))
    };
    let mut connections: BTreeSet<u32> = arguments.iter().filter_map(at_path).flatten().collect();
    // The descriptor comes first in calls that are not in the table, too.
    let descriptor = match about {
        Some(Path(index)) => index.checked_sub(1),
        Some(Descriptor(index)) => Some(index),
        None => Some(0),
    };
    if let Some(number) = descriptor.and_then(|index| arguments.get(index)) {
        connections.extend(connections_of("self", *number));
    }
    connections
}

/// A system call.
struct Call {
    number: i64,
    arguments: Vec<u64>,
    name: Option<&'static str>,
    about: Option<About>,
}

impl Call {
    /// The call that a thread is in.
    fn of(process: Pid, thread: Pid) -> Option<Self> {
        let text = read_to_string(format!("/proc/{process}/task/{thread}/syscall")).ok()?;
        let mut words = text.split_whitespace();
        let number: i64 = words.next()?.parse().ok()?;
        let arguments = words
            .take(6)
            .filter_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
            .collect();
        let known = CALLS.iter().find(|(known, ..)| *known == number);
        Some(Self { number, arguments, name: known.map(|known| known.1), about: known.map(|known| known.2) })
    }
}

/// The call that a thread is in, such as `openat("/mnt/file")`. `None` where the kernel does not say.
/// The memory of other processes is not read.
pub(super) fn call_of(process: Pid, thread: Pid) -> Option<String> {
    let Call { number, arguments, name, about } = Call::of(process, thread)?;
    let Some((name, about)) = name.zip(about) else { return Some(format!("system call {number}")) };
    let object = match about {
        Descriptor(index) => arguments.get(index).and_then(|fd| descriptor(process, *fd)),
        Path(index) if process == Pid::this() => arguments.get(index).and_then(|at| path_at(*at)),
        Path(_) => None,
    };
    Some(object.map_or_else(|| name.to_owned(), |object| format!("{name}({object:?})")))
}

/// The path of an open file, which the kernel knows without asking the filesystem.
fn descriptor(process: Pid, fd: u64) -> Option<String> {
    let path = read_link(format!("/proc/{process}/fd/{fd}")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// The path at an address of this process.
fn path_at(address: u64) -> Option<String> {
    let mut bytes = [0; LONGEST_PATH];
    let length = File::open("/proc/self/mem").ok()?.read_at(&mut bytes, address).ok()?;
    let path = bytes[..length].split(|byte| *byte == 0).next()?;
    (!path.is_empty()).then(|| String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc::channel;

    use nix::unistd::gettid;

    use super::*;

    #[test]
    fn a_thread_that_reads_is_known_by_its_call() {
        let (sender, receiver) = channel();
        let (mut reading, writing) = std::io::pipe().unwrap();
        let reader = std::thread::spawn(move || {
            sender.send(gettid()).unwrap();
            let _ = reading.read(&mut [0]);
        });
        let thread = receiver.recv().unwrap();
        let call = loop {
            match call_of(Pid::this(), thread) {
                Some(call) if call.starts_with("read(") => break call,
                _ => std::thread::yield_now(),
            }
        };
        assert!(call.starts_with("read(\"pipe:["), "{call}");
        drop(writing);
        reader.join().unwrap();
    }

    #[test]
    fn a_path_is_read_from_this_process() {
        let path = c"/mnt/a file";
        assert_eq!(path_at(path.as_ptr() as u64).as_deref(), Some("/mnt/a file"));
        assert_eq!(path_at(0), None);
    }
}
