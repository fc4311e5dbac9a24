//! One client: its file, and one operation on it at a time.

use std::{
    fs::{self, File, OpenOptions},
    io,
    num::NonZeroU64,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use rustix::fs::{Advice, AtFlags, StatxFlags, fadvise, statx};

use crate::{
    aligned_buffer::AlignedBuffer,
    error::Error,
    listing::Listing,
    offsets::Offsets,
    operation::{self, Action, Direction, Operation, Order},
};

/// The length of a file that a client makes for itself, and the part of a longer one that it works on.
const FILE_BYTES: u64 = 32 << 20;
/// The length from which an existing file is taken as it is.
const MINIMUM_FILE_BYTES: u64 = 1 << 20;
/// The file that all clients share where they cannot make their own.
const SHARED_FILE: &str = "file";

/// A client with everything opened and allocated that its operation needs.
#[derive(Debug)]
pub enum Client {
    /// See [`Action::Stat`].
    Stat(File),
    /// See [`Action::Open`].
    Open(PathBuf),
    /// See [`Action::Transfer`].
    Transfer(Transfer),
    /// See [`Action::Create`].
    Create(PathBuf),
    /// See [`Action::Unlink`].
    Unlink(PathBuf),
    /// See [`Action::Rename`].
    Rename {
        /// The name that the file has.
        from: PathBuf,
        /// The name that it gets.
        to: PathBuf,
    },
    /// See [`Action::List`].
    List(Listing),
}

/// An open file, the memory to move and where to move it next.
#[derive(Debug)]
pub struct Transfer {
    file: File,
    direction: Direction,
    path: operation::Path,
    buffer: AlignedBuffer,
    offsets: Offsets,
}

impl Client {
    /// Prepares the client of that `number` for `operation` in `directory`.
    pub fn prepare(operation: Operation, directory: &Path, number: usize) -> Result<Self, Error> {
        let file = || file_of(directory, number);
        let temporary = |purpose| directory.join(format!("bench-{purpose}-{}-{number}", process::id()));
        Ok(match operation.action {
            Action::Stat => {
                let path = file()?;
                Self::Stat(File::open(&path).map_err(|source| cannot("open", &path, source))?)
            }
            Action::Open => Self::Open(file()?),
            Action::Transfer(transfer) => {
                Self::Transfer(Transfer::open(operation.name, &transfer, &file()?, number)?)
            }
            Action::Create => Self::Create(temporary("create")),
            Action::Unlink => Self::Unlink(temporary("unlink")),
            Action::Rename => {
                let (from, to) = (temporary("here"), temporary("there"));
                make(&from).map_err(|source| cannot("create", &from, source))?;
                Self::Rename { from, to }
            }
            Action::List { attributes } => Self::List(Listing::prepare(directory, attributes)?),
        })
    }

    /// Makes what the next operation needs. Returns whether there was something to do, which is not measured.
    pub fn set_stage(&mut self) -> io::Result<bool> {
        match self {
            Self::Unlink(path) => make(path).map(|()| true),
            Self::Transfer(transfer) => transfer.drop_cache(),
            _ => Ok(false),
        }
    }

    /// Performs the operation once. Returns how much it counts. A transfer of fewer bytes than asked for is an error.
    pub fn perform(&mut self) -> io::Result<u64> {
        match self {
            Self::Stat(file) => {
                let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
                statx(file, c"", flags, StatxFlags::BASIC_STATS)?;
            }
            Self::Open(path) => drop(File::open(path)?),
            Self::Transfer(transfer) => transfer.perform()?,
            Self::Create(path) => {
                make(path)?;
                fs::remove_file(path)?;
            }
            Self::Unlink(path) => fs::remove_file(path)?,
            Self::Rename { from, to } => {
                fs::rename(&*from, &*to)?;
                std::mem::swap(from, to);
            }
            Self::List(listing) => return listing.perform(),
        }
        Ok(1)
    }
}

impl Drop for Client {
    /// Takes away what only this client's operation needed.
    fn drop(&mut self) {
        if let Self::Rename { from: path, .. } | Self::Create(path) | Self::Unlink(path) = self {
            // Where the filesystem is gone, so is the file.
            let _ = fs::remove_file(path);
        }
    }
}

impl Transfer {
    fn open(
        operation: &'static str,
        transfer: &operation::Transfer,
        path: &Path,
        number: usize,
    ) -> Result<Self, Error> {
        let operation::Transfer { direction, bytes, path: way, order } = *transfer;
        let mut options = OpenOptions::new();
        options.read(direction == Direction::Read).write(direction == Direction::Write);
        if way == operation::Path::Direct {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = options.open(path).map_err(|source| match source.raw_os_error() {
            // What open(2) says when the filesystem has no direct I/O.
            Some(libc::EINVAL) if way == operation::Path::Direct => Error::DirectRefused(path.to_owned()),
            _ => cannot("open", path, source),
        })?;
        let length = file.metadata().map_err(|source| cannot("stat", path, source))?.len();
        let offsets = match order {
            Order::Sequential => Offsets::sequential(length.min(FILE_BYTES), bytes as u64),
            Order::Random => Offsets::random(length.min(FILE_BYTES), bytes as u64, number as u64),
        };
        let offsets = offsets.ok_or_else(|| Error::FileTooShort {
            path: path.to_owned(),
            length,
            operation,
            needed: bytes,
        })?;
        if order == Order::Random {
            // Without it, the kernel reads ahead what nobody wants.
            fadvise(&file, 0, None, Advice::Random)
                .map_err(|source| cannot("advise on", path, source.into()))?;
        }
        Ok(Self { file, direction, path: way, buffer: AlignedBuffer::filled(0x5a, bytes), offsets })
    }

    fn perform(&mut self) -> io::Result<()> {
        let offset = self.offsets.advance();
        let moved = match self.direction {
            Direction::Read => self.file.read_at(self.buffer.bytes_mut(), offset)?,
            Direction::Write => self.file.write_at(self.buffer.bytes(), offset)?,
        };
        let asked = self.buffer.bytes().len();
        if moved == asked {
            Ok(())
        } else {
            Err(io::Error::other(format!("{moved} of {asked} bytes were transferred")))
        }
    }

    /// Empties the page cache of the file before reads find in it what earlier ones left.
    fn drop_cache(&mut self) -> io::Result<bool> {
        let due = self.path == operation::Path::Buffered
            && self.direction == Direction::Read
            && self.offsets.repeats();
        if due {
            fadvise(&self.file, 0, NonZeroU64::new(FILE_BYTES), Advice::DontNeed)?;
        }
        Ok(due)
    }
}

/// Makes an empty file that must be new.
fn make(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path).map(drop)
}

/// The file that a client works on: its own `bench-<number>`, made where it is missing, or the shared one.
fn file_of(directory: &Path, number: usize) -> Result<PathBuf, Error> {
    let own = directory.join(format!("bench-{number}"));
    if fs::metadata(&own).is_ok_and(|metadata| metadata.len() >= MINIMUM_FILE_BYTES) {
        return Ok(own);
    }
    fs::write(&own, vec![0xa5; usize::try_from(FILE_BYTES).unwrap_or(usize::MAX)])
        .map(|()| own.clone())
        .or_else(|source| {
            let shared = directory.join(SHARED_FILE);
            if shared.is_file() { Ok(shared) } else { Err(cannot("write", &own, source)) }
        })
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Path { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_makes_its_own_file_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = file_of(directory.path(), 3).unwrap();
        assert_eq!(path, directory.path().join("bench-3"));
        let made = fs::metadata(&path).unwrap();
        assert_eq!(made.len(), FILE_BYTES);
        file_of(directory.path(), 3).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made.modified().unwrap());
    }

    #[test]
    fn a_client_that_cannot_make_its_file_takes_the_shared_one() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("bench-0")).unwrap();
        assert!(matches!(file_of(directory.path(), 0), Err(Error::Path { action: "write", .. })));
        fs::write(directory.path().join(SHARED_FILE), "shared").unwrap();
        assert_eq!(file_of(directory.path(), 0).unwrap(), directory.path().join(SHARED_FILE));
    }
}
