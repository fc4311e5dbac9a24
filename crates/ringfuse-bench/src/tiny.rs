//! The filesystem that every server without contents of its own serves, whatever its library: the null filesystem of
//! this crate, and those of the peers, which take this module by its path.
//!
//! Names of the root exist from their creation to their unlinking; attributes are fixed, writes are accepted and
//! dropped. Beside them there is one directory with many entries, to be listed. Names may not be cached but for that
//! directory's, so that every operation on a path is a request; attributes may, as clients that want them ask with
//! `AT_STATX_FORCE_SYNC`, and a buffered read would else ask for them each time.

use crate::{aligned_buffer::AlignedBuffer, names::Names};

/// Bytes of the largest read and write.
pub const LARGEST_TRANSFER: u32 = 1 << 20;
/// The length of every file, whatever is written to it.
pub const FILE_BYTES: u64 = 1 << 30;
/// The number of the root.
pub const ROOT: u64 = 1;
/// For how many seconds attributes may be cached.
pub const ATTRIBUTES_VALID: u64 = 60;

/// The file that is there from the start.
const FILE: &[u8] = b"file";
/// The directory to be listed.
const MANY: &[u8] = b"many";
/// How many entries it has.
const ENTRIES: u64 = 100_000;
/// What their names begin with.
const ENTRY_PREFIX: &str = "entry-";

const MANY_NODE: u64 = ROOT + 1;
const FIRST_ENTRY: u64 = MANY_NODE + 1;
const FIRST_FILE: u64 = FIRST_ENTRY + ENTRIES;

/// Every byte of every file.
const CONTENTS: u8 = 0xa5;

/// The filesystem, in terms of no library.
///
/// Reads copy their bytes from one buffer of 1 MiB. A server could answer faster by leaving in the reply's memory
/// what happens to be there; that would show other requests' bytes to the caller, and no server of real data can.
#[derive(Debug)]
pub struct Tiny {
    names: Names,
    contents: AlignedBuffer,
}

impl Tiny {
    /// The filesystem with its one file and its one directory.
    #[must_use]
    pub fn new() -> Self {
        let names = Names::new(FIRST_FILE);
        names.add(FILE);
        Self { names, contents: AlignedBuffer::filled(CONTENTS, LARGEST_TRANSFER as usize) }
    }

    /// The node of a name.
    #[must_use]
    pub fn find(&self, parent: u64, name: &[u8]) -> Option<u64> {
        match parent {
            ROOT if name == MANY => Some(MANY_NODE),
            ROOT => self.names.find(name),
            _ => entry_number(name).map(|number| FIRST_ENTRY + number),
        }
    }

    /// Makes a file in the root, or opens the one that is there.
    ///
    /// # Errors
    ///
    /// `EEXIST` if it is there and must be new.
    pub fn create(&self, name: &[u8], exclusive: bool) -> Result<u64, i32> {
        let (node, new) = self.names.add(name);
        if new || !exclusive { Ok(node) } else { Err(libc::EEXIST) }
    }

    /// Takes a name of the root away.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none.
    pub fn unlink(&self, name: &[u8]) -> Result<(), i32> {
        if self.names.remove(name) { Ok(()) } else { Err(libc::ENOENT) }
    }

    /// Gives a node of the root another name, whatever had it before.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no such name.
    pub fn rename(&self, name: &[u8], new_name: &[u8]) -> Result<(), i32> {
        if self.names.rename(name, new_name) { Ok(()) } else { Err(libc::ENOENT) }
    }

