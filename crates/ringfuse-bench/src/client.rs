//! One client: its file, and one operation on it at a time.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use rustix::fs::{AtFlags, StatxFlags, statx};

use crate::{
    aligned_buffer::AlignedBuffer,
    error::Error,
    operation::{Action, Operation},
};

/// The length of a file that a client makes for itself.
const OWN_FILE_BYTES: usize = 4 << 20;
/// The length from which an existing file is taken as it is.
const MINIMUM_FILE_BYTES: u64 = 1 << 20;
/// The file that all clients share where they cannot make their own, as in the null filesystem.
const SHARED_FILE: &str = "file";

/// A client with everything opened and allocated that its operation needs.
#[derive(Debug)]
pub enum Client {
    /// See [`Action::Stat`].
    Stat(File),
    /// See [`Action::Open`].
    Open(PathBuf),
    /// See [`Action::Read`].
    Read(Transfer),
    /// See [`Action::Write`].
    Write(Transfer),
    /// See [`Action::Create`].
    Create(PathBuf),
}

/// An open file, the memory to move and where to move it next.
#[derive(Debug)]
pub struct Transfer {
    file: File,
    buffer: AlignedBuffer,
    offsets: Offsets,
}

impl Client {
    /// Prepares the client of that `number` for `operation` in `directory`.
    pub fn prepare(operation: Operation, directory: &Path, number: usize) -> Result<Self, Error> {
        let file = || file_of(directory, number);
        Ok(match operation.action {
            Action::Stat => {
                let path = file()?;
                Self::Stat(File::open(&path).map_err(|source| cannot("open", &path, source))?)
            }
            Action::Open => Self::Open(file()?),
            Action::Read { bytes } => {
                Self::Read(Transfer::open(operation, &file()?, OpenOptions::new().read(true), bytes)?)
            }
            Action::Write { bytes } => {
                Self::Write(Transfer::open(operation, &file()?, OpenOptions::new().write(true), bytes)?)
            }
            Action::Create => {
                Self::Create(directory.join(format!("bench-create-{}-{number}", process::id())))
            }
        })
    }

    /// Performs the operation once. A transfer of fewer bytes than asked for is an error.
    pub fn perform(&mut self) -> io::Result<()> {
        match self {
            Self::Stat(file) => {
                let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
                statx(file, c"", flags, StatxFlags::BASIC_STATS)?;
            }
            Self::Open(path) => drop(File::open(path)?),
            Self::Read(Transfer { file, buffer, offsets }) => {
                let bytes = buffer.bytes_mut();
                let moved = file.read_at(bytes, offsets.advance())?;
                whole(moved, bytes.len())?;
            }
            Self::Write(Transfer { file, buffer, offsets }) => {
                let bytes = buffer.bytes();
                let moved = file.write_at(bytes, offsets.advance())?;
                whole(moved, bytes.len())?;
            }
            Self::Create(path) => {
                drop(OpenOptions::new().write(true).create_new(true).open(&*path)?);
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Transfer {
    fn open(
        operation: Operation,
        path: &Path,
        options: &mut OpenOptions,
        bytes: usize,
    ) -> Result<Self, Error> {
        let file = options.custom_flags(libc::O_DIRECT).open(path).map_err(|source| {
            match source.raw_os_error() {
                // What open(2) says when the filesystem has no direct I/O.
                Some(libc::EINVAL) => Error::DirectRefused(path.to_owned()),
                _ => cannot("open", path, source),
            }
        })?;
        let length = file.metadata().map_err(|source| cannot("stat", path, source))?.len();
        let offsets = Offsets::within(length, bytes as u64).ok_or_else(|| Error::FileTooShort {
            path: path.to_owned(),
            length,
            operation: operation.name,
            needed: bytes,
        })?;
        Ok(Self { file, buffer: AlignedBuffer::filled(0x5a, bytes), offsets })
    }
}

/// The offsets of whole blocks within a file, from the first to the last and again.
#[derive(Debug)]
struct Offsets {
    next: u64,
    block: u64,
    last: u64,
}

impl Offsets {
    fn within(length: u64, block: u64) -> Option<Self> {
        let last = (length / block).checked_sub(1)? * block;
        Some(Self { next: 0, block, last })
    }

    fn advance(&mut self) -> u64 {
        let offset = self.next;
        self.next = if offset == self.last { 0 } else { offset + self.block };
        offset
    }
}

/// The file that a client works on: its own `bench-<number>`, made where it is missing, or the shared one.
fn file_of(directory: &Path, number: usize) -> Result<PathBuf, Error> {
    let own = directory.join(format!("bench-{number}"));
    if fs::metadata(&own).is_ok_and(|metadata| metadata.len() >= MINIMUM_FILE_BYTES) {
        return Ok(own);
    }
    fs::write(&own, vec![0xa5; OWN_FILE_BYTES]).map(|()| own.clone()).or_else(|source| {
        let shared = directory.join(SHARED_FILE);
        if shared.is_file() { Ok(shared) } else { Err(cannot("write", &own, source)) }
    })
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Path { action, path: path.to_owned(), source }
}

fn whole(moved: usize, asked: usize) -> io::Result<()> {
    if moved == asked {
        Ok(())
    } else {
        Err(io::Error::other(format!("{moved} of {asked} bytes were transferred")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_cycle_through_the_whole_blocks_of_a_file() {
        let mut offsets = Offsets::within(3 * 4096 + 100, 4096).unwrap();
        let seen: Vec<_> = (0..5).map(|_| offsets.advance()).collect();
        assert_eq!(seen, [0, 4096, 8192, 0, 4096]);
    }

    #[test]
    fn a_file_of_one_block_is_read_at_its_beginning_only() {
        let mut offsets = Offsets::within(4096, 4096).unwrap();
        assert_eq!((offsets.advance(), offsets.advance()), (0, 0));
    }

    #[test]
    fn a_file_shorter_than_a_block_has_no_offsets() {
        assert!(Offsets::within(4095, 4096).is_none());
    }

    #[test]
    fn a_client_makes_its_own_file_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = file_of(directory.path(), 3).unwrap();
        assert_eq!(path, directory.path().join("bench-3"));
        let made = fs::metadata(&path).unwrap();
        assert_eq!(made.len(), OWN_FILE_BYTES as u64);
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
