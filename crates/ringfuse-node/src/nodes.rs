//! The nodes of a filesystem over another one: a number for each file that the kernel knows, and a descriptor
//! (`O_PATH`) that stays with the file wherever it is moved.
//!
//! One table serves all threads of the process, as descriptors are the process's: one lock, as it is held for far less
//! time than a request takes. The number carries the descriptor's in its low bits, so that nobody need ask for it.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use napi::{Error, Result, Status};
use napi_derive::napi;
use nix::errno::Errno;

use crate::file_descriptor::take_fd;
use crate::javascript_bytes::Bytes;

/// Bits of a number that are the descriptor's; the others count up, so that a number is not soon used again.
const DESCRIPTOR_BITS: u32 = 24;

/// Numbers stay below 2^53, where JavaScript's are exact.
const LAST_GENERATION: u64 = (1 << (53 - DESCRIPTOR_BITS)) - 1;

/// The root's number, as the protocol has it.
const ROOT: u64 = 1;

/// How long a thread waits for another one to make a backing file; only one that died in between takes longer.
const BACKING_TIMEOUT: Duration = Duration::from_secs(1);

/// What tells files apart, as `statx(2)` has it. While a descriptor is held, no other file gets the same. The mount is
/// part of it, as one directory may be mounted in several places, where the kernel above wants several directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    device: Device,
    ino: u64,
    mount: u64,
}

/// Major and minor number of a device.
type Device = (u32, u32);

impl Key {
    /// Offsets of `struct statx`.
    fn read(statx: Bytes) -> Option<Self> {
        Some(Self { device: device(statx)?, ino: statx.word64(32)?, mount: statx.word64(144)? })
    }
}

fn device(statx: Bytes) -> Option<Device> {
    Some((statx.word32(136)?, statx.word32(140)?))
}

/// Whether the kernel reads and writes an open file itself: all opens at once must do it the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backing {
    /// A thread makes it just now.
    Making,
    /// By this id.
    With(u32),
    /// It cannot be had.
    Without,
}

#[derive(Debug)]
struct Node {
    /// Closed when the node is dropped.
    _descriptor: OwnedFd,
    key: Key,
    number: u64,
    lookups: u64,
}

/// The opens of a node. They are not in the node: the kernel may tell of a node's end before the end of its opens.
#[derive(Debug)]
struct Opens {
    count: u32,
    backing: Backing,
}

#[derive(Debug, Default)]
struct State {
    /// By number of their descriptor.
    nodes: HashMap<RawFd, Node>,
    by_key: HashMap<Key, RawFd>,
    /// Numbers in the order in which they were given out; some are forgotten already.
    order: VecDeque<u64>,
    /// By number of their node.
    opens: HashMap<u64, Opens>,
    /// Open files and directories.
    handles: HashMap<RawFd, OwnedFd>,
    /// In the order in which they were met: the root's is the first.
    devices: Vec<Device>,
    generation: u64,
    root: RawFd,
    closed: bool,
}

impl State {
    /// The node of a number that the kernel named.
    fn node(&mut self, number: u64) -> Option<&mut Node> {
        let fd = if number == ROOT { self.root } else { descriptor_of(number) };
        self.nodes.get_mut(&fd).filter(|node| node.number == number)
    }

    fn insert(&mut self, descriptor: OwnedFd, key: Key) -> nix::Result<u64> {
        let fd = descriptor.as_raw_fd();
        if fd >> DESCRIPTOR_BITS != 0 {
            return Err(Errno::ENFILE);
        }
        let number = if self.nodes.is_empty() {
            self.root = fd;
            ROOT
        } else {
            self.generation = self.generation % LAST_GENERATION + 1;
            self.generation << DESCRIPTOR_BITS | u64::from(fd.unsigned_abs())
        };
        let node = Node { _descriptor: descriptor, key, number, lookups: 1 };
        self.nodes.insert(fd, node);
        self.by_key.insert(key, fd);
        self.order.push_back(number);
        Ok(number)
    }

    fn forget(&mut self, number: u64, lookups: u64) -> Option<Node> {
        let node = self.node(number)?;
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups > 0 || number == ROOT {
            return None;
        }
        let node = self.nodes.remove(&descriptor_of(number))?;
        self.by_key.remove(&node.key);
        Some(node)
    }
}

/// The descriptor in a number.
fn descriptor_of(number: u64) -> RawFd {
    RawFd::try_from(number & ((1 << DESCRIPTOR_BITS) - 1)).unwrap_or(-1)
}

#[derive(Debug, Default)]
struct Table {
    state: Mutex<State>,
    /// A backing file was made, or could not be.
    made: Condvar,
}

impl Table {
    /// A thread that panicked held the lock for none of the state's invariants: each change is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tables by their id, for the threads that share them.
static SHARED: Mutex<Vec<Weak<Table>>> = Mutex::new(Vec::new());

/// A table of nodes, as one thread holds it. The last thread to let go of it closes what it holds.
#[napi]
pub struct NativeNodes {
    table: Arc<Table>,
    id: u32,
}

#[napi]
impl NativeNodes {
    /// A new table. The first node to enter is the root.
    #[napi(constructor)]
    #[must_use]
    pub fn new() -> Self {
        let table = Arc::new(Table::default());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let free = shared.iter().position(|other| other.strong_count() == 0).unwrap_or(shared.len());
        let weak = Arc::downgrade(&table);
        if free == shared.len() {
            shared.push(weak);
        } else {
            shared[free] = weak;
        }
        Self { table, id: u32::try_from(free).unwrap_or(u32::MAX) }
    }

