//! A channel of a mount, as JavaScript holds it: the queues that one environment's thread serves.
#![expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53, where numbers are exact")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

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
use crate::turn::turn_function;

/// A channel, served by the thread of the environment that took it.
#[napi]
pub struct NativeChannel {
    serving: Rc<RefCell<Serving>>,
}

/// What is left of a channel after `close` is its exchange.
pub(crate) struct Serving {
    shared: Option<Arc<Shared>>,
    index: usize,
    channel: Option<Channel>,
    watch: Option<Watch>,
    exchange: Exchange,
}

impl Serving {
    /// Hands the commits of the exchange to the kernel, looks for requests for as long as it says, and leaves those
    /// that are ready there.
    pub(crate) fn turn(&mut self, env: Env) -> Result<()> {
        let channel = self.channel.as_mut().ok_or_else(closed)?;
        for (slot, answer) in self.exchange.take_commits() {
            channel
                .commit(slot, answer)
                .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))?;
        }
        let wait = Wait::Poll(self.exchange.poll());
        let ready = channel.turn(wait).map_err(|error| to_javascript(env, &error))?;
        self.exchange.set_ready(ready);
        self.exchange.set_interrupted(&channel.take_interrupted());
        if channel.ended() {
            self.exchange.set_ended();
        }
        if let Some(watch) = &mut self.watch {
            watch.set_active(channel.can_receive());
        }
        Ok(())
    }
}

impl Drop for Serving {
    /// The environment ends without having closed the channel; the watch it has closed.
    fn drop(&mut self) {
        if let (Some(shared), Some(mut channel)) = (&self.shared, self.channel.take()) {
            // While its thread still lives: requests that come from now on wait for the next one. If this fails, it is
            // tried again when the channel is taken.
            let _ = channel.rescue();
            shared.give_back(self.index, channel);
        }
    }
}

#[napi]
impl NativeChannel {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, channel: Channel) -> ringfuse::Result<Self> {
        let exchange = Exchange::new(channel.slots().capacity())?;
        let serving = Serving { shared: Some(shared), index, channel: Some(channel), watch: None, exchange };
        Ok(Self { serving: Rc::new(RefCell::new(serving)) })
    }

    /// Makes the calling thread the channel's owner and gives the kernel its slots. To be called once, after
    /// FUSE_INIT was answered.
    #[napi]
    pub fn start(&self, env: Env) -> Result<()> {
        let Serving { shared, channel, .. } = &mut *self.serving.borrow_mut();
        let shared = shared.as_ref().ok_or_else(closed)?;
        let channel = channel.as_mut().ok_or_else(closed)?;
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
        let serving = self.serving.borrow();
        let slots = serving.channel.as_ref().ok_or_else(closed)?.slots();
        let mut object = Object::new(env)?;
        object.set("slots", number(slots.capacity()))?;
        object.set("headerStride", number(ringfuse::slot::HEADER_STRIDE))?;
        object.set("payloadSize", number(slots.payload_size()))?;
        object.set("headers", array_buffer(*env, slots.headers())?)?;
        object.set("exchange", array_buffer(*env, serving.exchange.region())?)?;
        Ok(object)
    }

    /// The slots' payloads, `[{ buffer, firstSlot, slots, stride, offset }]`, but for the first `known` of the list,
    /// which grows as slots are needed.
    #[napi]
    pub fn payloads<'env>(&self, env: &'env Env, known: u32) -> Result<Array<'env>> {
        let serving = self.serving.borrow();
        let slots = serving.channel.as_ref().ok_or_else(closed)?.slots();
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
        &self,
        env: Env,
        this: This<'_>,
        ready: Function<'_, (), ()>,
        owns_mount: bool,
    ) -> Result<()> {
        let mut serving = self.serving.borrow_mut();
        let fd = serving.channel.as_ref().ok_or_else(closed)?.poll_fd();
        let shared = Arc::downgrade(serving.shared.as_ref().ok_or_else(closed)?);
        let at_end = Box::new(move || {
            if let Some(shared) = shared.upgrade().filter(|_| owns_mount) {
                force_unmount(shared.connection());
            }
        });
        serving.watch = Some(Watch::new(env, fd, &ready, &this.object, at_end)?);
        Ok(())
    }

    /// The function that hands commits to the kernel and takes requests: see `Serving::turn`.
    #[napi(ts_return_type = "() => void")]
    pub fn turn_function<'env>(&self, env: &'env Env) -> Result<Function<'env, (), ()>> {
        turn_function(*env, &self.serving)
    }

    /// Whether the channel keeps the loop alive.
    #[napi]
    pub fn set_ref(&self, keep_alive: bool) {
        if let Some(watch) = &mut self.serving.borrow_mut().watch {
            watch.set_ref(keep_alive);
        }
    }

    /// Counts a request whose deadline passed.
    #[napi]
    pub fn count_timeout(&self) {
        if let Some(shared) = &self.serving.borrow().shared {
            shared.connection().counters().count_timeout();
        }
    }

    /// Ends the watch and lets go of the ring and /dev/fuse. Memory that JavaScript still sees stays.
    #[napi]
    pub fn close(&self) {
        let mut serving = self.serving.borrow_mut();
        if let Some(watch) = serving.watch.take() {
            watch.close();
        }
        serving.channel = None;
        serving.shared = None;
    }
}

fn number(value: usize) -> f64 {
    value as f64
}
