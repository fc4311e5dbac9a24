//! A kernel that a test plays: it does what Linux does with the commands of FUSE's ring, and on demand what Linux does
//! only in states that cannot be brought about.
//!
//! Not part of the public API.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuse_abi::{InHeader, InitIn, Opcode, OutHeader, UringCmd, UringEntInOut};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use zerocopy::IntoBytes;

use crate::channel::{Answer, Channel};
use crate::device::{Arrival, lay_out, read_space};
use crate::error::{Error, Result, RingUnavailable};
use crate::kernel::{DeviceSide, Kernel, RingSide};
use crate::memory::Region;
use crate::negotiate::{Agreement, Wanted};
use crate::request::Request;
use crate::ring::{Completion, Token, Waiting, Watched};
use crate::shared::Shared;
use crate::slot::{ARGUMENTS, ENTRY, HEADER_STRIDE, SlotIndex, Slots};

/// How often a ring is entered at most while it says in vain that there is work.
const BOASTS: usize = 100;

/// The kernel that a [`Script`] plays.
#[derive(Debug, Clone, Copy)]
pub struct Scripted;

impl Kernel for Scripted {
    type Device = ScriptedDevice;
    type Ring = ScriptedRing;
}

/// A request as the kernel puts it into an entry.
#[derive(Debug, Clone)]
pub struct ScriptedRequest {
    /// Its header.
    pub header: InHeader,
    /// The argument struct's bytes.
    pub arguments: Vec<u8>,
    /// What follows.
    pub payload: Vec<u8>,
    /// How many bytes follow, as the kernel says.
    pub payload_size: u32,
}

impl ScriptedRequest {
    /// A request that is as long as it says.
    #[must_use]
    pub fn new(opcode: Opcode, unique: u64, arguments: &[u8], payload: &[u8]) -> Self {
        let length = size_of::<InHeader>() + arguments.len() + payload.len();
        Self {
            header: InHeader {
                len: u32::try_from(length).unwrap_or(u32::MAX),
                opcode: opcode.into(),
                unique,
                nodeid: 1,
                ..InHeader::default()
            },
            arguments: arguments.to_vec(),
            payload: payload.to_vec(),
            payload_size: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        }
    }

    /// The request as `read(2)` of /dev/fuse gives it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [self.header.as_bytes(), &self.arguments, &self.payload].concat()
    }
}

/// A reply that reached the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedReply {
    /// The request's id.
    pub unique: u64,
    /// 0, or a negative errno.
    pub error: i32,
    /// What the caller gets.
    pub payload: Vec<u8>,
}

/// The entry's memory, as REGISTER gave it to the kernel.
#[derive(Debug, Clone)]
struct Entry {
    ring: usize,
    slot: SlotIndex,
    headers: Arc<Region>,
    payload: Arc<Region>,
    payload_offset: usize,
    payload_size: usize,
}

impl Entry {
    fn header_offset(&self) -> usize {
        self.slot as usize * HEADER_STRIDE
    }

    fn fill(&self, request: &ScriptedRequest) {
        let at = self.header_offset();
        self.headers.write(at, request.header);
        self.headers.with_bytes_mut(at + ARGUMENTS, request.arguments.len(), |bytes| {
            bytes.copy_from_slice(&request.arguments);
        });
        let length = request.payload.len().min(self.payload_size);
        self.payload.with_bytes_mut(self.payload_offset, length, |bytes| {
            bytes.copy_from_slice(&request.payload[..length]);
        });
        let commit_id = request.header.unique;
        let entry = UringEntInOut { commit_id, payload_sz: request.payload_size, ..Default::default() };
        self.headers.write(at + ENTRY, entry);
    }

    fn reply(&self) -> ScriptedReply {
        let at = self.header_offset();
        let header: OutHeader = self.headers.read(at);
        let entry: UringEntInOut = self.headers.read(at + ENTRY);
        let length = if header.error == 0 { entry.payload_sz as usize } else { 0 };
        let payload = self.payload.with_bytes(self.payload_offset, length, <[u8]>::to_vec);
        ScriptedReply { unique: header.unique, error: header.error, payload }
    }
}

