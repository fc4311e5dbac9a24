//! The thread that watches a process's serving threads while there are any.
//!
//! It checks now and then whether requests wait (fc->num_waiting, which the control filesystem shows).
//! If they do, and the channel has not turned since the last check, it asks the serving thread for a
//! sign of life, and reports a stall if none comes within the timeout. A thread that surely waits for
//! itself (see `deadlock`) is not given that long: it never wakes, and no signal ends the process
//! until its request is ended. A request costs one store in its turn. An idle mount costs two wake-ups
//! a second of some microseconds each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{Pid, gettid};

use crate::channel::{Channel, HeldRequest};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::mount::{Unmount, mountpoints};
use crate::stall::bounded::{prepare, within};
use crate::stall::callers::Caller;
use crate::stall::cause::{Cause, call, callers};
use crate::stall::deadlock::{Counts, Deadlock, Scene, Sleeper, View};
use crate::stall::fuse_wait::{FuseWait, WaitsOn};
use crate::stall::interrupt::interrupt;
use crate::stall::report::{Outcome, Stall};
use crate::stall::system_calls::{call_of, connections_named};

/// Checks within the timeout while nothing is suspicious.
const CHECKS: u32 = 2;

/// Checks within the timeout while a sign of life is awaited.
const CLOSE_CHECKS: u32 = 8;

/// Longest pause while nothing is suspicious.
const PAUSE: Duration = Duration::from_millis(500);

/// Longest pause while a sign of life is awaited.
const CLOSE_PAUSE: Duration = Duration::from_millis(100);

/// How many times the pause that was intended counts at most.
const LONGEST_COUNTED: u32 = 3;

/// How long reading the arguments of a system call may take.
const NAMING: Duration = Duration::from_millis(100);

/// How long the unmounting of a mount that ends may take before its rings are closed.
const UNMOUNTING: Duration = Duration::from_millis(200);

/// What happens after a stall was reported. A thread that surely waits for itself has its requests
/// ended in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStall {
    /// Nothing.
    Report,
    /// Requests are ended with an error.
    Fail,
}

/// Signs of life of a serving thread.
#[derive(Debug, Default)]
pub struct Pulse {
    turns: AtomicU64,
    asked: AtomicU64,
    given: AtomicU64,
}

