"""Waits for clocks and files at the same time, as `poll_oneoff` does."""

from __future__ import annotations

import select
from typing import NamedTuple

from hostmod.wasi.abi import EventType
from hostmod.wasi.system import MAX_SLEEP, Clock, File, FunctionClock, MachineClock

LOOK = 10_000_000
"""Nanoseconds between looks at a file that has no descriptor to wait on."""


class Wanted(NamedTuple):
    """One thing waited for: a clock to reach `deadline`, or a file to be ready."""

    userdata: int
    tag: int
    clock: int = 0
    deadline: int = 0
    file: File | None = None


Happened = tuple[Wanted, int, bool]
"""What was waited for, how many bytes can be read or written, and whether the other side is gone."""


def wait(wanted: list[Wanted], clock: Clock, at_once: bool = False) -> list[Happened]:
    """Wait until something has happened, and return all that has; with `at_once`, without waiting."""
    while True:
        happened, rest = _look(wanted, clock)
        if happened or at_once or not wanted:
            return happened
        files = [each for each in wanted if each.file is not None]
        if not files:
            clock.sleep(rest or 0)
            continue
        virtual = rest is not None and not isinstance(clock, MachineClock | FunctionClock)
        found = _poll(files, 0 if virtual else rest)
        if found:
            # A descriptor that is ready while its file knows of nothing is one whose other side is gone.
            happened, _ = _look(wanted, clock)
            return happened or [(each, 0, True) for each in found]
        if virtual:
            clock.sleep(rest or 0)  # real time would pass, and none of this clock's


def _look(wanted: list[Wanted], clock: Clock) -> tuple[list[Happened], int | None]:
    """Return what has happened by now, and how many nanoseconds are left until the next clock's deadline."""
    happened: list[Happened] = []
    rest: int | None = None
    for each in wanted:
        if each.file is None:
            left = each.deadline - clock.time(each.clock)
            if left <= 0:
                happened.append((each, 0, False))
            elif rest is None or left < rest:
                rest = left
        else:
            ready = each.file.ready(each.tag == EventType.FD_WRITE)
            if ready is not None:
                happened.append((each, ready, False))
    return happened, rest


def _poll(files: list[Wanted], rest: int | None) -> list[Wanted]:
    """Wait on the host's descriptors, no longer than `rest` nanoseconds; return those that something happened to."""
    by_fd: dict[int, list[Wanted]] = {}
    for each in files:
        fd = each.file.fileno() if each.file is not None else None
        if fd is None:
            rest = LOOK if rest is None else min(rest, LOOK)
        else:
            by_fd.setdefault(fd, []).append(each)
    timeout = min(MAX_SLEEP if rest is None else rest, MAX_SLEEP)
    if not hasattr(select, "poll"):
        reads = [fd for fd, many in by_fd.items() if any(each.tag == EventType.FD_READ for each in many)]
        writes = [fd for fd, many in by_fd.items() if any(each.tag == EventType.FD_WRITE for each in many)]
        readable, writable, _ = select.select(reads, writes, [], timeout / 1e9)
        return [each for fd in {*readable, *writable} for each in by_fd[fd]]
    poll = select.poll()
    for fd, many in by_fd.items():
        flags = 0
        for each in many:
            flags |= select.POLLOUT if each.tag == EventType.FD_WRITE else select.POLLIN
        poll.register(fd, flags)
    # Rounded up: what wakes a moment early would look, find nothing, and look again.
    return [each for fd, _ in poll.poll(-(-timeout // 1_000_000)) for each in by_fd[fd]]
