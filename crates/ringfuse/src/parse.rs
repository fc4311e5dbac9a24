//! Validation of a request in place: where its names and data lie, and whether they fit.
//!
//! The parser reads bytes and returns a [`SlotRecord`]; it allocates nothing, never panics, and believes
//! nothing that it has not checked. Layouts follow `linux/fuse.h` 7.45 and the order of arguments in
//! `fs/fuse/` of Linux 6.18.

use std::ffi::CStr;

use fuse_abi::{
    AccessIn, BatchForgetIn, BmapIn, CopyFileRangeIn, CreateIn, FallocateIn, FlushIn, ForgetIn, ForgetOne,
    FsyncIn, GetattrIn, GetxattrIn, InHeader, InitIn, InterruptIn, IoctlIn, LinkIn, LkIn, LseekIn, MkdirIn,
    MknodIn, NotifyRetrieveIn, Opcode, OpenIn, PollIn, ReadIn, ReleaseIn, Rename2In, RenameIn, SetattrIn,
    SetupmappingIn, SetxattrIn, StatxIn, SyncfsIn, WriteIn,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::slot::{RecordFlags, SlotRecord};

/// Bytes of the argument struct of SETXATTR where `SETXATTR_EXT` was not negotiated.
const COMPAT_SETXATTR_IN_SIZE: usize = 8;

/// `NAME_MAX`: bytes of the longest name. Linux passes on names of up to 4095 bytes (`FUSE_NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Type of a lock that is taken away.
const F_UNLCK: u32 = 2;

/// Why a request cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The request ends before its argument struct does, or its lengths contradict each other.
    #[error("the request has {have} bytes where its operation needs {need}")]
    Length {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the operation and its own fields ask for.
        need: usize,
    },
    /// A name has no NUL at its end.
    #[error("a name does not end")]
    UnterminatedName,
    /// A name has no bytes.
    #[error("a name is empty")]
    EmptyName,
    /// A name has more than 255 bytes. The kernel sends such names; the answer is ENAMETOOLONG.
    #[error("a name is longer than 255 bytes")]
    NameTooLong,
    /// The extensions are longer than what is left of the request.
    #[error("the extensions are longer than the request")]
    Extensions,
}

/// What follows an operation's argument struct.
#[derive(Debug, Clone, Copy)]
enum Tail {
    /// Nothing.
    Nothing,
    /// A name.
    Name,
    /// Two names.
    TwoNames,
    /// A name, then the target of a symbolic link.
    NameAndTarget,
    /// A name, then as many bytes as the struct's `size` says.
    NameAndValue,
    /// As many bytes as the field says.
    Data(fn(&[u8; 128]) -> usize),
    /// Forgets, as many as the struct's `count` says.
    Forgets,
    /// Whatever is there.
    Anything,
}

/// An operation's request: the size of its argument struct, and what follows.
#[derive(Debug, Clone, Copy)]
struct Shape {
    arguments: usize,
    tail: Tail,
}

const fn shape_of<T>(tail: Tail) -> Shape {
    Shape { arguments: size_of::<T>(), tail }
}

/// Reads an argument struct from the start of its bytes.
pub(crate) fn argument<T: FromBytes + KnownLayout + Immutable>(arguments: &[u8; 128]) -> T {
    // Every argument struct of the protocol is shorter than the 128 bytes that the ring has for it.
    T::read_from_prefix(arguments).expect("argument structs fit into 128 bytes").0
}

