//! Serving a [`Filesystem`] written in Rust: a pinned thread for each CPU's queue.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

use crate::channel::{Answer, Channel, Depth, Transport, Wait};
use crate::connection::{Connection, Handshake};
use crate::cpu::{pin_thread, possible_cpus};
use crate::error::{Error, Result, RingUnavailable};
use crate::mount::{MountOptions, Unmount};
use crate::negotiate::Wanted;
use crate::request::Request;
use crate::ring::Waiting;

/// A filesystem: answers requests, from any serving thread.
pub trait Filesystem: Sync {
    /// Answers one request. For operations without a reply (`FORGET`), the answer is ignored.
    fn request(&self, request: Request<'_>) -> Answer;
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
/// had, and [`Error::Thread`]. If one of the serving threads fails, the mount ends, and what it says is the error.
pub fn serve<F: Filesystem>(
    path: &Path,
    options: &ServeOptions,
    filesystem: &F,
    mounted: impl FnOnce(&Served<'_>),
) -> Result<()> {
    let handshake = Handshake::begin(path, &options.mount, &options.wanted)?;
    let queues = possible_cpus();
    let shares: Vec<_> = (0..queues).map(|queue| vec![u16::try_from(queue).unwrap_or(u16::MAX)]).collect();
    let queue_depth = options.queue_depth.unwrap_or(DEFAULT_DEPTH).get();
    // Each thread answers one request after the other: those that wait are for the first that is free.
    let depth = Depth { ring: queue_depth, device: 1 };
    let (channels, no_ring) = handshake.channels(options.transport, &shares, depth, Waiting::Enter)?;
    let connection = handshake.finish(no_ring.is_none())?;
    std::thread::scope(|scope| {
        let ends_all = EndOnFailure::new(&connection);
        let mut threads = Vec::new();
        for (cpu, channel) in channels.into_iter().enumerate() {
            let ends_all = EndOnFailure::new(&connection);
            let body = move || ends_all.unless_failed(serve_channel(cpu, channel, filesystem));
            let builder = std::thread::Builder::new().name(format!("ringfuse-{cpu}"));
            threads.push(builder.spawn_scoped(scope, body).map_err(Error::Thread)?);
        }
        mounted(&Served { connection: &connection, no_ring, queues, queue_depth });
        let outcomes: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
        let outcome = outcomes
            .into_iter()
            .try_for_each(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ends_all.unless_failed(outcome)
    })
}

/// Ends the mount when it is dropped: no request may wait for a thread that failed.
struct EndOnFailure<'a> {
    connection: &'a Connection,
    failed: bool,
}

impl<'a> EndOnFailure<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self { connection, failed: true }
    }

    fn unless_failed<T>(mut self, outcome: Result<T>) -> Result<T> {
        self.failed = outcome.is_err();
        outcome
    }
}

impl Drop for EndOnFailure<'_> {
    fn drop(&mut self) {
        if self.failed {
            // The other threads end by it. It waits for none of their answers, as the connection is aborted first.
            let _ = self.connection.unmount(Unmount::Force).map(|outcome| outcome.recv());
        }
    }
}

fn serve_channel<F: Filesystem>(cpu: usize, mut channel: Channel, filesystem: &F) -> Result<()> {
    // A CPU that is offline or outside the cpuset is left to the scheduler.
    pin_thread([cpu]);
    channel.start()?;
    while !channel.ended() {
        channel.turn(Wait::Block)?;
        channel.answer_ready(|request| filesystem.request(request));
    }
    Ok(())
}
