//! Stalls: requests wait, and the thread that serves them does not come to them.
//!
//! A serving thread that waits for its own mount, as any synchronous access to it does, waits for ever. So does
//! everybody else whose request is in that thread's channel, and nothing tells them why. One thread of the process,
//! the watchdog, sees to it from outside: it finds out what the thread is stuck in and who waits, says so, and can end
//! the requests.
//!
//! What it can do depends on the transport. From /dev/fuse any thread can take requests, and answer them. The ring's
//! requests are copied by task work of the thread that owns it, and committed by that thread only (`SINGLE_ISSUER`,
//! `fuse_uring_commit_fetch`): while it is stuck in the kernel there is no other way than to end the connection.

mod callers;
mod nudge;
mod report;
mod system_calls;
mod thread;
mod watchdog;

pub use callers::Caller;
pub use report::{Outcome, Stall};
pub use thread::Cause;
pub use watchdog::{OnStall, Pulse, Watched, look_again, watch};