#[derive(Debug)]
enum Submission {
    Register { queue: u16, entry: Entry },
    Commit { queue: u16, slot: SlotIndex, commit_id: u64 },
    Watch { watched: Watched, fd: OwnedFd },
}

#[derive(Debug, Default)]
struct QueueModel {
    available: Vec<Entry>,
    waiting: VecDeque<ScriptedRequest>,
}

#[derive(Debug, Default)]
struct RingModel {
    /// Requests on their way to an entry, until the ring's owner enters it.
    tasks: VecDeque<(Entry, ScriptedRequest)>,
    completions: VecDeque<Completion>,
    watches: Vec<(Watched, OwnedFd)>,
    /// How often the ring was entered since it says that there is work, and there is none.
    boasting: Option<usize>,
}

#[derive(Debug, Default)]
struct Model {
    queues: Vec<QueueModel>,
    rings: Vec<RingModel>,
    /// Requests in slots, by queue and id.
    processing: HashMap<(u16, u64), Vec<Entry>>,
    device: VecDeque<Vec<u8>>,
    /// Requests read from /dev/fuse.
    read: Vec<u64>,
    refused_rings: HashMap<usize, Errno>,
    refused_commands: HashMap<UringCmd, VecDeque<Option<Errno>>>,
    replies: Vec<ScriptedReply>,
    kicks: usize,
    keeps_replies: bool,
    ended: bool,
}

impl Model {
    fn complete(&mut self, ring: usize, slot: SlotIndex, result: i32) {
        let token = Token::Slot(slot);
        self.rings[ring].completions.push_back(Completion { token, result, more: false });
    }

    fn refusal(&mut self, command: UringCmd) -> Option<Errno> {
        self.refused_commands.get_mut(&command).and_then(VecDeque::pop_front).flatten()
    }

    fn register(&mut self, queue: u16, entry: Entry) -> Result<(), Errno> {
        if let Some(errno) = self.refusal(UringCmd::Register) {
            return Err(errno);
        }
        if self.ended {
            return Err(Errno::ECONNABORTED);
        }
        // Requests that wait already are not pulled, as in Linux.
        self.queues.get_mut(usize::from(queue)).ok_or(Errno::EINVAL)?.available.push(entry);
        Ok(())
    }

    fn commit(&mut self, queue: u16, ring: usize, commit_id: u64) -> Result<(), Errno> {
        if let Some(errno) = self.refusal(UringCmd::CommitAndFetch) {
            return Err(errno);
        }
        if self.ended {
            return Err(Errno::ENOTCONN);
        }
        let held = self.processing.get_mut(&(queue, commit_id)).and_then(Vec::pop).ok_or(Errno::ENOENT)?;
        if self.keeps_replies {
            self.replies.push(held.reply());
        }
        // From here on the entry belongs to the ring that the commit came by.
        let held = Entry { ring, ..held };
        match self.queues[usize::from(queue)].waiting.pop_front() {
            Some(request) => self.deliver(queue, &held, &request),
            None => self.queues[usize::from(queue)].available.push(held),
        }
        Ok(())
    }

    /// The queue takes a request that waits: what comes of a request that is made on its CPU, and of its commit.
    fn pull(&mut self, queue: u16) {
        let Some(model) = self.queues.get_mut(usize::from(queue)) else { return };
        if model.waiting.is_empty() {
            return;
        }
        let Some(entry) = model.available.pop() else { return };
        if let Some(request) = model.waiting.pop_front() {
            self.processing.entry((queue, request.header.unique)).or_default().push(entry.clone());
            self.rings[entry.ring].tasks.push_back((entry, request));
        }
    }

    fn deliver(&mut self, queue: u16, entry: &Entry, request: &ScriptedRequest) {
        entry.fill(request);
        self.processing.entry((queue, request.header.unique)).or_default().push(entry.clone());
        self.complete(entry.ring, entry.slot, 0);
    }
}

/// What a test has the kernel do.
#[derive(Debug, Clone)]
pub struct Script {
    model: Arc<Mutex<Model>>,
    device: Arc<ScriptedDevice>,
}

