//! Opcodes, notification codes and commands have the kernel's numbers.

use fuse_abi::{
    DEV_IOC_BACKING_CLOSE, DEV_IOC_BACKING_OPEN, DEV_IOC_CLONE, DEV_IOC_SYNC_INIT, NotifyCode, Opcode,
    UnknownCode, UringCmd,
};

const OPCODES: &[(u32, &str, u32)] = &[
    (1, "lookup", 0),
    (2, "forget", 0),
    (3, "getattr", 0),
    (4, "setattr", 1),
    (5, "readlink", 0),
    (6, "symlink", 1),
    (8, "mknod", 1),
    (9, "mkdir", 1),
    (10, "unlink", 1),
    (11, "rmdir", 1),
    (12, "rename", 1),
    (13, "link", 1),
    (14, "open", 1),
    (15, "read", 1),
    (16, "write", 1),
    (17, "statfs", 0),
    (18, "release", 1),
    (20, "fsync", 1),
    (21, "setxattr", 1),
    (22, "getxattr", 1),
    (23, "listxattr", 1),
    (24, "removexattr", 1),
    (25, "flush", 1),
    (26, "init", 0),
    (27, "opendir", 1),
    (28, "readdir", 1),
    (29, "releasedir", 1),
    (30, "fsyncdir", 2),
    (31, "getlk", 7),
    (32, "setlk", 7),
    (33, "setlkw", 7),
    (34, "access", 3),
    (35, "create", 3),
    (36, "interrupt", 7),
    (37, "bmap", 8),
    (38, "destroy", 8),
    (39, "ioctl", 11),
    (40, "poll", 11),
    (41, "notify_reply", 15),
    (42, "batch_forget", 16),
    (43, "fallocate", 19),
    (44, "readdirplus", 21),
    (45, "rename2", 23),
    (46, "lseek", 24),
    (47, "copy_file_range", 28),
    (48, "setupmapping", 31),
    (49, "removemapping", 31),
    (50, "syncfs", 34),
    (51, "tmpfile", 37),
    (52, "statx", 39),
    (53, "copy_file_range_64", 45),
    (4096, "cuse_init", 12),
];

const NOTIFY_CODES: &[(u32, &str, u32)] = &[
    (1, "poll", 11),
    (2, "inval_inode", 12),
    (3, "inval_entry", 12),
    (4, "store", 15),
    (5, "retrieve", 15),
    (6, "delete", 18),
    (7, "resend", 40),
    (8, "inc_epoch", 44),
    (9, "prune", 45),
];

#[test]
fn opcodes_have_the_kernel_s_numbers_and_names() {
    let ours: Vec<_> = Opcode::ALL.iter().map(|code| (u32::from(*code), code.name(), code.since())).collect();
    assert_eq!(ours, OPCODES);
}

#[test]
fn notify_codes_have_the_kernel_s_numbers_and_names() {
    let ours: Vec<_> =
        NotifyCode::ALL.iter().map(|code| (u32::from(*code), code.name(), code.since())).collect();
    assert_eq!(ours, NOTIFY_CODES);
}

#[test]
fn ring_commands_have_the_kernel_s_numbers() {
    let ours: Vec<_> = UringCmd::ALL.iter().map(|command| (u32::from(*command), command.name())).collect();
    assert_eq!(ours, [(0, "invalid"), (1, "register"), (2, "commit_and_fetch")]);
}

#[test]
fn a_number_becomes_its_opcode_again() {
    for opcode in Opcode::ALL {
        assert_eq!(Opcode::try_from(u32::from(*opcode)), Ok(*opcode));
    }
}

#[test]
fn an_unknown_number_is_an_error_that_names_it() {
    for unused in [0, 7, 19, 54, 4095] {
        assert_eq!(Opcode::try_from(unused), Err(UnknownCode::Opcode(unused)));
    }
    assert_eq!(UnknownCode::Opcode(7).to_string(), "opcode 7 is not in FUSE protocol 7.45; answer ENOSYS");
    assert_eq!(NotifyCode::try_from(10), Err(UnknownCode::NotifyCode(10)));
    assert_eq!(UringCmd::try_from(3), Err(UnknownCode::UringCmd(3)));
}

#[test]
fn ioctls_have_the_kernel_s_numbers() {
    assert_eq!(DEV_IOC_CLONE, 0x8004_e500);
    assert_eq!(DEV_IOC_BACKING_OPEN, 0x4010_e501);
    assert_eq!(DEV_IOC_BACKING_CLOSE, 0x4004_e502);
    assert_eq!(DEV_IOC_SYNC_INIT, 0xe503);
}
