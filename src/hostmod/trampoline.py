"""The contract between the trampolines, and the choice of one.

A trampoline offers `HostThunk(plan, memory, fixed)`, whose `callback` wasmtime can call with an environment of
``(callable, ...)``, and `guest_caller(plan, store, function, new_memory, hold)`, a callable of the plan's parameters.
Both trampolines give the same results, memory, exceptions and messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from hostmod import _trampoline_py
from hostmod.plan import Plan


class HostThunk(Protocol):
    """What `_ffi.define` registers for a plan."""

    @property
    def callback(self) -> Any:
        """The C function, as something that ctypes passes as a pointer."""


class Trampoline(Protocol):
    """One of the twins."""

    NAME: str

    def HostThunk(self, plan: Plan, memory: str = ..., fixed: Any = ...) -> HostThunk: ...  # noqa: N802  # it is a class

    def guest_caller(
        self, plan: Plan, store: Any, function: Any, new_memory: Callable[[], Any] | None, hold: bool = ...
    ) -> Callable[..., Any]: ...


active: Trampoline = _trampoline_py  # type: ignore[assignment]  # a module, with what the protocol names
"""The trampoline that serves this process."""
