"""The user that operations are made as. Effective ids suffice: they are the ones that files are checked against."""

import os

ROOT = (0, 0, [])

current = ROOT


def become(uid, gid, groups):
    """Makes further operations those of a user."""
    global current
    os.seteuid(0)
    os.setegid(0)
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)
    current = (uid, gid, groups)


def as_root(action):
    """Runs `action` as root, whatever the current user is."""
    before = current
    become(*ROOT)
    try:
        return action()
    finally:
        become(*before)
