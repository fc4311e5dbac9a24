//! One mount, as JavaScript holds it.
#![expect(clippy::needless_pass_by_value, reason = "napi passes arguments by value")]
#![expect(
    clippy::cast_precision_loss,
    reason = "counters and sizes stay far below 2^53, where numbers are exact"
)]

use std::sync::Arc;
use std::time::Duration;

use fuse_abi::NotifyCode;
use napi::bindgen_prelude::{Array, Function, Object, This, Uint8Array};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use nix::errno::Errno;
use ringfuse::cpu::possible_cpus;
use ringfuse::{
    Agreement, Channel, Connection, Handshake, Notification, Notifier, RingUnavailable, Transport, Unmount,
    Wait, Waiting,
};

use crate::error::to_javascript;
use crate::event_loop::Watch;
use crate::exchange::Exchange;
use crate::file_descriptor::borrow_fd;
use crate::javascript_memory::array_buffer;
use crate::options::NativeOptions;
use crate::promise::promise;

/// How long the end of a process, or of an environment, waits for the mount to go.
pub(crate) const FORCED_UNMOUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// A mounted filesystem, served by the thread of the environment that made it.
#[napi]
pub struct NativeMount {
    /// Gone after `close`, as are channel, watch and notifier.
    connection: Option<Arc<Connection>>,
    channel: Option<Channel>,
    watch: Option<Watch>,
    /// Made with the first notification.
    notifier: Option<Notifier>,
    exchange: Exchange,
    path: String,
    agreement: Agreement,
    queues: usize,
    queue_depth: usize,
    no_ring: Option<RingUnavailable>,
}

/// A mount whose FUSE_INIT is still to be answered. Dropped, it takes itself away.
pub(crate) struct Prepared {
    handshake: Handshake,
    channel: Channel,
    exchange: Exchange,
    transport: Transport,
    queue_depth: usize,
    no_ring: Option<RingUnavailable>,
}

impl Prepared {
    /// Mounts on `path`, and sets up all that can fail.
    pub(crate) fn new(path: &str, options: &NativeOptions) -> ringfuse::Result<Self> {
        let transport = options.transport()?;
        let queue_depth = options.queue_depth()?;
        let handshake = Handshake::begin(path.as_ref(), &options.mount(), &options.wanted()?)?;
        let (channel, no_ring) = set_up(&handshake, transport, queue_depth)?;
        let exchange = Exchange::new(channel.slots().capacity())?;
        Ok(Self { handshake, channel, exchange, transport, queue_depth, no_ring })
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.handshake.connection()
    }
}

/// The counters of a mount: see `ringfuse::Stats`.
#[napi(object)]
pub struct NativeStats {
    pub ring_requests: f64,
    pub device_requests: f64,
    pub replies: f64,
    pub refused_replies: f64,
    pub forget_requests: f64,
    pub interrupts: f64,
    pub malformed: f64,
    pub enters: f64,
    pub batches: f64,
}

#[napi]
impl NativeMount {
    /// Answers FUSE_INIT: when this returns, the kernel lets requests through. The calling thread serves them.
    pub(crate) fn start(prepared: Prepared) -> ringfuse::Result<Self> {
        let Prepared { handshake, mut channel, exchange, transport, queue_depth, mut no_ring } = prepared;
        let connection = handshake.finish(no_ring.is_none())?;
        channel.start()?;
        if let Some(errno) = channel.refusal() {
            let reason = RingUnavailable::Refused(errno);
            if transport == Transport::IoUring {
                return Err(ringfuse::Error::Ring(reason));
            }
            no_ring = Some(reason);
        }
        Ok(Self {
            path: connection.mount().path().to_string_lossy().into_owned(),
            agreement: *connection.agreement(),
            connection: Some(connection),
            channel: Some(channel),
            watch: None,
            notifier: None,
            exchange,
            queues: possible_cpus(),
            queue_depth,
            no_ring,
        })
    }

    /// The mountpoint, absolute and without symbolic links.
    #[napi(getter)]
    #[must_use]
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// Why the ring is not used; nothing if it is.
    #[napi(getter)]
    #[must_use]
    pub fn no_ring(&self) -> Option<String> {
        self.no_ring.as_ref().map(ToString::to_string)
    }

    /// Number of queues.
    #[napi(getter)]
    #[must_use]
    pub fn queues(&self) -> u32 {
        u32::try_from(self.queues).unwrap_or(u32::MAX)
    }

