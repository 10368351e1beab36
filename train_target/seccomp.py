"""What a box may not ask of the kernel: a seccomp filter as a table of system calls, without a library.

What is on the list is refused with EPERM, and everything else is allowed: torch on CPU and GPU, torch.compile with a
compiler, and workers of a DataLoader were run under it. clone3 does not exist for a box (ENOSYS), because a filter
cannot read its flags; the C library then uses clone. memfd_create must stay: without it CUDA does not start.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}
X32 = 0x40000000  # the bit of system call numbers of the x32 interface on x86_64

# name: (number on x86_64, number on aarch64); None where there is no such call
DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "sched_setaffinity": (203, 122),  # a box stays on its core
    "sched_setattr": (314, 274),
    # parts of the kernel that a training does not need and that have been ways out
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    # the machine
    "clock_settime": (227, 112),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    # its own limits: a box that lowered one could end as if somebody else had killed it
    "setrlimit": (160, 164),
    # memory and messages that outlive a process and that no limit counts
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}

CLONE_PARENT = 0x00008000  # a child that would not be charged to the box
CLONE_NEW = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000  # namespaces
AF_UNIX = 1
SIGCHLD = 17
SCHED_FIFO, SCHED_RR = 1, 2
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36  # hides what a process holds; takes orphans from whom they go to
NUMBERS = {  # system calls of which the arguments count
    "clone": (56, 220),
    "clone3": (435, 435),
    "socket": (41, 198),
    "rt_sigaction": (13, 134),
    "sched_setscheduler": (144, 119),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
}

# Instructions of the classic BPF machine: (code, jump if true, jump if false, constant)
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
REFUSE = (RETURN, 0, 0, ERRNO | errno.EPERM)
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, FLAG_ALL_THREADS = 38, 1, 1
SECCOMP = (317, 277)

Instruction = tuple[int, int, int, int]


def program(machine: str) -> bytes:
    """The filter for "x86_64" or "aarch64", as the kernel takes it."""
    column = COLUMN[machine]
    numbers = {name: pair[column] for name, pair in NUMBERS.items()}
    filter = [(LOAD, 0, 0, ARCH_AT), (JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]), REFUSE, (LOAD, 0, 0, NUMBER_AT)]
    if machine == "x86_64":
        filter += [(JUMP_AT_LEAST, 0, 1, X32), REFUSE]
    for pair in DENIED.values():
        if (number := pair[column]) is not None:
            filter += [(JUMP_EQUAL, 0, 1, number), REFUSE]
    filter += _when(numbers["clone3"], [(RETURN, 0, 0, ERRNO | errno.ENOSYS)])
    filter += _when(numbers["clone"], [_argument(0), (JUMP_ANY_BIT, 0, 1, CLONE_NEW | CLONE_PARENT), REFUSE])
    filter += _when(numbers["socket"], [_argument(0), (JUMP_EQUAL, 1, 0, AF_UNIX), REFUSE])
    # Children whose end is ignored would leave without their CPU time being charged. What asks for a handler is told
    # that it has one (error 0): torch's DataLoader insists, and does not need it. Only asking what is set is a null.
    ignored = [(RETURN, 0, 0, ERRNO)]
    null = [(LOAD, 0, 0, ARGUMENTS_AT + 8), (JUMP_EQUAL, 0, 2, 0), (LOAD, 0, 0, ARGUMENTS_AT + 12)]
    filter += _when(
        numbers["rt_sigaction"], [_argument(0), (JUMP_EQUAL, 0, 5, SIGCHLD), *null, (JUMP_EQUAL, 1, 0, 0), *ignored]
    )
    real_time = [(JUMP_EQUAL, 1, 0, SCHED_FIFO), (JUMP_EQUAL, 0, 1, SCHED_RR), REFUSE]
    filter += _when(numbers["sched_setscheduler"], [_argument(1), *real_time])
    hiding = [(JUMP_EQUAL, 1, 0, PR_SET_DUMPABLE), (JUMP_EQUAL, 0, 1, PR_SET_CHILD_SUBREAPER), REFUSE]
    filter += _when(numbers["prctl"], [_argument(0), *hiding])
    setting = [(LOAD, 0, 0, ARGUMENTS_AT + 20), (JUMP_EQUAL, 1, 0, 0), REFUSE]  # no null pointer: a limit to set
    filter += _when(numbers["prlimit64"], [_argument(2), (JUMP_EQUAL, 1, 0, 0), REFUSE, *setting])
    filter += [(RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in filter)


def _when(number: int | None, then: list[Instruction]) -> list[Instruction]:
    """For this system call, run `then` and allow it where that has not returned."""
    assert number is not None
    then = [*then, (RETURN, 0, 0, ALLOW)]
    return [(JUMP_EQUAL, 0, len(then), number), *then]


def _argument(index: int) -> Instruction:
    """Load the lower 32 bits of an argument; both machines are little-endian."""
    return (LOAD, 0, 0, ARGUMENTS_AT + 8 * index)


def available() -> bool:
    """Whether this machine has a table here and its kernel has filters."""
    actions = "/proc/sys/kernel/seccomp/actions_avail"
    return platform.machine() in COLUMN and os.path.exists(actions)


def install() -> None:
    """Put this process, with all its threads, under the filter for good. Raises OSError."""
    code = program(platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    number = SECCOMP[COLUMN[platform.machine()]]
    if result := libc.syscall(ctypes.c_long(number), SET_MODE_FILTER, FLAG_ALL_THREADS, header):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())} ({result})")
