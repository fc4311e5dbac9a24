//! Linux filesystems in user space over FUSE-over-io_uring.
//!
//! A [`Handshake`] mounts and reads FUSE_INIT, [`Channel`]s are set up, FUSE_INIT is answered, and each
//! channel's thread turns it: requests come in *slots* ([`slot`]), in memory that the kernel writes to directly,
//! and replies leave from the same place. [`serve()`] does all this for a [`Filesystem`] written in Rust.
//!
//! The transport follows `Documentation/filesystems/fuse/fuse-io-uring.rst`, the protocol is
//! [`fuse_abi`]'s 7.45.

mod adopt;
mod channel;
mod connection;
pub mod cpu;
mod device;
mod error;
mod follow;
mod forked;
mod kernel;
mod kick;
mod mailbox;
mod memory;
mod mount;
mod mount_id;
mod negotiate;
mod notify;
mod outside;
mod parse;
pub mod request;
mod ring;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod scripted;
mod serve;
mod shared;
pub mod slot;
pub mod stall;
mod stats;

pub use adopt::check_descriptor;
pub use channel::{Answer, Channel, Depth, HeldRequest, NotHeld, Transport, Wait};
pub use connection::{Connection, Handshake};
pub use error::{Error, Result, RingUnavailable};
pub use follow::Follower;
pub use memory::Region;
pub use mount::{Helplessness, Maker, Mount, MountFlags, MountOptions, Unmount, probe_fusermount};
pub use negotiate::{Agreement, DEFAULT_CAPABILITIES, LARGEST_WRITE, Wanted};
pub use notify::{Notification, Notifier, Outcome};
pub use outside::{SHORT_STACK, outside};
pub use parse::{Malformed, arguments_size, parse};
pub use ring::{Waiting, probe_io_uring};
pub use serve::{Filesystem, ServeOptions, Served, serve};
pub use stats::Stats;