    /// Slots a queue.
    #[napi(getter)]
    #[must_use]
    pub fn queue_depth(&self) -> u32 {
        u32::try_from(self.queue_depth).unwrap_or(u32::MAX)
    }

    /// Names of the capabilities in force.
    #[napi(getter)]
    #[must_use]
    pub fn capabilities(&self) -> Vec<String> {
        self.agreement.capabilities.iter_names().map(|(name, _)| name.to_owned()).collect()
    }

    /// Largest write, bytes.
    #[napi(getter)]
    #[must_use]
    pub fn max_write(&self) -> u32 {
        self.agreement.max_write
    }

    /// Minor version of protocol 7 that both speak.
    #[napi(getter)]
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.agreement.minor
    }

    /// The memory that all slots share: `{ slots, headerStride, payloadSize, headers, exchange }`. To be called
    /// once. `slots` is how many there can be.
    #[napi]
    pub fn memory<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let slots = self.channel.as_ref().ok_or_else(closed)?.slots();
        let mut object = Object::new(env)?;
        object.set("slots", number(slots.capacity()))?;
        object.set("headerStride", number(ringfuse::slot::HEADER_STRIDE))?;
        object.set("payloadSize", number(slots.payload_size()))?;
        object.set("headers", array_buffer(*env, slots.headers())?)?;
        object.set("exchange", array_buffer(*env, self.exchange.region())?)?;
        Ok(object)
    }

    /// The slots' payloads, `[{ buffer, firstSlot, slots, stride, offset }]`, but for the first `known` of the list,
    /// which grows as slots are needed.
    #[napi]
    pub fn payloads<'env>(&self, env: &'env Env, known: u32) -> Result<Array<'env>> {
        let slots = self.channel.as_ref().ok_or_else(closed)?.slots();
        let mut payloads: Array<'env> = env.create_array(0)?;
        for layout in slots.payload_layouts().skip(known as usize) {
            let mut object = Object::new(env)?;
            object.set("buffer", array_buffer(*env, &layout.region)?)?;
            object.set("firstSlot", number(layout.first_slot))?;
            object.set("slots", number(layout.slots))?;
            object.set("stride", number(layout.stride))?;
            object.set("offset", number(layout.offset))?;
            payloads.insert(object)?;
        }
        Ok(payloads)
    }

    /// Calls `ready` whenever a turn has something to do, until `close`. The loop stays alive meanwhile.
    #[napi]
    pub fn listen(&mut self, env: Env, this: This<'_>, ready: Function<'_, (), ()>) -> Result<()> {
        let fd = self.channel.as_ref().ok_or_else(closed)?.poll_fd();
        let connection = Arc::downgrade(self.connection()?);
        let at_end = Box::new(move || {
            if let Some(connection) = connection.upgrade() {
                force_unmount(&connection);
            }
        });
        self.watch = Some(Watch::new(env, fd, &ready, &this.object, at_end)?);
        Ok(())
    }

    /// Hands the first `commits` commits of the exchange to the kernel, looks for requests for up to
    /// `poll_microseconds`, and returns how many are ready.
    #[napi]
    pub fn turn(&mut self, env: Env, commits: u32, poll_microseconds: u32) -> Result<u32> {
        let channel = self.channel.as_mut().ok_or_else(closed)?;
        for index in 0..commits {
            let (slot, answer) = self.exchange.commit(index as usize);
            channel
                .commit(slot, answer)
                .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))?;
        }
        let wait = Wait::Poll(Duration::from_micros(poll_microseconds.into()));
        let ready = channel.turn(wait).map_err(|error| to_javascript(env, &error))?;
        self.exchange.set_ready(ready);
        let count = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        self.exchange.set_interrupted(&channel.take_interrupted());
        if channel.ended() {
            self.exchange.set_ended();
        }
        if let Some(watch) = &mut self.watch {
            watch.set_active(channel.can_receive());
        }
        Ok(count)
    }

    /// Whether the mount keeps the loop alive.
    #[napi]
    pub fn set_ref(&mut self, keep_alive: bool) {
        if let Some(watch) = &mut self.watch {
            watch.set_ref(keep_alive);
        }
    }

    /// The counters.
    #[napi]
    pub fn stats(&self) -> Result<NativeStats> {
        let stats = self.connection()?.counters().read();
        Ok(NativeStats {
            ring_requests: stats.ring_requests as f64,
            device_requests: stats.device_requests as f64,
            replies: stats.replies as f64,
            refused_replies: stats.refused_replies as f64,
            forget_requests: stats.forget_requests as f64,
            interrupts: stats.interrupts as f64,
            malformed: stats.malformed as f64,
            enters: stats.enters as f64,
            batches: stats.batches as f64,
        })
    }

    /// Sends a notification: a promise of an errno, 0 if the kernel acted on it.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn notify<'env>(&mut self, env: &'env Env, code: u32, body: Uint8Array) -> Result<Object<'env>> {
        let code =
            NotifyCode::try_from(code).map_err(|error| Error::new(Status::InvalidArg, error.to_string()))?;
        let notification = Notification::from_parts(code, body.to_vec());
        if self.notifier.is_none() {
            let notifier = Notifier::new(Arc::clone(self.connection()?));
            self.notifier = Some(notifier.map_err(|error| to_javascript(*env, &error))?);
        }
        let (deferred, promise) = env.create_deferred::<i32, Box<dyn FnOnce(Env) -> Result<i32>>>()?;
        if let Some(notifier) = &self.notifier {
            notifier.send(notification, move |outcome| {
                let errno = match outcome {
                    Ok(true) => 0,
                    Ok(false) => Errno::ENOENT as i32,
                    Err(errno) => errno as i32,
                };
                deferred.resolve(Box::new(move |_| Ok(errno)));
            });
        }
        Ok(promise)
    }

    /// Gives the kernel an open file to pass reads and writes through to; returns its id.
    #[napi]
    pub fn open_backing(&self, env: Env, fd: i32) -> Result<u32> {
        let no_file = ringfuse::Error::Backing { errno: Errno::EBADF, remedy: "the descriptor is not open" };
        let connection = self.connection()?;
        let opened = borrow_fd(fd).ok_or(no_file).and_then(|file| connection.open_backing(file));
        opened.map_err(|error| to_javascript(env, &error))
    }

    /// Takes a backing file back, if the connection has not let go of it with everything else.
    #[napi]
    pub fn close_backing(&self, env: Env, id: u32) -> Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        connection.close_backing(id).map_err(|error| to_javascript(env, &error))
    }

    /// Takes the mount out of the tree: a promise, as the kernel may send requests before it is done. With
    /// `force` the connection is aborted first.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn unmount<'env>(&self, env: &'env Env, force: bool) -> Result<Object<'env>> {
        let how = if force { Unmount::Force } else { Unmount::Lazy };
        let outcome = self.connection()?.unmount(how).map_err(|error| to_javascript(*env, &error))?;
        promise(env, "ringfuse-umount", move || outcome.recv().unwrap_or(Ok(())), Ok)
    }

    /// Aborts the connection and takes the mount out of the tree, for a process that ends.
    #[napi]
    pub fn unmount_now(&self) {
        if let Some(connection) = &self.connection {
            force_unmount(connection);
        }
    }

    fn connection(&self) -> Result<&Arc<Connection>> {
        self.connection.as_ref().ok_or_else(closed)
    }

    /// Ends the watch and lets go of the ring and /dev/fuse, and so of the connection. Memory that JavaScript still
    /// sees stays.
    #[napi]
    pub fn close(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.close();
        }
        self.channel = None;
        self.notifier = None;
        self.connection = None;
    }
}