    /// The bytes that a read comes to: none from the file's end on.
    #[must_use]
    pub fn contents(&self, offset: u64, size: u32) -> &[u8] {
        let rest = usize::try_from(FILE_BYTES.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = self.contents.bytes();
        &bytes[..bytes.len().min(size as usize).min(rest)]
    }

    /// Calls `add` with the nodes and names after `offset` until it returns false. A node's number is the offset after
    /// its entry.
    pub fn list(&self, directory: u64, offset: u64, mut add: impl FnMut(u64, &[u8]) -> bool) {
        if directory == MANY_NODE {
            for node in offset.saturating_add(1).max(FIRST_ENTRY)..FIRST_FILE {
                if !add(node, format!("{ENTRY_PREFIX}{:06}", node - FIRST_ENTRY).as_bytes()) {
                    return;
                }
            }
        } else {
            for (node, name) in self.names.after(offset) {
                if !add(node, &name) {
                    return;
                }
            }
        }
    }
}

/// Whether a node is a directory.
#[must_use]
pub fn is_directory(node: u64) -> bool {
    node <= MANY_NODE
}

/// For how many seconds a node's name may be cached.
#[must_use]
pub fn name_valid(node: u64) -> u64 {
    if (FIRST_ENTRY..FIRST_FILE).contains(&node) { ATTRIBUTES_VALID } else { 0 }
}

/// The flags of an open file: past the page cache, and without the inode's lock for writes within the file, where the
/// caller asks for direct I/O.
#[must_use]
pub fn open_flags(flags: u32) -> u32 {
    /// `FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES` of linux/fuse.h.
    const DIRECT: u32 = 1 | 1 << 6;
    if flags & libc::O_DIRECT.cast_unsigned() == 0 { 0 } else { DIRECT }
}

fn entry_number(name: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(ENTRY_PREFIX.as_bytes())?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (digits.len() == 6 && number < ENTRIES).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offset: u64, size: u32) -> usize {
        let tiny = Tiny::new();
        let bytes = tiny.contents(offset, size);
        assert!(bytes.iter().all(|byte| *byte == CONTENTS));
        bytes.len()
    }

    #[test]
    fn a_read_is_as_long_as_it_is_asked_for_within_the_file() {
        assert_eq!(read(0, 4096), 4096);
        assert_eq!(read(FILE_BYTES - 4096, 4096), 4096);
        assert_eq!(read(0, LARGEST_TRANSFER), LARGEST_TRANSFER as usize);
    }

    #[test]
    fn a_read_ends_with_the_file() {
        assert_eq!(read(FILE_BYTES - 100, 4096), 100);
        assert_eq!(read(FILE_BYTES, 4096), 0);
        assert_eq!(read(u64::MAX, 4096), 0);
    }

    #[test]
    fn an_exclusive_creation_of_a_name_that_exists_is_refused() {
        let tiny = Tiny::new();
        assert_eq!(tiny.create(FILE, true), Err(libc::EEXIST));
        assert_eq!(tiny.create(FILE, false), Ok(FIRST_FILE));
        assert_eq!(tiny.create(b"bench-0", true), Ok(FIRST_FILE + 1));
    }

    #[test]
    fn every_entry_of_the_long_directory_is_listed_once_and_found_by_its_name() {
        let tiny = Tiny::new();
        let directory = tiny.find(ROOT, MANY).unwrap();
        let (mut offset, mut count) = (0, 0);
        loop {
            let mut piece = 0;
            tiny.list(directory, offset, |node, name| {
                if piece == 1000 {
                    return false;
                }
                assert_eq!(tiny.find(directory, name), Some(node));
                (piece, offset) = (piece + 1, node);
                true
            });
            count += piece;
            if piece == 0 {
                break;
            }
        }
        assert_eq!(count, ENTRIES);
    }

    #[test]
    fn only_names_in_the_long_directory_may_be_cached() {
        let tiny = Tiny::new();
        let directory = tiny.find(ROOT, MANY).unwrap();
        assert_eq!(name_valid(tiny.find(directory, b"entry-099999").unwrap()), ATTRIBUTES_VALID);
        assert_eq!(tiny.find(directory, b"entry-100000"), None);
        for node in [ROOT, directory, tiny.find(ROOT, FILE).unwrap()] {
            assert_eq!(name_valid(node), 0);
        }
    }
}
