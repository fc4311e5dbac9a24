//! The thread that watches the serving threads of a process, as long as there are any.
//!
//! It looks now and then whether requests wait (fc->num_waiting, which the control filesystem shows). If so, and if
//! the channel has not turned since it last looked, it asks the serving thread for a sign of life, and reports a
//! stall if there is none for as long as was agreed. A thread that surely waits for its own mount is not given that long:
//! it would wait for ever, and until that is ended no signal ends the process. A request costs one store in its turn; a
//! mount that nobody uses, two wake-ups a second, each of some microseconds.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::channel::{Channel, HeldRequest};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::mount::Unmount;
use crate::stall::nudge::nudge;
use crate::stall::report::{Outcome, Stall};
use crate::stall::thread::{Cause, diagnose, waits_for_mount};

/// Looks in the agreed time while nothing is suspicious.
const LOOKS: u32 = 2;

/// Looks in the agreed time while a sign of life is waited for.
const CLOSE_LOOKS: u32 = 8;

/// Longest pause while nothing is suspicious.
const PAUSE: Duration = Duration::from_millis(500);

/// Longest pause while a sign of life is waited for.
const CLOSE_PAUSE: Duration = Duration::from_millis(100);

/// What is done about a stall, after it was reported. A thread that surely waits for its own mount has its requests
/// ended in any case.
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

    /// The thread has heard that it was asked.
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
    /// The channel, locked by its thread for each turn. Nothing after its end.
    pub channel: Weak<Mutex<Option<Channel>>>,
    /// The thread that serves it.
    pub thread: Pid,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
    /// How long requests may wait without one.
    pub timeout: Duration,
    /// What is done then.
    pub on_stall: OnStall,
    /// Reaches the thread as soon as it lives: asks it to [`Pulse::give`], or tells it of a stall. It must not wait.
    pub tell: Box<dyn Fn(Option<Stall>) + Send>,
}

/// What is known of a watched channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is suspicious.
    Well,
    /// It was asked for a sign of life. The time is that of the watchdog's own pauses, so that a process that was
    /// stopped for a while is not taken for a stalled one.
    Asked { waited: Duration },
    /// It was reported.
    Stalled { waited: Duration },
}

struct Patient {
    watched: Watched,
    turns: u64,
    state: State,
}

/// The channels of this process that are watched, and whether the thread runs: it does while there are some.
#[derive(Default)]
struct Ward {
    patients: Vec<Patient>,
    runs: bool,
    /// Whether to look at once.
    again: bool,
}

static WARD: Mutex<Ward> = Mutex::new(Ward { patients: Vec::new(), runs: false, again: false });
static CHANGED: Condvar = Condvar::new();

/// Watches a channel until it ends.
///
/// # Errors
/// [`Error::Thread`].
pub fn watch(watched: Watched) -> Result<()> {
    let mut ward = lock();
    if !ward.runs {
        thread::Builder::new().name("ringfuse-watch".to_owned()).spawn(run).map_err(Error::Thread)?;
        ward.runs = true;
    }
    ward.patients.push(Patient { watched, turns: 0, state: State::Well });
    ward.again = true;
    CHANGED.notify_one();
    Ok(())
}

/// Looks at all channels now, so as to let go of those that have ended.
pub fn look_again() {
    lock().again = true;
    CHANGED.notify_one();
}

fn lock() -> MutexGuard<'static, Ward> {
    WARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks at all channels again and again, until there is none.
fn run() {
    let mut pause = Duration::ZERO;
    loop {
        let mut ward = lock();
        ward.again = false;
        for index in 0..ward.patients.len() {
            // Whoever looks may take time: none of the lock's.
            let Some(mut patient) = ward.patients.pop() else { break };
            drop(ward);
            let lives = patient.look(pause);
            ward = lock();
            if lives {
                let index = index.min(ward.patients.len());
                ward.patients.insert(index, patient);
            }
        }
        let Some(shortest) = ward.patients.iter().map(Patient::pause).min() else {
            ward.runs = false;
            return;
        };
        let began = Instant::now();
        drop(CHANGED.wait_timeout_while(ward, shortest, |ward| !ward.again));
        pause = began.elapsed().min(shortest);
    }
}

impl Patient {
    /// Until it is to be looked at again.
    fn pause(&self) -> Duration {
        match self.state {
            State::Well => PAUSE.min(self.watched.timeout / LOOKS),
            State::Asked { .. } => CLOSE_PAUSE.min(self.watched.timeout / CLOSE_LOOKS),
            State::Stalled { .. } => self.watched.timeout / CLOSE_LOOKS,
        }
    }

