//! The structs have the sizes and offsets of the kernel's.

use fuse_abi::{
    Attr, AttrOut, CopyFileRangeIn, Dirent, Direntplus, EntryOut, FileLock, InHeader, InitIn, InitOut,
    IoctlIn, Kind, Kstatfs, Layout, LkIn, OpenOut, OutHeader, ReadIn, SetattrIn, Statx, StatxOut,
    UringCmdReq, UringEntInOut, UringReqHeader, WriteIn, dirent_size, direntplus_size, layouts,
};
use zerocopy::{FromBytes, IntoBytes};

const SIZES: &[(&str, usize)] = &[
    ("in_header", 40),
    ("out_header", 16),
    ("ext_header", 8),
    ("secctx_header", 8),
    ("secctx", 8),
    ("supp_groups", 4),
    ("init_in", 64),
    ("init_out", 64),
    ("cuse_init_in", 16),
    ("cuse_init_out", 72),
    ("attr", 88),
    ("getattr_in", 16),
    ("attr_out", 104),
    ("setattr_in", 88),
    ("sx_time", 16),
    ("statx", 256),
    ("statx_in", 24),
    ("statx_out", 288),
    ("access_in", 8),
    ("kstatfs", 80),
    ("statfs_out", 80),
    ("entry_out", 128),
    ("forget_in", 8),
    ("forget_one", 16),
    ("batch_forget_in", 8),
    ("mknod_in", 16),
    ("mkdir_in", 8),
    ("rename_in", 8),
    ("rename2_in", 16),
    ("link_in", 8),
    ("create_in", 16),
    ("open_in", 8),
    ("open_out", 16),
    ("release_in", 24),
    ("flush_in", 24),
    ("fsync_in", 16),
    ("syncfs_in", 8),
    ("backing_map", 16),
    ("read_in", 40),
    ("write_in", 40),
    ("write_out", 8),
    ("fallocate_in", 32),
    ("lseek_in", 24),
    ("lseek_out", 8),
    ("copy_file_range_in", 56),
    ("copy_file_range_out", 8),
    ("bmap_in", 16),
    ("bmap_out", 8),
    ("setupmapping_in", 40),
    ("removemapping_in", 4),
    ("removemapping_one", 16),
    ("dirent", 24),
    ("direntplus", 152),
    ("setxattr_in", 16),
    ("getxattr_in", 8),
    ("getxattr_out", 8),
    ("file_lock", 24),
    ("lk_in", 48),
    ("lk_out", 24),
    ("interrupt_in", 8),
    ("ioctl_in", 32),
    ("ioctl_iovec", 16),
    ("ioctl_out", 16),
    ("poll_in", 24),
    ("poll_out", 8),
    ("notify_poll_wakeup_out", 8),
    ("notify_inval_inode_out", 24),
    ("notify_inval_entry_out", 16),
    ("notify_delete_out", 24),
    ("notify_store_out", 24),
    ("notify_retrieve_out", 32),
    ("notify_retrieve_in", 40),
    ("notify_prune_out", 16),
    ("uring_ent_in_out", 32),
    ("uring_req_header", 288),
    ("uring_cmd_req", 24),
];

fn offsets<T: Layout>() -> Vec<(&'static str, usize)> {
    T::FIELDS.iter().map(|field| (field.name, field.offset)).collect()
}

#[test]
fn every_struct_has_the_size_of_the_kernel_s() {
    let sizes: Vec<_> = layouts().map(|layout| (layout.snake_name(), layout.size)).collect();
    let expected: Vec<_> = SIZES.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    assert_eq!(sizes, expected);
}

#[test]
fn fields_follow_each_other_without_gaps() {
    for layout in layouts() {
        let end = layout.fields.iter().fold(0, |end, field| {
            assert_eq!(field.offset, end, "{}.{}", layout.name, field.name);
            end + field.size
        });
        assert_eq!(end, layout.size, "{}", layout.name);
    }
}

