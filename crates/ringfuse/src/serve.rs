//! Serving a [`Filesystem`] written in Rust: a pinned thread for each CPU's queue.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use crate::channel::{Answer, Channel, Wait};
use crate::connection::{Connection, Handshake};
use crate::cpu::{pin_thread, possible_cpus};
use crate::error::{Error, Result, RingUnavailable};
use crate::mount::MountOptions;
use crate::negotiate::Wanted;
use crate::request::Request;
use crate::ring::Waiting;

/// A filesystem: answers requests, from any serving thread.
pub trait Filesystem: Sync {
    /// Answers one request. For operations without a reply (`FORGET`), the answer is ignored.
    fn request(&self, request: Request<'_>) -> Answer;
}

/// How requests are to travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// The ring where it can be had, /dev/fuse otherwise.
    #[default]
    Auto,
    /// The ring, or an error.
    IoUring,
    /// /dev/fuse.
    DevFuse,
}

/// How a filesystem is served.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Options of the mount.
    pub mount: MountOptions,
    /// What to ask of FUSE_INIT.
    pub wanted: Wanted,
    /// The transport.
    pub transport: Transport,
    /// Requests in handlers at once, a queue. Default 8: each of a queue's requests is answered by one thread.
    pub queue_depth: Option<NonZeroUsize>,
}

const DEFAULT_DEPTH: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");

/// A mount that is being served.
#[derive(Debug)]
pub struct Served<'a> {
    /// The connection: mountpoint, agreement, counters.
    pub connection: &'a Arc<Connection>,
    /// Why the ring is not used, if it is not.
    pub no_ring: Option<RingUnavailable>,
    /// Number of queues.
    pub queues: usize,
    /// Requests in handlers at once, a queue.
    pub queue_depth: usize,
}

/// Mounts `filesystem` on `path`, calls `mounted` when the kernel lets requests through, and serves until the
/// mount ends.
///
/// # Errors
/// What [`Handshake::begin`] and [`Handshake::finish`] say, [`Error::Ring`] if the ring was asked for and cannot be
/// had, and [`Error::Thread`].
pub fn serve<F: Filesystem>(
    path: &Path,
    options: &ServeOptions,
    filesystem: &F,
    mounted: impl FnOnce(&Served<'_>),
) -> Result<()> {
    let handshake = Handshake::begin(path, &options.mount, &options.wanted)?;
    let queues = possible_cpus();
    let depth = options.queue_depth.unwrap_or(DEFAULT_DEPTH).get();
    let (channels, no_ring) = channels(&handshake, options.transport, queues, depth)?;
    let connection = handshake.finish(no_ring.is_none())?;
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (cpu, mut channel) in channels.into_iter().enumerate() {
            let builder = std::thread::Builder::new().name(format!("ringfuse-{cpu}"));
            let thread = builder.spawn_scoped(scope, move || serve_channel(cpu, &mut channel, filesystem));
            threads.push(thread.map_err(Error::Thread)?);
        }
        mounted(&Served { connection: &connection, no_ring, queues, queue_depth: depth });
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// One channel for each CPU; the first of them reads /dev/fuse. Also says why they are without a ring.
fn channels(
    handshake: &Handshake,
    transport: Transport,
    queues: usize,
    depth: usize,
) -> Result<(Vec<Channel>, Option<RingUnavailable>)> {
    let ring_channels = || {
        handshake.ring_offered().map_err(Error::Ring)?;
        (0..queues)
            .map(|queue| {
                let queue_id = u16::try_from(queue).unwrap_or(u16::MAX);
                handshake.channel(vec![queue_id], depth, Waiting::Enter, queue == 0)
            })
            .collect::<Result<Vec<_>>>()
    };
    let device_channels = |reason| {
        let channel = |_| handshake.channel(Vec::new(), 1, Waiting::Enter, true);
        Ok(((0..queues).map(channel).collect::<Result<_>>()?, Some(reason)))
    };
    match transport {
        Transport::DevFuse => device_channels(RingUnavailable::NotWanted),
        Transport::IoUring => Ok((ring_channels()?, None)),
        Transport::Auto => match ring_channels() {
            Ok(channels) => Ok((channels, None)),
            Err(Error::Ring(reason)) => device_channels(reason),
            Err(error) => Err(error),
        },
    }
}

fn serve_channel<F: Filesystem>(cpu: usize, channel: &mut Channel, filesystem: &F) -> Result<()> {
    // A CPU that is offline or outside the cpuset is left to the scheduler.
    pin_thread([cpu]);
    channel.start()?;
    while !channel.ended() {
        channel.turn(Wait::Block)?;
        channel.answer_ready(|request| filesystem.request(request));
    }
    Ok(())
}
