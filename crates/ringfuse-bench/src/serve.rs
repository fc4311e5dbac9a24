//! The servers of this crate, which exist to be measured.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use crate::error::Error;

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    filesystem: Filesystem,
}

#[derive(Debug, Subcommand)]
enum Filesystem {
    /// A directory with one `file` that answers at once, without looking at what it is asked for.
    Null {
        /// The directory to mount on
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// How requests come from the kernel
        #[arg(long, value_enum, default_value = "io_uring")]
        transport: Transport,
    },
}

/// How requests come from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// FUSE over `io_uring`; an error where it cannot be had.
    #[value(name = "io_uring")]
    IoUring,
    /// Reads and writes of `/dev/fuse`.
    #[value(name = "dev_fuse")]
    DevFuse,
}

/// Mounts the null filesystem, prints `ringfuse: mounted DIR (…)` and serves until SIGTERM or SIGINT.
type ServeNull = fn(&Path, Transport) -> Result<(), Error>;

/// The null filesystem. Missing until the crate `ringfuse` can mount.
const SERVE_NULL: Option<ServeNull> = None;

/// Serves until the filesystem is unmounted.
pub fn serve(options: &Options) -> Result<(), Error> {
    match &options.filesystem {
        Filesystem::Null { directory, transport } => {
            SERVE_NULL.ok_or(Error::NullMissing)?(directory, *transport)
        }
    }
}
