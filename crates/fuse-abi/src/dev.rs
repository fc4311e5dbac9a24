//! The ioctls of `/dev/fuse`.

use crate::BackingMap;

/// The type byte of every ioctl here.
pub const DEV_IOC_MAGIC: u32 = 229;

/// Attaches a freshly opened `/dev/fuse` to the connection of the one whose descriptor the argument points to.
/// Since Linux 4.2.
pub const DEV_IOC_CLONE: u32 = ioc(READ, 0, size_of::<u32>());

/// Registers a file for passthrough: a pointer to a [`BackingMap`] in, a backing id out. Since 7.40.
pub const DEV_IOC_BACKING_OPEN: u32 = ioc(WRITE, 1, size_of::<BackingMap>());

/// Takes a backing file back: a pointer to its backing id. Since 7.40.
pub const DEV_IOC_BACKING_CLOSE: u32 = ioc(WRITE, 2, size_of::<u32>());

/// Has `mount(2)` wait until INIT is answered. Goes before the mount. Since Linux 6.18.
pub const DEV_IOC_SYNC_INIT: u32 = ioc(NONE, 3, 0);

const NONE: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;

/// `_IOC` of `asm-generic/ioctl.h`, which x86 and ARM use.
#[expect(clippy::cast_possible_truncation, reason = "the size is asserted to be small")]
const fn ioc(direction: u32, number: u32, size: usize) -> u32 {
    assert!(size < 1 << 14, "an ioctl number has 14 bits for the size of its argument");
    direction << 30 | (size as u32) << 16 | DEV_IOC_MAGIC << 8 | number
}
