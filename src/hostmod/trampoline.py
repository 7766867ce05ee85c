"""The contract between the trampolines, and the choice of one.

A trampoline offers `HostThunk(plan, memory, fixed)`, a plan made ready for calls by guests; `define_all`, which puts
thunks and what serves them into a linker, to be kept by wasmtime; and `GuestThunk(plan, lenient)`, a plan made ready
for calls of guests, whose `caller(store, function, new_memory, hold)` makes a callable of the plan's parameters. Both
trampolines give the same results, memory, exceptions and messages.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Protocol, cast

from hostmod import _trampoline_py
from hostmod.plan import Plan

HostThunk = Any
"""A plan made ready for calls by guests: opaque, and of its own trampoline."""

GuestThunk = Any
"""A plan made ready for calls of guests: its `caller` makes a callable for a function of a store."""


class Trampoline(Protocol):
    """One of the twins."""

    NAME: str

    def HostThunk(self, plan: Plan, memory: str = ..., fixed: Any = ...) -> HostThunk:  # noqa: N802  # it is a class
        """Prepare a plan for calls by guests."""
        ...

    def define_all(
        self,
        linker: int,
        rows: tuple[tuple[Any, bytes, bytes, int], ...],
        functions: tuple[Callable[..., Any], ...],
        receiver: object,
        keep: list[object] | None,
    ) -> tuple[int, int] | None:
        """Define functions in a linker, or methods of a receiver that is not None.

        What has to live as long as they do is added to `keep`; without one, wasmtime keeps it.

        Returns which it refused first, and the address of its error.
        """
        ...

    def GuestThunk(  # noqa: N802  # it is a class
        self, plan: Plan, lenient: Callable[[Callable[..., Any]], Callable[..., Any]] | None = ...
    ) -> GuestThunk:
        """Prepare a plan for calls of guests; `lenient` wraps calls in ones that take more than the plan does."""
        ...


def _choose() -> tuple[Trampoline, str]:
    """Return the trampoline that serves this process, and why it is not the one in C, if it is not."""
    pure = cast("Trampoline", _trampoline_py)
    if os.environ.get("HOSTMOD_NO_EXTENSIONS", "") not in ("", "0"):
        return pure, "HOSTMOD_NO_EXTENSIONS is set"
    try:
        from hostmod import _trampoline_native
    except ModuleNotFoundError:
        return pure, "it was not built: there was no C compiler when hostmod was installed"
    except Exception as error:  # whatever keeps it from starting, the other one serves
        logging.getLogger("hostmod").warning(
            "the C trampoline steps aside: %s: %s", type(error).__name__, error
        )
        return pure, f"{type(error).__name__}: {error}"
    return cast("Trampoline", _trampoline_native), ""


active, reason = _choose()
"""The trampoline that serves this process, and why it is the pure-Python one (empty if it is not)."""
