//! The null filesystem: a directory of files that have no contents of their own, served as fast as the transport
//! allows. What it measures is the transport and the one copy that a server of real data makes.

use fuse_abi::{Attr, AttrOut, CreateIn, EntryOut, FopenFlags, OpenOut, ReadIn, StatfsOut};
use nix::errno::Errno;
use ringfuse::{
    Answer, Filesystem,
    request::{Operation, Request},
};

use crate::{aligned_buffer::AlignedBuffer, names::Names};

/// Bytes of the largest read and write.
pub const LARGEST_TRANSFER: u32 = 1 << 20;

/// The name that is there from the start.
const FILE: &[u8] = b"file";
/// The length of every file, whatever is written to it.
const FILE_BYTES: u64 = 1 << 30;
/// Every byte of every file.
const CONTENTS: u8 = 0xa5;

const ROOT: u64 = 1;
const FIRST_FILE: u64 = ROOT + 1;

/// `DT_REG` of dirent.h.
const REGULAR: u32 = libc::DT_REG as u32;

/// The filesystem. Names exist from their creation to their unlinking; attributes are fixed, writes are accepted
/// and dropped. Nothing may be cached, so that every operation of a client is a request.
///
/// Reads copy their bytes from one buffer of 1 MiB. A server could answer faster by leaving in the reply's memory
/// what happens to be there; that would show other requests' bytes to the caller, and no server of real data can.
#[derive(Debug)]
pub struct NullFilesystem {
    names: Names,
    contents: AlignedBuffer,
}

impl NullFilesystem {
    /// The filesystem with its one file.
    #[must_use]
    pub fn new() -> Self {
        let names = Names::new(FIRST_FILE);
        names.add(FILE);
        Self { names, contents: AlignedBuffer::filled(CONTENTS, LARGEST_TRANSFER as usize) }
    }

    fn create(&self, arguments: CreateIn, name: &[u8]) -> Result<EntryOut, Errno> {
        let (node, new) = self.names.add(name);
        if !new && arguments.flags & libc::O_EXCL.cast_unsigned() != 0 {
            return Err(Errno::EEXIST);
        }
        Ok(entry(node))
    }

    /// The bytes that a read comes to: none from the file's end on.
    fn contents(&self, read: ReadIn) -> &[u8] {
        let rest = usize::try_from(FILE_BYTES.saturating_sub(read.offset)).unwrap_or(usize::MAX);
        let bytes = self.contents.bytes();
        &bytes[..bytes.len().min(read.size as usize).min(rest)]
    }

    fn list(&self, read: ReadIn, request: Request<'_>) -> Answer {
        let mut directory = request.reply().directory(read.size);
        // A node's number is also the offset after its entry.
        for (node, name) in self.names.after(read.offset) {
            if !directory.add(node, node, REGULAR, &name) {
                break;
            }
        }
        directory.end()
    }
}

impl Filesystem for NullFilesystem {
    fn request(&self, request: Request<'_>) -> Answer {
        match request.operation() {
            Operation::Getattr(_) | Operation::Setattr(_) => {
                let attr = attributes(request.nodeid());
                request.reply().attributes(AttrOut { attr, ..AttrOut::default() })
            }
            Operation::Read(read) => request.reply().bytes(self.contents(read)),
            Operation::Write { arguments, .. } => request.reply().written(arguments.size),
            Operation::Lookup { name } => match self.names.find(name) {
                Some(node) => request.reply().entry(entry(node)),
                None => request.fail(Errno::ENOENT),
            },
            Operation::Create { arguments, name } => match self.create(arguments, name) {
                Ok(entry) => request.reply().create(entry, open()),
                Err(errno) => request.fail(errno),
            },
            Operation::Unlink { name } if self.names.remove(name) => request.reply().empty(),
            Operation::Unlink { .. } => request.fail(Errno::ENOENT),
            Operation::Open(_) => request.reply().open(open()),
            Operation::Opendir(_) => request.reply().open(OpenOut::default()),
            Operation::Readdir(read) => self.list(read, request),
            Operation::Release(_)
            | Operation::Releasedir(_)
            | Operation::Fsync(_)
            | Operation::Fsyncdir(_)
            | Operation::Forget(_)
            | Operation::BatchForget(_)
            | Operation::Destroy => request.reply().empty(),
            Operation::Statfs => request.reply().statfs(StatfsOut::default()),
            // For FLUSH, ACCESS and GETXATTR the kernel takes this as an answer once and for all.
            _ => request.fail(Errno::ENOSYS),
        }
    }
}

fn attributes(node: u64) -> Attr {
    if node == ROOT {
        Attr { ino: ROOT, mode: libc::S_IFDIR | 0o755, nlink: 2, ..Attr::default() }
    } else {
        Attr {
            ino: node,
            mode: libc::S_IFREG | 0o644,
            nlink: 1,
            size: FILE_BYTES,
            blocks: FILE_BYTES / 512,
            blksize: 4096,
            ..Attr::default()
        }
    }
}

/// Valid for no time.
fn entry(node: u64) -> EntryOut {
    EntryOut { nodeid: node, attr: attributes(node), ..EntryOut::default() }
}

/// Past the page cache, and without the inode's lock for writes within the file.
fn open() -> OpenOut {
    let flags = FopenFlags::DIRECT_IO | FopenFlags::PARALLEL_DIRECT_WRITES;
    OpenOut { open_flags: flags.bits(), ..OpenOut::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offset: u64, size: u32) -> usize {
        let filesystem = NullFilesystem::new();
        let bytes = filesystem.contents(ReadIn { offset, size, ..ReadIn::default() });
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
        let filesystem = NullFilesystem::new();
        let exclusive =
            CreateIn { flags: (libc::O_CREAT | libc::O_EXCL).cast_unsigned(), ..CreateIn::default() };
        assert_eq!(filesystem.create(exclusive, FILE).unwrap_err(), Errno::EEXIST);
        assert_eq!(filesystem.create(CreateIn::default(), FILE).unwrap().nodeid, FIRST_FILE);
        assert_eq!(filesystem.create(exclusive, b"bench-0").unwrap().nodeid, FIRST_FILE + 1);
    }
}
