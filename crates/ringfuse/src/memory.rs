//! The memory that requests arrive in and replies leave from: mapped once, page-aligned, lazily touched.
//!
//! The kernel writes an entry's memory only inside its channel's `io_uring_enter` (or `read` of /dev/fuse), and only
//! while the slot is the kernel's; one thread at a time has the channel: its own, or the watchdog in its place (see
//! `stall`). Between a request's arrival and its commit, nobody but the slot's holder touches it; a JavaScript view
//! kept beyond the commit races with the kernel and the parser only where another thread uses it, as a system call
//! that nobody awaited: then a request has bytes that its caller did not send, or is malformed. All access goes through raw pointers, so no reference outlives a call.
#![expect(unsafe_code, reason = "owns memory that the kernel and JavaScript write")]

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use zerocopy::{FromBytes, IntoBytes};

use crate::error::{Error, Result};

/// Size of a page: the alignment of payloads.
pub const PAGE_SIZE: usize = 4096;

/// An anonymous private mapping, unmapped when dropped.
///
/// Pages are touched only when used (`MAP_NORESERVE`), so a region's size costs address space, not memory.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a region is plain memory without thread affinity; all access through `&self` is by raw pointer
// under the slot protocol above, which gives each byte one user at a time.
unsafe impl Send for Region {}
// SAFETY: as for `Send`; shared handles serve only to keep the memory mapped.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `length` bytes of zeros, page-aligned.
    ///
    /// # Errors
    /// [`Error::Memory`] if the address space or the overcommit limit does not have it.
    pub fn new(length: usize) -> Result<Self> {
        let failed = |source: io::Error| Error::Memory { bytes: length, source };
        let size = NonZeroUsize::new(length).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        // Miri knows no reserve.
        let lazy = if cfg!(miri) { MapFlags::empty() } else { MapFlags::MAP_NORESERVE };
        let flags = MapFlags::MAP_PRIVATE | lazy;
        // SAFETY: an anonymous mapping at an address of the kernel's choice aliases nothing.
        let start =
            unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }
                .map_err(|errno| failed(errno.into()))?;
        Ok(Self { start: start.cast(), length })
    }

    /// Address of the first byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the region has no bytes: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Address of the byte at `offset`.
    ///
    /// # Panics
    /// If `offset..offset + length` is not inside the region.
    #[must_use]
    pub fn at(&self, offset: usize, length: usize) -> *mut u8 {
        let end = offset.checked_add(length).expect("offset and length of slot memory overflow");
        assert!(end <= self.length, "{offset}+{length} is outside of a region of {} bytes", self.length);
        // SAFETY: `offset` is at most the mapping's length, so the result is in bounds or one past the end.
        unsafe { self.as_ptr().add(offset) }
    }

    /// Reads a `T` at `offset`; no alignment is needed.
    ///
    /// # Panics
    /// If it is not inside the region.
    #[must_use]
    pub fn read<T: FromBytes>(&self, offset: usize) -> T {
        let pointer = self.at(offset, size_of::<T>()).cast::<T>();
        // SAFETY: `at` checked the bounds, any bytes are a `T` (`FromBytes`), no alignment is assumed, and the
        // slot protocol gives this thread the bytes.
        unsafe { pointer.read_unaligned() }
    }

    /// Writes `value` at `offset`; no alignment is needed.
    ///
    /// # Panics
    /// If it is not inside the region.
    pub fn write<T: IntoBytes>(&self, offset: usize, value: T) {
        let pointer = self.at(offset, size_of::<T>()).cast::<T>();
        // SAFETY: `at` checked the bounds, a `T` has no padding (`IntoBytes`), no alignment is assumed, and
        // the slot protocol gives this thread the bytes.
        unsafe { pointer.write_unaligned(value) }
    }

    /// Moves `length` bytes from `from` to `to`, which may overlap.
    ///
    /// # Panics
    /// If either is not inside the region.
    pub fn move_within(&self, from: usize, to: usize, length: usize) {
        let source = self.at(from, length);
        let target = self.at(to, length);
        // SAFETY: both ranges were checked, `copy` allows overlap, and the slot protocol gives this thread both.
        unsafe { std::ptr::copy(source, target, length) }
    }

    /// Copies `length` bytes at `from` into `target` at `to`.
    ///
    /// # Panics
    /// If either is not inside its region.
    pub fn copy_to(&self, from: usize, target: &Self, to: usize, length: usize) {
        let source = self.at(from, length);
        let destination = target.at(to, length);
        // SAFETY: both ranges were checked; `copy` would allow even the same region.
        unsafe { std::ptr::copy(source, destination, length) }
    }

    /// Shows the bytes `offset..offset + length` to `look`.
    ///
    /// # Panics
    /// If they are not inside the region.
    pub(crate) fn with_bytes<T>(&self, offset: usize, length: usize, look: impl FnOnce(&[u8]) -> T) -> T {
        let pointer = self.at(offset, length);
        // SAFETY: `at` checked the bounds and the mapping is initialised (zeros). The slot protocol gives the
        // bytes to this thread, and `look` runs no JavaScript and no io_uring that could write them meanwhile.
        look(unsafe { std::slice::from_raw_parts(pointer, length) })
    }

    /// Lends the bytes `offset..offset + length` to `fill`.
    ///
    /// # Panics
    /// If they are not inside the region.
    pub(crate) fn with_bytes_mut<T>(
        &self,
        offset: usize,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> T,
    ) -> T {
        let pointer = self.at(offset, length);
        // SAFETY: as in `with_bytes`; and nobody reads them meanwhile, for the same reasons.
        fill(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this region's own and nothing borrows from it any more. `munmap` of a whole
        // mapping fails only for arguments that `mmap` would not have returned.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}
