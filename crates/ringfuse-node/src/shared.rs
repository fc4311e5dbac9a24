//! A mount as the environments share it that serve it: the one that made it, and its workers.
//!
//! A channel belongs to one environment: that of the thread that serves it. An environment that ends gives it back, and
//! another one takes it over.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use napi_derive::napi;
use nix::errno::Errno;
use ringfuse::cpu::possible_cpus;
use ringfuse::{Channel, Connection, Depth, Handshake, RingUnavailable, Transport, Waiting};

use crate::options::NativeOptions;

/// The mounts of this process, by their tokens.
static MOUNTS: Mutex<Option<HashMap<u32, Weak<Shared>>>> = Mutex::new(None);

static NEXT_TOKEN: AtomicU32 = AtomicU32::new(1);

/// The mounts that this process serves, by the minor numbers of their devices.
#[napi]
#[must_use]
pub fn own_connections() -> Vec<u32> {
    let mounts = lock(&MOUNTS);
    let alive = mounts.iter().flat_map(HashMap::values).filter_map(Weak::upgrade);
    let serving = alive.filter(|mount| !mount.connection.ended());
    serving.filter_map(|mount| mount.connection.mount().connection()).collect()
}

/// One mount.
pub(crate) struct Shared {
    token: u32,
    connection: Arc<Connection>,
    /// Until FUSE_INIT is answered.
    handshake: Mutex<Option<Handshake>>,
    /// The channels that no environment has.
    channels: Mutex<Vec<Option<Channel>>>,
    no_ring: Mutex<Option<RingUnavailable>>,
    transport: Transport,
    queue_depth: usize,
}

impl Shared {
    /// Mounts on `path`, or takes over the descriptor of what is mounted, and sets up all that can fail.
    pub(crate) fn new(
        path: &str,
        descriptor: Option<OwnedFd>,
        options: &NativeOptions,
    ) -> ringfuse::Result<Arc<Self>> {
        let transport = options.transport()?;
        let groups = options.queue_groups(possible_cpus())?;
        let handshake = options.begin(path, descriptor)?;
        let payload = handshake.connection().agreement().payload_size();
        let depth = Depth {
            ring: options.depth(possible_cpus(), payload)?,
            device: options.depth(groups.len(), payload)?,
        };
        let (channels, no_ring) = handshake.channels(transport, &groups, depth, Waiting::Eventfd)?;
        let shared = Arc::new(Self {
            token: NEXT_TOKEN.fetch_add(1, Ordering::Relaxed),
            connection: Arc::clone(handshake.connection()),
            handshake: Mutex::new(Some(handshake)),
            channels: Mutex::new(channels.into_iter().map(Some).collect()),
            queue_depth: if no_ring.is_some() { depth.device } else { depth.ring },
            no_ring: Mutex::new(no_ring),
            transport,
        });
        let mut mounts = lock(&MOUNTS);
        let mounts = mounts.get_or_insert_default();
        mounts.retain(|_, mount| mount.strong_count() > 0);
        mounts.insert(shared.token, Arc::downgrade(&shared));
        Ok(shared)
    }

    /// The mount with this token, if it still is.
    pub(crate) fn find(token: u32) -> Option<Arc<Self>> {
        lock(&MOUNTS).as_ref()?.get(&token)?.upgrade()
    }

    pub(crate) fn token(&self) -> u32 {
        self.token
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn queue_depth(&self) -> usize {
        self.queue_depth
    }

    /// Why the ring is not used, if it is not.
    pub(crate) fn no_ring(&self) -> Option<String> {
        lock(&self.no_ring).as_ref().map(ToString::to_string)
    }

    /// Answers FUSE_INIT; the first time, otherwise nothing.
    pub(crate) fn finish(&self) -> ringfuse::Result<()> {
        let ring = lock(&self.no_ring).is_none();
        match lock(&self.handshake).take() {
            Some(handshake) => handshake.finish(ring).map(drop),
            None => Ok(()),
        }
    }

    /// Notes that the kernel refused the ring: the mount is then served from /dev/fuse.
    ///
    /// # Errors
    /// [`ringfuse::Error::Ring`] if the ring was asked for.
    pub(crate) fn refused(&self, errno: Errno) -> ringfuse::Result<()> {
        let reason = RingUnavailable::Refused(errno);
        if self.transport == Transport::IoUring {
            return Err(ringfuse::Error::Ring(reason));
        }
        *lock(&self.no_ring) = Some(reason);
        Ok(())
    }

    /// Takes the channel at `index`; nothing if an environment has it. One whose environment has ended is rescued first:
    /// its thread must have ended, too.
    pub(crate) fn take(&self, index: usize) -> ringfuse::Result<Option<Channel>> {
        let mut channels = lock(&self.channels);
        let Some(place) = channels.get_mut(index) else { return Ok(None) };
        if let Some(channel) = place {
            channel.rescue()?;
        }
        Ok(place.take())
    }

    /// Gives the channel at `index` back, for another environment to take.
    pub(crate) fn give_back(&self, index: usize, channel: Channel) {
        if let Some(place) = lock(&self.channels).get_mut(index) {
            *place = Some(channel);
        }
    }

    /// Lets go of the channels that no environment has.
    pub(crate) fn close(&self) {
        lock(&self.channels).clear();
        lock(&self.handshake).take();
    }
}

/// What a mutex guards: a panic leaves it as it was, as no change to it takes more than one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
