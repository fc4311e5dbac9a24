//! A channel of a mount, as JavaScript holds it: the queues that one environment's thread serves.
#![expect(clippy::needless_pass_by_value, reason = "napi passes arguments by value")]
#![expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53, where numbers are exact")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Array, Function, Object, This};
use napi::{Env, Result};
use napi_derive::napi;
use nix::unistd::gettid;
use ringfuse::stall::{OnStall, Pulse, Watched, look_again, watch};
use ringfuse::{Channel, Follower, Wait};

use crate::error::to_javascript;
use crate::event_loop::Watch;
use crate::exchange::Exchange;
use crate::javascript_memory::array_buffer;
use crate::mount::{closed, force_unmount};
use crate::shared::Shared;
use crate::stalls::{NativeStall, teller};
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
    /// Locked by its thread for each turn; the watchdog looks at it between them.
    channel: Arc<Mutex<Option<Channel>>>,
    pulse: Arc<Pulse>,
    watch: Option<Watch>,
    exchange: Exchange,
    follower: Follower,
}

impl Serving {
    /// Hands the commits of the exchange to the kernel, looks for requests for as long as it says, and leaves those
    /// that are ready there.
    pub(crate) fn turn(&mut self, env: Env) -> Result<()> {
        self.pulse.turn();
        let mut channel = lock(&self.channel);
        let channel = channel.as_mut().ok_or_else(closed)?;
        channel.commit_all(self.exchange.take_commits());
        let wait = Wait::Poll(self.exchange.poll());
        let ready = channel.turn(wait).map_err(|error| to_javascript(env, &error))?;
        self.exchange.set_ready(ready);
        if !ready.is_empty() {
            self.follower.batch_from(channel.only_queue());
        }
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
        let channel = lock(&self.channel).take();
        if let (Some(shared), Some(mut channel)) = (&self.shared, channel) {
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
        let serving = Serving {
            shared: Some(shared),
            index,
            channel: Arc::new(Mutex::new(Some(channel))),
            pulse: Arc::default(),
            watch: None,
            exchange,
            follower: Follower::new(0),
        };
        Ok(Self { serving: Rc::new(RefCell::new(serving)) })
    }

    /// Makes the calling thread the channel's owner and gives the kernel its slots. To be called once, after
    /// FUSE_INIT was answered.
    #[napi]
    pub fn start(&self, env: Env) -> Result<()> {
        let serving = self.serving.borrow();
        let shared = serving.shared.as_ref().ok_or_else(closed)?;
        let mut channel = lock(&serving.channel);
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
        let channel = lock(&serving.channel);
        let slots = channel.as_ref().ok_or_else(closed)?.slots();
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
        let channel = lock(&serving.channel);
        let slots = channel.as_ref().ok_or_else(closed)?.slots();
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
        let (fd, take_signal) = {
            let channel = lock(&serving.channel);
            let channel = channel.as_ref().ok_or_else(closed)?;
            (channel.poll_fd(), Box::new(channel.take_signal()))
        };
        let shared = Arc::downgrade(serving.shared.as_ref().ok_or_else(closed)?);
        let at_end = Box::new(move || {
            if let Some(shared) = shared.upgrade().filter(|_| owns_mount) {
                force_unmount(shared.connection());
            }
        });
        serving.watch = Some(Watch::new(env, fd, take_signal, &ready, &this.object, at_end)?);
        Ok(())
    }

    /// The function that hands commits to the kernel and takes requests: see `Serving::turn`.
    #[napi(ts_return_type = "() => void")]
    pub fn turn_function<'env>(&self, env: &'env Env) -> Result<Function<'env, (), ()>> {
        turn_function(*env, &self.serving)
    }

    /// Lets the serving thread move to the CPU that so many batches in a row came from; 0, as at first: never.
    #[napi]
    pub fn set_follow(&self, batches: u32) {
        self.serving.borrow_mut().follower = Follower::new(batches);
    }

    /// Whether the channel keeps the loop alive.
    #[napi]
    pub fn set_ref(&self, keep_alive: bool) {
        if let Some(watch) = &mut self.serving.borrow_mut().watch {
            watch.set_ref(keep_alive);
        }
    }

    /// Watches the calling thread: if it gives no sign of life while requests wait, for `timeout` milliseconds, that is
    /// reported, and with `fail` the requests are ended with an error. `told` is called with nothing as a sign of life,
    /// and with the report when the thread lives again. It does not keep the loop alive.
    #[napi]
    pub fn watch_stalls(
        &self,
        env: Env,
        timeout: u32,
        fail: bool,
        told: Function<'_, Option<NativeStall>, ()>,
    ) -> Result<()> {
        let serving = self.serving.borrow();
        let shared = serving.shared.as_ref().ok_or_else(closed)?;
        let watched = Watched {
            connection: Arc::downgrade(shared.connection()),
            channel: Arc::downgrade(&serving.channel),
            thread: gettid(),
            pulse: Arc::clone(&serving.pulse),
            timeout: Duration::from_millis(timeout.into()),
            on_stall: if fail { OnStall::Fail } else { OnStall::Report },
            tell: teller(&told, Arc::clone(&serving.pulse))?,
        };
        watch(watched).map_err(|error| to_javascript(env, &error))
    }

    /// Counts a request whose deadline passed.
    #[napi]
    pub fn count_timeout(&self) {
        if let Some(shared) = &self.serving.borrow().shared {
            shared.connection().count_timeout();
        }
    }

    /// Ends the watch and lets go of the ring and /dev/fuse. Memory that JavaScript still sees stays.
    #[napi]
    pub fn close(&self) {
        let mut serving = self.serving.borrow_mut();
        if let Some(watch) = serving.watch.take() {
            watch.close();
        }
        lock(&serving.channel).take();
        serving.shared = None;
        look_again();
    }
}

/// A panic leaves a channel of no use, but the lock's other holder needs nothing of it.
fn lock(channel: &Mutex<Option<Channel>>) -> MutexGuard<'_, Option<Channel>> {
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(value: usize) -> f64 {
    value as f64
}
