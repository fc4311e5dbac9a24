//! Flags have the kernel's bits.

use bitflags::Flags;
use fuse_abi::{
    AttrFlags, CuseInitFlags, ExpireFlags, FattrFlags, FopenFlags, FsyncFlags, GetattrFlags, InitFlags,
    IoctlFlags, LkFlags, OpenInFlags, PollFlags, ReadFlags, ReleaseFlags, SetupmappingFlags, SetxattrFlags,
    WriteFlags,
};

const INIT: &[(&str, u32)] = &[
    ("ASYNC_READ", 10),
    ("POSIX_LOCKS", 7),
    ("FILE_OPS", 10),
    ("ATOMIC_O_TRUNC", 10),
    ("EXPORT_SUPPORT", 10),
    ("BIG_WRITES", 10),
    ("DONT_MASK", 12),
    ("SPLICE_WRITE", 14),
    ("SPLICE_MOVE", 14),
    ("SPLICE_READ", 14),
    ("FLOCK_LOCKS", 17),
    ("HAS_IOCTL_DIR", 18),
    ("AUTO_INVAL_DATA", 20),
    ("DO_READDIRPLUS", 21),
    ("READDIRPLUS_AUTO", 21),
    ("ASYNC_DIO", 22),
    ("WRITEBACK_CACHE", 23),
    ("NO_OPEN_SUPPORT", 23),
    ("PARALLEL_DIROPS", 25),
    ("HANDLE_KILLPRIV", 26),
    ("POSIX_ACL", 26),
    ("ABORT_ERROR", 27),
    ("MAX_PAGES", 28),
    ("CACHE_SYMLINKS", 28),
    ("NO_OPENDIR_SUPPORT", 29),
    ("EXPLICIT_INVAL_DATA", 30),
    ("MAP_ALIGNMENT", 31),
    ("SUBMOUNTS", 32),
    ("HANDLE_KILLPRIV_V2", 33),
    ("SETXATTR_EXT", 33),
    ("INIT_EXT", 36),
    ("INIT_RESERVED", 36),
    ("SECURITY_CTX", 36),
    ("HAS_INODE_DAX", 36),
    ("CREATE_SUPP_GROUP", 38),
    ("HAS_EXPIRE_ONLY", 38),
    ("DIRECT_IO_ALLOW_MMAP", 39),
    ("PASSTHROUGH", 40),
    ("NO_EXPORT_SUPPORT", 40),
    ("HAS_RESEND", 40),
    ("ALLOW_IDMAP", 41),
    ("OVER_IO_URING", 42),
    ("REQUEST_TIMEOUT", 43),
];

/// The names of the flags in the order of their bits, from bit `first` on and without a gap.
fn names_from<F: Flags<Bits: Into<u64>>>(first: usize) -> Vec<&'static str> {
    for (at, flag) in F::FLAGS.iter().enumerate() {
        let bits: u64 = flag.value().bits().into();
        assert_eq!(bits, 1 << (first + at), "{}", flag.name());
    }
    F::FLAGS.iter().map(bitflags::Flag::name).collect()
}

#[test]
fn init_flags_have_the_kernel_s_bits_and_minor_versions() {
    let expected: Vec<_> = INIT.iter().map(|(name, _)| *name).collect();
    assert_eq!(names_from::<InitFlags>(0), expected);
    let minors: Vec<_> = InitFlags::all().iter_names().map(|(name, flag)| (name, flag.since())).collect();
    assert_eq!(minors, INIT);
}

#[test]
fn other_flags_have_the_kernel_s_bits() {
    assert_eq!(
        names_from::<FopenFlags>(0),
        [
            "DIRECT_IO",
            "KEEP_CACHE",
            "NONSEEKABLE",
            "CACHE_DIR",
            "STREAM",
            "NOFLUSH",
            "PARALLEL_DIRECT_WRITES",
            "PASSTHROUGH"
        ]
    );
    assert_eq!(
        names_from::<FattrFlags>(0),
        [
            "MODE",
            "UID",
            "GID",
            "SIZE",
            "ATIME",
            "MTIME",
            "FH",
            "ATIME_NOW",
            "MTIME_NOW",
            "LOCKOWNER",
            "CTIME",
            "KILL_SUIDGID"
        ]
    );
    assert_eq!(names_from::<GetattrFlags>(0), ["FH"]);
    assert_eq!(names_from::<AttrFlags>(0), ["SUBMOUNT", "DAX"]);
    assert_eq!(names_from::<OpenInFlags>(0), ["KILL_SUIDGID"]);
    assert_eq!(names_from::<ReleaseFlags>(0), ["FLUSH", "FLOCK_UNLOCK"]);
    assert_eq!(names_from::<ReadFlags>(1), ["LOCKOWNER"]);
    assert_eq!(names_from::<WriteFlags>(0), ["CACHE", "LOCKOWNER", "KILL_SUIDGID"]);
    assert_eq!(names_from::<FsyncFlags>(0), ["FDATASYNC"]);
    assert_eq!(names_from::<LkFlags>(0), ["FLOCK"]);
    assert_eq!(names_from::<SetxattrFlags>(0), ["ACL_KILL_SGID"]);
    assert_eq!(
        names_from::<IoctlFlags>(0),
        ["COMPAT", "UNRESTRICTED", "RETRY", "_32BIT", "DIR", "COMPAT_X32"]
    );
    assert_eq!(names_from::<PollFlags>(0), ["SCHEDULE_NOTIFY"]);
    assert_eq!(names_from::<ExpireFlags>(0), ["ONLY"]);
    assert_eq!(names_from::<SetupmappingFlags>(0), ["WRITE", "READ"]);
    assert_eq!(names_from::<CuseInitFlags>(0), ["UNRESTRICTED_IOCTL"]);
}

#[test]
fn init_flags_travel_in_two_halves() {
    let flags = InitFlags::ASYNC_READ | InitFlags::INIT_EXT | InitFlags::OVER_IO_URING;
    assert_eq!(flags.into_parts(), (1 << 30 | 1, 1 << 9));
    assert_eq!(InitFlags::from_parts(1 << 30 | 1, 1 << 9), flags);
}

#[test]
fn the_second_half_does_not_count_without_init_ext() {
    assert_eq!(InitFlags::from_parts(1, 1 << 9), InitFlags::ASYNC_READ);
    assert_eq!(InitFlags::OVER_IO_URING.into_parts(), (1 << 30, 1 << 9));
}

#[test]
fn init_flags_of_a_newer_kernel_are_kept() {
    let offered = InitFlags::from_parts(1 << 30, 1 << 11);
    assert_eq!(offered.bits(), 1 << 43 | 1 << 30);
    assert_eq!(offered.into_parts(), (1 << 30, 1 << 11));
}

#[test]
fn several_init_flags_are_as_young_as_their_youngest() {
    assert_eq!((InitFlags::POSIX_LOCKS | InitFlags::PASSTHROUGH).since(), 40);
    assert_eq!(InitFlags::empty().since(), 0);
}
