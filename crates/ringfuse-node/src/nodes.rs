//! The nodes of a filesystem over another one: a number for each file that the kernel knows, and a descriptor
//! (`O_PATH`) that stays with the file wherever it is moved; for some, when there are very many, its file handle instead.
//!
//! One table serves all threads of the process, as descriptors are the process's: one lock, as it is held for far less
//! time than a request takes.

mod file_handle;
mod opens;
mod table;

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use napi::{Error, Result, Status};
use napi_derive::napi;
use nix::errno::Errno;

use self::opens::Backing;
use self::table::{Device, Key, State, Way};
use crate::file_descriptor::take_fd;
use crate::javascript_bytes::Bytes;

/// How long a thread waits for another one to make a backing file; only one that died in between takes longer.
const BACKING_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
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

/// What `struct statx` says, by its offsets.
fn device_of(statx: Bytes) -> Option<Device> {
    Some((statx.word32(136)?, statx.word32(140)?))
}

/// The `S_IF*` bits in `struct statx`.
fn kind_of(statx: Bytes) -> Option<u32> {
    // The mode is the lower half of the word, as all targets are little-endian.
    Some(statx.word32(28)? & 0o170_000)
}

fn key_of(statx: Bytes) -> Option<Key> {
    let (device, kind) = (device_of(statx)?, kind_of(statx)?);
    Some(Key { device, ino: statx.word64(32)?, mount: statx.word64(144)?, kind })
}

/// Whether `struct statx` is of a FIFO, a socket or a device: the kernel opens them without asking the filesystem.
fn is_special(statx: Bytes) -> bool {
    const REGULAR: u32 = 0o100_000;
    const DIRECTORY: u32 = 0o040_000;
    const LINK: u32 = 0o120_000;
    ![REGULAR, DIRECTORY, LINK].contains(&kind_of(statx).unwrap_or(0))
}

/// A number, or an errno, negative.
fn number_or_errno(result: nix::Result<u64>) -> i64 {
    result.map_or_else(|errno| -i64::from(errno as i32), u64::cast_signed)
}

/// Tables by their id, for the threads that share them.
static SHARED: Mutex<Vec<Weak<Table>>> = Mutex::new(Vec::new());

/// A table of nodes, as one thread holds it. The last thread to let go of it closes what it holds.
#[napi]
pub struct NativeNodes {
    table: Arc<Table>,
    id: u32,
    /// Descriptors that this thread uses: they stay open for it when the table drops them.
    borrowed: RefCell<HashMap<RawFd, Arc<OwnedFd>>>,
}

#[napi]
impl NativeNodes {
    /// A new table. The first node to enter is the root. At most `descriptors` nodes have a descriptor of their own, if
    /// there can be handles.
    #[napi(constructor)]
    #[must_use]
    pub fn new(descriptors: u32) -> Self {
        let state = Mutex::new(State::new(descriptors as usize));
        let table = Arc::new(Table { state, made: Condvar::new() });
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let free = shared.iter().position(|other| other.strong_count() == 0).unwrap_or(shared.len());
        let weak = Arc::downgrade(&table);
        if free == shared.len() {
            shared.push(weak);
        } else {
            shared[free] = weak;
        }
        Self { table, id: u32::try_from(free).unwrap_or(u32::MAX), borrowed: RefCell::default() }
    }

    /// The table that another thread has by this id.
    #[napi(factory)]
    pub fn attach(id: u32) -> Result<Self> {
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let table = shared.get(id as usize).and_then(Weak::upgrade);
        let table = table.ok_or_else(|| {
            Error::new(Status::InvalidArg, format!("no thread of this process has a table of nodes {id}"))
        })?;
        Ok(Self { table, id, borrowed: RefCell::default() })
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
        u32::try_from(self.table.lock().len()).unwrap_or(u32::MAX)
    }

    /// The root's descriptor.
    #[napi(getter)]
    #[must_use]
    pub fn root(&self) -> i32 {
        self.table.lock().root()
    }

    /// Takes over a descriptor of a file, whose `struct statx` is in `statx`, and counts one lookup of it: its number.
    /// If the table has the file already, the descriptor is closed.
    #[napi]
    pub fn enter(&self, fd: i32, statx: Bytes<'_>) -> i64 {
        let entered = || {
            let descriptor = take_fd(fd)?;
            let key = key_of(statx).ok_or(Errno::EINVAL)?;
            self.table.lock().enter(descriptor, key, is_special(statx))
        };
        number_or_errno(entered())
    }

    /// Counts one lookup of the file whose `struct statx` is in `statx`, if the table has it with a descriptor: its
    /// number, or 0.
    #[napi]
    pub fn enter_again(&self, statx: Bytes<'_>) -> i64 {
        let number = key_of(statx).and_then(|key| self.table.lock().enter_again(key));
        number.map_or(0, u64::cast_signed)
    }

    /// Counts one more lookup of a node; whether there is one.
    #[napi]
    pub fn count(&self, number: i64) -> bool {
        self.table.lock().count(number.cast_unsigned())
    }

    /// Notes that a program may map the node's backing file for writing, until the node is forgotten; whether that is new.
    #[napi]
    pub fn set_mappable(&self, number: i64) -> bool {
        self.table.lock().set_mappable(number.cast_unsigned())
    }

    /// Whether a program may have mapped the node's backing file for writing.
    #[napi]
    pub fn is_mappable(&self, number: i64) -> bool {
        self.table.lock().is_mappable(number.cast_unsigned())
    }

