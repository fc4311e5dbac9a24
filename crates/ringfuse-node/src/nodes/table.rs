//! What a table of nodes holds.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::file_handle::FileHandle;
use super::opens::Opens;

/// Bits of a number that are the descriptor's, so that nobody need ask for it; the others count up, so that a number is
/// not soon used again.
const DESCRIPTOR_BITS: u32 = 24;

/// In a number's place for the descriptor: it has none.
const NO_DESCRIPTOR: u64 = (1 << DESCRIPTOR_BITS) - 1;

/// Numbers stay below 2^53, where JavaScript's are exact.
const LAST_GENERATION: u64 = (1 << (53 - DESCRIPTOR_BITS)) - 1;

/// The root's number, as the protocol has it.
const ROOT: u64 = 1;

/// Major and minor number of a device.
pub(super) type Device = (u32, u32);

/// What tells files apart, as `statx(2)` has it. While a descriptor is held, no other file gets the same. The mount is
/// part of it, as one directory may be mounted in several places, where the kernel above wants several directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) device: Device,
    pub(super) ino: u64,
    pub(super) mount: u64,
}

/// How a node's file is found.
#[derive(Debug)]
enum Held {
    Descriptor(OwnedFd),
    Handle(Box<FileHandle>),
}

#[derive(Debug)]
pub(super) struct Node {
    held: Held,
    key: Key,
    lookups: u64,
}

#[derive(Debug)]
pub(super) struct State {
    nodes: HashMap<u64, Node>,
    by_key: HashMap<Key, u64>,
    pub(super) opens: Opens,
    /// Open files and directories.
    pub(super) handles: HashMap<RawFd, OwnedFd>,
    /// In the order in which they were met: the root's is the first.
    pub(super) devices: Vec<Device>,
    generation: u64,
    /// Nodes that may have a descriptor, and that have one.
    most_descriptors: usize,
    descriptors: usize,
    /// An open directory on the root's mount, for handles; none if there can be no handles.
    mount: Option<OwnedFd>,
    closed: bool,
}

