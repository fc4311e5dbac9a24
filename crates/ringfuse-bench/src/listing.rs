//! A long directory, and listing it.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, StatxFlags, open, statx};

use crate::error::Error;

/// The directory's name, as the filesystems have it that are made to be measured.
const DIRECTORY: &str = "many";
/// How many entries a directory gets that a client makes.
const ENTRIES: u64 = 100_000;
/// Bytes for the entries of one `getdents64`, as the C library has them.
const BUFFER_BYTES: usize = 32 << 10;

/// The directory, to be listed again and again.
#[derive(Debug)]
pub struct Listing {
    directory: PathBuf,
    attributes: bool,
    buffer: Vec<u8>,
}

impl Listing {
    /// The long directory in `parent`, made if there is none.
    pub fn prepare(parent: &Path, attributes: bool) -> Result<Self, Error> {
        make(parent)?;
        Ok(Self::of(&parent.join(DIRECTORY), attributes))
    }

    /// A directory as it is.
    #[must_use]
    pub fn of(directory: &Path, attributes: bool) -> Self {
        Self { directory: directory.to_owned(), attributes, buffer: Vec::with_capacity(BUFFER_BYTES) }
    }

    /// Lists it once; returns the number of entries, without `.` and `..`.
    pub fn perform(&mut self) -> io::Result<u64> {
        let descriptor = open(&self.directory, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut entries = RawDir::new(&descriptor, self.buffer.spare_capacity_mut());
        let mut count = 0;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.attributes {
                statx(&descriptor, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
            }
            count += 1;
        }
        Ok(count)
    }
}

/// Makes the long directory in `parent` if there is none.
///
/// # Errors
///
/// [`Error::Path`] that names what cannot be made.
pub fn make(parent: &Path) -> Result<(), Error> {
    let directory = parent.join(DIRECTORY);
    if directory.is_dir() { Ok(()) } else { fill(&directory, ENTRIES) }
}

/// Makes `directory` with so many empty files.
///
/// # Errors
///
/// [`Error::Path`] that names what cannot be made.
pub fn fill(directory: &Path, entries: u64) -> Result<(), Error> {
    let failed = |action, path: &Path, source| Error::Path { action, path: path.to_owned(), source };
    DirBuilder::new()
        .recursive(true)
        .create(directory)
        .map_err(|source| failed("create", directory, source))?;
    for number in 0..entries {
        let path = directory.join(entry_name(number));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => drop::<File>(file),
            Err(source) if source.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed("create", &path, source)),
        }
    }
    Ok(())
}

/// The name of an entry.
#[must_use]
pub fn entry_name(number: u64) -> String {
    format!("entry-{number:06}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_entry_is_counted_once() {
        let parent = tempfile::tempdir().unwrap();
        fill(&parent.path().join(DIRECTORY), 3000).unwrap();
        for attributes in [false, true] {
            let mut listing = Listing::prepare(parent.path(), attributes).unwrap();
            assert_eq!((listing.perform().unwrap(), listing.perform().unwrap()), (3000, 3000));
        }
        assert_eq!(fs::read_dir(parent.path().join(DIRECTORY)).unwrap().count(), 3000);
    }
}
