//! Words for the system call that a thread is in: its name and its object, from
//! /proc/PID/task/TID/syscall.
//!
//! The table is for reports, and a hint. Which connection a thread waits for is decided by facts that
//! hold for every call: see `deadlock`.

use std::collections::BTreeSet;
use std::fs::{File, read_link, read_to_string};
use std::os::unix::fs::FileExt;
use std::path::Path as FilePath;

use nix::unistd::Pid;

use crate::mount::{connections_at, connections_of};

/// An argument of a call that is an object of it, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// A descriptor.
    Descriptor(usize),
    /// The address of a path that the working directory is the base of.
    Path(usize),
    /// The address of a path whose base is the descriptor in the argument before it.
    PathAt(usize),
}

use About::{Descriptor, Path, PathAt};

/// Longest path that is shown, bytes.
const LONGEST_PATH: usize = 256;

/// Calls, and their objects: the first is the one that is shown. The target of a symbolic link is none.
const CALLS: &[(i64, &str, &[About])] = &[
    (libc::SYS_openat, "openat", &[PathAt(1)]),
    (libc::SYS_openat2, "openat2", &[PathAt(1)]),
    (libc::SYS_newfstatat, "newfstatat", &[PathAt(1)]),
    (libc::SYS_statx, "statx", &[PathAt(1)]),
    (libc::SYS_faccessat, "faccessat", &[PathAt(1)]),
    (libc::SYS_faccessat2, "faccessat2", &[PathAt(1)]),
    (libc::SYS_mkdirat, "mkdirat", &[PathAt(1)]),
    (libc::SYS_mknodat, "mknodat", &[PathAt(1)]),
    (libc::SYS_unlinkat, "unlinkat", &[PathAt(1)]),
    (libc::SYS_readlinkat, "readlinkat", &[PathAt(1)]),
    (libc::SYS_fchmodat, "fchmodat", &[PathAt(1)]),
    (libc::SYS_fchownat, "fchownat", &[PathAt(1)]),
    (libc::SYS_utimensat, "utimensat", &[PathAt(1)]),
    (libc::SYS_execveat, "execveat", &[PathAt(1)]),
    (libc::SYS_name_to_handle_at, "name_to_handle_at", &[PathAt(1)]),
    (libc::SYS_symlinkat, "symlinkat", &[PathAt(2)]),
    (libc::SYS_linkat, "linkat", &[PathAt(1), PathAt(3)]),
    (libc::SYS_renameat2, "renameat2", &[PathAt(1), PathAt(3)]),
    (libc::SYS_statfs, "statfs", &[Path(0)]),
    (libc::SYS_truncate, "truncate", &[Path(0)]),
    (libc::SYS_chdir, "chdir", &[Path(0)]),
    (libc::SYS_execve, "execve", &[Path(0)]),
    (libc::SYS_getxattr, "getxattr", &[Path(0)]),
    (libc::SYS_lgetxattr, "lgetxattr", &[Path(0)]),
    (libc::SYS_setxattr, "setxattr", &[Path(0)]),
    (libc::SYS_lsetxattr, "lsetxattr", &[Path(0)]),
    (libc::SYS_listxattr, "listxattr", &[Path(0)]),
    (libc::SYS_llistxattr, "llistxattr", &[Path(0)]),
    (libc::SYS_removexattr, "removexattr", &[Path(0)]),
    (libc::SYS_lremovexattr, "lremovexattr", &[Path(0)]),
    (libc::SYS_read, "read", &[Descriptor(0)]),
    (libc::SYS_pread64, "pread64", &[Descriptor(0)]),
    (libc::SYS_readv, "readv", &[Descriptor(0)]),
    (libc::SYS_preadv, "preadv", &[Descriptor(0)]),
    (libc::SYS_preadv2, "preadv2", &[Descriptor(0)]),
    (libc::SYS_write, "write", &[Descriptor(0)]),
    (libc::SYS_pwrite64, "pwrite64", &[Descriptor(0)]),
    (libc::SYS_writev, "writev", &[Descriptor(0)]),
    (libc::SYS_pwritev, "pwritev", &[Descriptor(0)]),
    (libc::SYS_pwritev2, "pwritev2", &[Descriptor(0)]),
    (libc::SYS_fstat, "fstat", &[Descriptor(0)]),
    (libc::SYS_fstatfs, "fstatfs", &[Descriptor(0)]),
    (libc::SYS_fsync, "fsync", &[Descriptor(0)]),
    (libc::SYS_fdatasync, "fdatasync", &[Descriptor(0)]),
    (libc::SYS_sync_file_range, "sync_file_range", &[Descriptor(0)]),
    (libc::SYS_ftruncate, "ftruncate", &[Descriptor(0)]),
    (libc::SYS_fallocate, "fallocate", &[Descriptor(0)]),
    (libc::SYS_lseek, "lseek", &[Descriptor(0)]),
    (libc::SYS_getdents64, "getdents64", &[Descriptor(0)]),
    (libc::SYS_close, "close", &[Descriptor(0)]),
    (libc::SYS_fcntl, "fcntl", &[Descriptor(0)]),
    (libc::SYS_flock, "flock", &[Descriptor(0)]),
    (libc::SYS_ioctl, "ioctl", &[Descriptor(0)]),
    (libc::SYS_fchdir, "fchdir", &[Descriptor(0)]),
    (libc::SYS_fchmod, "fchmod", &[Descriptor(0)]),
    (libc::SYS_fchown, "fchown", &[Descriptor(0)]),
    (libc::SYS_fgetxattr, "fgetxattr", &[Descriptor(0)]),
    (libc::SYS_fsetxattr, "fsetxattr", &[Descriptor(0)]),
    (libc::SYS_flistxattr, "flistxattr", &[Descriptor(0)]),
    (libc::SYS_fremovexattr, "fremovexattr", &[Descriptor(0)]),
    (libc::SYS_syncfs, "syncfs", &[Descriptor(0)]),
    (libc::SYS_copy_file_range, "copy_file_range", &[Descriptor(0), Descriptor(2)]),
    (libc::SYS_sendfile, "sendfile", &[Descriptor(0), Descriptor(1)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, "creat", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "stat", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "lstat", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, "access", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, "mknod", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_readlink, "readlink", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "chmod", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chown, "chown", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lchown, "lchown", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_utime, "utime", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_utimes, "utimes", &[Path(0)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, "symlink", &[Path(1)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link", &[Path(0), Path(1)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename", &[Path(0), Path(1)]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_renameat, "renameat", &[PathAt(1), PathAt(3)]),
];

/// The FUSE connections that a thread's call names, by a path or a descriptor that is an argument of it.
/// This reads a thread's memory, but no filesystem: a path is taken by its text, and only if it is absolute. With
/// `all`, none if the call names anything on another filesystem as well. Nothing for calls that the table
/// lacks.
pub(super) fn connections_named(thread: Pid, all: bool) -> BTreeSet<u32> {
    let call = Call::of(Pid::this(), thread);
    let named: Vec<BTreeSet<u32>> = call.map(|call| call.named()).unwrap_or_default();
    if all && named.iter().any(BTreeSet::is_empty) {
        return BTreeSet::new();
    }
    named.into_iter().flatten().collect()
}

/// A system call.
struct Call {
    number: i64,
    arguments: Vec<u64>,
    name: Option<&'static str>,
    about: &'static [About],
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
        let (name, about) = known.map_or((None, &[][..]), |known| (Some(known.1), known.2));
        Some(Self { number, arguments, name, about })
    }

    /// The FUSE connections behind each object of a call of this process.
    fn named(&self) -> Vec<BTreeSet<u32>> {
        let argument = |index: usize| self.arguments.get(index).copied();
        let of = |descriptor: Option<u64>| {
            descriptor.map(|number| connections_of("self", number)).unwrap_or_default()
        };
        let at = |index: usize, base: Option<u64>| match argument(index).and_then(path_at) {
            Some(path) if path.starts_with('/') => connections_at(FilePath::new(&path)),
            _ => of(base),
        };
        let behind = |about: &About| match *about {
            Descriptor(index) => of(argument(index)),
            Path(index) => at(index, None),
            PathAt(index) => at(index, argument(index - 1)),
        };
        self.about.iter().map(behind).collect()
    }
}

/// The call that a thread is in, such as `openat("/mnt/file")`. `None` where the kernel does not say.
/// The memory of other processes is not read.
pub(super) fn call_of(process: Pid, thread: Pid) -> Option<String> {
    let Call { number, arguments, name, about } = Call::of(process, thread)?;
    let Some((name, about)) = name.zip(about.first()) else {
        return Some(format!("system call {number}"));
    };
    let object = match *about {
        Descriptor(index) => arguments.get(index).and_then(|fd| descriptor(process, *fd)),
        Path(index) | PathAt(index) if process == Pid::this() => {
            arguments.get(index).and_then(|at| path_at(*at))
        }
        Path(_) | PathAt(_) => None,
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
