"""Decorators for host modules: see the first calls of each function, and measure them all."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from typing import Any

from hostmod import Decorator, Function


def first(calls: int, decorator: Decorator) -> Decorator:
    """Let a decorator see the first few calls of each function; later ones go past it."""

    def decorate(module: str, function: Function) -> Function:
        decorated = decorator(module, function).func
        turns = itertools.chain(itertools.repeat(decorated, calls), itertools.repeat(function.func))

        def take_turns(*arguments: Any) -> Any:
            return next(turns)(*arguments)

        return function.with_func(take_turns)

    return decorate


class Meter:
    """A decorator that adds up how often each function is called, and how long it takes."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.nanoseconds: Counter[str] = Counter()

    def __call__(self, module: str, function: Function) -> Function:
        name, body, clock = f"{module}::{function.name}", function.func, time.perf_counter_ns

        def measured(*arguments: Any) -> Any:
            start = clock()
            try:
                return body(*arguments)
            finally:
                self.calls[name] += 1
                self.nanoseconds[name] += clock() - start

        return function.with_func(measured)

    def report(self, total: int) -> None:
        """Print what was measured, and what is left of the `total` nanoseconds that the guest ran."""
        print(f"\n{'host function':<14} {'calls':>9} {'ns per call':>13}")
        for name, calls in self.calls.items():
            print(f"{name:<14} {calls:>9,} {self.nanoseconds[name] // calls:>13,}")
        calls, inside = self.calls.total(), self.nanoseconds.total()
        outside = total - inside
        print(
            f"{calls:,} calls spent {inside / 1e9:.2f} s inside these functions. The guest's own work and the"
        )
        print(f"ways in and out took {outside / 1e9:.2f} s, {outside // calls:,} ns per call.")


class OneLine(logging.Formatter):
    """Cuts long lines in the middle, so that they fit a terminal and still end with the call's result."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return line if len(line) <= 100 else f"{line[:55]} ... {line[-40:]}"