    /// The descriptor (`O_PATH`) of a node that has none in its number: this thread's until `give_back`.
    #[napi]
    pub fn borrow(&self, number: i64) -> i32 {
        let borrowed = self.open(number.cast_unsigned()).map(|open| {
            let fd = open.as_raw_fd();
            self.borrowed.borrow_mut().insert(fd, open);
            fd
        });
        borrowed.unwrap_or_else(|errno| -(errno as i32))
    }

    /// This thread needs a descriptor no more that it borrowed.
    #[napi]
    pub fn give_back(&self, fd: i32) {
        self.borrowed.borrow_mut().remove(&fd);
    }

    /// Drops descriptors that nodes with a handle got before the last call; whether there are any left.
    #[napi]
    pub fn drop_old(&self) -> bool {
        let (dropped, more) = self.table.lock().drop_old();
        // Closed without the lock.
        drop(dropped);
        more
    }

    /// If the table has the file whose `struct statx` is in `statx` by its handle, the node has a descriptor from now on:
    /// for a file that is about to lose its last name.
    #[napi]
    pub fn keep(&self, statx: Bytes<'_>) {
        let Some(number) = key_of(statx).and_then(|key| self.table.lock().with_handle(key)) else { return };
        if let Ok(open) = self.open(number) {
            self.table.lock().keep(number, open);
        }
    }

    /// Takes lookups back; the last one closes the node's descriptor: the id of the backing file that the node kept, for
    /// the caller to close, or 0.
    #[napi]
    pub fn forget(&self, number: i64, lookups: i64) -> u32 {
        let forgotten = self.table.lock().forget(number.cast_unsigned(), lookups.cast_unsigned());
        // The descriptor is closed without the lock.
        forgotten.map_or(0, |(_, id)| id)
    }

    /// The place of a file's device, by its `struct statx`, in the order in which devices were met: the root's is 0.
    #[napi]
    pub fn device(&self, statx: Bytes<'_>) -> Result<u32> {
        let device =
            device_of(statx).ok_or_else(|| Error::new(Status::InvalidArg, "a struct statx is meant"))?;
        let devices = &mut self.table.lock().devices;
        let place = devices.iter().position(|known| *known == device).unwrap_or(devices.len());
        if place == devices.len() {
            devices.push(device);
        }
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
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

    /// Counts one more open of a node, which may write or not: the id of its backing file, -1 if it has none, or 0 if the caller is to make one
    /// and say so with `set_backing`, for which other threads wait.
    #[napi]
    pub fn begin_open(&self, number: i64, writes: bool) -> i32 {
        let number = number.cast_unsigned();
        let mut state = self.table.lock();
        loop {
            match state.opens.begin(number, writes) {
                Some(Backing::With(id)) => return id.cast_signed(),
                Some(Backing::Without) => return -1,
                None => return 0,
                Some(Backing::Making) => {}
            }
            let waited = self.table.made.wait_timeout(state, BACKING_TIMEOUT);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() {
                state.opens.give_up(number);
            }
        }
    }

    /// Counts one more open, to read, of a node that has a backing file and a descriptor of its own: the backing file's id. Of any
    /// other nothing is counted: 0.
    #[napi]
    pub fn open_again(&self, number: i64) -> u32 {
        self.table.lock().open_again(number.cast_unsigned()).unwrap_or(0)
    }

    /// Says what came of making a backing file: its id, or 0 if it cannot be had.
    #[napi]
    pub fn set_backing(&self, number: i64, id: u32) {
        self.table.lock().opens.made(number.cast_unsigned(), id);
        self.table.made.notify_all();
    }

    /// Counts one open less: the id of a backing file without opens, or 0. A node with a descriptor of its own keeps its
    /// backing file until it is forgotten.
    #[napi]
    pub fn end_open(&self, number: i64, writes: bool) -> u32 {
        self.table.lock().end_open(number.cast_unsigned(), writes)
    }

    /// Whether the kernel has the node open for writing by a backing file.
    #[napi]
    pub fn is_written(&self, number: i64) -> bool {
        self.table.lock().opens.is_written(number.cast_unsigned())
    }

    /// The node whose capabilities root removed last, or 0: its next request may come to another thread.
    #[napi(getter)]
    #[must_use]
    pub fn cleared(&self) -> i64 {
        self.table.lock().cleared.cast_signed()
    }

    #[napi(setter)]
    pub fn set_cleared(&self, number: i64) {
        self.table.lock().cleared = number.cast_unsigned();
    }

    /// Closes every descriptor; nothing enters any more. No thread may use a number of it then.
    #[napi]
    pub fn close(&self) {
        let state = self.table.lock().close();
        // Closed without the lock.
        drop(state);
        self.borrowed.borrow_mut().clear();
    }

    /// A descriptor of a node that has a handle.
    fn open(&self, number: u64) -> nix::Result<Arc<OwnedFd>> {
        let way = self.table.lock().way_to(number)?;
        let (handle, mount) = match way {
            Way::Open(open) => return Ok(open),
            Way::Handle(handle, mount) => (handle, mount),
        };
        // Opened, and closed, without the lock.
        let open = Arc::new(handle.open(mount.as_fd())?);
        let dropped = self.table.lock().keep_for_a_while(number, Arc::clone(&open));
        drop(dropped);
        Ok(open)
    }
}
