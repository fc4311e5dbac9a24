//! Typed requests and replies for filesystems written in Rust.
//!
//! A [`Request`] lends a slot's memory to a handler: [`Request::operation`] reads it without a copy,
//! [`Request::reply`] gives up the reading and lets the same memory be filled with the reply.

use fuse_abi::{
    AccessIn, AttrOut, BatchForgetIn, BmapIn, BmapOut, CopyFileRangeIn, CreateIn, Dirent, Direntplus,
    EntryOut, FallocateIn, FlushIn, ForgetIn, ForgetOne, FsyncIn, GetattrIn, GetxattrIn, GetxattrOut,
    InHeader, IoctlIn, LinkIn, LkIn, LseekIn, LseekOut, MkdirIn, MknodIn, Opcode, OpenIn, OpenOut, PollIn,
    ReadIn, ReleaseIn, Rename2In, RenameIn, SetattrIn, SetxattrIn, StatfsOut, StatxIn, SyncfsIn, WriteIn,
    WriteOut, dirent_size,
};
use nix::errno::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::Answer;
use crate::parse::{Malformed, argument, parse};
use crate::slot::SlotRecord;

/// A request in its slot.
#[derive(Debug)]
pub struct Request<'a> {
    header: InHeader,
    arguments: [u8; 128],
    record: SlotRecord,
    payload: &'a mut [u8],
}

