"""Random sequences of operations. The same seed gives the same sequence on the same filesystem."""

import fcntl
import os
import random
import stat
import struct

from system_calls import O_TMPFILE, SEEK_DATA, SEEK_HOLE, UTIME_NOW, UTIME_OMIT

SLOTS = 5
DIRECTORIES = ["", "d0", "d1", "d0/s", "d1/s", "d0/s/t"]
NAMES = ["a", "b", "c", "e", "f", "g"]
ODD_NAMES = ["\xff\xfe", "n" * 255, "\xc3\xbc", "d0", "d1", "s", "t", ".x y"]
LONG_NAMES = ["n" * 256, "\xff" * 4000]
TARGETS = ["a", "b", "../a", "d0", "s", ".", "..", "d1/c", "../d0/b", "gone", "x" * 200]
TARGETS += ["../d1/s/e", "d0/", "\xff\xfe"]
MODES = [0o644, 0o666, 0o777, 0o755, 0o644, 0o600, 0o755, 0o777, 0o666, 0o444, 0o000, 0o4755]
MODES += [0o2755, 0o6777, 0o1777, 0o2775, 0o700, 0o4711, 0o2644, 0o640, 0o070, 0o007]
DIRECTORY_MODES = MODES + [0o777] * 12 + [0o1777, 0o2777, 0o3777]
XATTRS = ["user.a", "user.b", "user." + "k" * 30, "trusted.t", "security.foo", "user.", "bad.x"]
XATTRS += ["user.\u00fc", "security.capability"]
XATTRS += ["system.posix_acl_access", "system.posix_acl_default"]
# struct vfs_cap_data of revision 2 with one capability.
CAPABILITY = "0100000202000000000000000000000000000000"
# 0x10 is FALLOC_FL_ZERO_RANGE, 3 a hole, 2 a hole without FALLOC_FL_KEEP_SIZE, which nobody has. FUSE knows no others:
# fuse_file_fallocate() (fs/fuse/file.c).
FALLOCATE_MODES = [0, 0, 1, 3, 3, 0x10, 0x11, 2]
# 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE, 4 RENAME_WHITEOUT.
RENAME_FLAGS = [0, 0, 0, 0, 1, 1, 2, 2, 2, 4, 5, 3, 6, 8]
OPEN_BRIEFLY = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_PATH, os.O_RDONLY | os.O_NOFOLLOW]
OPEN_BRIEFLY += [os.O_RDONLY | os.O_DIRECTORY]
OPEN_CHANCES = {
    os.O_CREAT: 0.6,
    os.O_EXCL: 0.15,
    os.O_TRUNC: 0.2,
    os.O_APPEND: 0.15,
    os.O_NOFOLLOW: 0.1,
    os.O_DIRECTORY: 0.05,
    os.O_DIRECT: 0.05,
    os.O_PATH: 0.03,
    os.O_NOATIME: 0.04,
    os.O_SYNC: 0.05,
}

# Operation → how often it is made, relative to the others.
WEIGHTS = dict(
    open=14, open_directory=2, open_temporary=2, open_briefly=4, close=5, dup=1, setfl=2,
    write=6, pwrite=9, writev=1, read=3, pread=7, lseek=2, seekdata=2, fsync=1,
    ftruncate=3, truncate=4, fallocate=4, copy_file_range=4, sendfile=1, splice=1,
    mapped_write=2, mapped_read=2, map=2, map_store=2, map_load=2,
    mkdir=6, mknod=3, symlink=4, link=5, link_descriptor=2, rename=10, unlink=5, rmdir=3,
    readlink=2, readdir=3, readdir_descriptor=1, stat=6, fstat=3, access=3, statfs=1,
    chmod=4, lchmod=1, fchmod=1, chown=4, fchown=1, utimens=4, futimens=1, utimens_now=1,
    setxattr=6, getxattr=2, listxattr=2, removexattr=2, flock=2, lock=2, lock_query=1,
    identity=4, umask=1,
)  # fmt: skip


