//! A channel of a mount, as JavaScript holds it: the queues that one environment's thread serves.
#![expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53, where numbers are exact")]

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Array, Function, Object, This};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use ringfuse::{Channel, Wait};

use crate::error::to_javascript;
use crate::event_loop::Watch;
use crate::exchange::Exchange;
use crate::javascript_memory::array_buffer;
use crate::mount::{closed, force_unmount};
use crate::shared::Shared;

/// A channel, served by the thread of the environment that took it.
#[napi]
pub struct NativeChannel {
    /// Gone after `close`, as are channel and watch.
    shared: Option<Arc<Shared>>,
    channel: Option<Channel>,
    watch: Option<Watch>,
    exchange: Exchange,
}

#[napi]
impl NativeChannel {
    pub(crate) fn new(shared: Arc<Shared>, channel: Channel) -> ringfuse::Result<Self> {
        let exchange = Exchange::new(channel.slots().capacity())?;
        Ok(Self { shared: Some(shared), channel: Some(channel), watch: None, exchange })
    }

    /// Makes the calling thread the channel's owner and gives the kernel its slots. To be called once, after
    /// FUSE_INIT was answered.
    #[napi]
    pub fn start(&mut self, env: Env) -> Result<()> {
        let shared = self.shared.as_ref().ok_or_else(closed)?;
        let channel = self.channel.as_mut().ok_or_else(closed)?;
        let started = channel.start().and_then(|()| match channel.refusal() {
            Some(errno) => shared.refused(errno),
            None => Ok(()),
        });
        started.map_err(|error| to_javascript(env, &error))
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

    /// Calls `ready` whenever a turn has something to do, until `close`. The loop stays alive meanwhile. If the
    /// environment ends first and `owns_mount`, so does the mount.
    #[napi]
    pub fn listen(
        &mut self,
        env: Env,
        this: This<'_>,
        ready: Function<'_, (), ()>,
        owns_mount: bool,
    ) -> Result<()> {
        let fd = self.channel.as_ref().ok_or_else(closed)?.poll_fd();
        let shared = Arc::downgrade(self.shared.as_ref().ok_or_else(closed)?);
        let at_end = Box::new(move || {
            if let Some(shared) = shared.upgrade().filter(|_| owns_mount) {
                force_unmount(shared.connection());
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

    /// Whether the channel keeps the loop alive.
    #[napi]
    pub fn set_ref(&mut self, keep_alive: bool) {
        if let Some(watch) = &mut self.watch {
            watch.set_ref(keep_alive);
        }
    }

    /// Counts a request whose deadline passed.
    #[napi]
    pub fn count_timeout(&self) {
        if let Some(shared) = &self.shared {
            shared.connection().counters().count_timeout();
        }
    }

    /// Ends the watch and lets go of the ring and /dev/fuse. Memory that JavaScript still sees stays.
    #[napi]
    pub fn close(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.close();
        }
        self.channel = None;
        self.shared = None;
    }
}

fn number(value: usize) -> f64 {
    value as f64
}