/// What a request asks for: the argument struct of the operation, and what follows it. Names are bytes without
/// the NUL. Fields are documented at their structs in [`fuse_abi`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
#[expect(missing_docs, reason = "variants and fields are the protocol's own names")]
pub enum Operation<'a> {
    Lookup {
        name: &'a [u8],
    },
    Forget(ForgetIn),
    BatchForget(&'a [ForgetOne]),
    Getattr(GetattrIn),
    Setattr(SetattrIn),
    Readlink,
    Symlink {
        name: &'a [u8],
        target: &'a [u8],
    },
    Mknod {
        arguments: MknodIn,
        name: &'a [u8],
    },
    Mkdir {
        arguments: MkdirIn,
        name: &'a [u8],
    },
    Unlink {
        name: &'a [u8],
    },
    Rmdir {
        name: &'a [u8],
    },
    Rename {
        arguments: RenameIn,
        name: &'a [u8],
        new_name: &'a [u8],
    },
    Rename2 {
        arguments: Rename2In,
        name: &'a [u8],
        new_name: &'a [u8],
    },
    Link {
        arguments: LinkIn,
        new_name: &'a [u8],
    },
    Open(OpenIn),
    Read(ReadIn),
    Write {
        arguments: WriteIn,
        data: &'a [u8],
    },
    Statfs,
    Release(ReleaseIn),
    Fsync(FsyncIn),
    Setxattr {
        arguments: SetxattrIn,
        name: &'a [u8],
        value: &'a [u8],
    },
    Getxattr {
        arguments: GetxattrIn,
        name: &'a [u8],
    },
    Listxattr(GetxattrIn),
    Removexattr {
        name: &'a [u8],
    },
    Flush(FlushIn),
    Opendir(OpenIn),
    Readdir(ReadIn),
    Readdirplus(ReadIn),
    Releasedir(ReleaseIn),
    Fsyncdir(FsyncIn),
    Getlk(LkIn),
    Setlk(LkIn),
    Setlkw(LkIn),
    Access(AccessIn),
    Create {
        arguments: CreateIn,
        name: &'a [u8],
    },
    Tmpfile(CreateIn),
    Bmap(BmapIn),
    Destroy,
    Ioctl {
        arguments: IoctlIn,
        data: &'a [u8],
    },
    Poll(PollIn),
    Fallocate(FallocateIn),
    Lseek(LseekIn),
    CopyFileRange(CopyFileRangeIn),
    CopyFileRange64(CopyFileRangeIn),
    Syncfs(SyncfsIn),
    Statx(StatxIn),
    /// An opcode that is none of these.
    Other {
        opcode: u32,
        payload: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// A request from its parts, as the ring lays them out: validated as one that comes from the kernel.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(header: InHeader, arguments: [u8; 128], payload: &'a mut [u8]) -> Result<Self, Malformed> {
        let record = parse(&header, &arguments, payload, true)?;
        Ok(Self::new(header, arguments, record, payload))
    }

    pub(crate) fn new(
        header: InHeader,
        arguments: [u8; 128],
        record: SlotRecord,
        payload: &'a mut [u8],
    ) -> Self {
        Self { header, arguments, record, payload }
    }

    /// The node that the request is about: for operations on names, the directory.
    #[must_use]
    pub fn nodeid(&self) -> u64 {
        self.header.nodeid
    }

    /// The request's header: caller and id.
    #[must_use]
    pub fn header(&self) -> &InHeader {
        &self.header
    }

    /// What is asked for.
    #[must_use]
    pub fn operation(&self) -> Operation<'_> {
        let Ok(opcode) = Opcode::try_from(self.record.opcode) else { return self.other() };
        match opcode {
            Opcode::Lookup => Operation::Lookup { name: self.name() },
            Opcode::Forget => Operation::Forget(self.arguments()),
            Opcode::BatchForget => Operation::BatchForget(self.forgets()),
            Opcode::Getattr => Operation::Getattr(self.arguments()),
            Opcode::Setattr => Operation::Setattr(self.arguments()),
            Opcode::Readlink => Operation::Readlink,
            Opcode::Symlink => Operation::Symlink { name: self.name(), target: self.name2() },
            Opcode::Mknod => Operation::Mknod { arguments: self.arguments(), name: self.name() },
            Opcode::Mkdir => Operation::Mkdir { arguments: self.arguments(), name: self.name() },
            Opcode::Unlink => Operation::Unlink { name: self.name() },
            Opcode::Rmdir => Operation::Rmdir { name: self.name() },
            Opcode::Rename => {
                Operation::Rename { arguments: self.arguments(), name: self.name(), new_name: self.name2() }
            }
            Opcode::Rename2 => {
                Operation::Rename2 { arguments: self.arguments(), name: self.name(), new_name: self.name2() }
            }
            Opcode::Link => Operation::Link { arguments: self.arguments(), new_name: self.name() },
            Opcode::Open => Operation::Open(self.arguments()),
            Opcode::Read => Operation::Read(self.arguments()),
            Opcode::Write => Operation::Write { arguments: self.arguments(), data: self.data() },
            Opcode::Statfs => Operation::Statfs,
            Opcode::Release => Operation::Release(self.arguments()),
            Opcode::Fsync => Operation::Fsync(self.arguments()),
            Opcode::Setxattr => {
                Operation::Setxattr { arguments: self.arguments(), name: self.name(), value: self.data() }
            }
            Opcode::Getxattr => Operation::Getxattr { arguments: self.arguments(), name: self.name() },
            Opcode::Listxattr => Operation::Listxattr(self.arguments()),
            Opcode::Removexattr => Operation::Removexattr { name: self.name() },
            Opcode::Flush => Operation::Flush(self.arguments()),
            Opcode::Opendir => Operation::Opendir(self.arguments()),
            Opcode::Readdir => Operation::Readdir(self.arguments()),
            Opcode::Readdirplus => Operation::Readdirplus(self.arguments()),
            Opcode::Releasedir => Operation::Releasedir(self.arguments()),
            Opcode::Fsyncdir => Operation::Fsyncdir(self.arguments()),
            Opcode::Getlk => Operation::Getlk(self.arguments()),
            Opcode::Setlk => Operation::Setlk(self.arguments()),
            Opcode::Setlkw => Operation::Setlkw(self.arguments()),
            Opcode::Access => Operation::Access(self.arguments()),
            Opcode::Create => Operation::Create { arguments: self.arguments(), name: self.name() },
            Opcode::Tmpfile => Operation::Tmpfile(self.arguments()),
            Opcode::Bmap => Operation::Bmap(self.arguments()),
            Opcode::Destroy => Operation::Destroy,
            Opcode::Ioctl => Operation::Ioctl { arguments: self.arguments(), data: self.data() },
            Opcode::Poll => Operation::Poll(self.arguments()),
            Opcode::Fallocate => Operation::Fallocate(self.arguments()),
            Opcode::Lseek => Operation::Lseek(self.arguments()),
            Opcode::CopyFileRange => Operation::CopyFileRange(self.arguments()),
            Opcode::CopyFileRange64 => Operation::CopyFileRange64(self.arguments()),
            Opcode::Syncfs => Operation::Syncfs(self.arguments()),
            Opcode::Statx => Operation::Statx(self.arguments()),
            _ => self.other(),
        }
    }

    fn other(&self) -> Operation<'_> {
        Operation::Other { opcode: self.header.opcode, payload: self.data() }
    }

    fn arguments<T: FromBytes + zerocopy::KnownLayout + Immutable>(&self) -> T {
        argument(&self.arguments)
    }

    fn name(&self) -> &[u8] {
        self.part(self.record.name_offset, self.record.name_length)
    }

    fn name2(&self) -> &[u8] {
        self.part(self.record.name2_offset, self.record.name2_length)
    }

    fn data(&self) -> &[u8] {
        self.part(self.record.data_offset, self.record.data_length)
    }

    fn forgets(&self) -> &[ForgetOne] {
        let count = self.arguments::<BatchForgetIn>().count as usize;
        <[ForgetOne]>::ref_from_prefix_with_elems(self.data(), count).map_or(&[], |(forgets, _)| forgets)
    }

    fn part(&self, offset: u32, length: u32) -> &[u8] {
        &self.payload[offset as usize..][..length as usize]
    }

    /// Ends the request with an error.
    #[must_use]
    pub fn fail(self, errno: Errno) -> Answer {
        Answer::Error(errno)
    }

    /// Gives up the request and starts its reply, in the same memory.
    #[must_use]
    pub fn reply(self) -> Reply<'a> {
        Reply { payload: self.payload, length: 0 }
    }
}

/// A reply in the making.
#[derive(Debug)]
pub struct Reply<'a> {
    payload: &'a mut [u8],
    length: usize,
}

impl<'a> Reply<'a> {
    /// A reply without contents.
    #[must_use]
    pub fn empty(self) -> Answer {
        Answer::Payload(0)
    }

