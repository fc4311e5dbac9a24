//! File handles: what finds a file without a descriptor, `open_by_handle_at(2)`.
#![expect(unsafe_code, reason = "makes system calls")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// `MAX_HANDLE_SZ`.
const LARGEST: usize = 128;

/// `struct file_handle` with all the room that it may take. It stays the file's: where an inode's number is used again,
/// its generation in the handle is another.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct FileHandle {
    size: u32,
    kind: i32,
    handle: [u8; LARGEST],
}

impl PartialEq for FileHandle {
    fn eq(&self, other: &Self) -> bool {
        let size = self.size as usize;
        self.size == other.size && self.kind == other.kind && self.handle[..size] == other.handle[..size]
    }
}

impl FileHandle {
    /// The handle of what `fd` is (`O_PATH` too).
    pub(super) fn of(fd: BorrowedFd) -> nix::Result<Self> {
        let mut handle = Self { size: 128, kind: 0, handle: [0; LARGEST] };
        let mut mount = 0;
        // SAFETY: a C string, a local with as much room as it says, and a local for the mount's number.
        let result = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                fd.as_raw_fd(),
                c"".as_ptr(),
                &raw mut handle,
                &raw mut mount,
                libc::AT_EMPTY_PATH,
            )
        };
        if result == 0 && handle.size as usize <= LARGEST { Ok(handle) } else { Err(Errno::last()) }
    }

    /// Opens the file (`O_PATH`), which is on the same mount as `mount`, an open directory. It takes
    /// `CAP_DAC_READ_SEARCH`; ESTALE says that the file is gone.
    pub(super) fn open(&self, mount: BorrowedFd) -> nix::Result<OwnedFd> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: the handle is only read, and as long as it says.
        let fd =
            unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const *self, flags) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(Errno::last)?;
        // SAFETY: the kernel just made it, for nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