impl Script {
    /// A kernel with so many queues.
    ///
    /// # Panics
    /// Without a descriptor left.
    #[must_use]
    pub fn new(queues: usize) -> Self {
        let model = Model {
            queues: std::iter::repeat_with(QueueModel::default).take(queues).collect(),
            keeps_replies: true,
            ..Model::default()
        };
        let model = Arc::new(Mutex::new(model));
        let device = ScriptedDevice { model: Arc::clone(&model), readable: descriptor() };
        Self { model, device: Arc::new(device) }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }

    /// The open /dev/fuse.
    #[must_use]
    pub fn device(&self) -> &Arc<ScriptedDevice> {
        &self.device
    }

    /// A caller on the queue's CPU asks for something.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn request(&self, queue: u16, request: ScriptedRequest) {
        let mut model = self.model();
        let model = &mut *model;
        let at = &mut model.queues[usize::from(queue)];
        match at.available.pop() {
            Some(entry) => {
                let id = (queue, request.header.unique);
                model.processing.entry(id).or_default().push(entry.clone());
                model.rings[entry.ring].tasks.push_back((entry, request));
            }
            None => at.waiting.push_back(request),
        }
    }

    /// Something can be read from /dev/fuse.
    pub fn device_request(&self, bytes: Vec<u8>) {
        self.model().device.push_back(bytes);
        let _: Result<_, Errno> = self.device.readable.write(1);
    }

    /// Refuses the `index`th ring that is made.
    pub fn refuse_ring(&self, index: usize, errno: Errno) {
        self.model().refused_rings.insert(index, errno);
    }

    /// What the next commands of a kind come to: an errno, or nothing unusual.
    pub fn refuse_commands(&self, command: UringCmd, errnos: &[Option<Errno>]) {
        self.model().refused_commands.entry(command).or_default().extend(errnos);
    }

    /// Gives a ring a completion that no command asked for.
    pub fn complete(&self, ring: usize, slot: SlotIndex, result: i32) {
        self.model().complete(ring, slot, result);
    }

    /// Turns the order of what is on its way to a ring around.
    pub fn reverse_tasks(&self, ring: usize) {
        self.model().rings[ring].tasks.make_contiguous().reverse();
    }

    /// A ring says that there is work (`IORING_SQ_TASKRUN`), until there was some.
    pub fn boast(&self, ring: usize) {
        self.model().rings[ring].boasting = Some(0);
    }

    /// Loses a ring's completions, as when there is no room for them.
    pub fn lose_completions(&self, ring: usize) {
        self.model().rings[ring].completions.clear();
    }

    /// Ends the connection: entries that wait are given back.
    pub fn end(&self) {
        let mut model = self.model();
        model.ended = true;
        let queues: Vec<_> = model.queues.iter_mut().map(std::mem::take).collect();
        for entry in queues.iter().flat_map(|queue| &queue.available) {
            model.complete(entry.ring, entry.slot, -(Errno::ENOTCONN as i32));
        }
        drop(model);
        let _: Result<_, Errno> = self.device.readable.write(1);
    }

    /// The replies since this was last asked.
    #[must_use]
    pub fn replies(&self) -> Vec<ScriptedReply> {
        std::mem::take(&mut self.model().replies)
    }

    /// From now on replies are forgotten, and nothing but the ring is watched: for benchmarks.
    pub fn be_quick(&self) {
        let mut model = self.model();
        model.keeps_replies = false;
        model.rings.iter_mut().for_each(|ring| ring.watches.clear());
    }

    /// How many kicks there were.
    #[must_use]
    pub fn kicks(&self) -> usize {
        self.model().kicks
    }

    /// How many entries of a queue wait for a request.
    #[must_use]
    pub fn available(&self, queue: u16) -> usize {
        self.model().queues.get(usize::from(queue)).map_or(0, |queue| queue.available.len())
    }
}

/// What channels of a connection share whose payloads have 8 KiB.
///
/// # Panics
/// Never: the agreement can be had.
pub(crate) fn shared() -> Arc<Shared> {
    let wanted = Wanted { max_write: 8192, ..Wanted::default() };
    let offer = InitIn { major: 7, minor: 45, ..InitIn::default() };
    let agreement = Agreement::new(&offer, &wanted, false).expect("it asks for nothing");
    Arc::new(Shared::new(agreement))
}