impl Pulse {
    /// The channel turns. Only its own thread calls this.
    pub fn turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The thread answers the request for a sign of life.
    pub fn give(&self) {
        self.given.store(self.asked.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    fn is_given(&self) -> bool {
        self.given.load(Ordering::Relaxed) == self.asked.load(Ordering::Relaxed)
    }
}

/// A channel to be watched.
pub struct Watched {
    /// The mount.
    pub connection: Weak<Connection>,
    /// The channel, locked by its thread for each turn. `None` after its end.
    pub channel: Weak<Mutex<Option<Channel>>>,
    /// The thread that serves it.
    pub thread: Pid,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
    /// How long requests may wait without one.
    pub timeout: Duration,
    /// What happens then.
    pub on_stall: OnStall,
    /// Reaches the thread when it runs its event loop: asks it to [`Pulse::give`] and then to turn its
    /// channel, or passes a stall. It must not block.
    pub tell: Box<dyn Fn(Option<Stall>) + Send>,
}

/// What is known of a watched channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is suspicious.
    Well,
    /// It was asked for a sign of life. The time is the sum of the watchdog's own pauses, each of which is
    /// limited, so that a process that was stopped for a while is not taken for a stalled one.
    Asked { waited: Duration },
    /// It was reported.
    Stalled { waited: Duration },
}

/// One watched channel.
struct Monitor {
    watched: Watched,
    turns: u64,
    state: State,
}

/// The channels that are watched, and whether the watchdog runs: it does while there are some.
#[derive(Default)]
struct Registry {
    monitors: Vec<Monitor>,
    runs: bool,
    /// Whether to check at once.
    again: bool,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { monitors: Vec::new(), runs: false, again: false });
static CHANGED: Condvar = Condvar::new();

/// Watches a channel until it ends.
///
/// # Errors
/// [`Error::Thread`].
pub fn watch(watched: Watched) -> Result<()> {
    let mut registry = lock();
    if !registry.runs {
        thread::Builder::new().name("ringfuse-watch".to_owned()).spawn(run).map_err(Error::Thread)?;
        registry.runs = true;
    }
    registry.monitors.push(Monitor { watched, turns: 0, state: State::Well });
    registry.again = true;
    CHANGED.notify_one();
    Ok(())
}

/// Checks all channels now, to release those that have ended.
pub fn look_again() {
    lock().again = true;
    CHANGED.notify_one();
}

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks all channels again and again until there is none.
fn run() {
    rehearse();
    let mut pause = Duration::ZERO;
    let mut began = Instant::now();
    let mut deadlocks = Deadlocks::default();
    loop {
        let mut registry = lock();
        registry.again = false;
        // A check may take time, during which the lock stays free.
        let mut monitors = std::mem::take(&mut registry.monitors);
        drop(registry);
        monitors.retain_mut(|monitor| monitor.check(pause));
        deadlocks.end_one(&mut monitors);
        for monitor in &mut monitors {
            monitor.end_overdue(&deadlocks.waits);
        }
        let mut registry = lock();
        monitors.append(&mut registry.monitors);
        registry.monitors = monitors;
        let Some(shortest) = registry.monitors.iter().map(Monitor::pause).min() else {
            registry.runs = false;
            return;
        };
        drop(CHANGED.wait_timeout_while(registry, shortest, |registry| !registry.again));
        // Checks take time, too. A process that was stopped has not waited longer for that.
        pause = began.elapsed().min(LONGEST_COUNTED * shortest);
        began = Instant::now();
    }
}

/// Does once what is done about a stall, so that nothing of it needs the dynamic loader later: see
/// `bounded`.
fn rehearse() {
    prepare(|| drop(call_of(Pid::this(), gettid())));
    let _ = FuseWait::of(gettid(), &BTreeSet::new());
    let _ = (named(gettid(), false), call(gettid()), mountpoints(&BTreeSet::new()));
    let _ = std::io::stderr().lock().flush();
}

/// The threads that sleep for a FUSE filesystem, and what is known of their deadlocks.
#[derive(Default)]
struct Deadlocks {
    waits: BTreeMap<Pid, FuseWait>,
    /// Those that the last check found.
    found: Vec<Deadlock>,
}

impl Deadlocks {
    /// Ends the request of one thread that waits for itself, if there is one. Others may be able to go
    /// on then; if not, they follow.
    fn end_one(&mut self, monitors: &mut [Monitor]) {
        let suspects: BTreeSet<Pid> = monitors
            .iter()
            .filter(|monitor| monitor.state != State::Well)
            .map(|monitor| monitor.watched.thread)
            .collect();
        self.waits.retain(|thread, wait| suspects.contains(thread) && wait.lasts());
        self.waits.values_mut().for_each(FuseWait::rule_out);
        let scene = self.scene(monitors);
        self.find_waits(&suspects, monitors);
        let before = std::mem::replace(&mut self.found, scene.deadlocks());
        // A thread that shares a connection may just be taking the request.
        let is_sure = |found: &&Deadlock| {
            let channels = scene.connections.get(&found.connection).map(|counts| counts.channels);
            let lasts = self.waits.get(&found.thread).is_some_and(FuseWait::lasts);
            lasts && (channels == Some(1) || before.contains(found))
        };
        if let Some(deadlock) = self.found.iter().find(is_sure) {
            end(monitors, *deadlock);
        }
    }

    /// Notes the threads that began to sleep for a FUSE filesystem. All others have until the next check
    /// to give a sign of life.
    fn find_waits(&mut self, suspects: &BTreeSet<Pid>, monitors: &[Monitor]) {
        let own: BTreeSet<u32> = monitors.iter().filter_map(Monitor::number).collect();
        let mut fresh = false;
        for thread in suspects {
            if !self.waits.contains_key(thread)
                && let Some(wait) = FuseWait::of(*thread, &own)
            {
                self.waits.insert(*thread, wait);
                fresh = true;
            }
        }
        if fresh {
            for monitor in monitors {
                monitor.watched.ask();
            }
        }
    }