/// A channel for all queues, or for /dev/fuse, and then why.
fn set_up(
    handshake: &Handshake,
    transport: Transport,
    depth: usize,
) -> ringfuse::Result<(Channel, Option<RingUnavailable>)> {
    let ring = || {
        handshake.ring_offered().map_err(ringfuse::Error::Ring)?;
        let queues = (0..possible_cpus()).filter_map(|queue| u16::try_from(queue).ok()).collect();
        handshake.channel(queues, depth, Waiting::EventLoop, true)
    };
    let device = |reason| Ok((handshake.channel(Vec::new(), depth, Waiting::EventLoop, true)?, Some(reason)));
    match transport {
        Transport::DevFuse => device(RingUnavailable::NotWanted),
        Transport::IoUring => Ok((ring()?, None)),
        Transport::Auto => match ring() {
            Ok(channel) => Ok((channel, None)),
            Err(ringfuse::Error::Ring(reason)) => device(reason),
            Err(error) => Err(error),
        },
    }
}

/// Unmounts and waits for it, but not for ever.
pub(crate) fn force_unmount(connection: &Connection) {
    if let Ok(outcome) = connection.unmount(Unmount::Force) {
        let _ = outcome.recv_timeout(FORCED_UNMOUNT_TIMEOUT);
    }
}

fn closed() -> Error {
    Error::new(Status::Closing, "the mount is closed")
}

fn number(value: usize) -> f64 {
    value as f64
}