#[test]
fn headers_have_the_kernel_s_offsets() {
    assert_eq!(
        offsets::<InHeader>(),
        [
            ("len", 0),
            ("opcode", 4),
            ("unique", 8),
            ("nodeid", 16),
            ("uid", 24),
            ("gid", 28),
            ("pid", 32),
            ("total_extlen", 36),
            ("padding", 38),
        ]
    );
    assert_eq!(offsets::<OutHeader>(), [("len", 0), ("error", 4), ("unique", 8)]);
}

#[test]
fn ring_structs_have_the_kernel_s_offsets() {
    assert_eq!(offsets::<UringReqHeader>(), [("in_out", 0), ("op_in", 128), ("ring_ent_in_out", 256)]);
    assert_eq!(
        offsets::<UringEntInOut>(),
        [("flags", 0), ("commit_id", 8), ("payload_sz", 16), ("padding", 20), ("reserved", 24)]
    );
    assert_eq!(offsets::<UringCmdReq>(), [("flags", 0), ("commit_id", 8), ("qid", 16), ("padding", 18)]);
}

#[test]
fn init_has_the_kernel_s_offsets() {
    assert_eq!(
        offsets::<InitIn>(),
        [("major", 0), ("minor", 4), ("max_readahead", 8), ("flags", 12), ("flags2", 16), ("unused", 20)]
    );
    assert_eq!(
        offsets::<InitOut>(),
        [
            ("major", 0),
            ("minor", 4),
            ("max_readahead", 8),
            ("flags", 12),
            ("max_background", 16),
            ("congestion_threshold", 18),
            ("max_write", 20),
            ("time_gran", 24),
            ("max_pages", 28),
            ("map_alignment", 30),
            ("flags2", 32),
            ("max_stack_depth", 36),
            ("request_timeout", 40),
            ("unused", 42),
        ]
    );
}

#[test]
fn attributes_have_the_kernel_s_offsets() {
    assert_eq!(
        offsets::<Attr>(),
        [
            ("ino", 0),
            ("size", 8),
            ("blocks", 16),
            ("atime", 24),
            ("mtime", 32),
            ("ctime", 40),
            ("atimensec", 48),
            ("mtimensec", 52),
            ("ctimensec", 56),
            ("mode", 60),
            ("nlink", 64),
            ("uid", 68),
            ("gid", 72),
            ("rdev", 76),
            ("blksize", 80),
            ("flags", 84),
        ]
    );
    assert_eq!(
        offsets::<AttrOut>(),
        [("attr_valid", 0), ("attr_valid_nsec", 8), ("dummy", 12), ("attr", 16)]
    );
    assert_eq!(
        offsets::<EntryOut>(),
        [
            ("nodeid", 0),
            ("generation", 8),
            ("entry_valid", 16),
            ("attr_valid", 24),
            ("entry_valid_nsec", 32),
            ("attr_valid_nsec", 36),
            ("attr", 40),
        ]
    );
    assert_eq!(
        offsets::<SetattrIn>(),
        [
            ("valid", 0),
            ("padding", 4),
            ("fh", 8),
            ("size", 16),
            ("lock_owner", 24),
            ("atime", 32),
            ("mtime", 40),
            ("ctime", 48),
            ("atimensec", 56),
            ("mtimensec", 60),
            ("ctimensec", 64),
            ("mode", 68),
            ("unused4", 72),
            ("uid", 76),
            ("gid", 80),
            ("unused5", 84),
        ]
    );
}