    /// The reply to LOOKUP and the operations that make an entry.
    #[must_use]
    pub fn entry(self, entry: EntryOut) -> Answer {
        self.with(&entry).end()
    }

    /// The reply to CREATE.
    #[must_use]
    pub fn create(self, entry: EntryOut, open: OpenOut) -> Answer {
        self.with(&entry).with(&open).end()
    }

    /// The reply to GETATTR and SETATTR.
    #[must_use]
    pub fn attributes(self, attributes: AttrOut) -> Answer {
        self.with(&attributes).end()
    }

    /// The reply to OPEN and OPENDIR.
    #[must_use]
    pub fn open(self, open: OpenOut) -> Answer {
        self.with(&open).end()
    }

    /// The reply to WRITE and `COPY_FILE_RANGE`.
    #[must_use]
    pub fn written(self, size: u32) -> Answer {
        self.with(&WriteOut { size, ..WriteOut::default() }).end()
    }

    /// The reply to STATFS.
    #[must_use]
    pub fn statfs(self, statfs: StatfsOut) -> Answer {
        self.with(&statfs).end()
    }

    /// The reply to LSEEK.
    #[must_use]
    pub fn offset(self, offset: u64) -> Answer {
        self.with(&LseekOut { offset }).end()
    }

    /// The reply to BMAP.
    #[must_use]
    pub fn block(self, block: u64) -> Answer {
        self.with(&BmapOut { block }).end()
    }

    /// The reply to GETXATTR and LISTXATTR of size 0: how much there is.
    #[must_use]
    pub fn xattr_size(self, size: u32) -> Answer {
        self.with(&GetxattrOut { size, ..GetxattrOut::default() }).end()
    }

    /// The reply to READ, READLINK, GETXATTR and LISTXATTR: a copy of the bytes. More than the payload holds
    /// is an EIO.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Answer {
        match self.payload.get_mut(..bytes.len()) {
            Some(target) => {
                target.copy_from_slice(bytes);
                Answer::Payload(bytes.len())
            }
            None => Answer::Error(Errno::EIO),
        }
    }

    /// The memory that the reply leaves from, still holding bytes of the request or of earlier ones. Fill it
    /// and end with [`Reply::filled`].
    pub fn buffer(&mut self) -> &mut [u8] {
        self.payload
    }

    /// The reply to READ: the first `length` bytes of [`Reply::buffer`], all of which were written.
    #[must_use]
    pub fn filled(self, length: usize) -> Answer {
        Answer::Payload(length.min(self.payload.len()))
    }

    /// Starts the reply to READDIR, of at most `size` bytes.
    #[must_use]
    pub fn directory(self, size: u32) -> Directory<'a> {
        let size = (size as usize).min(self.payload.len());
        Directory { payload: &mut self.payload[..size], length: 0 }
    }

    /// Appends a struct. Each reply's structs together are shorter than the smallest payload.
    fn with<T: IntoBytes + Immutable>(mut self, value: &T) -> Self {
        let bytes = value.as_bytes();
        self.payload[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
        self
    }

    fn end(self) -> Answer {
        Answer::Payload(self.length)
    }
}

/// The reply to READDIR or READDIRPLUS in the making.
#[derive(Debug)]
pub struct Directory<'a> {
    payload: &'a mut [u8],
    length: usize,
}

impl Directory<'_> {
    /// Adds an entry of READDIR; false if the caller's room is full. `kind` is a `DT_*` value, `offset` what the
    /// next READDIR begins at.
    #[must_use]
    pub fn add(&mut self, ino: u64, offset: u64, kind: u32, name: &[u8]) -> bool {
        self.push(&[], ino, offset, kind, name)
    }

    /// Adds an entry of READDIRPLUS, which counts as a lookup; false if the caller's room is full.
    #[must_use]
    pub fn add_plus(&mut self, entry: EntryOut, offset: u64, name: &[u8]) -> bool {
        const { assert!(size_of::<Direntplus>() == size_of::<EntryOut>() + size_of::<Dirent>()) };
        self.push(entry.as_bytes(), entry.attr.ino, offset, entry.attr.mode >> 12, name)
    }

    fn push(&mut self, prefix: &[u8], ino: u64, offset: u64, kind: u32, name: &[u8]) -> bool {
        let Ok(namelen) = u32::try_from(name.len()) else { return false };
        let size = prefix.len() + dirent_size(name.len());
        let Some(target) = self.payload.get_mut(self.length..self.length + size) else { return false };
        let dirent = Dirent { ino, off: offset, namelen, r#type: kind };
        let (front, rest) = target.split_at_mut(prefix.len());
        let (head, rest) = rest.split_at_mut(size_of::<Dirent>());
        let (place, padding) = rest.split_at_mut(name.len());
        front.copy_from_slice(prefix);
        head.copy_from_slice(dirent.as_bytes());
        place.copy_from_slice(name);
        padding.fill(0);
        self.length += size;
        true
    }

    /// Ends the reply.
    #[must_use]
    pub fn end(self) -> Answer {
        Answer::Payload(self.length)
    }
}
