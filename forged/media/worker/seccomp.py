"""A filter of system calls: no sockets, no programs, no processes, no attributes, no way around Landlock.

A list of what is forbidden, not of what is allowed: the latter would have to follow every release of Python, libc and the decoders.
Numbers: linux/seccomp.h, linux/filter.h, linux/audit.h; those of the calls from asm/unistd_64.h (x86-64) and asm-generic/unistd.h
(aarch64), Linux 6.1.
"""

from __future__ import annotations

import ctypes
import errno
import platform
from dataclasses import dataclass

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JSET|K, BPF_RET|K"""

_KILL_PROCESS, _ERRNO, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000

_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT = 0, 4, 16
"""In struct seccomp_data; of the argument the lower half, both architectures being little-endian."""

_CLONE_THREAD = 0x0001_0000
_CLONE3 = 435
"""Its flags lie in memory, where no filter sees them: it does not exist, so that libc takes `clone`."""

_X32 = 0x4000_0000
"""From here on x86-64 numbers everything a second time."""

SINCE_424 = {424: "pidfd_send_signal", 425: "io_uring_setup", 434: "pidfd_open", 438: "pidfd_getfd"}
"""The same on every architecture."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """`audit` is its name in linux/audit.h; `forbidden` maps the numbers of calls to their names."""

    audit: int
    clone: int
    forbidden: dict[int, str]


ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000_003E,
        56,
        {
            **{41: "socket", 42: "connect", 43: "accept", 49: "bind", 50: "listen", 53: "socketpair", 288: "accept4"},
            **{57: "fork", 58: "vfork", 59: "execve", 322: "execveat", 101: "ptrace"},
            **{310: "process_vm_readv", 311: "process_vm_writev", 62: "kill", 200: "tkill", 129: "rt_sigqueueinfo"},
            **{90: "chmod", 91: "fchmod", 268: "fchmodat", 92: "chown", 93: "fchown", 94: "lchown", 260: "fchownat"},
            **{132: "utime", 235: "utimes", 261: "futimesat", 280: "utimensat", 77: "ftruncate", 285: "fallocate"},
            **{188: "setxattr", 189: "lsetxattr", 190: "fsetxattr", 197: "removexattr", 198: "lremovexattr"},
            **{199: "fremovexattr", 248: "add_key", 249: "request_key", 250: "keyctl", 272: "unshare", 308: "setns"},
            **{165: "mount", 166: "umount2", 155: "pivot_root", 161: "chroot", 304: "open_by_handle_at"},
            **{298: "perf_event_open", 321: "bpf", 323: "userfaultfd", 319: "memfd_create"},
        },
    ),
    "aarch64": Architecture(
        0xC000_00B7,
        220,
        {
            **{198: "socket", 203: "connect", 202: "accept", 200: "bind", 201: "listen", 199: "socketpair", 242: "accept4"},
            **{221: "execve", 281: "execveat", 117: "ptrace"},
            **{270: "process_vm_readv", 271: "process_vm_writev", 129: "kill", 130: "tkill", 138: "rt_sigqueueinfo"},
            **{52: "fchmod", 53: "fchmodat", 54: "fchownat", 55: "fchown", 88: "utimensat", 46: "ftruncate", 47: "fallocate"},
            **{5: "setxattr", 6: "lsetxattr", 7: "fsetxattr", 14: "removexattr", 15: "lremovexattr", 16: "fremovexattr"},
            **{217: "add_key", 218: "request_key", 219: "keyctl", 97: "unshare", 268: "setns"},
            **{40: "mount", 39: "umount2", 41: "pivot_root", 51: "chroot", 265: "open_by_handle_at"},
            **{241: "perf_event_open", 280: "bpf", 282: "userfaultfd", 279: "memfd_create"},
        },
    ),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def restrict() -> bool:
    """Puts the filter in force for this thread and those that it starts, for good. False where it cannot be had: another
    architecture, or a kernel (or container) without it. Needs no_new_privs."""
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    steps = _steps(architecture)
    program = _Program(len(steps), (_Instruction * len(steps))(*(_Instruction(*step) for step in steps)))
    done: int = ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)
    return done == 0


def _steps(architecture: Architecture) -> list[tuple[int, int, int, int]]:
    """The program: what to do, how many steps to pass over if so and if not, and with which number."""
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps = [(_LOAD, 0, 0, _AT_ARCHITECTURE), (_EQUAL, 1, 0, architecture.audit), (_RETURN, 0, 0, _KILL_PROCESS)]
    steps += [(_LOAD, 0, 0, _AT_NUMBER), (_AT_LEAST, 0, 1, _X32), refuse]
    for number in (*architecture.forbidden, *SINCE_424):
        steps += [(_EQUAL, 0, 1, number), refuse]
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    steps += [(_EQUAL, 0, 3, architecture.clone), (_LOAD, 0, 0, _AT_FIRST_ARGUMENT), (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse]
    return [*steps, (_RETURN, 0, 0, _ALLOW)]