    fn scene(&self, monitors: &[Monitor]) -> Scene {
        let mut scene = Scene::default();
        if self.waits.is_empty() {
            return scene;
        }
        for monitor in monitors {
            let Some((number, connection)) = monitor.number().zip(monitor.watched.connection.upgrade())
            else {
                continue;
            };
            let of_same = || monitors.iter().filter(|other| other.number() == Some(number));
            // A channel's thread that is well takes its requests itself.
            let take = of_same().all(|other| self.waits.contains_key(&other.watched.thread));
            let counts = Counts { waiting: connection.waiting(), channels: connection.channels() };
            scene.connections.entry(number).or_insert(counts);
            scene.views.push(monitor.view(number, take));
        }
        // After the requests were taken, which does not change the counts.
        for (thread, wait) in &self.waits {
            // A lock may have nothing to do with FUSE: only a call on the mount shows that it does.
            let elsewhere = wait.on() == WaitsOn::Lock || !wait.others().is_empty();
            let named = if elsewhere || scene.connections.len() > 1 {
                // What else the call names may be what holds the lock.
                named(*thread, wait.on() == WaitsOn::Lock)
            } else {
                BTreeSet::new()
            };
            scene.sleepers.push(Sleeper {
                thread: *thread,
                answer: wait.on() == WaitsOn::Answer,
                elsewhere,
                named,
            });
        }
        scene
    }
}

/// The connections that the system call of a thread names, if they are found in time: see
/// [`connections_named`].
fn named(thread: Pid, all: bool) -> BTreeSet<u32> {
    within(NAMING, move || connections_named(thread, all)).unwrap_or_default()
}

/// Ends the request that a thread waits for in vain.
fn end(monitors: &mut [Monitor], deadlock: Deadlock) {
    let Deadlock { thread, connection } = deadlock;
    let id = thread.as_raw().cast_unsigned();
    let concerned =
        |monitor: &&mut Monitor| monitor.number() == Some(connection) && !monitor.watched.pulse.is_given();
    let mut of_connection: Vec<&mut Monitor> = monitors.iter_mut().filter(concerned).collect();
    // While the thread still sleeps.
    let (cause, callers) = (Cause::OwnMount { call: call(thread) }, callers());
    // The request that it waits for, or if another caller's request keeps it waiting, all.
    for wanted in [|pid: u32, id: u32| pid == id, |_, _| true] {
        for monitor in &mut of_connection {
            let (Some(connection), Some(channel)) =
                (monitor.watched.connection.upgrade(), monitor.watched.channel.upgrade())
            else {
                continue;
            };
            let waiting = connection.waiting();
            let wanted = |request: &HeldRequest| wanted(request.pid, id);
            let answer = monitor.watched.answer(&channel, Errno::ECANCELED, wanted);
            let (outcome, requests) = match answer {
                None => (Outcome::Ended, held(&channel)),
                Some(answered) if answered.is_empty() => continue,
                Some(answered) => (Outcome::Answered, answered),
            };
            let path = connection.mount().path().to_owned();
            let waited = monitor.waited();
            let stall = Stall { path, thread, waited, waiting, cause, requests, callers, outcome };
            connection.count_stall();
            monitor.state = State::Stalled { waited: monitor.waited() };
            publish(&connection, &stall);
            if outcome == Outcome::Ended {
                // Every thread that sleeps has the ring that only it can close.
                let concerned = of_connection
                    .iter()
                    .filter_map(|monitor| Some((monitor.watched.thread, monitor.watched.channel.upgrade()?)));
                end_connection(&connection, concerned);
                let first = of_connection.first().map(|monitor| &monitor.watched.tell);
                return first.into_iter().for_each(|tell| tell(Some(stall.clone())));
            }
            return (monitor.watched.tell)(Some(stall));
        }
    }
}

/// Writes the report. The event loop cannot: it is stuck.
fn publish(connection: &Connection, stall: &Stall) {
    if stall.outcome == Outcome::Ended {
        connection.set_stalled(stall.to_string());
    }
    // If standard error is closed, there is no place to report to.
    let _ = std::io::stderr().lock().write_all(format!("{stall}\n").as_bytes());
}

/// Ends the connection, and with it all requests, including those that only the stuck `channels`' threads
/// can see.
fn end_connection(
    connection: &Arc<Connection>,
    channels: impl Iterator<Item = (Pid, Arc<Mutex<Option<Channel>>>)>,
) {
    let channels: Vec<_> = channels.collect();
    for (thread, channel) in &channels {
        let channel = channel.try_lock().ok();
        let ring = channel.as_ref().and_then(|channel| channel.as_ref()?.abandonable_ring());
        // Requests that wait for the thread's task work outlive the connection. A program that is being
        // started has the ring open as well, so closing it here does not end them.
        if let Some(ring) = ring {
            interrupt(*thread, ring);
        }
    }
    // Aborts the connection, too. Callers that come afterwards find no mount.
    let mount = Arc::clone(connection);
    let unmounted = within(UNMOUNTING, move || mount.mount().unmount(Unmount::Force));
    connection.mount().abort();
    for (_, channel) in &channels {
        if let Ok(mut channel) = channel.try_lock()
            && let Some(channel) = channel.as_mut()
        {
            channel.abandon_ring();
        }
    }
    if !matches!(unmounted, Some(Ok(()))) {
        // Not before, as this makes a thread: see `bounded`. It only fails if there can be none.
        let _ = connection.unmount(Unmount::Force);
    }
}

fn held(channel: &Mutex<Option<Channel>>) -> Vec<HeldRequest> {
    let held = channel.try_lock().ok().and_then(|channel| channel.as_ref().map(Channel::held));
    held.unwrap_or_default()
}

impl Watched {
    /// Asks for a sign of life.
    fn ask(&self) {
        self.pulse.ask();
        (self.tell)(None);
    }

