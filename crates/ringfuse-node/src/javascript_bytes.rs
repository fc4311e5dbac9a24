//! Bytes of JavaScript's, lent to a system call.
#![expect(unsafe_code, reason = "takes addresses from Node-API")]

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Error, Result, Status, check_status, sys};
use nix::errno::Errno;

/// The bytes of a `Uint8Array`, for the length of the call that it was passed to. They are JavaScript's, which may
/// share them with other threads: they are never borrowed, only copied, or named to the kernel.
#[derive(Clone, Copy)]
pub struct Bytes<'call> {
    start: *mut u8,
    length: usize,
    call: PhantomData<&'call ()>,
}

impl FromNapiValue for Bytes<'_> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut kind = 0;
        let mut length = 0;
        let mut start = ptr::null_mut();
        // SAFETY: the caller's environment and value; the out pointers are locals, and null where nothing is wanted.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                env,
                value,
                &raw mut kind,
                &raw mut length,
                &raw mut start,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        check_status!(status, "a Uint8Array is meant")?;
        if kind != sys::TypedarrayType::uint8_array {
            return Err(Error::new(Status::InvalidArg, "a Uint8Array is meant"));
        }
        Ok(Self { start: start.cast(), length, call: PhantomData })
    }
}

impl Bytes<'_> {
    /// No bytes.
    pub(crate) const NONE: Self = Self { start: ptr::null_mut(), length: 0, call: PhantomData };

    /// Where the bytes begin: `len` of them may be read and written during the call.
    pub(crate) fn as_ptr(self) -> *mut u8 {
        self.start
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// A copy, as a path or name.
    ///
    /// # Errors
    /// EINVAL if there is a NUL in it.
    pub(crate) fn to_path(self) -> nix::Result<CString> {
        let mut path = Vec::with_capacity(self.length + 1);
        if self.length > 0 {
            // SAFETY: the source is `length` bytes that live during the call, the destination a new allocation of
            // more than that.
            unsafe { ptr::copy_nonoverlapping(self.start, path.as_mut_ptr(), self.length) };
        }
        // SAFETY: within the capacity, and the bytes were just written.
        unsafe { path.set_len(self.length) };
        path.push(0);
        CString::from_vec_with_nul(path).map_err(|_| Errno::EINVAL)
    }

    /// The 64-bit word at `at`.
    pub(crate) fn word64(self, at: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.copy(at)?))
    }

    /// The 32-bit word at `at`.
    pub(crate) fn word32(self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.copy(at)?))
    }

    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        let mut copy = [0; N];
        if at.checked_add(N)? > self.length {
            return None;
        }
        // SAFETY: `at + N` is within the `length` bytes that live during the call.
        let source = unsafe { self.start.add(at) };
        // SAFETY: `N` bytes from there are, too; the destination is a local of that size.
        unsafe { ptr::copy_nonoverlapping(source, copy.as_mut_ptr(), N) };
        Some(copy)
    }
}
