//! The tiny filesystem, served by `fractal-fuse`: a pinned thread for each CPU's queue of the ring.

#![forbid(unsafe_code)]

#[expect(dead_code, reason = "only the clients of the benchmarks write to it")]
#[path = "../../../src/aligned_buffer.rs"]
mod aligned_buffer;
#[path = "../../../src/names.rs"]
mod names;
#[path = "../../../src/tiny.rs"]
mod tiny;

use std::{env, error::Error, ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf, thread, time::Duration};

use fractal_fuse::{
    DirectoryEntry, DirectoryEntryPlus, ENOENT, ENOSYS, FileAttr, FileHandleId, FileType, Filesystem,
    FsResult, InodeId, MountOptions, ReplyAttr, ReplyCreate, ReplyEntry, ReplyInit, ReplyOpen, ReplyXattr,
    Request, Session, SetAttr,
};
use signal_hook::{consts::TERM_SIGNALS, iterator::Signals};

use crate::tiny::{
    ATTRIBUTES_VALID, FILE_BYTES, LARGEST_TRANSFER, Tiny, is_directory, name_valid, open_flags,
};

/// Bytes of an entry of a listing before its name.
const DIRENT_BYTES: usize = 24;
/// Bytes of an entry with attributes before its name.
const DIRENTPLUS_BYTES: usize = 152;

struct Peer {
    tiny: Tiny,
    directory: PathBuf,
}

impl Filesystem for Peer {
    async fn init(&self, _: Request) -> FsResult<ReplyInit> {
        // The kernel keeps callers waiting until the reply is there.
        println!("mounted {} (fractal-fuse, io_uring)", self.directory.display());
        Ok(ReplyInit {
            max_write: LARGEST_TRANSFER,
            max_background: 64,
            congestion_threshold: 48,
            ..ReplyInit::default()
        })
    }

    async fn lookup(&self, _: Request, parent: InodeId, name: &OsStr) -> FsResult<ReplyEntry> {
        let node = self.tiny.find(parent.0, name.as_bytes()).ok_or(ENOENT)?;
        Ok(ReplyEntry { ttl: name_ttl(node), attr: attributes(node), generation: 0 })
    }

    async fn getattr(
        &self,
        _: Request,
        inode: InodeId,
        _: Option<FileHandleId>,
        _: u32,
    ) -> FsResult<ReplyAttr> {
        Ok(ReplyAttr { ttl: Duration::from_secs(ATTRIBUTES_VALID), attr: attributes(inode.0) })
    }

    async fn setattr(
        &self,
        _: Request,
        inode: InodeId,
        _: Option<FileHandleId>,
        _: SetAttr,
    ) -> FsResult<ReplyAttr> {
        Ok(ReplyAttr { ttl: Duration::from_secs(ATTRIBUTES_VALID), attr: attributes(inode.0) })
    }

    async fn unlink(&self, _: Request, _: InodeId, name: &OsStr) -> FsResult<()> {
        self.tiny.unlink(name.as_bytes())
    }

    async fn rename(
        &self,
        _: Request,
        _: InodeId,
        name: &OsStr,
        _: InodeId,
        new_name: &OsStr,
        _: u32,
    ) -> FsResult<()> {
        self.tiny.rename(name.as_bytes(), new_name.as_bytes())
    }

    async fn open(&self, _: Request, _: InodeId, flags: u32) -> FsResult<ReplyOpen> {
        Ok(opened(open_flags(flags)))
    }

    async fn create(
        &self,
        _: Request,
        _: InodeId,
        name: &OsStr,
        _: u32,
        flags: u32,
    ) -> FsResult<ReplyCreate> {
        let node = self.tiny.create(name.as_bytes(), flags & libc::O_EXCL.cast_unsigned() != 0)?;
        Ok(ReplyCreate {
            ttl: name_ttl(node),
            attr: attributes(node),
            generation: 0,
            fh: FileHandleId(0),
            flags: open_flags(flags),
        })
    }

