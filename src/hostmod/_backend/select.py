"""Selects the backend of this process, and holds the contract of backends.

A backend offers `HostThunk(plan, memory, fixed)`, a plan made ready for calls by guests; `define_all`, which puts
thunks and the functions that serve them into a linker; and `GuestThunk(plan, lenient)`, a plan made ready for calls of
guests, whose `caller(store, function, new_memory, hold)` makes a callable of the plan's parameters. Both backends give
the same results, memory, exceptions and messages.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol, cast

from hostmod._backend import python
from hostmod.plan import Plan

HostThunk = Any
"""A plan made ready for calls by guests: opaque, and of its own backend."""

GuestThunk = Any
"""A plan made ready for calls of guests: its `caller` makes a callable for a function of a store."""


class Backend(Protocol):
    """What runs Plans: the native backend, or the one in pure Python."""

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


def _choose() -> tuple[Backend, str]:
    """Return the backend that serves this process, and why it is not the native one, if it is not."""
    pure = cast("Backend", python)
    if os.environ.get("HOSTMOD_NO_EXTENSIONS", "") not in ("", "0"):
        return pure, "HOSTMOD_NO_EXTENSIONS is set"
    if find_spec("hostmod._backend._native") is None:
        return pure, "it was not built: there was no C compiler when hostmod was installed"
    try:
        from hostmod._backend import native
    except Exception as error:  # whatever keeps it from starting, the pure one serves
        logging.getLogger("hostmod").warning(
            "the native backend does not start, pure Python serves: %s: %s", type(error).__name__, error
        )
        return pure, f"{type(error).__name__}: {error}"
    return cast("Backend", native), ""


active, reason = _choose()
"""The backend that serves this process, and why it is the pure one (empty if it is not)."""
