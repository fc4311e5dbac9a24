"""
Where the two sides may differ, and why: what the kernel does for every FUSE filesystem, or does not do for the
reference. Nothing that a filesystem of ours could do better belongs here.

Elsewhere: times of FIFOs (`attributes` in world.py), where holes begin (`op_seekdata`), and the alignment of direct
I/O (`is_direct`).
"""

import os
import subprocess

FALLOC_FL_ZERO_RANGE = 0x10
RENAME_WHITEOUT = 4

MAPPINGS = ("mapped_write", "mapped_read", "map")


def error(result):
    """The errno's name in the result of an operation that failed."""
    return result[1] if isinstance(result, list) and result[:1] == ["error"] else None


def type_of(directory):
    """The name of a directory's filesystem, such as ext2/ext3 or tmpfs."""
    command = ["stat", "--file-system", "--format=%T", directory]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def is_avoided(world, operation, reference_type, writeback):
    """Whether an operation is left out, as what it leaves behind may differ."""
    name, *args = operation
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
    # shmem_fallocate() (mm/shmem.c) knows no zeroing.
    if name == "fallocate" and reference_type == "tmpfs":
        return bool(args[1] & FALLOC_FL_ZERO_RANGE)
    return False


def is_property(operation, test):
    """Whether results may differ."""
    # fuse_direct_mmap() (fs/fuse/file.c): pages of a file opened with FOPEN_DIRECT_IO are shared with nobody, unless
    # FUSE_DIRECT_IO_ALLOW_MMAP was agreed on.
    return operation[0] in MAPPINGS and error(test) == "ENODEV"
