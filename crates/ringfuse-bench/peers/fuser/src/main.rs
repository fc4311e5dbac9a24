//! The tiny filesystem, served by `fuser`: two threads, each with a clone of the descriptor of /dev/fuse.

#![forbid(unsafe_code)]

#[expect(dead_code, reason = "only the clients of the benchmarks write to it")]
#[path = "../../../src/aligned_buffer.rs"]
mod aligned_buffer;
#[path = "../../../src/names.rs"]
mod names;
#[path = "../../../src/tiny.rs"]
mod tiny;

use std::{
    env,
    error::Error,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    Session, TimeOrNow, WriteFlags,
};
use signal_hook::{consts::TERM_SIGNALS, iterator::Signals};

use crate::tiny::{
    ATTRIBUTES_VALID, FILE_BYTES, LARGEST_TRANSFER, Tiny, is_directory, name_valid, open_flags,
};

const THREADS: usize = 2;

struct Peer(Tiny);

impl Filesystem for Peer {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO;
        config.add_capabilities(wanted).map_err(|_| io::ErrorKind::Unsupported)?;
        config.set_max_write(LARGEST_TRANSFER).map_err(|_| io::ErrorKind::Unsupported)?;
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.0.find(parent.0, name.as_bytes()) {
            Some(node) => {
                reply.entry_with_ttls(&attributes_ttl(), &name_ttl(node), &attributes(node), Generation(0));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&attributes_ttl(), &attributes(ino.0));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.attr(&attributes_ttl(), &attributes(ino.0));
    }

    fn unlink(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.0.unlink(name.as_bytes()), reply);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        done(self.0.rename(name.as_bytes(), new_name.as_bytes()), reply);
    }

    fn open(&self, _: &Request, _: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), opened(flags.0));
    }

    fn create(&self, _: &Request, _: INodeNo, name: &OsStr, _: u32, _: u32, flags: i32, reply: ReplyCreate) {
        match self.0.create(name.as_bytes(), flags & libc::O_EXCL != 0) {
            Ok(node) => {
                let attributes = attributes(node);
                reply.created(&name_ttl(node), &attributes, Generation(0), FileHandle(0), opened(flags));
            }
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        reply.data(self.0.contents(offset, size));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.0.list(ino.0, offset, |node, name| {
            !reply.add(INodeNo(node), node, FileType::RegularFile, OsStr::from_bytes(name))
        });
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.0.list(ino.0, offset, |node, name| {
            let (name, ttl) = (OsStr::from_bytes(name), name_ttl(node));
            !reply.add(INodeNo(node), node, name, &ttl, &attributes(node), Generation(0))
        });
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: fuser::ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }
}

fn attributes_ttl() -> Duration {
    Duration::from_secs(ATTRIBUTES_VALID)
}

fn name_ttl(node: u64) -> Duration {
    Duration::from_secs(name_valid(node))
}

fn opened(flags: i32) -> FopenFlags {
    FopenFlags::from_bits_truncate(open_flags(flags.cast_unsigned()))
}

fn done(outcome: Result<(), i32>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(Errno::from_i32(errno)),
    }
}

fn attributes(node: u64) -> FileAttr {
    let directory = is_directory(node);
    let size = if directory { 0 } else { FILE_BYTES };
    FileAttr {
        ino: INodeNo(node),
        size,
        blocks: size / 512,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if directory { FileType::Directory } else { FileType::RegularFile },
        perm: if directory { 0o755 } else { 0o644 },
        nlink: if directory { 2 } else { 1 },
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).ok_or("the directory to mount on is missing")?;
    let mut signals = Signals::new(TERM_SIGNALS)?;
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("peer-fuser".to_owned())];
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    let session = Session::new(Peer(Tiny::new()), &directory, &config)?.spawn()?;
    println!("mounted {} (fuser, /dev/fuse, {THREADS} threads, clone_fd)", directory.display());
    signals.forever().next();
    session.umount_and_join()?;
    Ok(())
}
