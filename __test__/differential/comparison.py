"""Runs the same operations in two directories, and finds the first difference."""

import errno
import json
import os
import shutil
import stat
import time

import identity
import properties
from trees import tree
from world import Missing, World

ERRORS = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK"}

# Operation → which of its arguments are paths.
PATHS = {
    "open": [1], "link": [0, 1], "rename": [0, 1], "symlink": [1], "link_descriptor": [1],
    **{name: [0] for name in (
        "open_briefly", "truncate", "mkdir", "rmdir", "unlink", "mknod", "chmod", "lchmod", "chown", "utimens",
        "utimens_now", "setxattr", "removexattr", "stat", "readlink", "getxattr", "listxattr", "readdir",
    )},
}  # fmt: skip

# Operation → which of its arguments is the slot of a descriptor whose file it may change.
SLOTS = {
    "copy_file_range": 1, "sendfile": 1, "splice": 1,
    **{name: 0 for name in (
        "write", "pwrite", "writev", "ftruncate", "fallocate", "fchmod", "fchown", "futimens", "mapped_write",
        "map_store",
    )},
}  # fmt: skip

# Seconds before each operation when times of change are compared: beyond the tick that they come from.
TICK = 0.005


def plain(value):
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value))


def perform(world, operation):
    """The result of an operation; the name of its errno if it failed."""
    name, *args = operation
    try:
        return plain(getattr(world, "op_" + name)(*args))
    except OSError as failure:
        return ["error", ERRORS.get(failure.errno, failure.errno)]
    except Missing:
        return "missing"
    except ValueError as failure:
        return ["refused by Python", str(failure)]


def affected(operation):
    """The paths that an operation may change, and the directories that they are in."""
    name, *args = operation
    for index in PATHS.get(name, ()):
        path = args[index]
        yield path
        if path.rstrip("/"):
            yield path.rstrip("/").rpartition("/")[0]


def snapshot(world, operation):
    """Of what an operation may change: attributes, and which inode changed when."""
    name, *args = operation
    found = {}

    def note(key, status):
        try:
            s = status()
        except OSError as failure:
            found[key] = ([ERRORS.get(failure.errno)], None)
        else:
            # As to FIFOs see world.py.
            change = None if stat.S_ISFIFO(s.st_mode) else (s.st_ino, s.st_ctime_ns)
            found[key] = (world.attributes(s), change)

    for path in affected(operation):
        note(path, lambda path=path: os.lstat(world.path(path)))
    slot = args[SLOTS[name]] if name in SLOTS else None
    if slot in world.descriptors:
        note("the descriptor", lambda: os.fstat(world.descriptors[slot]))
    return found


def changes(before, after):
    """Whether the time of change of a path is another; None if its inode is."""
    if before is None or before[1] is None or after[1] is None or before[1][0] != after[1][0]:
        return None
    return before[1][1] != after[1][1]


def make_alike(worlds, operation):
    """After results that may differ: empties the file on both sides."""
    slot = operation[1]
    for world in worlds:
        if slot in world.mappings:
            world.mappings.pop(slot).close()
        try:
            os.ftruncate(world.descriptors[slot], 0)
        except OSError:
            pass


class Comparison:
    """Of a reference and a directory to be tested, both empty or not there."""

    def __init__(self, reference, test, writeback=False, compare_ctimes=False):
        self.directories = [reference, test]
        self.reference_type = properties.type_of(reference)
        self.writeback = writeback
        self.compare_ctimes = compare_ctimes
        self.runs = 0
        self.succeeded = {}

    def run(self, operations):
        """
        Performs operations, which may be a function of the reference that makes the next one. Returns those that
        were performed, and the difference, None if there is none.
        """
        self.runs += 1
        name = f"run-{os.getpid()}-{self.runs}"
        bases = [os.path.join(directory, name) for directory in self.directories]
        umask = os.umask(0)
        worlds = []
        performed = []
        try:
            worlds = [World(base) for base in bases]
            for operation in operations(worlds[0]) if callable(operations) else operations:
                performed.append(operation)
                difference = self.step(worlds, operation)
                if difference is not None:
                    return performed, {"operation": operation, "user": identity.current, **difference}
            identity.become(*identity.ROOT)
            return performed, self.compare_trees(worlds)
        finally:
            identity.become(*identity.ROOT)
            os.umask(umask)
            for world in worlds:
                world.close()
            for base in bases:
                shutil.rmtree(base, ignore_errors=True)

    def step(self, worlds, operation):
        """Performs one operation on both sides; returns the difference."""
        if operation[0] == "identity":
            identity.become(*operation[1:])
            return None
        if operation[0] == "umask":
            os.umask(operation[1])
            return None

        def look():
            return identity.as_root(lambda: [snapshot(world, operation) for world in worlds])

        before = look() if self.compare_ctimes else None
        if self.compare_ctimes:
            time.sleep(TICK)
        user = identity.current[0]
        if identity.as_root(
            lambda: properties.is_avoided(worlds[0], operation, user, self.reference_type, self.writeback)
        ):
            return None
        a, b = [perform(world, operation) for world in worlds]
        if a != b:
            if not properties.is_property(operation, a, b):
                return {"kind": "result", "reference": a, "test": b}
            if operation[0] in SLOTS or operation[0] == "map":
                identity.as_root(lambda: make_alike(worlds, operation))
        elif a != "missing" and not (isinstance(a, list) and a[:1] == ["error"]):
            self.succeeded[operation[0]] = self.succeeded.get(operation[0], 0) + 1
        after = look()
        for path, (expected, _) in after[0].items():
            found = after[1][path][0]
            if expected != found:
                return {"kind": "attributes", "path": path, "reference": expected, "test": found}
            if before is not None:
                ctimes = [changes(b.get(path), a[path]) for b, a in zip(before, after)]
                if None not in ctimes and ctimes[0] != ctimes[1]:
                    said = [f"ctime changed: {ctime}" for ctime in ctimes]
                    return {"kind": "ctime", "path": path, "reference": said[0], "test": said[1]}
        return None

    @staticmethod
    def compare_trees(worlds):
        trees = []
        for world in worlds:
            try:
                trees.append(tree(world))
            except OSError as failure:
                said = f"{ERRORS.get(failure.errno)} of {failure.filename}"
                return {"kind": "tree", "path": str(world.base), "reference": "no error", "test": said}
        expected, found = trees
        for path in sorted({*expected, *found}):
            a, b = expected.get(path), found.get(path)
            if a != b:
                return {"kind": "tree", "path": path, "reference": a, "test": b}
        return None
