//! A server at work: started, mounted, and ended with its guard.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::ChildStdout,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use crate::{
    ending::{self, Guard},
    error::Error,
    limits, mounts,
    server::{Caching, Server},
};

/// How long a server may take until it says that it is mounted.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How many lines of a server's standard error explain why it did not start.
const EXPLANATION_LINES: usize = 20;

/// A server that has mounted its directory. Dropping it ends and unmounts it.
#[derive(Debug)]
pub struct Running {
    guard: Guard,
    /// What clients work on: the mount, or the plain directory.
    directory: PathBuf,
    /// What a mirror shows.
    beneath: Option<PathBuf>,
    ready: String,
}

impl Running {
    /// Starts `server` on a fresh directory, with nothing cached, and waits until it is mounted.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] and [`Error::NotMounted`], with the reason, if it cannot be had.
    pub fn start(server: &Server, repository: &Path) -> Result<Self, Error> {
        Self::start_cached(server, repository, Caching::None)
    }

    /// The same, with what the kernel may cache.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_cached(server: &Server, repository: &Path, caching: Caching) -> Result<Self, Error> {
        let home = tempfile::Builder::new().prefix("ringfuse-bench-").tempdir();
        let home = home.map_err(|source| failed("make a directory in", std::env::temp_dir(), source))?;
        // As the kernel names it in `/proc/self/mountinfo`.
        let directory =
            home.path().canonicalize().map_err(|source| failed("resolve", home.path(), source))?;
        let [mount, beneath, log] = ["mount", "beneath", "log"].map(|name| directory.join(name));
        for directory in [&mount, &beneath] {
            fs::create_dir(directory).map_err(|source| failed("create", directory, source))?;
        }
        let Some(mut command) = server.command(repository, &mount, &beneath, caching)? else {
            let guard = ending::keep(server.name, mount, home);
            return Ok(Self { guard, directory: beneath, beneath: None, ready: "no server".to_owned() });
        };
        let log_file = File::create(&log).map_err(|source| failed("create", &log, source))?;

        command.stderr(log_file);
        limits::raise_open_files();
        let (guard, output) = ending::spawn(server.name, command, mount.clone(), home)?;
        let ready = await_ready(output, server.ready).map_err(|missing| {
            Error::NotMounted(match missing {
                RecvTimeoutError::Timeout => {
                    format!("no line `{}…` within {} s", server.ready, START_LIMIT.as_secs())
                }
                RecvTimeoutError::Disconnected => explanation(&log),
            })
        })?;
        let beneath = server.is_mirror().then_some(beneath);
        let running = Self { guard, directory: mount, beneath, ready };
        running.check()?;
        Ok(running)
    }

    /// The directory that the server is mounted on, or the plain one.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory that a mirror shows.
    #[must_use]
    pub fn beneath(&self) -> Option<&Path> {
        self.beneath.as_deref()
    }

    /// The server's process, where it has one.
    #[must_use]
    pub fn process(&self) -> Option<i32> {
        self.guard.process().and_then(|process| i32::try_from(process).ok())
    }

    /// The line by which the server said that it is mounted, which names its transport.
    #[must_use]
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Checks that the directory is still the server's, and not the bare one beneath it.
    ///
    /// # Errors
    ///
    /// [`Error::NotMounted`] if it is not.
    pub fn check(&self) -> Result<(), Error> {
        if self.guard.process().is_none() || mounts::is_mounted(&self.directory)? {
            Ok(())
        } else {
            Err(Error::NotMounted(format!("nothing is mounted on {}", self.directory.display())))
        }
    }
}

/// Waits for the line that begins with `prefix`. What the server prints after it is read and dropped, so that it
/// never meets a full or a broken pipe.
fn await_ready(output: ChildStdout, prefix: &'static str) -> Result<String, RecvTimeoutError> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let ready = output.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with(prefix));
        if let Some(line) = ready {
            // Nobody listens any more if the line came too late.
            let _ = sender.send(line);
        }
        drop(sender);
        let _ = io::copy(&mut output, &mut io::sink());
    });
    receiver.recv_timeout(START_LIMIT)
}

/// The part of a server's standard error that explains its end.
fn explanation(log: &Path) -> String {
    gist(&fs::read_to_string(log).unwrap_or_default())
}

/// Some lines of a text, from the one that names an error, or else the last ones. Frames of a stack explain nothing.
fn gist(text: &str) -> String {
    let is_frame = |line: &str| line.trim_start().starts_with("at ");
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty() && !is_frame(line)).collect();
    let named = lines.iter().position(|line| line.contains("Error: "));
    let first = named.unwrap_or(lines.len().saturating_sub(EXPLANATION_LINES));
    match &lines[first..lines.len().min(first + EXPLANATION_LINES)] {
        [] => "it ended without a word".to_owned(),
        lines => lines.join("\n"),
    }
}

fn failed(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
    Error::Path { action, path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_begins_with_the_error_and_has_no_frames_of_the_stack() {
        let error = "Error: libfuse.so.2: cannot open shared object file";
        let said = format!(
            "node:internal/loader:1\n  ^\n\n{error}\n    at Module.load (loader:1266:32)\n    at main\n"
        );
        assert_eq!(gist(&said), error);
        assert_eq!(gist("one\n\ntwo\n"), "one\ntwo");
        assert_eq!(gist("\n"), "it ended without a word");
    }
}
