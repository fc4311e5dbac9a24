//! A mount's connection to the kernel, from FUSE_INIT to its end, shared by the channels that serve it.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fuse_abi::{InitFlags, InitIn, Opcode};
use nix::errno::Errno;
use zerocopy::IntoBytes;

use crate::channel::{Channel, Depth, SetUp, Transport};
use crate::device::{Arrival, Device};
use crate::error::{Error, Result, RingUnavailable};
use crate::kernel::DeviceSide;
use crate::mount::{Mount, MountOptions, Unmount};
use crate::negotiate::{Agreement, Wanted};
use crate::notify::Notification;
use crate::outside::outside;
use crate::parse::argument;
use crate::ring::Waiting;
use crate::shared::Shared;
use crate::slot::Slots;
use crate::stats::{Stats, add};

/// Bytes of a slot that FUSE_INIT is read into: `FUSE_MIN_READ_BUFFER`.
const INIT_PAYLOAD: usize = fuse_abi::MIN_READ_BUFFER;

/// A mounted filesystem's connection.
#[derive(Debug)]
pub struct Connection {
    device: Arc<Device>,
    mount: Arc<Mount>,
    shared: Arc<Shared>,
    stalled: OnceLock<String>,
    /// The ids of the backing files that the kernel holds.
    backing: Mutex<HashSet<u32>>,
}

impl Connection {
    /// The open /dev/fuse.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The place in the tree of mounts.
    #[must_use]
    pub fn mount(&self) -> &Mount {
        &self.mount
    }

    /// Takes the mount out of the tree, as [`Mount::unmount`], but on a thread of its own: what comes of it can be
    /// received, by a serving thread without waiting. With [`Unmount::Force`] the connection ends even if the mount
    /// was taken out before, while files were open, and is taken out here if there is no thread to be had, where no
    /// other FUSE filesystem is on the way.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn unmount(&self, how: Unmount) -> Result<Receiver<Result<()>>> {
        if how == Unmount::Force && !self.device.has_ended() {
            self.mount.abort();
        }
        let mount = Arc::clone(&self.mount);
        match outside("ringfuse-umount", move || mount.unmount(how)) {
            // An aborted connection has no requests to wait for, and `umount2(2)` aborts it if it was not.
            Err(Error::Thread(_)) if how == Unmount::Force && !self.mount.is_beneath_fuse() => {
                let (sender, receiver) = channel();
                let _ = sender.send(self.mount.unmount(how));
                Ok(receiver)
            }
            outcome => outcome,
        }
    }

    /// What FUSE_INIT agreed on.
    #[must_use]
    pub fn agreement(&self) -> &Agreement {
        &self.shared.agreement
    }

    /// What the mount's counters say.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// Counts a request that its holder did not answer in time: holders keep the time themselves.
    pub fn count_timeout(&self) {
        add(&self.shared.counters.own.timeouts, 1);
    }

    /// Counts a stall of a serving thread.
    pub(crate) fn count_stall(&self) {
        add(&self.shared.counters.own.stalls, 1);
    }

    /// Gives the kernel a file to pass reads and writes through to, for replies to OPEN and CREATE with
    /// `FOPEN_PASSTHROUGH` and this id as `backing_id`.
    ///
    /// # Errors
    /// [`Error::Backing`].
    pub fn open_backing(&self, file: BorrowedFd<'_>) -> Result<u32> {
        let opened = self.device.open_backing(file);
        if let Ok(id) = opened {
            self.backing().insert(id);
        }
        opened.map_err(|errno| Error::Backing {
            errno,
            remedy: match errno {
                Errno::EPERM => "it needs CAP_SYS_ADMIN, and PASSTHROUGH among the mount's capabilities",
                Errno::ELOOP => "the file's filesystem is stacked deeper than max_stack_depth allows",
                Errno::EOPNOTSUPP => {
                    "the file is no regular file, or its filesystem cannot be passed through to"
                }
                _ => "see FUSE_DEV_IOC_BACKING_OPEN in the kernel's fuse-passthrough.rst",
            },
        })
    }

    /// Takes a backing file back. Files that were opened with it go on.
    ///
    /// # Errors
    /// [`Error::Backing`].
    pub fn close_backing(&self, id: u32) -> Result<()> {
        let failed = |errno| Error::Backing { errno, remedy: "the id is none, or was closed already" };
        self.backing().remove(&id);
        self.device.close_backing(id).map_err(failed)
    }

    /// Takes back all backing files that are left. Call it at the end of the mount: otherwise the kernel holds them, and
    /// so their filesystem, until the last descriptor of the connection is gone. With a ring that is some time after its
    /// owner has closed it, because the kernel takes rings down in the background (`io_ring_exit_work`).
    pub fn close_all_backing(&self) {
        let ids = std::mem::take(&mut *self.backing());
        for id in ids {
            // A process that gave up CAP_SYS_ADMIN may not: the files go with the connection then.
            let _ = self.device.close_backing(id);
        }
    }

    /// A set is complete after each change, also where a thread panicked.
    fn backing(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.backing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that the kernel has not got an answer to, whoever has them; nothing where the control filesystem
    /// (/sys/fs/fuse/connections) does not tell.
    #[must_use]
    pub fn waiting(&self) -> Option<u64> {
        self.mount.waiting()
    }

    /// How many channels there are.
    pub(crate) fn channels(&self) -> usize {
        self.shared.post_office.channels()
    }

    /// Why the connection was ended because of a stall, if it was.
    #[must_use]
    pub fn stalled(&self) -> Option<&str> {
        self.stalled.get().map(String::as_str)
    }

    pub(crate) fn set_stalled(&self, why: String) {
        // The first stall ended it.
        let _ = self.stalled.set(why);
    }

    /// Whether a channel saw the connection end: unmounted or aborted.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.shared.post_office.has_ended()
    }
}

