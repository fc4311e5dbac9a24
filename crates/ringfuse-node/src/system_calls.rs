//! System calls that a filesystem over another one needs and Node.js does not have: relative to descriptors, without
//! following symbolic links, exact to the nanosecond and to 64 bits.
//!
//! Each is as its man page says. Numbers go in, a number comes out: what the call returns, or an errno, negative.
//! Structs and lists are written into memory that the caller gives. Nothing throws but a wrong type of an argument.
//! `packages/ringfuse/src/system-calls` declares them for TypeScript.

mod attributes;
mod capabilities;
mod creation;
mod directories;
mod files;
mod identity;
mod kernel;
mod magic_links;
mod xattrs;

use nix::errno::Errno;

/// A result as JavaScript has it.
fn outcome(result: nix::Result<i32>) -> i32 {
    result.unwrap_or_else(|errno| -(errno as i32))
}

/// A result that may be larger than 32 bits.
fn outcome64(result: nix::Result<i64>) -> i64 {
    result.unwrap_or_else(|errno| -i64::from(errno as i32))
}

/// A result with nothing in it but success.
fn done(result: nix::Result<()>) -> i32 {
    outcome(result.map(|()| 0))
}

/// A kernel's answer: its own convention is a negative errno.
fn answer(result: libc::c_long) -> nix::Result<i64> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// A count of bytes, none of which is near 2^31 in one call.
fn count(result: nix::Result<i64>) -> i32 {
    outcome(result.map(|bytes| i32::try_from(bytes).unwrap_or(i32::MAX)))
}