    async fn read(
        &self,
        _: Request,
        _: InodeId,
        _: FileHandleId,
        offset: u64,
        buffer: &mut [u8],
    ) -> FsResult<usize> {
        let size = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let bytes = self.tiny.contents(offset, size);
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn write(
        &self,
        _: Request,
        _: InodeId,
        _: FileHandleId,
        _: u64,
        data: &[u8],
        _: u32,
        _: u32,
    ) -> FsResult<usize> {
        Ok(data.len())
    }

    async fn flush(&self, _: Request, _: InodeId, _: FileHandleId, _: u64) -> FsResult<()> {
        Err(ENOSYS)
    }

    async fn release(
        &self,
        _: Request,
        _: InodeId,
        _: FileHandleId,
        _: u32,
        _: u64,
        _: bool,
        _: bool,
    ) -> FsResult<()> {
        Ok(())
    }

    async fn opendir(&self, _: Request, _: InodeId, _: u32) -> FsResult<ReplyOpen> {
        Ok(opened(0))
    }

    async fn readdir(
        &self,
        _: Request,
        inode: InodeId,
        _: FileHandleId,
        offset: u64,
        size: u32,
    ) -> FsResult<Vec<DirectoryEntry>> {
        let (mut room, mut entries) = (size as usize, Vec::new());
        self.tiny.list(inode.0, offset, |node, name| {
            let kind = FileType::RegularFile;
            let entry = DirectoryEntry { ino: node, offset: node, kind, name: name.to_owned() };
            take(&mut room, DIRENT_BYTES + name.len(), &mut entries, entry)
        });
        Ok(entries)
    }

    async fn readdirplus(
        &self,
        _: Request,
        inode: InodeId,
        _: FileHandleId,
        offset: u64,
        size: u32,
    ) -> FsResult<Vec<DirectoryEntryPlus>> {
        let (mut room, mut entries) = (size as usize, Vec::new());
        self.tiny.list(inode.0, offset, |node, name| {
            let entry = DirectoryEntryPlus {
                ino: node,
                offset: node,
                kind: FileType::RegularFile,
                name: name.to_owned(),
                entry_ttl: name_ttl(node),
                attr: attributes(node),
                generation: 0,
            };
            take(&mut room, DIRENTPLUS_BYTES + name.len(), &mut entries, entry)
        });
        Ok(entries)
    }

    async fn releasedir(&self, _: Request, _: InodeId, _: FileHandleId, _: u32) -> FsResult<()> {
        Ok(())
    }

    async fn getxattr(&self, _: Request, _: InodeId, _: &OsStr, _: u32) -> FsResult<ReplyXattr> {
        Err(ENOSYS)
    }
}

/// Adds an entry that takes that many bytes, if there is room for it.
fn take<Entry>(room: &mut usize, bytes: usize, entries: &mut Vec<Entry>, entry: Entry) -> bool {
    let Some(rest) = room.checked_sub(bytes.next_multiple_of(8)) else { return false };
    *room = rest;
    entries.push(entry);
    true
}

fn name_ttl(node: u64) -> Duration {
    Duration::from_secs(name_valid(node))
}

fn opened(flags: u32) -> ReplyOpen {
    ReplyOpen { fh: FileHandleId(0), flags, backing_id: 0 }
}

fn attributes(node: u64) -> FileAttr {
    if is_directory(node) {
        FileAttr { ino: node, mode: libc::S_IFDIR | 0o755, nlink: 2, ..FileAttr::default() }
    } else {
        FileAttr {
            ino: node,
            mode: libc::S_IFREG | 0o644,
            nlink: 1,
            size: FILE_BYTES,
            blocks: FILE_BYTES / 512,
            blksize: 4096,
            ..FileAttr::default()
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(env::args_os().nth(1).ok_or("the directory to mount on is missing")?);
    let mut signals = Signals::new(TERM_SIGNALS)?;
    let session = Session::new(directory.clone(), MountOptions::new().fs_name("peer-fractal-fuse"))?;
    let shutdown = session.shutdown_handle();
    thread::spawn(move || {
        signals.forever().next();
        shutdown.shutdown();
    });
    session.run(Peer { tiny: Tiny::new(), directory })?;
    Ok(())
}
