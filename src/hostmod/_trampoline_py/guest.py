"""Guest functions: calling an export."""

from __future__ import annotations

import ctypes
import itertools
import operator
from collections.abc import Callable
from typing import Any

from hostmod import _wasmtime
from hostmod._generated import compile_source
from hostmod._trampoline_py.frames import Slots
from hostmod._trampoline_py.guest_source import render_guest
from hostmod._trampoline_py.values import StructError, bad_value, put_words
from hostmod._wasmtime import library, references
from hostmod._wasmtime import store as stores
from hostmod.errors import ErrnoError, StaleMemoryError
from hostmod.plan import Plan


class GuestSlots(Slots):
    """The slots of one call of a guest, and the place where it leaves its trap."""

    __slots__ = ("_array", "trap", "trap_address")

    def __init__(self, words: int) -> None:
        self._array = (ctypes.c_ubyte * ((words + 1) * _wasmtime.RAW_SIZE))()
        address = ctypes.addressof(self._array)
        super().__init__(address, words)
        self.trap_address = address + words * _wasmtime.RAW_SIZE
        self.trap = memoryview(self._array).cast("B")[words * _wasmtime.RAW_SIZE :].cast("Q")


def closed(where: str) -> StaleMemoryError:
    """Return the error for a call into a store that is closed."""
    return StaleMemoryError(f"{where} was called, but its store is closed", "call it before closing")


_NAMES: dict[str, Any] = {
    "__name__": __name__,
    "ErrnoError": ErrnoError,
    "StructError": StructError,
    "bad_value": bad_value,
    "closed": closed,
    "enter": stores.enter,
    "failure": _wasmtime.failure,
    "here": _wasmtime.stack.here,
    "index": operator.index,
    "put_words": put_words,
    "from_raw": library.externref_from_raw,
    "drop": references.drop,
    "dropped": references.dropped,
    "make_roots": references.make_roots,
    "new_roots": references.new_roots,
    "objects_of": references.objects_of,
    "raws_of": references.raws_of,
    "release": references.release,
    "repeat": itertools.repeat,
    "unroot": references.unroot,
    "reraise": _wasmtime.reraise,
}
"""What the generated code calls."""


class GuestThunk:
    """A plan made ready for calls of guests. Serves any number of stores; its source is written when first needed."""

    __slots__ = ("_lenient", "_native_guard", "_rendered", "plan")

    def __init__(
        self, plan: Plan, lenient: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    ) -> None:
        """Take a plan; `lenient` wraps its calls in ones that take more than the plan does."""
        self.plan = plan
        self._lenient = lenient
        self._rendered: tuple[str, dict[str, Any], str] | None = None
        self._native_guard = False

    def caller(
        self, store: Any, function: Any, new_memory: Callable[[], Any] | None = None, hold: bool = False
    ) -> Callable[..., Any]:
        """Make a callable of the plan's parameters that calls `function`, a wasmtime.Func of `store`.

        `hold` keeps the GIL while the guest runs. `new_memory` makes the memory that arguments are copied into.
        """
        plan = self.plan
        rendered = self._rendered
        guard = _wasmtime.guard_of(store)
        native_guard = not isinstance(guard, stores.Guard)
        if rendered is None or self._native_guard is not native_guard:
            self._native_guard = native_guard
            text, names = render_guest(plan, native_guard)
            rendered = self._rendered = text, _NAMES | names, f"call of {plan.signature}"
        text, known, what = rendered
        words = plan.words
        structure = function._func

        def context_of() -> int:
            try:
                return _wasmtime.context_of(store)
            except ValueError:
                raise closed(plan.where) from None

        names = {
            **known,
            "pool": [],
            "new_slots": lambda: GuestSlots(words),
            "new_memory": new_memory,
            "store": store,
            "context_of": context_of,
            "function": ctypes.addressof(structure),
            "keep": (store, function, structure),
            "guard": guard,
            "Entered": stores.parts.Entered,
            "claim": None if native_guard else guard.claim,
            "WHERE": plan.where,
            "WORDS": words,
            "invoke": _wasmtime.func_call_unchecked_held if hold else _wasmtime.func_call_unchecked,
        }
        # Out of its own globals: the store goes with the last reference to the call, not with the next collection.
        call: Callable[..., Any] = compile_source(text, names, what).pop("call")
        return call if self._lenient is None else self._lenient(call)
