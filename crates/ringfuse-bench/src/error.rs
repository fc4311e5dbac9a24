//! What can go wrong, and what to try.

use std::{io, path::PathBuf, time::Duration};

use nix::errno::Errno;

/// The error of every part of the benchmark.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call on a path failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Path {
        /// What was tried, as a verb.
        action: &'static str,
        /// The object of the verb.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// The filesystem has no direct I/O.
    #[error("{} cannot be opened with O_DIRECT; choose a directory on a filesystem with direct I/O", .0.display())]
    DirectRefused(PathBuf),

    /// A file holds less than one block of the operation.
    #[error(
        "{} holds {length} bytes, {operation} takes {needed} at a time; remove or extend the file",
        path.display()
    )]
    FileTooShort {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The operation's name.
        operation: &'static str,
        /// The operation's block in bytes.
        needed: usize,
    },

    /// An operation failed while it was measured.
    #[error("{operation} failed under load: {source}")]
    Operation {
        /// The operation's name.
        operation: &'static str,
        /// The system's answer.
        source: io::Error,
    },

    /// A load did not end in time.
    #[error("no end after {} s: the filesystem does not answer", .0.as_secs_f64())]
    Stalled(Duration),

    /// A text that is neither `free` nor a list of CPUs.
    #[error("`{0}` is no CPU list; write `free`, or CPUs as in `0,2-3`")]
    CpuList(String),

    /// A text that is no length of time.
    #[error("`{0}` is no time; write seconds above zero, as in `0.5`")]
    Seconds(String),

    /// The kernel refused to pin a client.
    #[error("cannot pin a client to CPU {cpu}: {source}")]
    Pin {
        /// The CPU's number.
        cpu: usize,
        /// The system's answer.
        source: Errno,
    },

    /// The CPUs that this process may use could not be told.
    #[error("cannot read the CPUs that clients may use: {0}")]
    Cpus(Errno),

    /// The CPU time of this thread could not be read.
    #[error("cannot read the CPU time of a client: {0}")]
    ClientTime(Errno),

    /// The CPU time of a server could not be read.
    #[error("cannot read the CPU time of the server: {0}")]
    ServerTime(Errno),

    /// A fact of `/proc` could not be read.
    #[error("cannot read {what}: {source}")]
    Proc {
        /// What was looked for.
        what: &'static str,
        /// The answer.
        source: procfs::ProcError,
    },

    /// A server's program could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// A server on another library could not be built.
    #[error("{name} cannot be built: {reason}")]
    Peer {
        /// The library.
        name: &'static str,
        /// What the build said.
        reason: String,
    },

    /// A name that no server has.
    #[error("there is no server `{0}`; there are:\n{list}", list = crate::server::list())]
    UnknownServer(String),

    /// A server's command that cannot mount.
    #[error("`{0}` names no command with the word DIR, which stands for the directory to mount on")]
    ServerCommand(String),

    /// A server did not come to the point of being mounted.
    #[error("not mounted: {0}")]
    NotMounted(String),

    /// A program of a task, or of its preparation, failed.
    #[error("{program}: {outcome}: {said}")]
    Task {
        /// The program.
        program: String,
        /// How it ended.
        outcome: String,
        /// The end of what it said.
        said: String,
    },

    /// What a task needs is not there.
    #[error("{0}")]
    Input(String),

    /// None of the servers that were asked for could be had.
    #[error("no server could be measured; the reasons are above")]
    NoServer,

    /// Signals could not be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),

    /// A report could not be written as JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),

    /// A file that reports are made from is of another form.
    #[error("{} cannot be read as the result of a run: {source}; measure again", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },

    /// A picture could not be drawn.
    #[error("cannot draw {}: {reason}", path.display())]
    Plot {
        /// The file.
        path: PathBuf,
        /// What the drawing said.
        reason: String,
    },

    /// There is nothing to report on.
    #[error("{} holds no results; run `npm run bench` first", .0.display())]
    NoResults(PathBuf),

    /// A server of this crate could not mount, or its mount broke down.
    #[error(transparent)]
    Serve(#[from] ringfuse::Error),
}