/// A mount whose FUSE_INIT is not answered yet: the time to set up all that can fail.
///
/// Dropped, with its channels, without [`Handshake::finish`], it takes the mount away again.
#[derive(Debug)]
pub struct Handshake {
    connection: Arc<Connection>,
    /// The request FUSE_INIT; nothing if a server before this one has answered it.
    unique: Option<u64>,
}

impl Handshake {
    /// Mounts on `path` and reads FUSE_INIT.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Mountpoint`], [`Error::Mount`], [`Error::Fusermount`], [`Error::Negotiation`],
    /// [`Error::Capability`], [`Error::InvalidOption`].
    pub fn begin(path: &Path, options: &MountOptions, wanted: &Wanted) -> Result<Self> {
        let (device, mount) = Mount::new(path, options)?;
        let (unique, offer) = read_init(&device)?;
        let agreement = Agreement::new(&offer, wanted, options.kernel_checks_permissions())?;
        Ok(Self::new(device, mount, agreement, Some(unique)))
    }

    /// `unique` is that of the FUSE_INIT to be answered, if there is one.
    pub(crate) fn new(device: Device, mount: Mount, agreement: Agreement, unique: Option<u64>) -> Self {
        device.set_mountpoint(mount.path());
        let connection = Connection {
            device: Arc::new(device),
            mount: Arc::new(mount),
            shared: Arc::new(Shared::new(agreement)),
            stalled: OnceLock::new(),
            backing: Mutex::default(),
        };
        Self { connection: Arc::new(connection), unique }
    }

    /// The connection.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether the kernel offers the ring.
    ///
    /// # Errors
    /// Why not.
    pub fn ring_offered(&self) -> Result<(), RingUnavailable> {
        if self.unique.is_none() {
            Err(RingUnavailable::TakenOver)
        } else if self.connection.agreement().offered.contains(InitFlags::OVER_IO_URING) {
            Ok(())
        } else if Path::new("/sys/module/fuse/parameters/enable_uring").exists() {
            Err(RingUnavailable::Disabled)
        } else {
            Err(RingUnavailable::Unsupported)
        }
    }

    /// Sets up a channel that serves `queues`, `depth` requests of each at once, and /dev/fuse if it
    /// `reads_device`; see [`Channel`]. One channel of a mount reads /dev/fuse, or each does if none has queues.
    ///
    /// # Errors
    /// [`Error::Ring`], [`Error::Memory`], [`Error::Mailbox`].
    pub fn channel(
        &self,
        queues: Vec<u16>,
        depth: usize,
        waiting: Waiting,
        reads_device: bool,
    ) -> Result<Channel> {
        let Connection { device, shared, .. } = &*self.connection;
        Channel::new(Arc::clone(shared), device, queues, depth, waiting, reads_device)
    }

    /// Sets up a channel for each of `shares`, a list of queues: every queue is to be in one of them. The first
    /// channel reads /dev/fuse as well. If the ring cannot be had, and `transport` leaves the choice, they are as many
    /// channels without queues that all read /dev/fuse, and why is returned with them.
    ///
    /// A queue's channel serves `depth.ring` requests of it at once, a channel of /dev/fuse `depth.device`.
    ///
    /// # Errors
    /// As [`Handshake::channel`].
    pub fn channels(
        &self,
        transport: Transport,
        shares: &[Vec<u16>],
        depth: Depth,
        waiting: Waiting,
    ) -> Result<(Vec<Channel>, Option<RingUnavailable>)> {
        let Connection { device, shared, .. } = &*self.connection;
        let set_up = SetUp { shared, device, shares, depth, waiting };
        set_up.channels(transport, || self.ring_offered())
    }

    /// Answers FUSE_INIT, if it is not answered yet. With `ring`, the kernel lets no request through until every queue has an entry, so
    /// all channels are to be started at once.
    ///
    /// # Errors
    /// [`Error::Device`] if the mount is gone already.
    pub fn finish(self, ring: bool) -> Result<Arc<Connection>> {
        let Some(unique) = self.unique else {
            // EINVAL before Linux 6.9: what the server before took with it stays unanswered.
            let _ = self.connection.notify(&Notification::resend());
            return Ok(self.connection);
        };
        let reply = self.connection.agreement().reply(ring);
        self.connection.device.reply_bytes(unique, 0, reply.as_bytes()).map_err(|errno| Error::Device {
            operation: "write",
            errno,
            remedy: "the mount ended before it began: was it unmounted?",
        })?;
        Ok(self.connection)
    }
}

/// Reads the first request of a connection, which the kernel queued during `mount(2)`.
pub(crate) fn read_init(device: &Device) -> Result<(u64, InitIn)> {
    let mut slots = Slots::new(1, INIT_PAYLOAD)?;
    slots.add(1, true)?;
    let arrival = device.read(&slots, 0, true).map_err(|errno| Error::Device {
        operation: "read",
        errno,
        remedy: "the kernel should have sent FUSE_INIT",
    })?;
    let header = slots.in_header(0);
    if !matches!(arrival, Arrival::Request { .. }) || header.opcode != Opcode::Init as u32 {
        return Err(Error::Negotiation("the kernel did not send it first".to_owned()));
    }
    Ok((header.unique, argument(&slots.arguments(0))))
}
