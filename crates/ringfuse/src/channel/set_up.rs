//! The choice of the transport, made while FUSE_INIT waits for its answer.

use std::sync::Arc;

use crate::channel::Channel;
use crate::error::{Error, Result, RingUnavailable};
use crate::kernel::Kernel;
use crate::ring::Waiting;
use crate::shared::Shared;

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

/// Requests in handlers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Of each queue of the ring.
    pub ring: usize,
    /// Of each channel that has no ring.
    pub device: usize,
}

/// What a connection's channels are made of: see [`crate::Handshake::channels`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetUp<'a, K: Kernel> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) device: &'a Arc<K::Device>,
    pub(crate) shares: &'a [Vec<u16>],
    pub(crate) depth: Depth,
    pub(crate) waiting: Waiting,
}

impl<K: Kernel> SetUp<'_, K> {
    /// The channels, and why they are without a ring if they are.
    pub(crate) fn channels(
        &self,
        transport: Transport,
        ring_offered: impl FnOnce() -> Result<(), RingUnavailable>,
    ) -> Result<(Vec<Channel<K>>, Option<RingUnavailable>)> {
        let ring = || {
            ring_offered().map_err(Error::Ring)?;
            self.each(|share, first| self.channel(share.clone(), self.depth.ring, first))
        };
        let device = |reason| {
            let channels = self.each(|_, _| self.channel(Vec::new(), self.depth.device, true))?;
            Ok((channels, Some(reason)))
        };
        match transport {
            Transport::DevFuse => device(RingUnavailable::NotWanted),
            Transport::IoUring => Ok((ring()?, None)),
            Transport::Auto => match ring() {
                Ok(channels) => Ok((channels, None)),
                Err(Error::Ring(reason)) => device(reason),
                Err(error) => Err(error),
            },
        }
    }

    fn each(&self, channel: impl Fn(&Vec<u16>, bool) -> Result<Channel<K>>) -> Result<Vec<Channel<K>>> {
        self.shares.iter().enumerate().map(|(index, share)| channel(share, index == 0)).collect()
    }

    fn channel(&self, queues: Vec<u16>, depth: usize, reads_device: bool) -> Result<Channel<K>> {
        Channel::new(Arc::clone(self.shared), self.device, queues, depth, self.waiting, reads_device)
    }
}