    /// The table that another thread has by this id.
    #[napi(factory)]
    pub fn attach(id: u32) -> Result<Self> {
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let table = shared.get(id as usize).and_then(Weak::upgrade);
        let table = table.ok_or_else(|| {
            Error::new(Status::InvalidArg, format!("no thread of this process has a table of nodes {id}"))
        })?;
        Ok(Self { table, id })
    }

    /// Names the table to other threads of the process.
    #[napi(getter)]
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many nodes there are.
    #[napi(getter)]
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.table.lock().nodes.len()).unwrap_or(u32::MAX)
    }

    /// The root's descriptor.
    #[napi(getter)]
    #[must_use]
    pub fn root(&self) -> i32 {
        self.table.lock().root
    }

    /// Takes over a descriptor of a file, whose `struct statx` is in `statx`, and counts one lookup of it: its number.
    /// If the table has the file already, the descriptor is closed.
    #[napi]
    pub fn enter(&self, fd: i32, statx: Bytes<'_>) -> i64 {
        let entered = || {
            let descriptor = take_fd(fd)?;
            let key = Key::read(statx).ok_or(Errno::EINVAL)?;
            let mut state = self.table.lock();
            if state.closed {
                return Err(Errno::ENODEV);
            }
            if let Some(known) = state.by_key.get(&key).copied().and_then(|fd| state.nodes.get_mut(&fd)) {
                known.lookups += 1;
                return Ok(known.number);
            }
            state.insert(descriptor, key)
        };
        entered().map_or_else(|errno: Errno| -i64::from(errno as i32), u64::cast_signed)
    }

    /// Takes lookups back; the last one closes the node's descriptor.
    #[napi]
    pub fn forget(&self, number: i64, lookups: i64) {
        let node = self.table.lock().forget(number.cast_unsigned(), lookups.cast_unsigned());
        // Closed without the lock.
        drop(node);
    }

    /// The place of a file's device, by its `struct statx`, in the order in which devices were met: the root's is 0.
    #[napi]
    pub fn device(&self, statx: Bytes<'_>) -> Result<u32> {
        let device =
            device(statx).ok_or_else(|| Error::new(Status::InvalidArg, "a struct statx is meant"))?;
        let devices = &mut self.table.lock().devices;
        let place = devices.iter().position(|known| *known == device).unwrap_or(devices.len());
        if place == devices.len() {
            devices.push(device);
        }
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The `most` numbers that were given out first and are not forgotten; asked again, it goes on behind them.
    #[napi]
    pub fn oldest(&self, most: u32) -> Vec<i64> {
        let mut state = self.table.lock();
        let mut oldest = Vec::new();
        for _ in 0..state.order.len() {
            if oldest.len() >= most as usize {
                break;
            }
            let Some(number) = state.order.pop_front() else { break };
            if state.node(number).is_some() {
                state.order.push_back(number);
                if number != ROOT {
                    oldest.push(number.cast_signed());
                }
            }
        }
        oldest
    }

    /// Takes over the descriptor of an open file or directory, until `release`.
    #[napi]
    pub fn hold(&self, fd: i32) -> i32 {
        let held = take_fd(fd).map(|descriptor| self.table.lock().handles.insert(fd, descriptor));
        held.map_or_else(|errno| -(errno as i32), |_| 0)
    }

    /// Closes an open file or directory.
    #[napi]
    pub fn release(&self, fd: i32) {
        let handle = self.table.lock().handles.remove(&fd);
        drop(handle);
    }

    /// Counts one more open of a node: the id of its backing file, -1 if it has none, or 0 if the caller is to make one
    /// and say so with `set_backing`, for which other threads wait.
    #[napi]
    pub fn begin_open(&self, number: i64) -> i32 {
        let number = number.cast_unsigned();
        let mut state = self.table.lock();
        loop {
            let Some(opens) = state.opens.get_mut(&number) else {
                state.opens.insert(number, Opens { count: 1, backing: Backing::Making });
                return 0;
            };
            match opens.backing {
                Backing::With(id) => {
                    opens.count += 1;
                    return id.cast_signed();
                }
                Backing::Without => {
                    opens.count += 1;
                    return -1;
                }
                Backing::Making => {}
            }
            let waited = self.table.made.wait_timeout(state, BACKING_TIMEOUT);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out()
                && let Some(opens) = state.opens.get_mut(&number)
                && opens.backing == Backing::Making
            {
                opens.backing = Backing::Without;
            }
        }
    }

    /// Says what came of making a backing file: its id, or 0 if it cannot be had.
    #[napi]
    pub fn set_backing(&self, number: i64, id: u32) {
        if let Some(opens) = self.table.lock().opens.get_mut(&number.cast_unsigned()) {
            opens.backing = if id == 0 { Backing::Without } else { Backing::With(id) };
        }
        self.table.made.notify_all();
    }

    /// Counts one open less: the id of the backing file that nobody uses any more, or 0.
    #[napi]
    pub fn end_open(&self, number: i64) -> u32 {
        let number = number.cast_unsigned();
        let mut state = self.table.lock();
        let Some(opens) = state.opens.get_mut(&number) else { return 0 };
        opens.count -= 1;
        if opens.count > 0 {
            return 0;
        }
        match state.opens.remove(&number) {
            Some(Opens { backing: Backing::With(id), .. }) => id,
            _ => 0,
        }
    }

    /// Closes every descriptor; nothing enters any more. No thread may use a number of it then.
    #[napi]
    pub fn close(&self) {
        let state =
            std::mem::replace(&mut *self.table.lock(), State { closed: true, root: -1, ..State::default() });
        drop(state);
    }
}

impl Default for NativeNodes {
    fn default() -> Self {
        Self::new()
    }
}
