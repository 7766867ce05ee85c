"""`profile`: counts the calls of each host function, and adds up how long they take."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hostmod.declaration import Function
from hostmod.observe.decorate import Selection, selects
from hostmod.types.scalar import Duration

_FOLD = 4096
"""Calls of one function that are kept as they came, then added up: counting stays one append a call."""

_PRECISE_BITS = 7
"""Leading bits of a duration that its bucket keeps: percentiles are at most 1/128 too low."""


@dataclass(frozen=True, slots=True)
class FunctionProfile:
    """What one function did. Times are nanoseconds and include the calls made from inside it.

    `p50` and `p99` are exact for durations below 256 ns, and less than 1 % too low above.
    """

    name: str
    count: int
    total: int
    mean: float
    p50: int
    p99: int
    max: int
    errors: int


class _Calls:
    """The calls of one function."""

    __slots__ = ("buckets", "errors", "first", "max", "name", "pending", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: list[tuple[int, int, int]] = []
        self.buckets: Counter[int] = Counter()
        self.total = self.max = 0
        self.errors: list[None] = []  # one item an exception: appending is atomic, adding to an int is not


class _Number(threading.local):
    """The number of a thread, from 1: its place in `names`.

    The identifiers that Python gives threads are addresses on many systems, which Perfetto takes for no thread, and are
    used again once a thread has ended.
    """

    def __init__(self, names: list[str], lock: threading.Lock) -> None:  # once for each thread that asks
        with lock:
            names.append(threading.current_thread().name)
            self.value = len(names)


class Profile:
    """A decorator that measures each call, and what it found. Made by `profile`."""

    def __init__(self, *, functions: Selection = None, timeline: int = 1_000_000) -> None:
        self._functions = functions
        self._room = timeline
        self._calls: dict[str, _Calls] = {}
        self._events: list[tuple[str, list[tuple[int, int, int]]]] = []
        self._dropped = 0
        self._lock = threading.Lock()
        self._threads: list[str] = []
        self._number = _Number(self._threads, self._lock)

    def __call__(self, module: str, function: Function) -> Function:
        """Return the function with every call of it measured."""
        if not selects(self._functions, module, function.name):
            return function
        wrapped, clock, number = function.func, time.perf_counter_ns, self._number
        name = f"{module}::{function.name}"
        calls = self._calls.setdefault(name, _Calls(name))
        fold = self._fold

        @functools.wraps(wrapped)
        def profiled(*arguments: Any) -> Any:
            start = clock()
            try:
                return wrapped(*arguments)
            except BaseException:
                calls.errors.append(None)
                raise
            finally:
                stop = clock()
                pending = calls.pending
                pending.append((start, stop, number.value))
                if len(pending) >= _FOLD:
                    fold(calls)

        return function.with_func(profiled)

    def _fold(self, calls: _Calls) -> None:
        with self._lock:
            count = len(calls.pending)
            taken, calls.pending[:count] = calls.pending[:count], []
            took = [stop - start for start, stop, _ in taken]
            calls.total += sum(took)
            calls.max = max(calls.max, *took) if took else calls.max
            for each, times in Counter(took).items():
                shift = max(0, each.bit_length() - _PRECISE_BITS - 1)
                calls.buckets[each >> shift << shift] += times
            kept = taken[: self._room]
            self._room -= len(kept)
            if kept:
                self._events.append((calls.name, kept))
            self._dropped += len(taken) - len(kept)

    @property
    def functions(self) -> Mapping[str, FunctionProfile]:
        """What each function that was called did, by ``module::name``, the longest total first."""
        found: list[FunctionProfile] = []
        for calls in self._calls.values():
            self._fold(calls)
            count = calls.buckets.total()
            if count:
                found.append(
                    FunctionProfile(
                        calls.name,
                        count,
                        calls.total,
                        calls.total / count,
                        _percentile(calls.buckets, count, 50),
                        _percentile(calls.buckets, count, 99),
                        calls.max,
                        len(calls.errors),
                    )
                )
        return {each.name: each for each in sorted(found, key=lambda each: -each.total)}

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the table's head and its rows, as text."""
        head = ["function", "calls", "total", "mean", "p50", "p99", "max", "errors"]
        rows = [
            [
                each.name,
                f"{each.count:,}",
                *(_rounded(value) for value in (each.total, round(each.mean), each.p50, each.p99, each.max)),
                f"{each.errors:,}",
            ]
            for each in self.functions.values()
        ]
        return head, rows

    def __str__(self) -> str:
        head, rows = self.rows()
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *rows)
        ]
        return "\n".join(lines)

    def export(self, target: str | os.PathLike[str] | IO[str]) -> None:
        """Write the timeline in the Chrome trace-event format, which Perfetto and speedscope open.

        Args:
            target: a path, or an open text file.

        Source: "Trace Event Format", complete events ("X") and metadata events ("M"); times are microseconds.
        """
        for calls in self._calls.values():
            self._fold(calls)
        with self._lock:
            events = [(name, *event) for name, kept in self._events for event in kept]
            dropped, threads = self._dropped, list(self._threads)
        pid = os.getpid()
        origin = min((start for _, start, _, _ in events), default=0)
        found: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": "hostmod"}}
        ]
        for thread in sorted({event[3] for event in events}):
            named = {"name": threads[thread - 1]}
            found.append({"name": "thread_name", "ph": "M", "pid": pid, "tid": thread, "args": named})
        # In the order of their starts, the outer before the inner: speedscope nests them by it.
        for name, start, stop, thread in sorted(events, key=lambda event: (event[1], -event[2])):
            module = name.partition("::")[0]
            found.append(
                {
                    "name": name,
                    "cat": module,
                    "ph": "X",
                    "ts": (start - origin) / 1000,
                    "dur": (stop - start) / 1000,
                    "pid": pid,
                    "tid": thread,
                }
            )
        document = {
            "traceEvents": found,
            "displayTimeUnit": "ns",
            "otherData": {"calls left out": dropped},
        }
        if isinstance(target, str | os.PathLike):
            Path(target).write_text(json.dumps(document), encoding="utf-8")
        else:
            json.dump(document, target)


def _percentile(buckets: Counter[int], count: int, percent: int) -> int:
    """Return the smallest duration that `percent` of the calls do not exceed. Source: the nearest-rank method."""
    rank = -(-count * percent // 100)
    seen = 0
    for took in sorted(buckets):
        seen += buckets[took]
        if seen >= rank:
            return took
    return 0


def _rounded(nanoseconds: int) -> str:
    """Show a duration with three digits that mean something."""
    digits = len(str(nanoseconds))
    return str(Duration(round(nanoseconds, 3 - digits) if digits > 3 else nanoseconds))


def profile(*, functions: Selection = None, timeline: int = 1_000_000) -> Profile:
    """Make a decorator that measures each call: count, total, mean, p50, p99 and max for each function.

    ``print(profile)`` shows a table, ``profile.functions`` has the numbers, ``profile.export("trace.json")`` writes a
    timeline.

    Args:
        functions: which functions: names or patterns (``"get"``, ``"kv::*"``), or a predicate of module and name.
        timeline: how many calls the timeline keeps; later ones are counted, and left out of it.
    """
    return Profile(functions=functions, timeline=timeline)
