//! The null filesystem: [`Tiny`], served as fast as the transport allows. What it measures is the transport and the
//! one copy that a server of real data makes.

use fuse_abi::{Attr, AttrOut, EntryOut, OpenOut, ReadIn, StatfsOut};
use nix::errno::Errno;
use ringfuse::{
    Answer, Filesystem,
    request::{Operation, Request},
};

use crate::tiny::{ATTRIBUTES_VALID, FILE_BYTES, Tiny, is_directory, name_valid, open_flags};

/// `DT_REG` of dirent.h.
const REGULAR: u32 = libc::DT_REG as u32;

/// The filesystem.
#[derive(Debug)]
pub struct NullFilesystem(Tiny);

impl NullFilesystem {
    /// The filesystem as it is at first.
    #[must_use]
    pub fn new() -> Self {
        Self(Tiny::new())
    }

    fn list(&self, read: ReadIn, request: Request<'_>) -> Answer {
        let parent = request.nodeid();
        let mut directory = request.reply().directory(read.size);
        self.0.list(parent, read.offset, |node, name| directory.add(node, node, REGULAR, name));
        directory.end()
    }

    fn list_plus(&self, read: ReadIn, request: Request<'_>) -> Answer {
        let parent = request.nodeid();
        let mut directory = request.reply().directory(read.size);
        self.0.list(parent, read.offset, |node, name| directory.add_plus(entry(node), node, name));
        directory.end()
    }
}

impl Filesystem for NullFilesystem {
    fn request(&self, request: Request<'_>) -> Answer {
        let Self(tiny) = self;
        match request.operation() {
            Operation::Getattr(_) | Operation::Setattr(_) => {
                let attr = attributes(request.nodeid());
                let attributes = AttrOut { attr_valid: ATTRIBUTES_VALID, attr, ..AttrOut::default() };
                request.reply().attributes(attributes)
            }
            Operation::Read(read) => request.reply().bytes(tiny.contents(read.offset, read.size)),
            Operation::Write { arguments, .. } => request.reply().written(arguments.size),
            Operation::Lookup { name } => match tiny.find(request.nodeid(), name) {
                Some(node) => request.reply().entry(entry(node)),
                None => request.fail(Errno::ENOENT),
            },
            Operation::Create { arguments, name } => {
                match tiny.create(name, arguments.flags & libc::O_EXCL.cast_unsigned() != 0) {
                    Ok(node) => request.reply().create(entry(node), open(arguments.flags)),
                    Err(errno) => request.fail(Errno::from_raw(errno)),
                }
            }
            Operation::Unlink { name } => done(tiny.unlink(name), request),
            Operation::Rename { name, new_name, .. } | Operation::Rename2 { name, new_name, .. } => {
                done(tiny.rename(name, new_name), request)
            }
            Operation::Open(arguments) => request.reply().open(open(arguments.flags)),
            Operation::Opendir(_) => request.reply().open(OpenOut::default()),
            Operation::Readdir(read) => self.list(read, request),
            Operation::Readdirplus(read) => self.list_plus(read, request),
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

fn done(outcome: Result<(), i32>, request: Request<'_>) -> Answer {
    match outcome {
        Ok(()) => request.reply().empty(),
        Err(errno) => request.fail(Errno::from_raw(errno)),
    }
}

fn attributes(node: u64) -> Attr {
    if is_directory(node) {
        Attr { ino: node, mode: libc::S_IFDIR | 0o755, nlink: 2, ..Attr::default() }
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

fn entry(node: u64) -> EntryOut {
    EntryOut {
        nodeid: node,
        entry_valid: name_valid(node),
        attr_valid: ATTRIBUTES_VALID,
        attr: attributes(node),
        ..EntryOut::default()
    }
}

fn open(flags: u32) -> OpenOut {
    OpenOut { open_flags: open_flags(flags), ..OpenOut::default() }
}
