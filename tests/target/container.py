"""Runs a command as a container with the usual seccomp profile would: no new namespaces, no mounts.

    python container.py [--no-landlock] COMMAND [ARGUMENT ...]

`--no-landlock` also hides Landlock, as a kernel without it does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "train_target"))

from seccomp import ALLOW, ARGUMENTS_AT, CLONE_NEW, COLUMN, ERRNO, JUMP_ANY_BIT, JUMP_EQUAL, LOAD, NUMBER_AT, RETURN

SECCOMP_MODE_FILTER, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 2, 22, 38
REFUSED = {  # as docker's default profile does without CAP_SYS_ADMIN: numbers on x86_64 and aarch64
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
}
LANDLOCK = (444, 445, 446)
CLONE, CLONE3 = (56, 220), 435


def program(landlock: bool) -> bytes:
    column = COLUMN[platform.machine()]
    lines = [(LOAD, 0, 0, NUMBER_AT)]
    for pair in REFUSED.values():
        lines += [(JUMP_EQUAL, 0, 1, pair[column]), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    for number in (CLONE3, *(() if landlock else LANDLOCK)):
        lines += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    lines += [(JUMP_EQUAL, 0, 3, CLONE[column]), (LOAD, 0, 0, ARGUMENTS_AT), (JUMP_ANY_BIT, 0, 1, CLONE_NEW)]
    lines += [(RETURN, 0, 0, ERRNO | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def main() -> None:
    command = sys.argv[1:]
    landlock = command[0] != "--no-landlock"
    code = program(landlock)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0):
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    command = command if landlock else command[1:]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
