"""Operations on descriptors: contents, sizes, mappings, locks."""

import fcntl
import hashlib
import mmap
import os
import stat
import struct

from system_calls import (
    F_OFD_GETLK,
    F_OFD_SETLK,
    SEEK_DATA,
    SEEK_HOLE,
    call,
    timespecs,
)

# Length and offset of direct I/O: what the block devices beneath ask for.
ALIGNMENT = 4096

LOCK = "hhqqi4x"


def digest(data):
    return [len(data), hashlib.md5(data).hexdigest()]


def aligned(data):
    """A copy of `data` in memory that begins at a page."""
    buffer = mmap.mmap(-1, len(data))
    buffer.write(data)
    return buffer


class FileOperations:
    def is_file(self, descriptor):
        return stat.S_ISREG(os.fstat(descriptor).st_mode)

    def is_direct(self, descriptor):
        """Direct I/O has rules of alignment that differ by filesystem: only what all of them allow is tried."""
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)

    def op_close(self, slot):
        self.descriptor(slot)
        self.release(slot)

    def op_dup(self, slot, to):
        self.keep(to, os.dup(self.descriptor(slot)))

    def op_setfl(self, slot, flags):
        f = self.descriptor(slot)
        fcntl.fcntl(f, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        changeable = os.O_APPEND | os.O_DIRECT | os.O_NOATIME | os.O_NONBLOCK
        return fcntl.fcntl(f, fcntl.F_GETFL) & changeable

    def op_fstat(self, slot):
        return self.attributes(os.fstat(self.descriptor(slot)))

    def op_fsync(self, slot, data_only):
        (os.fdatasync if data_only else os.fsync)(self.descriptor(slot))

    # Contents.

    def op_write(self, slot, seed, count):
        f = self.descriptor(slot)
        return "direct" if self.is_direct(f) else os.write(f, self.data(seed, count))

    def op_writev(self, slot, seed, sizes):
        f = self.descriptor(slot)
        if self.is_direct(f):
            return "direct"
        return os.writev(f, [self.data(seed + i, size) for i, size in enumerate(sizes)])

    def op_read(self, slot, count):
        f = self.descriptor(slot)
        return "direct" if self.is_direct(f) else digest(os.read(f, count))

    def op_pwrite(self, slot, seed, count, offset):
        f = self.descriptor(slot)
        if not self.is_direct(f):
            return os.pwrite(f, self.data(seed, count), offset)
        if fcntl.fcntl(f, fcntl.F_GETFL) & os.O_APPEND:
            return "direct"
        count, offset = -(-count // ALIGNMENT) * ALIGNMENT or ALIGNMENT, offset & -ALIGNMENT
        return os.pwritev(f, [aligned(self.data(seed, count))], offset)

    def op_pread(self, slot, count, offset):
        f = self.descriptor(slot)
        if not self.is_direct(f):
            return digest(os.pread(f, count, offset))
        count, offset = -(-count // ALIGNMENT) * ALIGNMENT or ALIGNMENT, offset & -ALIGNMENT
        buffer = mmap.mmap(-1, count)
        return digest(buffer[: os.preadv(f, [buffer], offset)])

    def op_lseek(self, slot, offset, whence):
        f = self.descriptor(slot)
        # Positions of directories and FIFOs are cookies.
        return os.lseek(f, offset, whence) if self.is_file(f) else "no file"

    def op_seekdata(self, slot, offset, whence):
        """Where holes begin is the filesystem's affair: compared is whether there can be an answer at all."""
        f = self.descriptor(slot)
        if not self.is_file(f):
            return "no file"
        before = os.lseek(f, 0, os.SEEK_CUR)
        try:
            found = os.lseek(f, offset, whence)
            size = os.fstat(f).st_size
            if not offset <= found <= size:
                return ["outside", found]
            return "found"
        except OSError:
            if whence == SEEK_DATA and offset < os.fstat(f).st_size:
                return "found"
            raise
        finally:
            os.lseek(f, before, os.SEEK_SET)

    def op_ftruncate(self, slot, size):
        os.ftruncate(self.descriptor(slot), size)

    def op_fallocate(self, slot, mode, offset, length):
        f = self.descriptor(slot)
        call("fallocate", f, mode, offset, length)
        return os.fstat(f).st_size

    def op_copy_file_range(self, source, target, source_offset, target_offset, count):
        a, b = self.descriptor(source), self.descriptor(target)
        if self.is_direct(a) or self.is_direct(b):
            return "direct"
        return os.copy_file_range(a, b, count, source_offset, target_offset)

    def is_same_file(self, a, b):
        """A pipe may hold the very pages of a file, not a copy: they change while the file is written."""
        return os.path.samestat(os.fstat(a), os.fstat(b))

    def op_sendfile(self, source, target, offset, count):
        a, b = self.descriptor(source), self.descriptor(target)
        if self.is_direct(a) or self.is_direct(b):
            return "direct"
        if self.is_same_file(a, b):
            return "the same file"
        return os.sendfile(b, a, offset, count)

    def op_splice(self, source, target, count):
        a, b = self.descriptor(source), self.descriptor(target)
        if self.is_direct(a) or self.is_direct(b):
            return "direct"
        if self.is_same_file(a, b):
            return "the same file"
        reader, writer = os.pipe()
        try:
            moved = os.splice(a, writer, min(count, 60000))
            return [moved, os.splice(reader, b, moved) if moved else 0]
        finally:
            os.close(reader)
            os.close(writer)

    # Mappings. A store is followed by msync(2): before it, times are up to the kernel.

    def mappable(self, f, offset, count):
        """Whether the pages are there: beyond the end of the file they are SIGBUS."""
        return self.is_file(f) and count > 0 and offset + count <= os.fstat(f).st_size

    def op_mapped_write(self, slot, seed, offset, count):
        f = self.descriptor(slot)
        if not self.mappable(f, offset, count):
            return "small"
        page = offset & -mmap.PAGESIZE
        with mmap.mmap(f, offset + count - page, offset=page) as mapping:
            mapping[offset - page : offset - page + count] = self.data(seed, count)
            mapping.flush()

    def op_mapped_read(self, slot, offset, count):
        f = self.descriptor(slot)
        if not self.mappable(f, offset, count):
            return "small"
        page = offset & -mmap.PAGESIZE
        with mmap.mmap(f, offset + count - page, prot=mmap.PROT_READ, offset=page) as mapping:
            return digest(mapping[offset - page : offset - page + count])

    def op_map(self, slot, count):
        """Keeps a mapping beside what others do with the file, until the descriptor's slot is used again."""
        f = self.descriptor(slot)
        if not self.mappable(f, 0, 1):
            return "small"
        mapping = mmap.mmap(f, count)
        if slot in self.mappings:
            self.mappings[slot].close()
        self.mappings[slot] = mapping

    def op_map_store(self, slot, seed, offset, count):
        f = self.descriptor(slot)
        mapping = self.mappings.get(slot)
        if mapping is None or not self.mappable(f, offset, count) or offset + count > len(mapping):
            return "small"
        mapping[offset : offset + count] = self.data(seed, count)
        mapping.flush()

    def op_map_load(self, slot, offset, count):
        f = self.descriptor(slot)
        mapping = self.mappings.get(slot)
        if mapping is None or not self.mappable(f, offset, count) or offset + count > len(mapping):
            return "small"
        return digest(mapping[offset : offset + count])

    # Attributes and locks.

    def op_fchmod(self, slot, mode):
        os.fchmod(self.descriptor(slot), mode)

    def op_fchown(self, slot, uid, gid):
        os.fchown(self.descriptor(slot), uid, gid)

    def op_futimens(self, slot, access, modification):
        call("utimensat", self.descriptor(slot), None, timespecs(access, modification), 0)

    def op_flock(self, slot, how):
        fcntl.flock(self.descriptor(slot), how | fcntl.LOCK_NB)

    def op_lock(self, slot, kind, start, length):
        lock = struct.pack(LOCK, kind, os.SEEK_SET, start, length, 0)
        fcntl.fcntl(self.descriptor(slot), F_OFD_SETLK, lock)

    def op_lock_query(self, slot, kind, start, length):
        lock = struct.pack(LOCK, kind, os.SEEK_SET, start, length, 0)
        return list(struct.unpack(LOCK, fcntl.fcntl(self.descriptor(slot), F_OFD_GETLK, lock)))