/// A channel for the script's queues `0..queues`, and /dev/fuse if it `reads_device`, alone on its connection.
///
/// # Errors
/// As [`crate::Handshake::channel`].
pub fn channel(script: &Script, queues: u16, depth: usize, reads_device: bool) -> Result<Channel<Scripted>> {
    let queues = (0..queues).collect();
    Channel::new(shared(), script.device(), queues, depth, Waiting::Enter, reads_device)
}

/// Lets `handler` answer what the last turn made ready.
pub fn answer_ready(channel: &mut Channel<Scripted>, handler: impl Fn(Request<'_>) -> Answer) {
    channel.answer_ready(handler);
}

/// The /dev/fuse of a [`Script`].
#[derive(Debug)]
pub struct ScriptedDevice {
    model: Arc<Mutex<Model>>,
    /// Readable as long as a request is there.
    readable: EventFd,
}

impl AsFd for ScriptedDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}

impl DeviceSide for ScriptedDevice {
    fn another(&self) -> Result<Self> {
        Ok(Self { model: Arc::clone(&self.model), readable: descriptor() })
    }

    fn has_ended(&self) -> bool {
        lock(&self.model).ended
    }

    fn read(&self, slots: &Slots, slot: SlotIndex, setxattr_ext: bool) -> Result<Arrival, Errno> {
        let mut model = lock(&self.model);
        let Some(bytes) = model.device.pop_front() else {
            let _: Result<_, Errno> = self.readable.read();
            return Ok(if model.ended { Arrival::Ended } else { Arrival::Nothing });
        };
        let (region, start, length) = read_space(slots, slot);
        let count = bytes.len().min(length);
        region.with_bytes_mut(start, count, |space| space.copy_from_slice(&bytes[..count]));
        let arrival = lay_out(slots, slot, count, setxattr_ext);
        if let Arrival::Request { .. } = arrival {
            model.read.push(slots.in_header(slot).unique);
        }
        Ok(arrival)
    }

    fn reply(&self, header: OutHeader, slots: &Slots, slot: SlotIndex, length: usize) -> Result<(), Errno> {
        let payload = slots.with_payload(slot, length, <[u8]>::to_vec);
        self.reply_bytes(header.unique, header.error, &payload)
    }

    fn reply_bytes(&self, unique: u64, error: i32, bytes: &[u8]) -> Result<(), Errno> {
        let mut model = lock(&self.model);
        if unique == 0 {
            return Ok(());
        }
        let index = model.read.iter().position(|read| *read == unique).ok_or(Errno::ENOENT)?;
        model.read.swap_remove(index);
        model.replies.push(ScriptedReply { unique, error, payload: bytes.to_vec() });
        Ok(())
    }

    fn kick(&self, queue: u16, count: usize) {
        let mut model = lock(&self.model);
        model.kicks += count;
        for _ in 0..count {
            model.pull(queue);
        }
    }
}

/// A ring of a [`Script`].
#[derive(Debug)]
pub struct ScriptedRing {
    model: Arc<Mutex<Model>>,
    index: usize,
    pushed: Vec<Submission>,
    descriptor: EventFd,
}

impl RingSide for ScriptedRing {
    type Device = ScriptedDevice;

    fn new(_slots: usize, _usual: usize, _waiting: Waiting, device: &ScriptedDevice) -> Result<Self> {
        let mut model = lock(&device.model);
        let index = model.rings.len();
        model.rings.push(RingModel::default());
        if let Some(errno) = model.refused_rings.get(&index) {
            return Err(Error::Ring(RingUnavailable::IoUring(*errno)));
        }
        Ok(Self { model: Arc::clone(&device.model), index, pushed: Vec::new(), descriptor: descriptor() })
    }

    fn adopt(&self) -> Result<()> {
        Ok(())
    }

    fn signal(&self, _eventfd: BorrowedFd<'_>) -> Result<()> {
        Ok(())
    }

