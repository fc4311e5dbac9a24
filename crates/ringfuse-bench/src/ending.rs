//! The end of servers, however this program ends.
//!
//! Every server's process stands in one list from its start on. Whoever ends it takes it out under the list's lock:
//! the [`Guard`] that was given out for it, the main thread, which waits for signals, or the panic hook, which alone runs
//! where a panic aborts.

use std::{
    fmt::Display,
    fs, io,
    os::unix::process::CommandExt,
    panic,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, TERM_SIGNALS},
    iterator::{Handle, Signals},
    low_level::emulate_default_handler,
};
use tempfile::TempDir;

use crate::{error::Error, mounts};

/// How long a server may take to unmount and exit after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an ending server is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

static CHILDREN: Mutex<Vec<Mounted>> = Mutex::new(Vec::new());

/// A server's process, where it has one, and its directories.
#[derive(Debug)]
struct Mounted {
    name: &'static str,
    child: Option<Child>,
    mount: PathBuf,
    home: TempDir,
}

/// Ends its server when it is dropped, at the latest.
#[derive(Debug)]
pub struct Guard {
    mount: PathBuf,
    process: Option<u32>,
}

/// Starts the server `name` by its `command`, which mounts on `mount` below `home`. Both directories are removed at
/// its end.
///
/// The server has a process group of its own: Ctrl-C does not reach it but through its guard.
///
/// # Errors
///
/// [`Error::Start`] if the program cannot be executed.
pub fn spawn(
    name: &'static str,
    mut command: Command,
    mount: PathBuf,
    home: TempDir,
) -> Result<(Guard, ChildStdout), Error> {
    let mut children = children();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| Error::Start { program: command.get_program().into(), source })?;
    let output = child.stdout.take().expect("standard output is piped");
    let guard = Guard { mount: mount.clone(), process: Some(child.id()) };
    children.push(Mounted { name, child: Some(child), mount, home });
    Ok((guard, output))
}

/// Keeps `home`, with `mount` below it, until the guard is dropped, for what has no process.
#[must_use]
pub fn keep(name: &'static str, mount: PathBuf, home: TempDir) -> Guard {
    let guard = Guard { mount: mount.clone(), process: None };
    children().push(Mounted { name, child: None, mount, home });
    guard
}

/// Runs `body`, and sees to it that signals and panics meanwhile end the servers that it starts. Called once, by the
/// main thread, which signals come to first: `body` has a thread of its own, as a call that a filesystem does not answer
/// would keep signals from whoever made it.
///
/// # Errors
///
/// [`Error::Signals`] if signals cannot be caught, and those of `body`.
pub fn ending_servers<Outcome: Send + 'static>(
    body: impl FnOnce() -> Result<Outcome, Error> + Send + 'static,
) -> Result<Outcome, Error> {
    let mut signals = Signals::new(TERM_SIGNALS.iter().chain(&[SIGHUP])).map_err(Error::Signals)?;
    end_in_panics();
    let no_more_signals = NoMoreSignals(signals.handle());
    let body = thread::spawn(move || {
        let _no_more_signals = no_more_signals;
        body()
    });
    for signal in signals.forever() {
        // Held until the process ends, so that no server starts any more.
        let mut children = children();
        children.drain(..).for_each(Mounted::end);
        let _ = emulate_default_handler(signal);
    }
    body.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// Lets the thread that waits for signals go on when it is dropped.
struct NoMoreSignals(Handle);

impl Drop for NoMoreSignals {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn end_in_panics() {
    let inherited = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        inherited(panic);
        // Not awaited: the thread that panics may itself hold the list.
        match CHILDREN.try_lock() {
            Ok(mut children) => children.drain(..).for_each(Mounted::end),
            Err(TryLockError::Poisoned(children)) => children.into_inner().drain(..).for_each(Mounted::end),
            Err(TryLockError::WouldBlock) => {}
        }
    }));
}

impl Guard {
    /// The server's process, where it has one.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.process
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut children = children();
        if let Some(index) = children.iter().position(|mounted| mounted.mount == self.mount) {
            children.swap_remove(index).end();
        }
    }
}

impl Mounted {
    /// Ends the process and the mount: SIGTERM, then SIGKILL, then `umount`. Says what did not go as it should.
    fn end(self) {
        let name = self.name;
        for complaint in self.take_down() {
            eprintln!("{name} {complaint}");
        }
    }

    fn take_down(mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        let ended = self.child.as_mut().map(|child| terminate(child, &self.mount));
        match ended.unwrap_or_else(|| Ok(Some(ExitStatus::default()))) {
            Ok(Some(status)) if status.success() => {}
            Ok(None) => complaints.push(format!("did not end within {} s of SIGTERM", PATIENCE.as_secs())),
            Ok(Some(status)) => complaints.push(format!("ended with {status}")),
            Err(error) => complaints.push(format!("cannot be ended: {error}")),
        }
        match mounts::is_mounted(&self.mount) {
            Ok(false) => {}
            Ok(true) => {
                complaints.push("left its mount behind".to_owned());
                complaints.extend(failure("cannot unmount", mounts::unmount_now(&self.mount)));
            }
            Err(error) => complaints.push(error.to_string()),
        }
        // `remove_dir` refuses a mount point, so what is left of a filesystem is never emptied.
        match remove_mount_point(&self.mount) {
            Ok(()) => complaints.extend(failure("cannot remove its directory", self.home.close())),
            Err(error) => {
                complaints.push(format!("cannot remove {}: {error}", self.mount.display()));
                let _ = self.home.keep();
            }
        }
        complaints
    }
}

/// Ends a server's process, mounted on `mount`. Returns how it ended; none if it had to be killed.
fn terminate(child: &mut Child, mount: &Path) -> io::Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    // Not yet waited for, so the id is still this child's.
    let process = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    kill(process, Signal::SIGTERM)?;
    if let Some(status) = wait_patiently(child)? {
        return Ok(Some(status));
    }
    child.kill()?;
    if wait_patiently(child)?.is_some() {
        return Ok(None);
    }
    // A killed server that stays waits for its own filesystem: the abort of the connection frees it.
    mounts::unmount_now(mount)?;
    child.wait().map(|_| None)
}

fn wait_patiently(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let limit = Instant::now() + PATIENCE;
    while Instant::now() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(INTERVAL);
    }
    Ok(None)
}

fn children() -> MutexGuard<'static, Vec<Mounted>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_mount_point(mount: &Path) -> io::Result<()> {
    match fs::remove_dir(mount) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn failure<E: Display>(what: &str, outcome: Result<(), E>) -> Option<String> {
    outcome.err().map(|error| format!("{what}: {error}"))
}
