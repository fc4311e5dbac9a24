//! Our numbers under their names in C.

use std::collections::BTreeMap;

use bitflags::Flags;
use fuse_abi::{
    AttrFlags, CuseInitFlags, Dirent, Direntplus, ExpireFlags, FattrFlags, FopenFlags, FsyncFlags,
    GetattrFlags, InitFlags, IoctlFlags, LkFlags, NotifyCode, Opcode, OpenInFlags, PollFlags, ReadFlags,
    ReleaseFlags, SetupmappingFlags, SetxattrFlags, UringCmd, WriteFlags,
};

type Constants = BTreeMap<String, u64>;

pub fn ours() -> Constants {
    let mut all = Constants::new();
    codes(&mut all);
    flags::<InitFlags>(&mut all, "FUSE_");
    flags::<FopenFlags>(&mut all, "FOPEN_");
    flags::<FattrFlags>(&mut all, "FATTR_");
    flags::<GetattrFlags>(&mut all, "FUSE_GETATTR_");
    flags::<AttrFlags>(&mut all, "FUSE_ATTR_");
    flags::<OpenInFlags>(&mut all, "FUSE_OPEN_");
    flags::<ReleaseFlags>(&mut all, "FUSE_RELEASE_");
    flags::<ReadFlags>(&mut all, "FUSE_READ_");
    flags::<WriteFlags>(&mut all, "FUSE_WRITE_");
    flags::<FsyncFlags>(&mut all, "FUSE_FSYNC_");
    flags::<LkFlags>(&mut all, "FUSE_LK_");
    flags::<SetxattrFlags>(&mut all, "FUSE_SETXATTR_");
    flags::<IoctlFlags>(&mut all, "FUSE_IOCTL_");
    flags::<PollFlags>(&mut all, "FUSE_POLL_");
    flags::<ExpireFlags>(&mut all, "FUSE_EXPIRE_");
    flags::<SetupmappingFlags>(&mut all, "FUSE_SETUPMAPPING_FLAG_");
    flags::<CuseInitFlags>(&mut all, "CUSE_");
    aliases(&mut all);
    name_offsets(&mut all);
    all.extend(NUMBERS.iter().map(|(name, value)| ((*name).to_owned(), *value)));
    all
}

fn codes(all: &mut Constants) {
    for opcode in Opcode::ALL {
        let prefix = if *opcode == Opcode::CuseInit { "" } else { "FUSE_" };
        all.insert(format!("{prefix}{}", opcode.name().to_uppercase()), u32::from(*opcode).into());
    }
    for code in NotifyCode::ALL {
        all.insert(format!("FUSE_NOTIFY_{}", code.name().to_uppercase()), u32::from(*code).into());
    }
    for command in UringCmd::ALL {
        all.insert(
            format!("FUSE_IO_URING_CMD_{}", command.name().to_uppercase()),
            u32::from(*command).into(),
        );
    }
}

fn flags<F: Flags<Bits: Into<u64>>>(all: &mut Constants, prefix: &str) {
    for flag in F::FLAGS {
        // A name that would begin with a digit begins with an underscore in Rust.
        let name = flag.name().trim_start_matches('_');
        all.insert(format!("{prefix}{name}"), flag.value().bits().into());
    }
}

fn aliases(all: &mut Constants) {
    all.insert("FUSE_DIRECT_IO_RELAX".to_owned(), InitFlags::DIRECT_IO_RELAX.bits());
    all.insert("FUSE_WRITE_KILL_PRIV".to_owned(), WriteFlags::KILL_PRIV.bits().into());
}

fn name_offsets(all: &mut Constants) {
    all.insert("FUSE_NAME_OFFSET".to_owned(), size_of::<Dirent>() as u64);
    all.insert("FUSE_NAME_OFFSET_DIRENTPLUS".to_owned(), size_of::<Direntplus>() as u64);
}

/// A list of constants with their C names, which are those of `fuse_abi` after a prefix.
macro_rules! numbers {
    ($($prefix:literal { $($name:ident),+ $(,)? })+) => {
        &[$($((concat!($prefix, stringify!($name)), fuse_abi::$name as u64),)+)+]
    };
}

const NUMBERS: &[(&str, u64)] = numbers! {
    "FUSE_" {
        KERNEL_VERSION,
        ROOT_ID,
        MIN_READ_BUFFER,
        UNIQUE_RESEND,
        INVALID_UIDGID,
        MAX_NR_SECCTX,
        EXT_GROUPS,
        IOCTL_MAX_IOV,
        INIT_BSWAP_RESERVED,
        COMPAT_ENTRY_OUT_SIZE,
        COMPAT_ATTR_OUT_SIZE,
        COMPAT_MKNOD_IN_SIZE,
        COMPAT_WRITE_IN_SIZE,
        COMPAT_STATFS_SIZE,
        COMPAT_SETXATTR_IN_SIZE,
        COMPAT_INIT_OUT_SIZE,
        COMPAT_22_INIT_OUT_SIZE,
        URING_IN_OUT_HEADER_SZ,
        URING_OP_IN_OUT_SZ,
        DEV_IOC_MAGIC,
        DEV_IOC_CLONE,
        DEV_IOC_BACKING_OPEN,
        DEV_IOC_BACKING_CLOSE,
        DEV_IOC_SYNC_INIT,
    }
    "" {
        CUSE_INIT_INFO_MAX,
        CUSE_INIT_BSWAP_RESERVED,
    }
};