fn shape(opcode: Opcode, setxattr_ext: bool) -> Shape {
    match opcode {
        Opcode::Lookup | Opcode::Unlink | Opcode::Rmdir | Opcode::Removexattr => shape_of::<()>(Tail::Name),
        Opcode::Symlink => shape_of::<()>(Tail::NameAndTarget),
        Opcode::Readlink | Opcode::Statfs | Opcode::Destroy => shape_of::<()>(Tail::Nothing),
        Opcode::Forget => shape_of::<ForgetIn>(Tail::Nothing),
        Opcode::BatchForget => shape_of::<BatchForgetIn>(Tail::Forgets),
        Opcode::Getattr => shape_of::<GetattrIn>(Tail::Nothing),
        Opcode::Setattr => shape_of::<SetattrIn>(Tail::Nothing),
        Opcode::Mknod => shape_of::<MknodIn>(Tail::Name),
        Opcode::Mkdir => shape_of::<MkdirIn>(Tail::Name),
        Opcode::Rename => shape_of::<RenameIn>(Tail::TwoNames),
        Opcode::Rename2 => shape_of::<Rename2In>(Tail::TwoNames),
        Opcode::Link => shape_of::<LinkIn>(Tail::Name),
        Opcode::Open | Opcode::Opendir => shape_of::<OpenIn>(Tail::Nothing),
        Opcode::Read | Opcode::Readdir | Opcode::Readdirplus => shape_of::<ReadIn>(Tail::Nothing),
        Opcode::Write => {
            shape_of::<WriteIn>(Tail::Data(|arguments| argument::<WriteIn>(arguments).size as usize))
        }
        Opcode::Release | Opcode::Releasedir => shape_of::<ReleaseIn>(Tail::Nothing),
        Opcode::Fsync | Opcode::Fsyncdir => shape_of::<FsyncIn>(Tail::Nothing),
        Opcode::Setxattr if setxattr_ext => shape_of::<SetxattrIn>(Tail::NameAndValue),
        Opcode::Setxattr => Shape { arguments: COMPAT_SETXATTR_IN_SIZE, tail: Tail::NameAndValue },
        Opcode::Getxattr => shape_of::<GetxattrIn>(Tail::Name),
        Opcode::Listxattr => shape_of::<GetxattrIn>(Tail::Nothing),
        Opcode::Flush => shape_of::<FlushIn>(Tail::Nothing),
        Opcode::Init => shape_of::<InitIn>(Tail::Nothing),
        Opcode::Getlk | Opcode::Setlk | Opcode::Setlkw => shape_of::<LkIn>(Tail::Nothing),
        Opcode::Access => shape_of::<AccessIn>(Tail::Nothing),
        Opcode::Create | Opcode::Tmpfile => shape_of::<CreateIn>(Tail::Name),
        Opcode::Interrupt => shape_of::<InterruptIn>(Tail::Nothing),
        Opcode::Bmap => shape_of::<BmapIn>(Tail::Nothing),
        Opcode::Ioctl => {
            shape_of::<IoctlIn>(Tail::Data(|arguments| argument::<IoctlIn>(arguments).in_size as usize))
        }
        Opcode::Poll => shape_of::<PollIn>(Tail::Nothing),
        Opcode::Fallocate => shape_of::<FallocateIn>(Tail::Nothing),
        Opcode::Lseek => shape_of::<LseekIn>(Tail::Nothing),
        Opcode::CopyFileRange | Opcode::CopyFileRange64 => shape_of::<CopyFileRangeIn>(Tail::Nothing),
        Opcode::Setupmapping => shape_of::<SetupmappingIn>(Tail::Nothing),
        Opcode::Syncfs => shape_of::<SyncfsIn>(Tail::Nothing),
        Opcode::Statx => shape_of::<StatxIn>(Tail::Nothing),
        // The kernel sends these two with an empty first argument: their structs begin the payload.
        Opcode::NotifyReply | Opcode::Removemapping | Opcode::CuseInit => shape_of::<()>(Tail::Anything),
    }
}

/// How many bytes of a request are its argument struct, where the kernel's ring puts them apart from the rest.
/// An unknown opcode has none.
#[must_use]
pub fn arguments_size(opcode: u32, setxattr_ext: bool) -> usize {
    Opcode::try_from(opcode).map_or(0, |opcode| shape(opcode, setxattr_ext).arguments)
}

