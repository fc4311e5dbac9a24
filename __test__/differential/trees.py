"""What a directory holds in the end, as root sees it."""

import errno
import hashlib
import os
import stat

from system_calls import SEEK_DATA

BLOCK = 4096
PIECE = 1 << 16


def contents(path):
    """A digest of the bytes that are not zero and of where they are: of a large sparse file as well."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        size = os.fstat(descriptor).st_size
        digest = hashlib.md5()
        offset = 0
        while offset < size:
            try:
                offset = os.lseek(descriptor, offset, SEEK_DATA) & -BLOCK
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            data = os.pread(descriptor, PIECE, offset)
            if not data:
                break
            for start in range(0, len(data), BLOCK):
                block = data[start : start + BLOCK].rstrip(b"\0")
                if block:
                    digest.update(b"%d:" % (offset + start) + block)
            offset += len(data)
        return digest.hexdigest()
    finally:
        os.close(descriptor)


def xattrs(path):
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
        return {
            name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names
        }
    except OSError as error:
        return errno.errorcode[error.errno]


def tree(world):
    """All that is in a world's directory, by path."""
    found = {}
    first_names = {}

    def visit(path, relative):
        status = os.lstat(path)
        entry = found[relative] = {
            "attributes": world.attributes(status),
            "xattrs": xattrs(path),
        }
        if stat.S_ISLNK(status.st_mode):
            entry["target"] = os.readlink(path).decode("latin-1")
        if stat.S_ISREG(status.st_mode):
            entry["contents"] = contents(path)
        if not stat.S_ISDIR(status.st_mode):
            entry["link of"] = first_names.setdefault(status.st_ino, relative)
            return
        for name in sorted(os.listdir(path)):
            visit(path + b"/" + name, relative + "/" + name.decode("latin-1"))

    visit(world.base, "")
    return found