    /// Looks after a pause; false if there is nothing left to look at.
    fn look(&mut self, pause: Duration) -> bool {
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
                self.watched.pulse.ask();
                (self.watched.tell)(None);
                State::Asked { waited: Duration::ZERO }
            }
            // Where other threads serve the mount, they may be at work on the very request.
            State::Asked { waited }
                if waited + pause < self.watched.timeout
                    && (connection.is_shared() || !self.waits_for_itself(&connection)) =>
            {
                State::Asked { waited: waited + pause }
            }
            State::Asked { waited } => self.stall(&connection, &channel, waited + pause),
            State::Stalled { waited } => {
                if self.watched.on_stall == OnStall::Fail {
                    Self::answer(&channel, Errno::ETIMEDOUT, |_| true);
                }
                State::Stalled { waited: waited + pause }
            }
        };
        true
    }

    /// There was no sign of life: reports it, if anything waits still, and does what was agreed.
    fn stall(
        &self,
        connection: &Arc<Connection>,
        channel: &Mutex<Option<Channel>>,
        waited: Duration,
    ) -> State {
        let waiting_requests = connection.waiting();
        let held = channel.try_lock().ok().and_then(|channel| channel.as_ref().map(Channel::held));
        let mut requests = held.unwrap_or_default();
        let (cause, callers) = diagnose(self.watched.thread);
        // Where the kernel does not tell how many wait, something must show that some do. Callers that wait for FUSE may
        // wait for another filesystem: they are worth a report, but end nothing.
        let shown = || {
            let told = self.watched.on_stall == OnStall::Report && !callers.is_empty();
            told || !requests.is_empty() || matches!(cause, Cause::OwnMount { .. })
        };
        if !waiting_requests.map_or_else(shown, |count| count > 0) {
            return State::Asked { waited };
        }
        connection.count_stall();
        let own = self.watched.thread.as_raw().cast_unsigned();
        let answered = match self.watched.on_stall {
            // The requests of others have time: this thread lives when its own is answered.
            _ if matches!(cause, Cause::OwnMount { .. }) && self.waits_for_itself(connection) => {
                Some(Self::answer(channel, Errno::ECANCELED, |request| request.pid == own))
            }
            OnStall::Fail => Some(Self::answer(channel, Errno::ETIMEDOUT, |_| true)),
            OnStall::Report => None,
        };
        let outcome = match answered {
            None => Outcome::Waiting,
            Some(None) => Outcome::Ended,
            // It is not among those that there is room for.
            Some(Some(answered)) if answered.is_empty() && self.watched.on_stall == OnStall::Report => {
                Outcome::Waiting
            }
            Some(Some(answered)) => {
                requests = answered;
                Outcome::Answered
            }
        };
        let stall = Stall {
            path: connection.mount().path().to_owned(),
            thread: self.watched.thread,
            waited,
            waiting: waiting_requests,
            cause,
            requests,
            callers,
            outcome,
        };
        if outcome == Outcome::Ended {
            connection.set_stalled(stall.to_string());
        }
        // The event loop cannot say it. Where it goes nowhere there is nobody to be told.
        let _ = std::io::stderr().lock().write_all(format!("{stall}\n").as_bytes());
        if outcome == Outcome::Ended {
            self.end(connection, channel);
        }
        (self.watched.tell)(Some(stall));
        State::Stalled { waited }
    }

    /// Ends the connection, and with it all requests.
    fn end(&self, connection: &Connection, channel: &Mutex<Option<Channel>>) {
        let mut channel = channel.try_lock().ok();
        let channel = channel.as_mut().and_then(|channel| channel.as_mut());
        // Requests that wait for the thread's task work go on waiting when the connection ends. A program that is being
        // started has the ring open as well, so that closing it here does not end them.
        if let Some(ring) = channel.as_ref().and_then(|channel| channel.abandonable_ring()) {
            nudge(self.watched.thread, ring);
        }
        // This only fails if the process has no thread left; then closing the ring ends what it can.
        let _ = connection.unmount(Unmount::Force);
        if let Some(channel) = channel {
            channel.abandon_ring();
        }
    }

    /// Whether the thread waits for a request of its own that nobody else can answer: only looked for where it has not
    /// turned, nor given a sign of life, since it was asked.
    fn waits_for_itself(&self, connection: &Arc<Connection>) -> bool {
        waits_for_mount(self.watched.thread, connection)
            && (!connection.is_shared() || self.others_are_well(connection))
    }

    /// Whether all other threads that serve the mount live, and hold no request of this one. One that is only being
    /// started or replaced counts as well as one that is busy.
    fn others_are_well(&self, connection: &Arc<Connection>) -> bool {
        let own = self.watched.thread.as_raw().cast_unsigned();
        let ward = lock();
        let others =
            ward.patients.iter().filter(|other| other.watched.connection.as_ptr() == Arc::as_ptr(connection));
        let mut count = 1;
        for Patient { watched, .. } in others {
            let Some(channel) = watched.channel.upgrade() else { return false };
            let Ok(channel) = channel.try_lock() else { return false };
            let Some(channel) = channel.as_ref() else { return false };
            if !watched.pulse.is_given() || channel.held().iter().any(|request| request.pid == own) {
                return false;
            }
            count += 1;
        }
        count == connection.channels()
    }

    /// Answers the requests that wait and are wanted, where another thread can; otherwise nothing.
    fn answer(
        channel: &Mutex<Option<Channel>>,
        errno: Errno,
        wanted: impl Fn(&HeldRequest) -> bool,
    ) -> Option<Vec<HeldRequest>> {
        let mut channel = channel.try_lock().ok()?;
        channel.as_mut()?.answer_in_place(errno, wanted)
    }
}
