"""Calls of the kernel that Python 3.11 has no function for. Each raises OSError."""

from __future__ import annotations

import ctypes
import os

NEW_MOUNTS, NEW_PIDS = 0x20000, 0x20000000
_RECURSIVE, _PRIVATE = 0x4000, 0x40000
_HARMLESS = 2 | 4 | 8  # no set-user-id, no devices, no programs
_SET_CHILD_SUBREAPER = 36
_AMBIENT, _CLEAR_ALL = 47, 4

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(kinds: int) -> None:
    """Take namespaces of our own; one of process ids is for the children to come."""
    _check(_libc.unshare(kinds))


def enter(namespace: int) -> None:
    """Have the children to come live in a namespace of process ids, given as a descriptor."""
    _check(_libc.setns(namespace, NEW_PIDS))


def mount_privately() -> None:
    """Let nobody see what we mount, nor what those mount who take a namespace out of ours."""
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None))


def mount_proc() -> None:
    """Let /proc show our own namespace of process ids, to us and our children alone."""
    unshare(NEW_MOUNTS)
    _check(_libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(_HARMLESS), None))


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    _check(_libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def hand_on_nothing() -> None:
    """Give no capability to the programs that we start, unless they run as root."""
    _check(_libc.prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
