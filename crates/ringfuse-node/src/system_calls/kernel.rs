//! The system calls that `nix` has not, or has only with memory of its own.
#![expect(unsafe_code, reason = "makes system calls")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;

use super::answer;
use crate::javascript_bytes::Bytes;

/// `struct statx`, `struct statfs` of 64-bit machines.
const STATX_SIZE: usize = 256;
const STATFS_SIZE: usize = 120;

/// Numbers that `libc` does not have for every target; they are the same on all.
const FCHMODAT2: libc::c_long = 452;
const GETXATTRAT: libc::c_long = 464;

const _: () = assert!(size_of::<libc::statfs>() == STATFS_SIZE);

pub(super) fn statx(dir: BorrowedFd, path: &CStr, flags: i32, mask: u32, out: Bytes) -> nix::Result<i64> {
    if out.len() < STATX_SIZE {
        return Err(Errno::EINVAL);
    }
    // SAFETY: a C string, and memory of the size of the struct that the kernel writes.
    answer(unsafe {
        libc::syscall(libc::SYS_statx, dir.as_raw_fd(), path.as_ptr(), flags, mask, out.as_ptr())
    })
}

pub(super) fn fstatfs(fd: BorrowedFd, out: Bytes) -> nix::Result<i64> {
    if out.len() < STATFS_SIZE {
        return Err(Errno::EINVAL);
    }
    // SAFETY: memory of the size of the struct that the kernel writes.
    answer(unsafe { libc::syscall(libc::SYS_fstatfs, fd.as_raw_fd(), out.as_ptr()) })
}

pub(super) fn pread(fd: BorrowedFd, out: Bytes, offset: i64) -> nix::Result<i64> {
    // SAFETY: the kernel writes at most as many bytes as there are.
    let read = unsafe { libc::pread64(fd.as_raw_fd(), out.as_ptr().cast(), out.len(), offset) };
    answer(read as libc::c_long)
}

pub(super) fn pwrite(fd: BorrowedFd, data: Bytes, offset: i64) -> nix::Result<i64> {
    // SAFETY: the kernel reads as many bytes as there are.
    let written = unsafe { libc::pwrite64(fd.as_raw_fd(), data.as_ptr().cast(), data.len(), offset) };
    answer(written as libc::c_long)
}

pub(super) fn pwritev2(fd: BorrowedFd, data: Bytes, offset: i64, flags: i32) -> nix::Result<i64> {
    let part = libc::iovec { iov_base: data.as_ptr().cast(), iov_len: data.len() };
    let (low, high) = (offset, 0);
    // SAFETY: one part, of which the kernel reads as many bytes as there are. 64-bit machines have the whole offset
    // in the first of its two halves.
    answer(unsafe {
        libc::syscall(libc::SYS_pwritev2, fd.as_raw_fd(), ptr::from_ref(&part), 1, low, high, flags)
    })
}

pub(super) fn getdents(fd: BorrowedFd, out: Bytes) -> nix::Result<i64> {
    // SAFETY: the kernel writes at most as many bytes as there are.
    answer(unsafe { libc::syscall(libc::SYS_getdents64, fd.as_raw_fd(), out.as_ptr(), out.len()) })
}

pub(super) fn readlink(dir: BorrowedFd, path: &CStr, out: Bytes) -> nix::Result<i64> {
    // SAFETY: a C string; the kernel writes at most as many bytes as there are.
    let length = unsafe { libc::readlinkat(dir.as_raw_fd(), path.as_ptr(), out.as_ptr().cast(), out.len()) };
    answer(length as libc::c_long)
}

/// `fchmodat2(2)` of the descriptor itself, Linux 6.6.
pub(super) fn fchmod(fd: BorrowedFd, mode: u32) -> nix::Result<i64> {
    // SAFETY: a C string; nothing is written.
    answer(unsafe { libc::syscall(FCHMODAT2, fd.as_raw_fd(), c"".as_ptr(), mode, libc::AT_EMPTY_PATH) })
}

pub(super) fn chmod(path: &CStr, mode: u32) -> nix::Result<i64> {
    // SAFETY: a C string; nothing is written.
    answer(unsafe { libc::chmod(path.as_ptr(), mode) }.into())
}

/// `utimensat(2)` of the descriptor itself, Linux 5.8.
pub(super) fn futimens(fd: BorrowedFd, times: &[libc::timespec; 2]) -> nix::Result<i64> {
    let (fd, empty, flags) = (fd.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: a C string, and the two times that are read.
    answer(unsafe { libc::utimensat(fd, empty, times.as_ptr(), flags) }.into())
}

/// `struct xattr_args` of `linux/xattr.h`.
#[repr(C)]
struct XattrArguments {
    value: u64,
    size: u32,
    flags: u32,
}

/// `getxattrat(2)`, Linux 6.13, of what the name in `dir` leads to.
pub(super) fn getxattrat(dir: BorrowedFd, path: &CStr, name: &CStr, out: Bytes) -> nix::Result<i64> {
    let size = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let arguments = XattrArguments { value: out.as_ptr().addr() as u64, size, flags: 0 };
    // SAFETY: C strings, and a struct of the size that is said; the kernel writes at most as many bytes as there are.
    answer(unsafe {
        libc::syscall(
            GETXATTRAT,
            dir.as_raw_fd(),
            path.as_ptr(),
            0,
            name.as_ptr(),
            ptr::from_ref(&arguments),
            size_of::<XattrArguments>(),
        )
    })
}

pub(super) fn getxattr(path: &CStr, name: &CStr, out: Bytes) -> nix::Result<i64> {
    // SAFETY: C strings; the kernel writes at most as many bytes as there are.
    let size = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), out.as_ptr().cast(), out.len()) };
    answer(size as libc::c_long)
}

