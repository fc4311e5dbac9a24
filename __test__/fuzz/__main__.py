"""
python3 __test__/fuzz DIRECTORY --seed N --seconds N [--processes N] [--until-gone]

Random system calls of several processes and users at once in one directory, of root. Signals interrupt, stop and kill
them; who is killed is replaced. Nobody knows what results are right here: wrong are the errors that no filesystem has
unless its server fails. Ends with 1 if there was one, and with 2 if a process cannot be killed.

With --until-gone the filesystem is ended meanwhile, from outside. Then all processes have to end too.
"""

import argparse
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../differential"))

import identity
from comparison import perform
from sequence import Sequence
from world import World

USERS = [(0, 0, []), (0, 0, []), (1000, 1000, [1001]), (1000, 1000, []), (1001, 1001, [1000])]

# Errors of a connection that has ended.
GONE = {"ENOTCONN", "ECONNABORTED"}

# Errors that only a server makes that fails, or is not there.
FAILURES = {"EIO", "EPROTO", "EFAULT", "EREMOTEIO", "ENOSYS", "EDEADLK"}

# Seconds that processes have for their end once they were killed.
GRACE = 10


class Share(World):
    """The directory that all processes share."""

    def __init__(self, base):
        self.base = os.fsencode(base)
        self.root = self.base
        self.descriptors = {}
        self.mappings = {}


def work(directory, seed, until_gone):
    """One process, until it is killed or something is wrong. Ends with 0, or with 1 and a line that says what."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    # A file that another process truncates is SIGBUS for who has mapped it.
    signal.signal(signal.SIGBUS, signal.SIG_DFL)
    source = random.Random(seed)
    world = Share(directory)
    sequence = Sequence(seed, False)
    identity.become(*source.choice(USERS))
    while True:
        if source.random() < 0.05:
            try:
                sequence.look(world)
            except OSError:
                pass  # others remove meanwhile what it comes to, or it is not for this user
        operation = sequence.next()
        if operation[0] in ("identity", "umask"):
            continue
        result = perform(world, operation)
        error = result[1] if isinstance(result, list) and result[:1] == ["error"] else None
        if error in GONE and until_gone:
            return 0
        if error in FAILURES | GONE:
            user = identity.current
            identity.become(*identity.ROOT)
            print(f"seed {seed}, user {user[0]}: {json.dumps(operation)}: {error}", flush=True)
            return 1


class Crowd:
    def __init__(self, directory, seed, until_gone):
        self.directory = directory
        self.seed = seed
        self.until_gone = until_gone
        self.members = set()
        self.started = 0
        self.failed = 0

    def start(self):
        self.started += 1
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = work(self.directory, self.seed + self.started, self.until_gone)
            finally:
                os._exit(status)
        self.members.add(pid)

    def collect(self):
        """Takes note of those that have ended."""
        while self.members:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.members.discard(pid)
            self.failed += os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0

    def disturb(self, source):
        """Sends one of them a signal."""
        if not self.members:
            return
        pid = source.choice(sorted(self.members))
        kinds = [signal.SIGUSR1] * 8 + [signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL]
        os.kill(pid, source.choice(kinds))

    def end(self):
        """Kills all; returns those that are there nevertheless."""
        for pid in self.members:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + GRACE
        while self.members and time.monotonic() < end:
            self.collect()
            time.sleep(0.01)
        return self.members


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--until-gone", action="store_true")
    args = parser.parse_args()
    source = random.Random(args.seed)
    os.umask(0)
    shared = os.path.join(args.directory, "crowd")
    os.mkdir(shared, 0o777)
    crowd = Crowd(shared, args.seed, args.until_gone)
    for _ in range(args.processes):
        crowd.start()
    print("started", flush=True)
    end = time.monotonic() + args.seconds
    while time.monotonic() < end and crowd.members and crowd.failed == 0:
        crowd.disturb(source)
        time.sleep(0.01)
        crowd.collect()
        while len(crowd.members) < args.processes and crowd.failed == 0 and not args.until_gone:
            crowd.start()
    ended = not crowd.members
    for pid in crowd.members:
        os.kill(pid, signal.SIGCONT)
    if args.until_gone and not ended:
        # Those that were stopped go on now, and find out.
        wait = time.monotonic() + GRACE
        while crowd.members and time.monotonic() < wait:
            crowd.collect()
            time.sleep(0.01)
    stuck = crowd.end()
    if stuck:
        print(f"processes cannot be killed: {sorted(stuck)}")
        return 2
    print(f"{crowd.started} processes")
    return 1 if crowd.failed else 0


if __name__ == "__main__":
    sys.exit(main())