#[test]
fn statx_has_the_offsets_of_the_system_call_s() {
    assert_eq!(
        offsets::<Statx>(),
        [
            ("mask", 0),
            ("blksize", 4),
            ("attributes", 8),
            ("nlink", 16),
            ("uid", 20),
            ("gid", 24),
            ("mode", 28),
            ("__spare0", 30),
            ("ino", 32),
            ("size", 40),
            ("blocks", 48),
            ("attributes_mask", 56),
            ("atime", 64),
            ("btime", 80),
            ("ctime", 96),
            ("mtime", 112),
            ("rdev_major", 128),
            ("rdev_minor", 132),
            ("dev_major", 136),
            ("dev_minor", 140),
            ("__spare2", 144),
        ]
    );
    assert_eq!(
        offsets::<StatxOut>(),
        [("attr_valid", 0), ("attr_valid_nsec", 8), ("flags", 12), ("spare", 16), ("stat", 32)]
    );
}

#[test]
fn data_structs_have_the_kernel_s_offsets() {
    let transfer = |flags| {
        [
            ("fh", 0),
            ("offset", 8),
            ("size", 16),
            (flags, 20),
            ("lock_owner", 24),
            ("flags", 32),
            ("padding", 36),
        ]
    };
    assert_eq!(offsets::<ReadIn>(), transfer("read_flags"));
    assert_eq!(offsets::<WriteIn>(), transfer("write_flags"));
    assert_eq!(offsets::<OpenOut>(), [("fh", 0), ("open_flags", 8), ("backing_id", 12)]);
    assert_eq!(
        offsets::<CopyFileRangeIn>(),
        [
            ("fh_in", 0),
            ("off_in", 8),
            ("nodeid_out", 16),
            ("fh_out", 24),
            ("off_out", 32),
            ("len", 40),
            ("flags", 48)
        ]
    );
    assert_eq!(
        offsets::<IoctlIn>(),
        [("fh", 0), ("flags", 8), ("cmd", 12), ("arg", 16), ("in_size", 24), ("out_size", 28)]
    );
    assert_eq!(offsets::<LkIn>(), [("fh", 0), ("owner", 8), ("lk", 16), ("lk_flags", 40), ("padding", 44)]);
    assert_eq!(
        offsets::<Kstatfs>(),
        [
            ("blocks", 0),
            ("bfree", 8),
            ("bavail", 16),
            ("files", 24),
            ("ffree", 32),
            ("bsize", 40),
            ("namelen", 44),
            ("frsize", 48),
            ("padding", 52),
            ("spare", 56),
        ]
    );
}

#[test]
fn directory_entries_have_the_kernel_s_offsets() {
    assert_eq!(offsets::<Dirent>(), [("ino", 0), ("off", 8), ("namelen", 16), ("type", 20)]);
    assert_eq!(offsets::<Direntplus>(), [("entry_out", 0), ("dirent", 128)]);
}

#[test]
fn directory_entries_are_padded_to_eight_bytes() {
    assert_eq!([0, 1, 8, 9, 255].map(dirent_size), [24, 32, 32, 40, 280]);
    assert_eq!([0, 1, 8, 9, 255].map(direntplus_size), [152, 160, 160, 168, 408]);
}

#[test]
fn a_field_s_kind_tells_how_to_read_it() {
    let kinds = |fields: &[fuse_abi::Field]| fields.iter().map(|field| field.kind).collect::<Vec<_>>();
    assert_eq!(kinds(OutHeader::FIELDS), [Kind::U32, Kind::I32, Kind::U64]);
    assert_eq!(kinds(FileLock::FIELDS), [Kind::U64, Kind::U64, Kind::U32, Kind::U32]);
    assert_eq!(kinds(UringCmdReq::FIELDS), [Kind::U64, Kind::U64, Kind::U16, Kind::Bytes]);
    let Kind::Struct(attr) = AttrOut::FIELDS[3].kind else { panic!("attr is a struct") };
    assert_eq!(attr.fields, Attr::FIELDS);
}

#[test]
fn structs_are_read_from_bytes_and_written_to_them() {
    let header = OutHeader { len: 16, error: -2, unique: 6 };
    let read = OutHeader::read_from_bytes(header.as_bytes()).expect("16 bytes");
    assert_eq!(read, header);
    assert!(UringReqHeader::default().as_bytes().iter().all(|byte| *byte == 0));
}
