//! Stalls: requests wait, and the thread that serves them does not poll for them.
//!
//! A serving thread that waits for its own mount, as any synchronous access to it does, never wakes.
//! Neither does any other caller whose request is in that thread's channel. One more thread of the
//! process, the watchdog, finds out what the thread is stuck in and who waits, reports it, and can end
//! the requests. It never asks the filesystem that it diagnoses: it reads /proc and
//! /sys/fs/fuse/connections. What may block even there runs on a few threads with a time limit
//! (`bounded`).
//!
//! What it can end depends on the transport. Any thread can take requests from /dev/fuse and answer
//! them. A ring's requests are copied by task work of the thread that owns it, and only that thread
//! commits them (`SINGLE_ISSUER`, `fuse_uring_commit_fetch`). While it is stuck in the kernel, the only
//! way is to end the connection.

mod bounded;
mod callers;
mod cause;
mod deadlock;
mod fuse_wait;
mod interrupt;
mod report;
mod system_calls;
mod watchdog;

pub use callers::Caller;
pub use cause::Cause;
pub use report::{Outcome, Stall};
pub use watchdog::{OnStall, Pulse, Watched, look_again, watch};
