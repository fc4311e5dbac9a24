//! What a table of nodes holds.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

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
#[cfg(not(test))]
const LAST_GENERATION: u64 = (1 << (53 - DESCRIPTOR_BITS)) - 1;
#[cfg(test)]
const LAST_GENERATION: u64 = 7;

/// Nodes with a handle that have a descriptor as well, at most: those that were used last. Between two requests on a
/// file, as LOOKUP and OPEN, somebody may remove it, and its handle would lead to nothing.
const MOST_RECENT: usize = 256;

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
    /// `S_IF*`. Filesystems of FUSE and some of the kernel have one inode number for several files: at least the kernel
    /// above never sees a node change its type.
    pub(super) kind: u32,
}

/// How a node's file is found.
#[derive(Debug)]
enum Held {
    Descriptor(OwnedFd),
    Handle(Box<Handle>),
}

/// A file handle, and a descriptor for a while.
#[derive(Debug)]
struct Handle {
    file: FileHandle,
    /// Threads that use it share it: it is closed when the last one is done.
    open: Option<Arc<OwnedFd>>,
    /// Whether it stays open as long as the node, because the file has no name left.
    kept: bool,
}

#[derive(Debug)]
pub(super) struct Node {
    held: Held,
    key: Key,
    lookups: u64,
    /// Whether a program may have mapped its backing file for writing. A mapping outlives the open file.
    mappable: bool,
}

/// How to open a node.
pub(super) enum Way {
    /// It is open.
    Open(Arc<OwnedFd>),
    /// By this handle, on the mount that this directory is on.
    Handle(FileHandle, Arc<OwnedFd>),
}

#[derive(Debug)]
pub(super) struct State {
    nodes: HashMap<u64, Node>,
    by_key: HashMap<Key, u64>,
    pub(super) opens: Opens,
    /// The node whose capabilities root removed last, or 0.
    pub(super) cleared: u64,
    /// Open files and directories.
    pub(super) handles: HashMap<RawFd, OwnedFd>,
    /// In the order in which they were met: the root's is the first.
    pub(super) devices: Vec<Device>,
    generation: u64,
    /// Nodes that may have a descriptor, and that have one.
    most_descriptors: usize,
    descriptors: usize,
    /// An open directory on the root's mount, for handles; none if there can be no handles.
    mount: Option<Arc<OwnedFd>>,
    /// Nodes with a handle in the order in which they got a descriptor; those that are gone, too.
    recent: VecDeque<u64>,
    /// How many of them were there at the last [`State::drop_old`].
    old: usize,
    closed: bool,
}

