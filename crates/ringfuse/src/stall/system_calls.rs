//! System calls that may wait for a filesystem, and what they are about, as /proc/PID/task/TID/syscall tells.

use std::fs::{File, read_link, read_to_string};
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

/// Where a call says what it is about.
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

/// The call that a thread is in, as `openat("/mnt/file")`; nothing where it cannot be told. The memory of another
/// process is not looked at.
pub(super) fn call_of(process: Pid, thread: Pid) -> Option<String> {
    let text = read_to_string(format!("/proc/{process}/task/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let arguments: Vec<u64> = words
        .take(6)
        .filter_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        .collect();
    let Some((_, name, about)) = CALLS.iter().find(|(known, ..)| *known == number) else {
        return Some(format!("system call {number}"));
    };
    let object = match about {
        Descriptor(index) => arguments.get(*index).and_then(|fd| descriptor(process, *fd)),
        Path(index) if process == Pid::this() => arguments.get(*index).and_then(|at| path_at(*at)),
        Path(_) => None,
    };
    Some(object.map_or_else(|| (*name).to_owned(), |object| format!("{name}({object:?})")))
}

/// What a descriptor is open on. No filesystem is asked.
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
