//! The servers of this crate, which exist to be measured.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use clap::{Args, Subcommand, ValueEnum};
use fuse_abi::InitFlags;
use ringfuse::{Connection, MountOptions, ServeOptions, Served, Unmount, Wanted};
use signal_hook::{consts::TERM_SIGNALS, iterator::Signals, low_level::emulate_default_handler};

use crate::{error::Error, null_filesystem::NullFilesystem, tiny::LARGEST_TRANSFER};

/// What the filesystem asks of the kernel: listings with attributes where they are wanted, and no request for
/// attributes before each buffered read.
const CAPABILITIES: InitFlags =
    InitFlags::DO_READDIRPLUS.union(InitFlags::READDIRPLUS_AUTO).union(InitFlags::EXPLICIT_INVAL_DATA);

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    filesystem: Filesystem,
}

#[derive(Debug, Subcommand)]
enum Filesystem {
    /// A directory of files without contents of their own, served as fast as the transport allows.
    Null {
        /// The directory to mount on
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// How requests come from the kernel
        #[arg(long, value_enum, default_value = "auto")]
        transport: Transport,
    },
}

/// How requests come from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// FUSE over `io_uring` where it can be had, `/dev/fuse` otherwise.
    Auto,
    /// FUSE over `io_uring`; an error where it cannot be had.
    #[value(name = "io_uring")]
    IoUring,
    /// Reads and writes of `/dev/fuse`.
    #[value(name = "dev_fuse")]
    DevFuse,
}

impl From<Transport> for ringfuse::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Auto => Self::Auto,
            Transport::IoUring => Self::IoUring,
            Transport::DevFuse => Self::DevFuse,
        }
    }
}

/// Mounts, prints `ringfuse: mounted DIR (…)`, and serves until SIGTERM, SIGINT or SIGQUIT comes or somebody else
/// unmounts.
///
/// # Errors
///
/// [`Error::Serve`] if the filesystem cannot be mounted, or its mount breaks down.
pub fn serve(options: &Options) -> Result<(), Error> {
    match &options.filesystem {
        Filesystem::Null { directory, transport } => {
            let options = ServeOptions {
                mount: MountOptions { name: "ringfuse-null".to_owned(), ..MountOptions::default() },
                wanted: Wanted {
                    capabilities: CAPABILITIES,
                    max_write: LARGEST_TRANSFER,
                    ..Wanted::default()
                },
                transport: (*transport).into(),
                ..ServeOptions::default()
            };
            serve_in_foreground(directory, &options, &NullFilesystem::new())
        }
    }
}

fn serve_in_foreground(
    directory: &Path,
    options: &ServeOptions,
    filesystem: &impl ringfuse::Filesystem,
) -> Result<(), Error> {
    // Caught before mounting: no signal may end the process with the filesystem mounted.
    let signals = Signals::new(TERM_SIGNALS).map_err(Error::Signals)?;
    ringfuse::serve(directory, options, filesystem, |served| {
        unmount_on_signal(signals, Arc::clone(served.connection));
        // Nobody may listen; the mount is there all the same.
        let _ = writeln!(io::stdout(), "ringfuse: mounted {} ({})", directory.display(), transport(served));
    })?;
    Ok(())
}

/// Unmounts on the first signal. On the second one it waits for no open file any more and ends the process.
fn unmount_on_signal(mut signals: Signals, connection: Arc<Connection>) {
    thread::spawn(move || {
        let unmount = |how| {
            let unmounted = connection.unmount(how).map(|outcome| outcome.recv());
            if let Err(error) | Ok(Ok(Err(error))) = unmounted {
                eprintln!("ringfuse-bench: {error}");
            }
        };
        let mut signals = signals.forever();
        if signals.next().is_some() {
            unmount(Unmount::Lazy);
        }
        if let Some(signal) = signals.next() {
            unmount(Unmount::Force);
            let _ = emulate_default_handler(signal);
        }
    });
}

fn transport(served: &Served<'_>) -> String {
    match &served.no_ring {
        Some(reason) => format!("dev_fuse: {reason}"),
        None => format!("io_uring, {} queues x {}", served.queues, served.queue_depth),
    }
}