impl State {
    pub(super) fn new(most_descriptors: usize) -> Self {
        Self {
            nodes: HashMap::new(),
            by_key: HashMap::new(),
            opens: Opens::default(),
            cleared: 0,
            handles: HashMap::new(),
            devices: Vec::new(),
            generation: 0,
            most_descriptors,
            descriptors: 0,
            mount: None,
            recent: VecDeque::new(),
            old: 0,
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

    /// Counts one lookup of a file: the number of its node. `special` says that programs may have it open without a
    /// request, so that only a descriptor keeps it.
    ///
    /// # Errors
    /// ENODEV after the end, ENFILE if the descriptor's number is too large.
    pub(super) fn enter(&mut self, descriptor: OwnedFd, key: Key, special: bool) -> nix::Result<u64> {
        if self.closed {
            return Err(Errno::ENODEV);
        }
        if let Some(number) = self.by_key.get(&key).copied()
            && let Some(node) = self.nodes.get_mut(&number)
            && node.is(descriptor.as_fd())
        {
            node.lookups += 1;
            self.keep_for_a_while(number, Arc::new(descriptor));
            return Ok(number);
        }
        let held = if self.nodes.is_empty() {
            self.mount = directory_for_handles(descriptor.as_fd()).map(Arc::new);
            Held::Descriptor(descriptor)
        } else {
            self.hold(descriptor, key, special)
        };
        let number = self.number(&held)?;
        match &held {
            Held::Descriptor(_) => self.descriptors += 1,
            Held::Handle(_) => drop(self.note_recent(number)),
        }
        self.nodes.insert(number, Node { held, key, lookups: 1, mappable: false });
        self.by_key.insert(key, number);
        Ok(number)
    }

    /// Counts one lookup of a file if the table has it with a descriptor: the number of its node.
    pub(super) fn enter_again(&mut self, key: Key) -> Option<u64> {
        let number = *self.by_key.get(&key)?;
        let node = self.nodes.get_mut(&number)?;
        node.is_open().then(|| {
            node.lookups += 1;
            number
        })
    }

    /// Counts one more lookup of a node; whether there is one.
    pub(super) fn count(&mut self, number: u64) -> bool {
        self.nodes.get_mut(&number).is_some_and(|node| {
            node.lookups += 1;
            true
        })
    }

    /// Notes that a program may map the node's backing file for writing, until the node is forgotten; whether that is new.
    pub(super) fn set_mappable(&mut self, number: u64) -> bool {
        self.nodes.get_mut(&number).is_some_and(|node| !std::mem::replace(&mut node.mappable, true))
    }

    /// Whether a program may have mapped the node's backing file for writing.
    pub(super) fn is_mappable(&self, number: u64) -> bool {
        self.nodes.get(&number).is_some_and(|node| node.mappable)
    }

    /// How to open a node that has no number of a descriptor.
    ///
    /// # Errors
    /// ESTALE if there is no such node.
    pub(super) fn way_to(&self, number: u64) -> nix::Result<Way> {
        match (self.nodes.get(&number), &self.mount) {
            (Some(Node { held: Held::Handle(handle), .. }), Some(mount)) => Ok(match &handle.open {
                Some(open) => Way::Open(Arc::clone(open)),
                None => Way::Handle(handle.file, Arc::clone(mount)),
            }),
            _ => Err(Errno::ESTALE),
        }
    }

    /// The node with a handle that has this key, if there is one.
    pub(super) fn with_handle(&self, key: Key) -> Option<u64> {
        let number = *self.by_key.get(&key)?;
        matches!(self.nodes.get(&number)?.held, Held::Handle(_)).then_some(number)
    }

    /// A node with a handle keeps a descriptor until others got theirs; what is dropped for it is returned, to be closed
    /// without the lock.
    pub(super) fn keep_for_a_while(&mut self, number: u64, open: Arc<OwnedFd>) -> Option<Arc<OwnedFd>> {
        let handle = self.handle(number)?;
        if handle.open.is_some() {
            return Some(open);
        }
        handle.open = Some(open);
        self.note_recent(number)
    }

    /// A node with a handle keeps a descriptor as long as it lives.
    pub(super) fn keep(&mut self, number: u64, open: Arc<OwnedFd>) {
        if let Some(handle) = self.handle(number) {
            handle.open.get_or_insert(open);
            handle.kept = true;
        }
    }

    fn handle(&mut self, number: u64) -> Option<&mut Handle> {
        match self.nodes.get_mut(&number) {
            Some(Node { held: Held::Handle(handle), .. }) => Some(handle),
            _ => None,
        }
    }

    fn note_recent(&mut self, number: u64) -> Option<Arc<OwnedFd>> {
        self.recent.push_back(number);
        if self.recent.len() > MOST_RECENT { self.drop_oldest() } else { None }
    }

    fn drop_oldest(&mut self) -> Option<Arc<OwnedFd>> {
        let oldest = self.recent.pop_front()?;
        self.old = self.old.saturating_sub(1);
        let handle = self.handle(oldest).filter(|handle| !handle.kept)?;
        handle.open.take()
    }

    /// Drops the descriptors that nodes with a handle got before the last call, to be closed without the lock: they would
    /// keep the space of files that are removed. Whether there are any left.
    pub(super) fn drop_old(&mut self) -> (Vec<Arc<OwnedFd>>, bool) {
        let dropped = (0..self.old).filter_map(|_| self.drop_oldest()).collect();
        self.old = self.recent.len();
        (dropped, self.old > 0)
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
    pub(super) fn end_open(&mut self, number: u64, writes: bool) -> u32 {
        let keep = self.has_descriptor(number);
        self.opens.end(number, writes, keep)
    }

    fn has_descriptor(&self, number: u64) -> bool {
        matches!(self.nodes.get(&number), Some(Node { held: Held::Descriptor(_), .. }))
    }

    /// Ends it: all that it held.
    pub(super) fn close(&mut self) -> Self {
        std::mem::replace(self, Self { closed: true, ..Self::new(0) })
    }

    /// A descriptor as long as there may be more of them, a handle then; but handles are for the root's mount only.
    fn hold(&self, descriptor: OwnedFd, key: Key, special: bool) -> Held {
        let root = self.nodes.get(&ROOT).map(|root| root.key.mount);
        let may_have = self.descriptors < self.most_descriptors;
        if special || may_have || self.mount.is_none() || root != Some(key.mount) {
            return Held::Descriptor(descriptor);
        }
        match FileHandle::of(descriptor.as_fd()) {
            Ok(file) => {
                Held::Handle(Box::new(Handle { file, open: Some(Arc::new(descriptor)), kept: false }))
            }
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
        // After the last generation the first ones come again, of which some may live still. There are fewer nodes than
        // numbers by far.
        loop {
            self.generation = self.generation % LAST_GENERATION + 1;
            let number = self.generation << DESCRIPTOR_BITS | low;
            if !self.nodes.contains_key(&number) && !self.opens.contains(number) {
                return Ok(number);
            }
        }
    }
}

impl Node {
    /// Whether `fd`, whose key is the same, is this node's file.
    fn is(&self, fd: BorrowedFd) -> bool {
        match &self.held {
            Held::Descriptor(_) => true,
            Held::Handle(handle) => FileHandle::of(fd).is_ok_and(|other| other == handle.file),
        }
    }

    /// Whether a descriptor holds its file, so that no other one gets its key.
    fn is_open(&self) -> bool {
        match &self.held {
            Held::Descriptor(_) => true,
            Held::Handle(handle) => handle.open.is_some(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &str) -> OwnedFd {
        openat(nix::fcntl::AT_FDCWD, path, OFlag::O_PATH, Mode::empty()).unwrap()
    }

    fn key(ino: u64) -> Key {
        Key { device: (0, 1), ino, mount: 1, kind: 0o040_000 }
    }

    fn table() -> State {
        let mut state = State::new(0);
        assert_eq!(state.enter(open("/tmp"), key(1), false), Ok(ROOT));
        state
    }

    #[test]
    fn a_number_that_lives_is_never_given_again() {
        let mut state = table();
        let enter = |state: &mut State, name: &str, ino| state.enter(open(name), key(ino), false).unwrap();
        let (long, opened) = (enter(&mut state, "/", 2), enter(&mut state, "/", 3));
        assert_eq!(state.opens.begin(opened, false), None);
        assert!(state.forget(opened, 1).is_some());
        for ino in 4..40 {
            let number = enter(&mut state, "/", ino);
            assert_ne!(number, long);
            assert_ne!(number, opened, "still open");
            assert!(state.forget(number, 1).is_some());
        }
    }
}