pub(super) fn setxattr(path: &CStr, name: &CStr, value: Bytes, flags: u32) -> nix::Result<i64> {
    let (start, size) = (value.as_ptr().cast(), value.len());
    // SAFETY: C strings; the kernel reads as many bytes as there are.
    answer(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), start, size, flags.cast_signed()) }.into())
}

pub(super) fn listxattr(path: &CStr, out: Bytes) -> nix::Result<i64> {
    // SAFETY: a C string; the kernel writes at most as many bytes as there are.
    let size = unsafe { libc::listxattr(path.as_ptr(), out.as_ptr().cast(), out.len()) };
    answer(size as libc::c_long)
}

pub(super) fn removexattr(path: &CStr, name: &CStr) -> nix::Result<i64> {
    // SAFETY: C strings; nothing is written.
    answer(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }.into())
}

/// Inode flags and their like: the commands of `ioctl(2)` whose argument is plain bytes of a known size.
const FLAG_COMMANDS: [u64; 5] = [
    0x8008_6601, // FS_IOC_GETFLAGS
    0x4008_6602, // FS_IOC_SETFLAGS
    0x8008_7601, // FS_IOC_GETVERSION
    0x801c_581f, // FS_IOC_FSGETXATTR
    0x401c_5820, // FS_IOC_FSSETXATTR
];

/// Bits of an ioctl command that are the size of its argument.
const SIZE_SHIFT: u32 = 16;
const SIZE_MASK: u64 = 0x3fff;

/// One of the commands that read or change a file's flags; ENOTTY for any other.
pub(super) fn ioctl_flags(fd: BorrowedFd, command: u32, argument: Bytes) -> nix::Result<i64> {
    let command = u64::from(command);
    if !FLAG_COMMANDS.contains(&command) {
        return Err(Errno::ENOTTY);
    }
    if (argument.len() as u64) < (command >> SIZE_SHIFT) & SIZE_MASK {
        return Err(Errno::EINVAL);
    }
    // The type of the command is not the same with every libc.
    let command = command as _;
    // SAFETY: each of the commands reads or writes at most its size, which there is, and no address in it.
    answer(unsafe { libc::ioctl(fd.as_raw_fd(), command, argument.as_ptr()) }.into())
}

/// The thread's supplementary groups.
pub(super) fn getgroups() -> nix::Result<Vec<u32>> {
    // SAFETY: no memory is given, so that only their number is returned.
    let count = answer(unsafe { libc::syscall(libc::SYS_getgroups, 0, ptr::null_mut::<u32>()) })?;
    let mut groups = vec![0_u32; usize::try_from(count).unwrap_or(0)];
    // SAFETY: the kernel writes at most as many as there is room for.
    let count = answer(unsafe { libc::syscall(libc::SYS_getgroups, groups.len(), groups.as_mut_ptr()) })?;
    groups.truncate(usize::try_from(count).unwrap_or(0));
    Ok(groups)
}

/// Sets the supplementary groups of this thread alone; the function of libc sets those of all.
pub(super) fn setgroups(groups: &[u32]) -> nix::Result<()> {
    // SAFETY: the kernel reads as many as there are.
    answer(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// `faccessat2(2)` of the descriptor itself with this thread's present rights, Linux 5.8.
pub(super) fn faccess(fd: BorrowedFd, mode: i32) -> nix::Result<i64> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    // SAFETY: a C string; nothing is written.
    answer(unsafe { libc::syscall(libc::SYS_faccessat2, fd.as_raw_fd(), c"".as_ptr(), mode, flags) })
}

/// The thread's capabilities: `struct __user_cap_data_struct[2]` of `linux/capability.h`.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CapabilitySets {
    /// Effective, permitted and inheritable, of the capabilities from 0 on.
    low: [u32; 3],
    /// Those of the capabilities from 32 on.
    high: [u32; 3],
}

impl CapabilitySets {
    /// The first 32 capabilities that are in effect.
    pub(super) fn effective(self) -> u32 {
        self.low[0]
    }

    /// With `mask` of the first 32 capabilities in effect, as far as they are permitted.
    pub(super) fn with(mut self, mask: u32) -> Self {
        self.low[0] |= mask & self.low[1];
        self
    }

    /// Without `mask` of the first 32 capabilities.
    pub(super) fn without(mut self, mask: u32) -> Self {
        self.low[0] &= !mask;
        self
    }
}

/// `_LINUX_CAPABILITY_VERSION_3`, and no pid: this thread.
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

pub(super) fn capget() -> nix::Result<CapabilitySets> {
    let mut header = CAPABILITY_HEADER;
    let mut sets = CapabilitySets::default();
    // SAFETY: locals of the structs' sizes, both of which the kernel may write.
    answer(unsafe { libc::syscall(libc::SYS_capget, ptr::from_mut(&mut header), ptr::from_mut(&mut sets)) })?;
    Ok(sets)
}

pub(super) fn capset(sets: CapabilitySets) -> nix::Result<()> {
    let mut header = CAPABILITY_HEADER;
    // SAFETY: locals of the structs' sizes; the kernel may write the header.
    answer(unsafe { libc::syscall(libc::SYS_capset, ptr::from_mut(&mut header), ptr::from_ref(&sets)) })?;
    Ok(())
}
