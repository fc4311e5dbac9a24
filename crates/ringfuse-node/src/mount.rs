//! One mount, as JavaScript holds it.
#![expect(clippy::needless_pass_by_value, reason = "napi passes arguments by value")]
#![expect(clippy::cast_precision_loss, reason = "counters stay far below 2^53, where numbers are exact")]

use std::sync::Arc;
use std::time::Duration;

use fuse_abi::NotifyCode;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use nix::errno::Errno;
use ringfuse::cpu::possible_cpus;
use ringfuse::{Agreement, Connection, Maker, Notification, Notifier, Unmount};

use crate::channel::NativeChannel;
use crate::error::to_javascript;
use crate::file_descriptor::borrow_fd;
use crate::options::NativeAgreement;
use crate::promise::promise;
use crate::shared::Shared;

/// How long the end of a process, or of an environment, waits for the mount to go.
pub(crate) const FORCED_UNMOUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// A mounted filesystem, in one of the environments that serve it.
#[napi]
pub struct NativeMount {
    /// Gone after `close`, as is the notifier.
    shared: Option<Arc<Shared>>,
    /// Made with the first notification.
    notifier: Option<Notifier>,
    path: String,
    maker: Maker,
    agreement: Agreement,
    queues: usize,
    queue_depth: usize,
    no_ring: Option<String>,
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
    pub outstanding: f64,
    pub timeouts: f64,
    pub stalls: f64,
    pub slots: f64,
    pub slot_bytes: f64,
}

#[napi]
impl NativeMount {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let connection = shared.connection();
        Self {
            path: connection.mount().path().to_string_lossy().into_owned(),
            maker: connection.mount().maker(),
            agreement: *connection.agreement(),
            queues: possible_cpus(),
            queue_depth: shared.queue_depth(),
            no_ring: shared.no_ring(),
            shared: Some(shared),
            notifier: None,
        }
    }

    /// The mount with this token, which another environment of the process made.
    #[napi(factory)]
    pub fn attach(token: u32) -> Result<Self> {
        Shared::find(token).map(Self::new).ok_or_else(closed)
    }

    /// What [`NativeMount::attach`] finds the mount by.
    #[napi(getter)]
    pub fn token(&self) -> Result<u32> {
        self.shared().map(|shared| shared.token())
    }

    /// The mountpoint, absolute and without symbolic links.
    #[napi(getter)]
    #[must_use]
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// Who put the mount into the tree: `mount`, `fusermount3` or `other`.
    #[napi(getter)]
    #[must_use]
    pub fn maker(&self) -> &'static str {
        match self.maker {
            Maker::Mount => "mount",
            Maker::Fusermount => "fusermount3",
            Maker::Other => "other",
        }
    }

    /// Why the ring is not used; nothing if it is.
    #[napi(getter)]
    #[must_use]
    pub fn no_ring(&self) -> Option<String> {
        self.shared.as_ref().map_or_else(|| self.no_ring.clone(), |shared| shared.no_ring())
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

    /// What was agreed on; with `OVER_IO_URING` if it has a ring.
    #[napi(getter)]
    #[must_use]
    pub fn agreement(&self) -> NativeAgreement {
        NativeAgreement::new(&self.agreement, self.no_ring().is_none())
    }

    /// Takes the channel at `index`, for this environment's thread to serve.
    #[napi]
    pub fn channel(&self, env: Env, index: u32) -> Result<NativeChannel> {
        let shared = self.shared()?;
        let index = index as usize;
        let taken = shared.take(index).map_err(|error| to_javascript(env, &error))?;
        let channel = taken.ok_or_else(|| Error::new(Status::InvalidArg, "the channel is taken"))?;
        NativeChannel::new(Arc::clone(shared), index, channel).map_err(|error| to_javascript(env, &error))
    }

    /// Answers FUSE_INIT. The kernel lets requests through as soon as all channels are started.
    #[napi]
    pub fn finish(&self, env: Env) -> Result<()> {
        self.shared()?.finish().map_err(|error| to_javascript(env, &error))
    }

    /// The counters.
    #[napi]
    pub fn stats(&self) -> Result<NativeStats> {
        let stats = self.connection()?.stats();
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
            outstanding: stats.outstanding as f64,
            timeouts: stats.timeouts as f64,
            stalls: stats.stalls as f64,
            slots: stats.slots as f64,
            slot_bytes: stats.slot_bytes as f64,
        })
    }

    /// Why the mount was ended because of a stall, if it was.
    #[napi]
    #[must_use]
    pub fn stalled(&self) -> Option<String> {
        self.connection().ok()?.stalled().map(str::to_owned)
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
        let Ok(connection) = self.connection() else { return Ok(()) };
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
        if let Ok(connection) = self.connection() {
            force_unmount(connection);
        }
    }

    fn shared(&self) -> Result<&Arc<Shared>> {
        self.shared.as_ref().ok_or_else(closed)
    }

    fn connection(&self) -> Result<&Arc<Connection>> {
        self.shared().map(|shared| shared.connection())
    }

    /// Takes back all backing files, and releases the connection and the channels that no environment has.
    #[napi]
    pub fn close(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.no_ring = shared.no_ring();
            shared.connection().close_all_backing();
            shared.close();
        }
        self.notifier = None;
    }

    /// Lets go of the connection, for an environment that did not make it.
    #[napi]
    pub fn detach(&mut self) {
        self.shared = None;
        self.notifier = None;
    }
}

/// Unmounts, waits for it, but not for ever, and takes back all backing files. Nothing, if somebody else mounted: who
/// passed the descriptor on decides whether the connection outlives this process.
pub(crate) fn force_unmount(connection: &Connection) {
    if connection.mount().maker() == Maker::Other {
        return;
    }
    if let Ok(outcome) = connection.unmount(Unmount::Force) {
        let _ = outcome.recv_timeout(FORCED_UNMOUNT_TIMEOUT);
    }
    connection.close_all_backing();
}

pub(crate) fn closed() -> Error {
    Error::new(Status::Closing, "the mount is closed")
}
