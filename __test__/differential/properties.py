"""
Where the two sides may differ, and why: what the kernel does for every FUSE filesystem, or does not do for the
reference. Nothing that a filesystem of ours could do better belongs here.

Elsewhere: times of FIFOs (`attributes` in world.py), where holes begin (`op_seekdata`), and the alignment of direct
I/O (`is_direct`).
"""

import fcntl
import os
import stat
import subprocess

from world import RUN

FALLOC_FL_ZERO_RANGE = 0x10
RENAME_WHITEOUT = 4

# Operations that change the contents of an open file, and where among the arguments its slot is.
CHANGES = dict(
    write=0, writev=0, pwrite=0, ftruncate=0, fallocate=0, copy_file_range=1, sendfile=1, splice=1
)

# The version of an access control list, and no entry.
EMPTY_LIST = "02000000"

MAPPINGS = ("mapped_write", "mapped_read", "map")


def error(result):
    """The errno's name in the result of an operation that failed."""
    return result[1] if isinstance(result, list) and result[:1] == ["error"] else None


def type_of(directory):
    """The name of a directory's filesystem, such as ext2/ext3 or tmpfs."""
    command = ["stat", "--file-system", "--format=%T", directory]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def names_of_xattrs(descriptor):
    """The names of extended attributes; none for a descriptor of O_PATH."""
    try:
        return os.listxattr(descriptor)
    except OSError:
        return []


def is_written(world, status):
    """Whether a file is open for writing."""
    for descriptor in world.descriptors.values():
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
            if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
                return True
    return False


def is_avoided(world, operation, user, reference_type, writeback):
    """Whether an operation of a user is left out, as what it leaves behind may differ."""
    name, *args = operation
    # file_remove_privs() asks FUSE to remove capabilities in the name of the writer before the write, as chown(2) to nobody
    # does in the name of a stranger: a filesystem has to refuse both where the caller may not write the file by its mode.
    if name in CHANGES and user != 0:
        descriptor = world.descriptors.get(args[CHANGES[name]])
        if descriptor is not None and "security.capability" in names_of_xattrs(descriptor):
            return True
    # fuse_setattr() (fs/fuse/dir.c) sends the same empty SETATTR for chown(2) to nobody and before a write. With passthrough
    # no request follows, so that the set-ID bits go at once while a file is open for writing.
    # Where root removed capabilities just before, it is taken for root's write, which takes no bits.
    if name in ("chown", "fchown") and args[1:3] == [-1, -1]:
        try:
            status = os.fstat(world.descriptors[args[0]]) if name == "fchown" else os.stat(world.path(args[0]))
        except (OSError, LookupError):
            return False
        if user == 0:
            return stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000 != 0
        return user != status.st_uid and is_written(world, status)
    # A file that truncate(2) gives the size that it has keeps its times with shmem_setattr() (mm/shmem.c) and
    # xfs_setattr_size() (fs/xfs/xfs_iops.c), and with fuse_do_setattr() (fs/fuse/dir.c) where the kernel keeps the
    # times, as it does for the write-back cache.
    if name == "truncate" and (reference_type in ("tmpfs", "xfs") or writeback):
        try:
            return os.stat(world.path(args[0])).st_size == args[1]
        except OSError:
            return False
    # ext4_rename() (fs/ext4/namei.c) makes the whiteout before it finds that the target is a directory with names in it:
    # the times of the directories have changed by then.
    if name == "rename" and args[2] & RENAME_WHITEOUT and reference_type.startswith("ext"):
        return os.path.isdir(world.path(args[1]))
    # ramfs has no fallocate(2), and fuse_file_fallocate() (fs/fuse/file.c) takes privileges away before it asks. It keeps
    # the times at truncate(2) in all cases. It has no direct I/O, which fcntl(2) refuses and fuse_open()
    # allows; open(2) leaves a new file behind when it refuses, of which the kernel above does not hear.
    if reference_type == "ramfs":
        if name in ("fallocate", "truncate"):
            return True
        return name == "open" and bool(args[2] & os.O_DIRECT) or name == "setfl" and bool(args[1] & os.O_DIRECT)
    # backing_file_mmap() (fs/backing-file.c): with passthrough a store changes the times of the file beneath, which the
    # mount shows within a second. Times that are now are not compared, so that only those of long ago differ.
    if name == "map_store" and args[0] in world.descriptors:
        return os.fstat(world.descriptors[args[0]]).st_mtime_ns < RUN
    # shmem_fallocate() (mm/shmem.c) knows no zeroing.
    if name == "fallocate" and reference_type == "tmpfs":
        return bool(args[1] & FALLOC_FL_ZERO_RANGE)
    return False


def is_property(operation, reference, test):
    """Whether results may differ."""
    # A FUSE filesystem has access control lists on all of its files or on none. Where the source of a mirror has none,
    # there is no list (fuse_get_acl(), fs/fuse/acl.c), and vfs_set_acl() (fs/posix_acl.c) looks at the caller first.
    # An empty list is a removal (fuse_set_acl(), fs/fuse/acl.c), of what is not there.
    if operation[0] in ("setxattr", "getxattr", "removexattr") and operation[2].startswith("system."):
        if operation[0] == "setxattr" and operation[3] == EMPTY_LIST:
            return error(reference) == "EOPNOTSUPP"
        return error(reference) == "EOPNOTSUPP" and (operation[0] != "setxattr" or error(test) is not None)
    # fuse_setattr() (fs/fuse/dir.c) sends the same empty SETATTR for chown(2) to nobody else and before a write to a file
    # with privileges, which must not fail: of one who may not change the owner it is answered with success.
    if operation[0] in ("chown", "fchown") and operation[2:4] == [-1, -1]:
        return error(reference) == "EPERM" and test is None
    # fuse_direct_mmap() (fs/fuse/file.c): pages of a file opened with FOPEN_DIRECT_IO are shared with nobody, unless
    # FUSE_DIRECT_IO_ALLOW_MMAP was agreed on.
    return operation[0] in MAPPINGS and error(test) == "ENODEV"
