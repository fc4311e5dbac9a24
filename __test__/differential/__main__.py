"""
python3 __test__/differential REFERENCE TEST [--seed N] [--operations N] [--seconds N]
    [--writeback] [--ctimes] [--keep DIRECTORY]
python3 __test__/differential REFERENCE TEST [--writeback] --replay FILE

Runs the same random operations, as several users, in a directory of a filesystem whose behavior is right and in one
of the filesystem to be tested, both of root. Compares the result of every operation, the attributes of what it
touched, and at the end both trees. Each run of 2000 operations has a seed of its own, the first one N; runs follow one
another until the operations, or the seconds, are used up. What differs is minimised and kept in DIRECTORY, for a
replay. Ends with 1 if anything differs.
"""

import argparse
import json
import os
import sys
import time

import identity
from comparison import Comparison
from minimiser import minimise
from sequence import Sequence

# A tree that grows old has no more surprises.
OPERATIONS_OF_RUN = 2000

# Operations after which the generator looks at what is there.
LOOK_EVERY = 12

# Operations that are printed; the file has all of them.
LONGEST_REPORT = 30


def drawn(seed, count, sparse):
    """Makes the operations of a run, from what the reference holds meanwhile."""

    def operations(world):
        sequence = Sequence(seed, sparse)
        for index in range(count):
            if index % LOOK_EVERY == 0:
                identity.as_root(lambda: sequence.look(world))
            yield sequence.next()

    return operations


def keep(directory, seed, operations):
    os.makedirs(directory, exist_ok=True)
    path = os.path.abspath(os.path.join(directory, f"seed-{seed}.json"))
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(operation) for operation in operations) + "\n]\n")
    return path


def report(difference):
    for key, value in difference.items():
        print(f"  {key}: {json.dumps(value)}")


def replay(comparison, path):
    with open(path, encoding="utf-8") as file:
        _, difference = comparison.run(json.load(file))
    if difference is None:
        print("no difference")
        return 0
    report(difference)
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operations", type=int, default=OPERATIONS_OF_RUN)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--minimise", type=float, default=60, help="seconds for it")
    parser.add_argument("--writeback", action="store_true", help="TEST has the write-back cache")
    parser.add_argument("--ctimes", action="store_true", help="compare which times of change change; slow")
    parser.add_argument("--keep", default="differences")
    parser.add_argument("--replay")
    args = parser.parse_args()
    comparison = Comparison(args.reference, args.test, args.writeback, args.ctimes)
    if args.replay is not None:
        return replay(comparison, args.replay)
    # SEEK_DATA finds no holes with the write-back cache and on ramfs, and files are read whole in the end.
    sparse = not args.writeback and comparison.reference_type != "ramfs"
    end = time.monotonic() + args.seconds
    done = 0
    seed = args.seed
    while done < args.operations and time.monotonic() < end:
        count = min(OPERATIONS_OF_RUN, args.operations - done)
        performed, difference = comparison.run(drawn(seed, count, sparse))
        done += len(performed)
        if difference is not None:
            shortest, last = minimise(comparison, performed, difference, args.minimise)
            path = keep(args.keep, seed, shortest)
            print(f"seed {seed}: a difference after {len(performed)} operations, {len(shortest)} suffice: {path}")
            for operation in shortest[-LONGEST_REPORT:]:
                print(f"  {json.dumps(operation)}")
            report(last)
            return 1
        seed += 1
    succeeded = sum(comparison.succeeded.values())
    print(f"{done} operations of {seed - args.seed} runs are equal, {succeeded} of them succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
