//! Numbers of the protocol that stand alone.

use crate::RemovemappingOne;

/// A constant, for the TypeScript module.
pub(crate) struct Constant {
    pub name: &'static str,
    pub doc: &'static str,
    pub value: u64,
}

/// Defines constants, and the list of them.
macro_rules! constants {
    ($($(#[doc = $doc:literal])+ pub const $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[doc = $doc])+ pub const $name: $type = $value;)+

        pub(crate) const CONSTANTS: &[Constant] = &[
            $(Constant {
                name: stringify!($name),
                doc: concat!($($doc, "\n"),+),
                value: $name as u64,
            },)+
        ];
    };
}

constants! {
    /// Major version of the protocol.
    pub const KERNEL_VERSION: u32 = 7;
    /// Minor version of the protocol that this crate describes.
    pub const KERNEL_MINOR_VERSION: u32 = 45;
    /// Node id of the root directory.
    pub const ROOT_ID: u64 = 1;
    /// Least size of a buffer for `read(2)` on `/dev/fuse`.
    pub const MIN_READ_BUFFER: usize = 8192;
    /// Bit of a request's `unique` that marks it as sent again. Since 7.40.
    pub const UNIQUE_RESEND: u64 = 1 << 63;
    /// A caller's uid or gid that has no mapping on an idmapped mount. Since 7.41.
    pub const INVALID_UIDGID: u32 = u32::MAX;

    /// Greatest count of security contexts; smaller extension types are such counts. Since 7.38.
    pub const MAX_NR_SECCTX: u32 = 31;
    /// Extension type of the supplementary groups. Since 7.38.
    pub const EXT_GROUPS: u32 = 32;

    /// Greatest count of input and output iovecs of an ioctl together.
    pub const IOCTL_MAX_IOV: usize = 256;
    /// Greatest length of the device information in the reply to `CUSE_INIT`.
    pub const CUSE_INIT_INFO_MAX: usize = 4096;

    /// Opcode `INIT` as a peer of the other byte order would see it.
    pub const INIT_BSWAP_RESERVED: u32 = 436_207_616;
    /// Opcode `CUSE_INIT` as a peer of the other byte order would see it.
    pub const CUSE_INIT_BSWAP_RESERVED: u32 = 1_048_576;

    /// Size of `entry_out` before 7.9.
    pub const COMPAT_ENTRY_OUT_SIZE: usize = 120;
    /// Size of `attr_out` before 7.9.
    pub const COMPAT_ATTR_OUT_SIZE: usize = 96;
    /// Size of `mknod_in` before 7.12.
    pub const COMPAT_MKNOD_IN_SIZE: usize = 8;
    /// Size of `write_in` before 7.9.
    pub const COMPAT_WRITE_IN_SIZE: usize = 24;
    /// Size of `statfs_out` before 7.4.
    pub const COMPAT_STATFS_SIZE: usize = 48;
    /// Size of `setxattr_in` unless `SETXATTR_EXT` is agreed on.
    pub const COMPAT_SETXATTR_IN_SIZE: usize = 8;
    /// Size of `init_out` before 7.5.
    pub const COMPAT_INIT_OUT_SIZE: usize = 8;
    /// Size of `init_out` before 7.23.
    pub const COMPAT_22_INIT_OUT_SIZE: usize = 24;

    /// Room for `in_header` or `out_header` in a ring entry's header. Since 7.42.
    pub const URING_IN_OUT_HEADER_SZ: usize = 128;
    /// Room for the operation's argument in a ring entry's header. Since 7.42.
    pub const URING_OP_IN_OUT_SZ: usize = 128;
}

/// Greatest count of [`RemovemappingOne`] in one request, with pages of `page_size` bytes.
#[must_use]
pub const fn removemapping_max_entry(page_size: usize) -> usize {
    page_size / size_of::<RemovemappingOne>()
}