/// Validates a request: its header, its argument struct's bytes, and its payload (what follows the struct).
/// A request with an opcode that this protocol version does not have is passed on with its payload as data.
///
/// # Errors
/// [`Malformed`], if lengths contradict each other or a name is not one.
pub fn parse(
    header: &InHeader,
    arguments: &[u8; 128],
    payload: &[u8],
    setxattr_ext: bool,
) -> Result<SlotRecord, Malformed> {
    let extensions_length = usize::from(header.total_extlen) * 8;
    let body_length = payload.len().checked_sub(extensions_length).ok_or(Malformed::Extensions)?;
    let mut record = SlotRecord {
        opcode: header.opcode,
        extensions_offset: length(body_length),
        extensions_length: length(extensions_length),
        ..SlotRecord::default()
    };
    let mut body = Body { bytes: &payload[..body_length], position: 0 };
    let Ok(opcode) = Opcode::try_from(header.opcode) else {
        (record.data_offset, record.data_length) = body.take(body_length)?;
        return Ok(record);
    };
    if matches!(opcode, Opcode::Forget | Opcode::BatchForget | Opcode::Interrupt | Opcode::NotifyReply) {
        record.flags |= RecordFlags::NO_REPLY.bits();
    }
    if opcode == Opcode::Setxattr && setxattr_ext {
        record.flags |= RecordFlags::SETXATTR_EXT.bits();
    }
    if opcode == Opcode::Setlkw && argument::<LkIn>(arguments).lk.r#type == F_UNLCK {
        record.opcode = Opcode::Setlk.into();
    }
    match shape(opcode, setxattr_ext).tail {
        Tail::Nothing => {}
        Tail::Name => (record.name_offset, record.name_length) = body.name()?,
        Tail::TwoNames => {
            (record.name_offset, record.name_length) = body.name()?;
            (record.name2_offset, record.name2_length) = body.name()?;
        }
        Tail::NameAndTarget => {
            (record.name_offset, record.name_length) = body.name()?;
            (record.name2_offset, record.name2_length) = body.terminated()?;
        }
        Tail::NameAndValue => {
            (record.name_offset, record.name_length) = body.name()?;
            let size = argument::<GetxattrIn>(arguments).size as usize;
            (record.data_offset, record.data_length) = body.take(size)?;
        }
        Tail::Data(size) => (record.data_offset, record.data_length) = body.take(size(arguments))?,
        Tail::Forgets => {
            let count = argument::<BatchForgetIn>(arguments).count as usize;
            (record.data_offset, record.data_length) =
                body.take(count.saturating_mul(size_of::<ForgetOne>()))?;
        }
        Tail::Anything => {
            let rest = body_length;
            if opcode == Opcode::NotifyReply && rest < size_of::<NotifyRetrieveIn>() {
                return Err(Malformed::Length { have: rest, need: size_of::<NotifyRetrieveIn>() });
            }
            (record.data_offset, record.data_length) = body.take(rest)?;
        }
    }
    body.end()?;
    Ok(record)
}

/// The payload without its extensions, read from the front.
struct Body<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Body<'_> {
    /// The name of an entry or of an attribute: its offset and its length without the NUL.
    fn name(&mut self) -> Result<(u32, u32), Malformed> {
        let name = self.terminated()?;
        if name.1 as usize > LONGEST_NAME { Err(Malformed::NameTooLong) } else { Ok(name) }
    }

    /// A NUL-terminated text: its offset and its length without the NUL.
    fn terminated(&mut self) -> Result<(u32, u32), Malformed> {
        let rest = &self.bytes[self.position..];
        let name = CStr::from_bytes_until_nul(rest).map_err(|_| Malformed::UnterminatedName)?;
        let found = (length(self.position), length(name.count_bytes()));
        if name.is_empty() {
            return Err(Malformed::EmptyName);
        }
        self.position += name.count_bytes() + 1;
        Ok(found)
    }

    /// The next `size` bytes: their offset and length.
    fn take(&mut self, size: usize) -> Result<(u32, u32), Malformed> {
        let have = self.bytes.len() - self.position;
        if size > have {
            return Err(Malformed::Length { have, need: size });
        }
        let found = (length(self.position), length(size));
        self.position += size;
        Ok(found)
    }

    /// Nothing may be left over.
    fn end(&self) -> Result<(), Malformed> {
        if self.position == self.bytes.len() {
            Ok(())
        } else {
            Err(Malformed::Length { have: self.bytes.len(), need: self.position })
        }
    }
}

/// A length inside a payload, which is at most 4 GiB.
fn length(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
