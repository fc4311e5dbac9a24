"""One of the two directories that are compared, with the descriptors and mappings that are open in it."""

import os
import random
import stat

from file_operations import FileOperations
from name_operations import NameOperations

# Times from here on are those of the run itself: two runs of it cannot agree on more than that.
RUN = 1_500_000_000 * 10**9


class Missing(Exception):
    """An operation names a descriptor or a mapping that is not there."""


def time_of(nanoseconds):
    return nanoseconds if nanoseconds < RUN else "now"


def attributes(status):
    """What stat(2) has to agree on."""
    kind = stat.S_IFMT(status.st_mode)
    return [
        oct(status.st_mode),
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        None if kind == stat.S_IFDIR else status.st_size,
        status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
        # A write to a FIFO is no request: pipe_write() calls file_update_time(), and fuse_init_inode()
        # sets S_NOCMTIME, which makes it do nothing.
        None if kind == stat.S_IFIFO else time_of(status.st_mtime_ns),
    ]


class World(FileOperations, NameOperations):
    """
    Each method `op_NAME` is an operation. It returns something that JSON can hold, or raises OSError.
    """

    def __init__(self, base):
        self.base = os.fsencode(base)
        # Paths with ".." stay within.
        self.root = self.base + b"/p/q/r"
        os.makedirs(self.root)
        os.chmod(self.root, 0o777)
        self.descriptors = {}
        self.mappings = {}

    def path(self, relative):
        return self.root + b"/" + relative.encode("latin-1") if relative else self.root

    def descriptor(self, slot):
        if slot not in self.descriptors:
            raise Missing
        return self.descriptors[slot]

    def keep(self, slot, descriptor):
        """Puts a new descriptor in a slot, in place of what was there."""
        self.release(slot)
        self.descriptors[slot] = descriptor

    def release(self, slot):
        mapping = self.mappings.pop(slot, None)
        if mapping is not None:
            mapping.close()
        if slot in self.descriptors:
            os.close(self.descriptors.pop(slot))

    def close(self):
        for slot in list(self.descriptors):
            self.release(slot)

    def attributes(self, status):
        return attributes(status)

    @staticmethod
    def data(seed, count):
        return random.Random(seed).randbytes(count)