impl State {
    pub(super) fn new(most_descriptors: usize) -> Self {
        Self {
            nodes: HashMap::new(),
            by_key: HashMap::new(),
            opens: Opens::default(),
            handles: HashMap::new(),
            devices: Vec::new(),
            generation: 0,
            most_descriptors,
            descriptors: 0,
            mount: None,
            closed: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The root's descriptor.
    pub(super) fn root(&self) -> RawFd {
        match self.nodes.get(&ROOT) {
            Some(Node { held: Held::Descriptor(root), .. }) => root.as_raw_fd(),
            _ => -1,
        }
    }

    /// Counts one lookup of a file: the number of its node.
    ///
    /// # Errors
    /// ENODEV after the end, ENFILE if the descriptor's number is too large.
    pub(super) fn enter(&mut self, descriptor: OwnedFd, key: Key) -> nix::Result<u64> {
        if self.closed {
            return Err(Errno::ENODEV);
        }
        if let Some(number) = self.by_key.get(&key).copied()
            && let Some(node) = self.nodes.get_mut(&number)
            && node.is(descriptor.as_fd())
        {
            node.lookups += 1;
            return Ok(number);
        }
        let held = if self.nodes.is_empty() {
            self.mount = directory_for_handles(descriptor.as_fd());
            Held::Descriptor(descriptor)
        } else {
            self.hold(descriptor, key)
        };
        let number = self.number(&held)?;
        if matches!(held, Held::Descriptor(_)) {
            self.descriptors += 1;
        }
        self.nodes.insert(number, Node { held, key, lookups: 1 });
        self.by_key.insert(key, number);
        Ok(number)
    }

    /// Counts one lookup of a file if the table has it with a descriptor: the number of its node.
    pub(super) fn enter_again(&mut self, key: Key) -> Option<u64> {
        let number = *self.by_key.get(&key)?;
        let node = self.nodes.get_mut(&number)?;
        matches!(node.held, Held::Descriptor(_)).then(|| {
            node.lookups += 1;
            number
        })
    }

    /// The handle of a node, and the mount that it is for.
    ///
    /// # Errors
    /// ESTALE if there is no such node.
    pub(super) fn handle(&self, number: u64) -> nix::Result<(&FileHandle, BorrowedFd<'_>)> {
        match (self.nodes.get(&number), &self.mount) {
            (Some(Node { held: Held::Handle(handle), .. }), Some(mount)) => Ok((handle, mount.as_fd())),
            _ => Err(Errno::ESTALE),
        }
    }

    /// Takes lookups back: if that was the last one the node, and the id of the backing file that it kept, or 0.
    pub(super) fn forget(&mut self, number: u64, lookups: u64) -> Option<(Node, u32)> {
        let node = self.nodes.get_mut(&number)?;
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups > 0 || number == ROOT {
            return None;
        }
        let node = self.nodes.remove(&number)?;
        // A file whose inode number was used again has the key no more.
        if self.by_key.get(&node.key) == Some(&number) {
            self.by_key.remove(&node.key);
        }
        if matches!(node.held, Held::Descriptor(_)) {
            self.descriptors -= 1;
        }
        Some((node, self.opens.forget(number)))
    }

    /// Counts one more open of a node that has a backing file and a descriptor, by which the file can be opened whatever
    /// becomes of its names: the backing file's id.
    pub(super) fn open_again(&mut self, number: u64) -> Option<u32> {
        if self.has_descriptor(number) { self.opens.again(number) } else { None }
    }

    /// Counts one open less: the id of a backing file that is not used any more, or 0. A node with a descriptor keeps
    /// its own, which holds nothing that the descriptor does not.
    pub(super) fn end_open(&mut self, number: u64) -> u32 {
        let keep = self.has_descriptor(number);
        self.opens.end(number, keep)
    }

    fn has_descriptor(&self, number: u64) -> bool {
        matches!(self.nodes.get(&number), Some(Node { held: Held::Descriptor(_), .. }))
    }

    /// Ends it: all that it held.
    pub(super) fn close(&mut self) -> Self {
        std::mem::replace(self, Self { closed: true, ..Self::new(0) })
    }

    /// A descriptor as long as there may be more of them, a handle then; but handles are for the root's mount only.
    fn hold(&self, descriptor: OwnedFd, key: Key) -> Held {
        let root = self.nodes.get(&ROOT).map(|root| root.key.mount);
        if self.descriptors < self.most_descriptors || self.mount.is_none() || root != Some(key.mount) {
            return Held::Descriptor(descriptor);
        }
        match FileHandle::of(descriptor.as_fd()) {
            Ok(handle) => Held::Handle(Box::new(handle)),
            Err(_) => Held::Descriptor(descriptor),
        }
    }

    /// A number for a new node.
    fn number(&mut self, held: &Held) -> nix::Result<u64> {
        if self.nodes.is_empty() {
            return Ok(ROOT);
        }
        let low = match held {
            Held::Handle(_) => NO_DESCRIPTOR,
            Held::Descriptor(descriptor) => {
                let low = u64::from(descriptor.as_raw_fd().unsigned_abs());
                if low >= NO_DESCRIPTOR {
                    return Err(Errno::ENFILE);
                }
                low
            }
        };
        self.generation = self.generation % LAST_GENERATION + 1;
        Ok(self.generation << DESCRIPTOR_BITS | low)
    }
}

impl Node {
    /// Whether `fd`, whose key is the same, is this node's file.
    fn is(&self, fd: BorrowedFd) -> bool {
        match &self.held {
            Held::Descriptor(_) => true,
            Held::Handle(handle) => FileHandle::of(fd).is_ok_and(|other| other == **handle),
        }
    }
}

/// The root as an open directory, if handles are to be had of its filesystem, and may be opened.
fn directory_for_handles(root: BorrowedFd) -> Option<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mount = openat(root, ".", flags, Mode::empty()).ok()?;
    FileHandle::of(root).and_then(|handle| handle.open(mount.as_fd())).ok()?;
    Some(mount)
}