    /// Answers the requests that wait and are wanted, where another thread can. `None` where only the
    /// serving thread can.
    fn answer(
        &self,
        channel: &Mutex<Option<Channel>>,
        errno: Errno,
        wanted: impl Fn(&HeldRequest) -> bool,
    ) -> Option<Vec<HeldRequest>> {
        let mut locked = channel.try_lock().ok()?;
        let answered = locked.as_mut()?.answer_in_place(errno, wanted);
        drop(locked);
        self.ask_to_turn();
        answered
    }

    /// Makes the thread turn its channel when it can, which it does with each sign of life: nothing else
    /// signals requests that were taken in its place. To be called after its channel is unlocked. A sign
    /// that is still awaited then comes with a turn that finds them.
    fn ask_to_turn(&self) {
        if self.pulse.is_given() {
            self.ask();
        }
    }
}

impl Monitor {
    /// The time until the next check.
    fn pause(&self) -> Duration {
        match self.state {
            State::Well => PAUSE.min(self.watched.timeout / CHECKS),
            State::Asked { .. } => CLOSE_PAUSE.min(self.watched.timeout / CLOSE_CHECKS),
            State::Stalled { .. } => self.watched.timeout / CLOSE_CHECKS,
        }
    }

    fn waited(&self) -> Duration {
        match self.state {
            State::Well => Duration::ZERO,
            State::Asked { waited } | State::Stalled { waited } => waited,
        }
    }

    /// The connection's number, while there is one.
    fn number(&self) -> Option<u32> {
        self.watched.connection.upgrade()?.mount().connection()
    }

