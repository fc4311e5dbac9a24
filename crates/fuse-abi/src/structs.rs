//! The structs of the protocol, by what they are about.

mod attr;
mod data;
mod dirent;
mod entry;
mod file;
mod header;
mod init;
mod ioctl;
mod lock;
mod notify;
mod uring;
mod xattr;

pub use attr::{
    AccessIn, Attr, AttrOut, GetattrIn, Kstatfs, SetattrIn, StatfsOut, Statx, StatxIn, StatxOut, SxTime,
};
pub use data::{
    BmapIn, BmapOut, CopyFileRangeIn, CopyFileRangeOut, FallocateIn, LseekIn, LseekOut, ReadIn,
    RemovemappingIn, RemovemappingOne, SetupmappingIn, WriteIn, WriteOut,
};
pub use dirent::{Dirent, Direntplus, dirent_size, direntplus_size, rec_align};
pub use entry::{
    BatchForgetIn, CreateIn, EntryOut, ForgetIn, ForgetOne, LinkIn, MkdirIn, MknodIn, Rename2In, RenameIn,
};
pub use file::{BackingMap, FlushIn, FsyncIn, OpenIn, OpenOut, ReleaseIn, SyncfsIn};
pub use header::{ExtHeader, InHeader, OutHeader, Secctx, SecctxHeader, SuppGroups};
pub use init::{CuseInitIn, CuseInitOut, InitIn, InitOut};
pub use ioctl::{IoctlIn, IoctlIovec, IoctlOut, PollIn, PollOut};
pub use lock::{FileLock, InterruptIn, LkIn, LkOut};
pub use notify::{
    NotifyDeleteOut, NotifyInvalEntryOut, NotifyInvalInodeOut, NotifyPollWakeupOut, NotifyPruneOut,
    NotifyRetrieveIn, NotifyRetrieveOut, NotifyStoreOut,
};
pub use uring::{UringCmd, UringCmdReq, UringEntInOut, UringReqHeader};
pub use xattr::{GetxattrIn, GetxattrOut, SetxattrIn};

use crate::LayoutInfo;

/// Defines a module's structs, and the list of their layouts.
macro_rules! protocol {
    ($($(#$attr:tt)* pub struct $name:ident $fields:tt)+) => {
        $crate::wire_struct! { $($(#$attr)* pub struct $name $fields)+ }

        pub(super) const LAYOUTS: &[$crate::LayoutInfo] = &[$($crate::LayoutInfo::of::<$name>()),+];
    };
}
use protocol;

/// The layout of every struct of the protocol.
pub fn layouts() -> impl Iterator<Item = LayoutInfo> {
    [
        header::LAYOUTS,
        init::LAYOUTS,
        attr::LAYOUTS,
        entry::LAYOUTS,
        file::LAYOUTS,
        data::LAYOUTS,
        dirent::LAYOUTS,
        xattr::LAYOUTS,
        lock::LAYOUTS,
        ioctl::LAYOUTS,
        notify::LAYOUTS,
        uring::LAYOUTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
