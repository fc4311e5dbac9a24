"""Makes a sequence of operations that ends in a difference as short as it soon can be."""

import time


def kind(difference):
    """What has to stay the same of a difference."""
    if difference is None:
        return None
    return difference["kind"], difference.get("operation", [None])[0]


class Minimiser:
    def __init__(self, comparison, operations, difference, seconds):
        self.comparison = comparison
        self.operations = operations
        self.difference = difference
        self.wanted = kind(difference)
        self.end = time.monotonic() + seconds

    def has_time(self):
        return time.monotonic() < self.end

    def accept(self, candidate):
        """Takes a shorter sequence if it has the difference too."""
        if len(candidate) == len(self.operations) or not self.has_time():
            return False
        performed, found = self.comparison.run(candidate)
        if kind(found) != self.wanted:
            return False
        self.operations, self.difference = performed, found
        return True

    def leave_out_kinds(self):
        """All operations of a name at once: most of them have nothing to do with the difference."""
        for name in sorted({name for name, *_ in self.operations}):
            self.accept([operation for operation in self.operations if operation[0] != name])

    def leave_out_pieces(self, size):
        """Whether one of the pieces of this size is not needed."""
        shorter = False
        start = 0
        while start < len(self.operations) and self.has_time():
            rest = self.operations[:start] + self.operations[start + size :]
            if self.accept(rest):
                shorter = True
            else:
                start += size
        return shorter


def minimise(comparison, operations, difference, seconds):
    """Returns a shorter sequence that has a difference of this kind, and the difference."""
    minimiser = Minimiser(comparison, operations, difference, seconds)
    minimiser.leave_out_kinds()
    size = len(minimiser.operations)
    while minimiser.has_time():
        size = max(size // 2, 1)
        if not minimiser.leave_out_pieces(size) and size == 1:
            break
    return minimiser.operations, minimiser.difference
