//! The kernel's side of a channel, as the channel sees it.
//!
//! [`Linux`] is the only kernel there is. The tests play another, which does what Linux does only in states that
//! cannot be brought about: see `channel/tests`. All of it is resolved when it is compiled.

use std::fmt::Debug;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use fuse_abi::OutHeader;
use nix::errno::Errno;

use crate::device::{Arrival, Device};
use crate::error::Result;
use crate::ring::{Completion, Ring, Waiting, Watched};
use crate::slot::{SlotIndex, Slots};

/// A kernel: how it is reached.
pub trait Kernel: Debug {
    /// An open /dev/fuse.
    type Device: DeviceSide;
    /// An io_uring.
    type Ring: RingSide<Device = Self::Device>;
}

/// The kernel that this program runs on.
#[derive(Debug, Clone, Copy)]
pub struct Linux;

impl Kernel for Linux {
    type Device = Device;
    type Ring = Ring;
}

/// What a channel does with /dev/fuse. It is readable, as `poll(2)` has it, when a request waits.
pub trait DeviceSide: Debug + AsFd + Sized {
    /// Another descriptor of the same connection: requests that are read from it are answered there.
    ///
    /// # Errors
    /// [`crate::Error::Device`].
    fn another(&self) -> Result<Self>;

    /// Whether the connection ended: unmounted or aborted. Until then the kernel keeps what belongs to it.
    fn has_ended(&self) -> bool;

    /// Reads one request into the slot, laid out as the ring would: header and argument struct in the header
    /// block, the rest in the payload. The data of a WRITE arrives at the payload's start without being moved.
    ///
    /// # Errors
    /// The errno of `read(2)`, but for those that [`Arrival`] expresses.
    fn read(&self, slots: &Slots, slot: SlotIndex, setxattr_ext: bool) -> Result<Arrival, Errno>;

    /// Writes a reply whose payload lies in the slot.
    ///
    /// # Errors
    /// The errno of `writev(2)`: ENOENT if the request is gone.
    fn reply(&self, header: OutHeader, slots: &Slots, slot: SlotIndex, length: usize) -> Result<(), Errno>;

    /// Writes a reply, or a notification, of a header and plain bytes.
    ///
    /// # Errors
    /// The errno of `write(2)`.
    fn reply_bytes(&self, unique: u64, error: i32, bytes: &[u8]) -> Result<(), Errno>;

    /// Lets `count` requests come in a queue, one after the other, whose replies nobody needs: see [`crate::kick`].
    fn kick(&self, queue: u16, count: usize);
}

/// What a channel does with its ring.
pub trait RingSide: Debug + AsRawFd + Sized {
    /// What the ring's entries are commands to.
    type Device;

    /// Makes a ring for up to `slots` slots, `usual` of which may be submitted at once without a detour.
    ///
    /// # Errors
    /// [`crate::Error::Ring`] if io_uring is forbidden or lacks what FUSE needs.
    fn new(slots: usize, usual: usize, waiting: Waiting, device: &Self::Device) -> Result<Self>;

    /// Makes the calling thread the ring's owner: the one that may submit to it, until it ends.
    ///
    /// # Errors
    /// [`crate::Error::IoUring`], also if the ring has an owner.
    fn adopt(&self) -> Result<()>;

    /// Lets an eventfd become readable when completions come, or task work that will make some.
    ///
    /// # Errors
    /// [`crate::Error::IoUring`].
    fn signal(&self, eventfd: BorrowedFd<'_>) -> Result<()>;

    /// Lets the eventfd alone, or not: so it is at first. What comes meanwhile is told of later only by
    /// [`RingSide::has_completions`].
    fn set_quiet(&mut self, quiet: bool);

    /// Gives a slot's memory to the kernel, as an entry of queue `queue`.
    fn register(&mut self, queue: u16, slot: SlotIndex, slots: &Slots);

    /// Gives a slot's reply to the kernel, and the slot for the next request.
    fn commit(&mut self, queue: u16, slot: SlotIndex, commit_id: u64);

    /// Watches a file descriptor for input, again and again.
    fn watch(&mut self, watched: Watched, fd: BorrowedFd<'_>);

    /// Submits what was pushed, lets the kernel run its part (task work), and waits for `minimum` completions. False if
    /// an interruption or a passing shortage kept it from some of that.
    ///
    /// # Errors
    /// [`crate::Error::IoUring`] for what is neither.
    fn enter(&mut self, minimum: u32) -> Result<bool>;

    /// Whether pushed entries wait to be submitted.
    fn has_submissions(&mut self) -> bool;

    /// Whether completions wait, or task work that may make some (`IORING_SQ_TASKRUN`).
    fn has_completions(&mut self) -> bool;

    /// Takes the next completion.
    fn next(&mut self) -> Option<Completion>;

    /// Ends the ring, and waits until the kernel has let go of all that was submitted to it.
    fn close(self);
}