    /// Checks after a pause. Returns false if there is nothing left to watch.
    fn check(&mut self, pause: Duration) -> bool {
        let Some(connection) = self.watched.connection.upgrade() else { return false };
        let Some(channel) = self.watched.channel.upgrade() else { return false };
        // A lock that is held is a turn under way.
        if connection.ended() || channel.try_lock().is_ok_and(|channel| channel.is_none()) {
            return false;
        }
        let turns = self.watched.pulse.turns.load(Ordering::Relaxed);
        let turned = turns != self.turns;
        self.turns = turns;
        self.state = match self.state {
            _ if turned || (self.state != State::Well && self.watched.pulse.is_given()) => State::Well,
            State::Well if connection.waiting() == Some(0) => State::Well,
            State::Well => {
                self.watched.ask();
                State::Asked { waited: Duration::ZERO }
            }
            State::Asked { waited } => State::Asked { waited: waited + pause },
            State::Stalled { waited } => {
                if self.watched.on_stall == OnStall::Fail {
                    self.watched.answer(&channel, Errno::ETIMEDOUT, |_| true);
                }
                State::Stalled { waited: waited + pause }
            }
        };
        true
    }

    /// The channel at this moment. With `take`, requests that any thread can take are taken first.
    fn view(&self, connection: u32, take: bool) -> View {
        let Watched { thread, pulse, .. } = &self.watched;
        let mut view = View { connection, thread: *thread, responsive: false, held: None };
        let Some(channel) = self.watched.channel.upgrade() else { return view };
        let Ok(mut locked) = channel.try_lock() else { return view };
        if let Some(channel) = locked.as_mut() {
            if take {
                channel.take_in_place();
            }
            view.responsive = pulse.is_given() && channel.has_room();
            view.held = Some(channel.held());
        }
        drop(locked);
        if take {
            self.watched.ask_to_turn();
        }
        view
    }

    /// If there was no sign of life within the timeout: reports the stall, if requests still wait, and
    /// does what was agreed.
    fn end_overdue(&mut self, waits: &BTreeMap<Pid, FuseWait>) {
        let State::Asked { waited } = self.state else { return };
        if waited < self.watched.timeout {
            return;
        }
        let Some(connection) = self.watched.connection.upgrade() else { return };
        let Some(channel) = self.watched.channel.upgrade() else { return };
        let waiting = connection.waiting();
        let thread = self.watched.thread;
        let callers = callers();
        let cause = Cause::of(thread, &callers, || waited_for(&connection, waits.get(&thread), thread));
        let mut requests = held(&channel);
        if !waiting.map_or_else(|| self.shows(&requests, &callers), |count| count > 0) {
            return;
        }
        connection.count_stall();
        let outcome = match self.watched.on_stall {
            OnStall::Report => Outcome::Waiting,
            OnStall::Fail => match self.watched.answer(&channel, Errno::ETIMEDOUT, |_| true) {
                None => Outcome::Ended,
                Some(answered) => {
                    requests = answered;
                    Outcome::Answered
                }
            },
        };
        let path = connection.mount().path().to_owned();
        let stall = Stall { path, thread, waited, waiting, cause, requests, callers, outcome };
        publish(&connection, &stall);
        if outcome == Outcome::Ended {
            end_connection(&connection, std::iter::once((thread, channel)));
        }
        (self.watched.tell)(Some(stall));
        self.state = State::Stalled { waited };
    }

    /// Whether requests seem to wait, where the kernel does not count them. Callers of FUSE may wait for
    /// another filesystem: they are worth a report, but end nothing.
    fn shows(&self, requests: &[HeldRequest], callers: &[Caller]) -> bool {
        !requests.is_empty() || (self.watched.on_stall == OnStall::Report && !callers.is_empty())
    }
}

/// The mountpoints that a thread may be waiting for: those that its call names if it names one of them.
fn waited_for(connection: &Connection, wait: Option<&FuseWait>, thread: Pid) -> Vec<PathBuf> {
    let mut possible: BTreeSet<u32> = wait.map(|wait| wait.others().clone()).unwrap_or_default();
    if possible.is_empty() {
        possible.extend(connection.mount().connection());
    }
    let named: BTreeSet<u32> = named(thread, false).intersection(&possible).copied().collect();
    mountpoints(if named.is_empty() { &possible } else { &named })
}