    fn set_quiet(&mut self, _quiet: bool) {}

    fn register(&mut self, queue: u16, slot: SlotIndex, slots: &Slots) {
        let at = slot as usize;
        let layout = slots
            .payload_layouts()
            .find(|layout| at < layout.first_slot + layout.slots)
            .expect("the slot has a payload");
        let entry = Entry {
            ring: self.index,
            slot,
            headers: Arc::clone(slots.headers()),
            payload_offset: layout.offset + (at - layout.first_slot) * layout.stride,
            payload: layout.region,
            payload_size: slots.payload_size(),
        };
        self.pushed.push(Submission::Register { queue, entry });
    }

    fn commit(&mut self, queue: u16, slot: SlotIndex, commit_id: u64) {
        self.pushed.push(Submission::Commit { queue, slot, commit_id });
    }

    fn watch(&mut self, watched: Watched, fd: BorrowedFd<'_>) {
        let fd = fd.try_clone_to_owned().expect("a descriptor");
        self.pushed.push(Submission::Watch { watched, fd });
    }

    fn enter(&mut self, _minimum: u32) -> Result<bool> {
        let mut model = lock(&self.model);
        let boasting = &mut model.rings[self.index].boasting;
        *boasting = boasting.map(|entered| entered + 1);
        assert!(boasting.is_none_or(|entered| entered < BOASTS), "the ring is entered again and again");
        for submission in self.pushed.drain(..) {
            let (slot, outcome) = match submission {
                Submission::Register { queue, entry } => (entry.slot, model.register(queue, entry)),
                Submission::Commit { queue, slot, commit_id } => {
                    (slot, model.commit(queue, self.index, commit_id))
                }
                Submission::Watch { watched, fd } => {
                    model.rings[self.index].watches.push((watched, fd));
                    continue;
                }
            };
            if let Err(errno) = outcome {
                model.complete(self.index, slot, -(errno as i32));
            }
        }
        while let Some((entry, request)) = model.rings[self.index].tasks.pop_front() {
            model.rings[self.index].boasting = None;
            entry.fill(&request);
            model.complete(self.index, entry.slot, 0);
        }
        let ring = &mut model.rings[self.index];
        for (watched, _) in ring.watches.iter().filter(|(_, fd)| is_readable(fd)) {
            let completion = Completion { token: Token::Watch(*watched), result: 1, more: true };
            ring.completions.push_back(completion);
        }
        Ok(true)
    }

    fn has_submissions(&mut self) -> bool {
        !self.pushed.is_empty()
    }

    fn has_completions(&mut self) -> bool {
        let model = lock(&self.model);
        let ring = &model.rings[self.index];
        ring.boasting.is_some()
            || !ring.completions.is_empty()
            || !ring.tasks.is_empty()
            || ring.watches.iter().any(|(_, fd)| is_readable(fd))
    }

    fn next(&mut self) -> Option<Completion> {
        lock(&self.model).rings[self.index].completions.pop_front()
    }

    fn close(self) {
        let mut model = lock(&self.model);
        let model = &mut *model;
        for queue in &mut model.queues {
            queue.available.retain(|entry| entry.ring != self.index);
        }
        for (_, request) in std::mem::take(&mut model.rings[self.index]).tasks {
            model.processing.retain(|(_, unique), _| *unique != request.header.unique);
            let error = -(Errno::ECANCELED as i32);
            let unique = request.header.unique;
            model.replies.push(ScriptedReply { unique, error, payload: Vec::new() });
        }
    }
}

impl AsRawFd for ScriptedRing {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_fd().as_raw_fd()
    }
}

fn lock(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a descriptor is readable now. By epoll, which Miri has, unlike poll.
pub(crate) fn is_readable(fd: &impl AsFd) -> bool {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("a descriptor");
    epoll
        .add(fd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))
        .expect("a descriptor that can be watched");
    let mut events = [EpollEvent::empty()];
    epoll.wait(&mut events, EpollTimeout::ZERO).is_ok_and(|count| count > 0)
}

fn descriptor() -> EventFd {
    EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).expect("a descriptor")
}
