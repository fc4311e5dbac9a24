"""
python3 __test__/races/names.py MOUNT SOURCE --seed N --seconds N

Two callers of a mirror, an ordinary user, race on names while a third process of that user changes the source beneath:
it exchanges names with root's files and directories, and with symbolic links that lead out of the source. Of what is
root's, nothing may be changed or read through the mirror. Prints what was, a line each, and ends with 1 then.
"""

import argparse
import os
import random
import signal
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../differential"))

from system_calls import AT_FDCWD, call

USER = 1000
SECRET = b"what nobody but root may read"
RENAME_EXCHANGE = 2
# Few, so that they meet.
NAMES = ["a", "d/a"]
FILES = ["root-file", "setuid-program"]
LINKS = ["link-to-" + name for name in FILES]
OTHERS = [*FILES, *LINKS, "root-directory"]


def prepare(source, outside):
    """Makes root's files, outside of the source, and its names in the source. Returns descriptors of them by path."""
    os.umask(0)
    os.mkdir(outside, 0o700)
    victims = {}
    for name in FILES:
        path = os.path.join(outside, name)
        descriptor = victims[path] = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        is_program = name == "setuid-program"
        os.write(descriptor, b"a program" if is_program else SECRET)
        os.fchmod(descriptor, 0o4755 if is_program else 0o600)
        os.setxattr(path, "user.mark", b"root")
    for directory in (outside, source):
        path = os.path.join(directory, "root-directory")
        os.mkdir(path, 0o700)
        os.mkdir(os.path.join(path, "inner"), 0o755)
        victims[path] = os.open(path, os.O_RDONLY)
    os.mkdir(os.path.join(source, "d"))
    for name in ("", "d"):
        os.chown(os.path.join(source, name), USER, USER)
    return victims


def restore(source, outside):
    """Puts names of root's files, and symbolic links to them, back into the source: a user may remove those."""
    for name, link in zip(FILES, LINKS):
        original = os.path.join(outside, name)
        for make, path in ((os.link, name), (os.symlink, link)):
            try:
                make(original, os.path.join(source, path))
            except FileExistsError:
                pass


def state(descriptor):
    """All that nobody but root may change of a victim."""
    status = os.fstat(descriptor)
    found = [oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns]
    if stat.S_ISDIR(status.st_mode):
        return [*found, sorted(os.listdir(descriptor))]
    contents = os.pread(descriptor, 1 << 20, 0)
    marks = [(name, os.getxattr(descriptor, name)) for name in sorted(os.listxattr(descriptor))]
    return [*found, contents, marks]


def swap(source, seed, end):
    """Exchanges names in the source all the time."""
    choose = random.Random(seed)
    while time.monotonic() < end:
        old, new = [os.path.join(source, choose.choice(names)).encode() for names in (NAMES, OTHERS)]
        for _ in range(50):
            try:
                call("renameat2", AT_FDCWD, old, AT_FDCWD, new, RENAME_EXCHANGE)
            except OSError:
                pass


def use(mount, seed, end):
    """Does with names of the mirror whatever an ordinary user may try; returns whether it got to read a secret."""
    choose = random.Random(seed)

    def name():
        return os.path.join(mount, choose.choice(NAMES * 4 + OTHERS))

    def write():
        descriptor = os.open(name(), os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o666)
        try:
            os.write(descriptor, b"overwritten")
            os.fchmod(descriptor, 0o777)
            os.ftruncate(descriptor, 3)
        finally:
            os.close(descriptor)

    def read():
        descriptor = os.open(name(), os.O_RDONLY | os.O_NONBLOCK)
        try:
            if SECRET in os.read(descriptor, 1000):
                print("a secret was read", flush=True)
                os._exit(1)
        finally:
            os.close(descriptor)

    actions = [
        write,
        write,
        read,
        *[lambda: os.mkdir(name(), 0o777)] * 4,
        *[lambda: os.mknod(name(), stat.S_IFREG | 0o4777)] * 4,
        lambda: os.chmod(name(), 0o777),
        lambda: os.chown(name(), USER, USER),
        lambda: os.chown(name(), -1, -1),
        lambda: os.truncate(name(), 0),
        lambda: os.utime(name(), (1, 1)),
        lambda: os.setxattr(name(), "user.mark", b"user"),
        lambda: os.removexattr(name(), "user.mark"),
        lambda: os.link(name(), name(), follow_symlinks=False),
        lambda: os.symlink("../outside", name()),
        lambda: os.rename(name(), name()),
        *[lambda: os.unlink(name())] * 4,
        *[lambda: os.rmdir(name())] * 4,
        lambda: os.rmdir(os.path.join(name(), "inner")),
        lambda: os.listdir(name()),
    ]
    while time.monotonic() < end:
        try:
            choose.choice(actions)()
        except OSError:
            pass


def start(body, *args):
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        os.umask(0)
        body(*args)
        status = 0
    finally:
        os._exit(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mount")
    parser.add_argument("source")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    outside = args.source + "-outside"
    victims = prepare(args.source, outside)
    restore(args.source, outside)
    before = {path: state(descriptor) for path, descriptor in victims.items()}
    end = time.monotonic() + args.seconds
    pids = [start(use, args.mount, args.seed + n, end) for n in range(2)]
    pids += [start(swap, args.source, args.seed + 2, end)]
    failed = False
    while time.monotonic() < end:
        restore(args.source, outside)
        time.sleep(0.001)
    for pid in pids:
        _, status = os.waitpid(pid, 0)
        if status != 0:
            print(f"a process ended with {status}")
            failed = True
    for path, descriptor in victims.items():
        found = state(descriptor)
        if found != before[path]:
            print(f"{path} was {before[path]}, is {found}")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    signal.alarm(120)
    sys.exit(main())
