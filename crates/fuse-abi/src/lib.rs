//! The FUSE wire protocol 7.45, as `include/uapi/linux/fuse.h` of Linux 6.18 to 7.2 defines it.
//!
//! Structs, fields, flags and constants keep the kernel's names: `struct fuse_in_header` is [`InHeader`], with the
//! fields `len`, `opcode`, `unique` and so on, and `FOPEN_KEEP_CACHE` is [`FopenFlags::KEEP_CACHE`]. Integers are in
//! the host's byte order, as the kernel has them. Every struct is plain data of `zerocopy`: it has no padding that is
//! not a field, any bytes are a valid value of it, and its default is all zeros.
//!
//! Each struct also knows its own [`Layout`]. From it [`typescript::module`] describes the same memory to JavaScript.
//!
//! “Since 7.*n*” in the documentation is the minor version of the protocol that brought the item.

#![forbid(unsafe_code)]

mod codes;
mod constants;
mod dev;
mod flags;
mod init_flags;
pub mod layout;
mod notify_code;
mod opcode;
mod structs;
pub mod typescript;

pub use codes::UnknownCode;
pub use constants::*;
pub use dev::{DEV_IOC_BACKING_CLOSE, DEV_IOC_BACKING_OPEN, DEV_IOC_CLONE, DEV_IOC_MAGIC, DEV_IOC_SYNC_INIT};
pub use flags::*;
pub use init_flags::InitFlags;
pub use layout::{Field, Kind, Layout, LayoutInfo};
pub use notify_code::NotifyCode;
pub use opcode::Opcode;
pub use structs::*;
