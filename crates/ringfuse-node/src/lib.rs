//! The Node.js binding of `ringfuse`: the channels of a mount, each driven by a JavaScript environment's libuv loop.
//!
//! Nothing that a user meets is written here. JavaScript reads requests and writes replies in the slots' own
//! memory; this crate only says which slots are ready, takes commits, and wakes JavaScript when the kernel has
//! something for it. `packages/ringfuse/src/binding.ts` declares the same interface for TypeScript.

mod channel;
mod error;
mod event_loop;
mod exchange;
mod file_descriptor;
mod javascript_bytes;
mod javascript_memory;
mod mount;
mod mounting;
mod nodes;
mod options;
mod probe;
mod promise;
mod shared;
mod stalls;
mod system_calls;
mod thread;
mod turn;
