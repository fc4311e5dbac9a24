"""System calls that Python's standard library has no function for."""

import ctypes
import os
import platform

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EACCESS = 0x200
AT_SYMLINK_FOLLOW = 0x400
O_TMPFILE = 0o20000000 | os.O_DIRECTORY
UTIME_NOW = 0x3FFFFFFF
UTIME_OMIT = 0x3FFFFFFE
SEEK_DATA = 3
SEEK_HOLE = 4
F_OFD_GETLK = 36
F_OFD_SETLK = 37

_NUMBERS = {
    "x86_64": dict(
        fallocate=285, faccessat2=439, fchmodat2=452, linkat=265, renameat2=316, utimensat=280
    ),
    "aarch64": dict(
        fallocate=47, faccessat2=439, fchmodat2=452, linkat=37, renameat2=276, utimensat=88
    ),
}[platform.machine()]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(name, *args):
    """Makes a system call. Integers are passed as long, bytes as strings; -1 is raised as OSError."""
    values = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = _libc.syscall(ctypes.c_long(_NUMBERS[name]), *values)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def timespecs(access, modification):
    """The array that utimensat(2) takes: each time is `[seconds, nanoseconds]`."""
    return (ctypes.c_long * 4)(*access, *modification)