class Sequence:
    """Operations as lists: the name, then the arguments."""

    def __init__(self, seed, sparse):
        """`sparse` is for files of a terabyte with holes in them."""
        self.sparse = sparse
        self.random = random.Random(seed)
        self.seeds = 0
        self.made = 0
        self.queue = []
        self.existing = []
        self.directories = [""]

    def look(self, world):
        """Takes note of what is there, so that most operations find something."""
        self.existing, self.directories = [], [""]

        def visit(path, relative, depth):
            try:
                names = sorted(os.listdir(path))
            except FileNotFoundError:
                # A sequence may remove its own root, by "..".
                return
            for name in names:
                below = relative + ("/" if relative else "") + name.decode("latin-1")
                self.existing.append(below)
                inner = path + b"/" + name
                if stat.S_ISDIR(os.lstat(inner).st_mode):
                    self.directories.append(below)
                    if depth < 5:
                        visit(inner, below, depth + 1)

        visit(world.root, "", 0)

    def next(self):
        self.made += 1
        if not self.queue and self.made % 120 == 0:
            # Now and then the tree is made usable for everybody.
            self.queue = [
                ["identity", 0, 0, []],
                ["umask", 0],
                ["chmod", "", 0o777],
                ["chown", "", 0, 0, True],
                ["removexattr", "", "system.posix_acl_default", True],
                ["mkdir", "d0", 0o777],
                ["mkdir", "d1", 0o777],
            ]
        if self.queue:
            return self.queue.pop(0)
        while True:
            operation = self.draw()
            if not self.is_tedious(operation):
                return operation

    def is_tedious(self, operation):
        """Whether an operation would mostly fail, or lock everybody out."""
        name, *args = operation
        paths = [arg for arg in args[:2] if isinstance(arg, str)]
        if name in ("rmdir", "rename", "unlink") and self.random.random() < 0.95:
            if any(path in ("", ".") or path.endswith("..") for path in paths):
                return True
        if name in ("chmod", "chown", "setxattr", "lchmod") and args[0] == "":
            return self.random.random() < 0.9
        return name == "rmdir" and self.random.random() < 0.4

    def draw(self):
        (name,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        made = getattr(self, "draw_" + name)()
        return made if isinstance(made, list) else [name, *made]

    # What arguments are drawn from.

    def chance(self, probability):
        return self.random.random() < probability

    def slot(self):
        return self.random.randrange(SLOTS)

    def seed(self):
        self.seeds += 1
        return self.seeds * 7 + 1

    def path(self, known=0.6):
        r = self.random
        if self.existing and r.random() < known:
            path = r.choice(self.existing)
            directory = path.rpartition("/")[0]
        else:
            directory = r.choice(self.directories if r.random() < 0.9 else DIRECTORIES)
            path = self.below(directory, r.choice(NAMES if r.random() < 0.8 else ODD_NAMES))
        odd = r.random()
        if odd < 0.01:
            return path + "/"
        if odd < 0.02:
            return path + "/.."
        if odd < 0.03:
            return directory
        if odd < 0.035:
            return self.below(directory, r.choice(LONG_NAMES))
        if odd < 0.04:
            return self.below(directory, ".")
        return path

    @staticmethod
    def below(directory, name):
        return f"{directory}/{name}" if directory else name

    def directory(self):
        x = self.random.random()
        if x < 0.6:
            return self.random.choice(self.directories)
        return self.random.choice(DIRECTORIES) if x < 0.9 else self.path()

    def any_path(self, share=0.7):
        return self.path(0.85) if self.chance(share) else self.directory()

    def offset(self):
        r = self.random
        x = r.random()
        if x < 0.55:
            return r.randrange(0, 20000)
        if x < 0.85:
            return r.randrange(0, 300000)
        if x < 0.95 or not self.sparse:
            return r.choice([0, 1, 511, 512, 4095, 4096, 65535, 65536, 65537, 131072])
        return r.choice([1 << 30, (1 << 32) - 1, 1 << 32, (1 << 40) + 5, 1 << 41])

    def any_offset(self):
        """For what only looks: beyond what a double can count as well."""
        if self.chance(0.95):
            return self.offset()
        return self.random.choice([(1 << 53) - 1, 1 << 53, (1 << 53) + 1, 1 << 62])

    def count(self):
        r = self.random
        x = r.random()
        if x < 0.1:
            return 0
        if x < 0.6:
            return r.randrange(1, 5000)
        if x < 0.95:
            return r.randrange(1, 140000)
        return r.choice([1, 4096, 65536, 131072, 1 << 20, (1 << 20) + 1])

    def mapped(self):
        return [self.offset() % 200000, self.random.randrange(1, 9000)]

    def mode(self):
        return self.random.choice(MODES)

    def time(self):
        r = self.random
        x = r.random()
        if x < 0.2:
            return [0, UTIME_OMIT]
        if x < 0.4:
            return [0, UTIME_NOW]
        if x < 0.43:
            return [5, 10**9]  # not a number of nanoseconds: EINVAL
        return [r.randrange(-(10**9), 14 * 10**8), r.randrange(0, 10**9)]

    def id(self):
        return self.random.choice([-1, -1, 0, 1000, 1001, 1002])

    def acl(self):
        """An access control list as its attribute holds it; one in ten is incomplete, a few are empty."""
        r = self.random
        nobody = 0xFFFFFFFF
        entries = [(tag, r.randrange(8), nobody) for tag in (0x01, 0x04, 0x20)]
        if r.random() < 0.7:
            entries.append((0x02, r.randrange(8), r.choice([1000, 1001])))
            if r.random() < 0.5:
                entries.append((0x08, r.randrange(8), r.choice([1001, 1002])))
            entries.append((0x10, r.randrange(8), nobody))
        if r.random() < 0.1:
            entries.pop(r.randrange(len(entries)))
        if r.random() < 0.05:
            entries = []
        packed = [struct.pack("<HHI", *entry) for entry in sorted(entries)]
        return (struct.pack("<I", 2) + b"".join(packed)).hex()

    # A method for each operation: its arguments, or all of another operation.

    def draw_open(self):
        r = self.random
        flags = r.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR])
        for flag, chance in OPEN_CHANCES.items():
            if r.random() < chance:
                flags |= flag
        flags |= os.O_NONBLOCK | os.O_CLOEXEC
        return self.slot(), self.path(0.5), flags, self.mode()

    def draw_open_directory(self):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        return ["open", self.slot(), self.directory(), flags, 0]

    def draw_open_temporary(self):
        flags = self.random.choice([os.O_RDWR, os.O_WRONLY]) | O_TMPFILE
        if self.chance(0.2):
            flags |= os.O_EXCL
        return ["open", self.slot(), self.directory(), flags, self.mode()]

    def draw_open_briefly(self):
        flags = self.random.choice(OPEN_BRIEFLY) | os.O_NONBLOCK | os.O_CLOEXEC
        return self.path(0.85), flags

    def draw_close(self):
        return (self.slot(),)

    draw_fstat = draw_readdir_descriptor = draw_close

    def draw_dup(self):
        return self.slot(), self.slot()

    def draw_setfl(self):
        flags = [0, os.O_APPEND, os.O_DIRECT, os.O_NOATIME, os.O_APPEND | os.O_NOATIME]
        return self.slot(), self.random.choice(flags)

    def draw_write(self):
        return self.slot(), self.seed(), self.count()

    def draw_pwrite(self):
        return self.slot(), self.seed(), self.count(), self.offset()

    def draw_writev(self):
        sizes = [self.random.randrange(0, 3000) for _ in range(self.random.randrange(1, 5))]
        return self.slot(), self.seed(), sizes

    def draw_read(self):
        return self.slot(), self.count()

    def draw_pread(self):
        return self.slot(), self.count(), self.any_offset()

    def draw_lseek(self):
        far = 1 << 33 if self.sparse else 1 << 20
        offset = self.random.choice([0, 5, 4096, 100000, -1, -5, far])
        return self.slot(), offset, self.random.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])

    def draw_seekdata(self):
        return self.slot(), self.any_offset(), self.random.choice([SEEK_DATA, SEEK_HOLE])

    def draw_fsync(self):
        return self.slot(), self.chance(0.5)

    def draw_ftruncate(self):
        return self.slot(), self.offset()

    def draw_truncate(self):
        return self.path(0.85), self.random.choice([self.offset(), self.offset(), 0, -1])

    def draw_fallocate(self):
        offset = self.offset() if self.chance(0.9) else -5
        length = self.random.choice([self.count(), 4096, 65536, 0, 200000])
        return self.slot(), self.random.choice(FALLOCATE_MODES), offset, length

    def draw_copy_file_range(self):
        return self.slot(), self.slot(), self.offset(), self.offset(), self.count()

    def draw_sendfile(self):
        return self.slot(), self.slot(), self.offset() % 100000, self.count()

    def draw_splice(self):
        return self.slot(), self.slot(), self.count()

    def draw_mapped_write(self):
        return self.slot(), self.seed(), *self.mapped()

    draw_map_store = draw_mapped_write

    def draw_mapped_read(self):
        return self.slot(), *self.mapped()

    draw_map_load = draw_mapped_read

    def draw_map(self):
        return self.slot(), self.random.choice([4096, 65536, 300000])

    def draw_mkdir(self):
        path = self.path(0.2) if self.chance(0.5) else self.random.choice(DIRECTORIES[1:])
        return path, self.random.choice(DIRECTORY_MODES)

    def draw_mknod(self):
        kinds = [stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK]
        kind = self.random.choice([*kinds, stat.S_IFDIR, 0])
        devices = [0, 0x105, 0x803, 0x12345678]
        is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
        device = self.random.choice(devices) if is_device else 0
        return self.path(0.2), kind | self.mode(), device

    def draw_symlink(self):
        return self.random.choice(TARGETS), self.path(0.2)

    def draw_link(self):
        return self.path(0.9), self.path(0.2), self.chance(0.2)

    def draw_link_descriptor(self):
        return self.slot(), self.path(0.2)

    def draw_rename(self):
        old = self.path(0.9) if self.chance(0.8) else self.directory()
        new = self.path(0.5) if self.chance(0.8) else self.directory()
        return old, new, self.random.choice(RENAME_FLAGS)

    def draw_unlink(self):
        return (self.path(0.85),)

    draw_readlink = draw_utimens_now = draw_unlink

    def draw_rmdir(self):
        return (self.directory(),)

    draw_readdir = draw_rmdir

    def draw_stat(self):
        return self.any_path(0.8), self.chance(0.5)

    def draw_access(self):
        return self.any_path(0.8), self.random.randrange(8)

    def draw_statfs(self):
        return ()

    def draw_chmod(self):
        return self.any_path(), self.mode()

    def draw_lchmod(self):
        return self.path(0.85), self.mode()

    def draw_fchmod(self):
        return self.slot(), self.mode()

    def draw_chown(self):
        return self.any_path(), self.id(), self.id(), self.chance(0.6)

    def draw_fchown(self):
        return self.slot(), self.id(), self.id()

    def draw_utimens(self):
        return self.any_path(0.8), self.time(), self.time(), self.chance(0.6)

    def draw_futimens(self):
        return self.slot(), self.time(), self.time()

    def draw_setxattr(self):
        r = self.random
        name = r.choice(XATTRS)
        value = self.seed()
        if name.startswith("system."):
            value = self.acl()
        elif name == "security.capability":
            value = CAPABILITY
        count, flags = r.choice([0, 1, 10, 100, 300]), r.choice([0, 0, 0, 1, 2])
        return self.any_path(), name, value, count, flags, self.chance(0.7)

    def draw_getxattr(self):
        return self.any_path(), self.random.choice(XATTRS), self.chance(0.7)

    draw_removexattr = draw_getxattr

    def draw_listxattr(self):
        return self.any_path(), self.chance(0.7)

    def draw_flock(self):
        return self.slot(), self.random.choice([fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN])

    def draw_lock(self):
        r = self.random
        kind = r.choice([fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK])
        return self.slot(), kind, r.randrange(0, 50), r.choice([0, 1, 10, 20])

    def draw_lock_query(self):
        r = self.random
        kind = r.choice([fcntl.F_RDLCK, fcntl.F_WRLCK])
        return self.slot(), kind, r.randrange(0, 50), r.choice([0, 1, 10, 20])

    def draw_identity(self):
        r = self.random
        uid = r.choice([0, 0, 0, 1000, 1000, 1001])
        gid = r.choice([uid, uid, 1001]) if uid else 0
        return uid, gid, r.choice([[], [1001], [1002, 1000]])

    def draw_umask(self):
        return (self.random.choice([0, 0o022, 0o077, 0o027, 0o002]),)
