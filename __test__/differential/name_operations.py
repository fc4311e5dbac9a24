"""Operations on paths: names, attributes, extended attributes."""

import hashlib
import os
import stat

from system_calls import (
    AT_EACCESS,
    AT_FDCWD,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    UTIME_NOW,
    UTIME_OMIT,
    call,
    timespecs,
)


class NameOperations:
    def op_open(self, slot, path, flags, mode):
        f = os.open(self.path(path), flags, mode)
        self.keep(slot, f)
        return self.attributes(os.fstat(f))

    def op_open_briefly(self, path, flags):
        f = os.open(self.path(path), flags)
        try:
            status = os.fstat(f)
            readable = not flags & (os.O_WRONLY | os.O_PATH)
            if stat.S_ISREG(status.st_mode) and readable and status.st_size < 1 << 20:
                contents = hashlib.md5(os.read(f, 1 << 20)).hexdigest()
                return [self.attributes(status), contents]
            return self.attributes(status)
        finally:
            os.close(f)

    def op_mkdir(self, path, mode):
        os.mkdir(self.path(path), mode)

    def op_mknod(self, path, mode, device):
        os.mknod(self.path(path), mode, device)

    def op_symlink(self, target, path):
        os.symlink(target.encode("latin-1"), self.path(path))

    def op_link(self, old, new, follow):
        os.link(self.path(old), self.path(new), follow_symlinks=follow)

    def op_link_descriptor(self, slot, path):
        name = b"/proc/self/fd/%d" % self.descriptor(slot)
        call("linkat", AT_FDCWD, name, AT_FDCWD, self.path(path), AT_SYMLINK_FOLLOW)

    def op_rename(self, old, new, flags):
        if flags == 0:
            os.rename(self.path(old), self.path(new))
        else:
            call("renameat2", AT_FDCWD, self.path(old), AT_FDCWD, self.path(new), flags)

    def op_unlink(self, path):
        os.unlink(self.path(path))

    def op_rmdir(self, path):
        os.rmdir(self.path(path))

    def op_readlink(self, path):
        return os.readlink(self.path(path)).decode("latin-1")

    def op_readdir(self, path):
        with os.scandir(self.path(path)) as entries:
            return sorted(
                [
                    entry.name.decode("latin-1"),
                    entry.is_dir(follow_symlinks=False),
                    entry.is_file(follow_symlinks=False),
                    entry.is_symlink(),
                ]
                for entry in entries
            )

    def op_readdir_descriptor(self, slot):
        return sorted(os.listdir(self.descriptor(slot)))

    def op_stat(self, path, follow):
        return self.attributes(os.stat(self.path(path), follow_symlinks=follow))

    def op_access(self, path, mask):
        call("faccessat2", AT_FDCWD, self.path(path), mask, AT_EACCESS)

    def op_statfs(self):
        return os.statvfs(self.root).f_namemax

    def op_truncate(self, path, size):
        os.truncate(self.path(path), size)

    def op_chmod(self, path, mode):
        os.chmod(self.path(path), mode)

    def op_lchmod(self, path, mode):
        call("fchmodat2", AT_FDCWD, self.path(path), mode, AT_SYMLINK_NOFOLLOW)

    def op_chown(self, path, uid, gid, follow):
        os.chown(self.path(path), uid, gid, follow_symlinks=follow)

    def op_utimens(self, path, access, modification, follow):
        """Of the times that it leaves alone, that of access depends on how the filesystem is mounted."""
        flags = 0 if follow else AT_SYMLINK_NOFOLLOW
        call("utimensat", AT_FDCWD, self.path(path), timespecs(access, modification), flags)
        status = os.stat(self.path(path), follow_symlinks=follow)
        changed = ((access, status.st_atime_ns), (modification, status.st_mtime_ns))
        return [
            None if wanted == UTIME_OMIT else "now" if wanted == UTIME_NOW else found
            for (_, wanted), found in changed
        ]

    def op_utimens_now(self, path):
        call("utimensat", AT_FDCWD, self.path(path), None, 0)

    def op_setxattr(self, path, name, value, count, flags, follow):
        """`value` is a seed for `count` bytes, or the bytes in hexadecimal."""
        contents = bytes.fromhex(value) if isinstance(value, str) else self.data(value, count)
        os.setxattr(self.path(path), name, contents, flags, follow_symlinks=follow)

    def op_getxattr(self, path, name, follow):
        value = os.getxattr(self.path(path), name, follow_symlinks=follow)
        return hashlib.md5(value).hexdigest()

    def op_listxattr(self, path, follow):
        return sorted(os.listxattr(self.path(path), follow_symlinks=follow))

    def op_removexattr(self, path, name, follow):
        os.removexattr(self.path(path), name, follow_symlinks=follow)
