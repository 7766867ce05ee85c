"""Host functions: callbacks, compiled and registered."""

from __future__ import annotations

import ctypes
import functools
import operator
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any

from hostmod import _wasmtime
from hostmod._generated import compile_source
from hostmod._trampoline_py.ending import end_call, end_plain, end_raised
from hostmod._trampoline_py.frames import Frame
from hostmod._trampoline_py.host_source import render_host
from hostmod._trampoline_py.locators import FixedLocator, Locator
from hostmod._trampoline_py.memory import CallMemory, FixedCallMemory, raw_caller
from hostmod._trampoline_py.values import (
    StructError,
    bad_none,
    bad_tuple,
    bad_value,
    invalid_string,
    plain_tuple,
    put_words,
)
from hostmod._wasmtime import references
from hostmod._wasmtime.signals import uninterruptible_entry
from hostmod._wasmtime.views import Views
from hostmod.errors import ConversionError, SegmentationFault, ViewEscapedError, as_errno
from hostmod.plan import Plan
from hostmod.types.pointer import Pointer
from hostmod.types.reference import Caller
from hostmod.types.scalar import Duration

MAX_FRAMES = 256
"""Frames kept for one function: stack addresses repeat, but a hostile guest can vary its stack's depth."""


_NAMES: dict[str, Any] = {
    "__name__": __name__,
    "Caller": Caller,
    "ConversionError": ConversionError,
    "Duration": Duration,
    "Pointer": Pointer,
    "SPARES": _wasmtime.spares,
    "SPARE_TEXT": _wasmtime.SPARE_TEXT,
    "SegmentationFault": SegmentationFault,
    "StructError": StructError,
    "ViewEscapedError": ViewEscapedError,
    "as_errno": as_errno,
    "bad_none": bad_none,
    "bad_tuple": bad_tuple,
    "bad_value": bad_value,
    "caller_context": _wasmtime.caller_context,
    "data_size": _wasmtime.prepared_data_size,
    "Views": Views,
    "end_call": end_call,
    "end_plain": end_plain,
    "end_raised": end_raised,
    "export_get": _wasmtime.prepared_export_get,
    "hold_raws": references.hold_raws,
    "here": _wasmtime.stack.here,
    "get_ident": threading.get_ident,
    "index": operator.index,
    "invalid_string": invalid_string,
    "new": object.__new__,
    "partial": functools.partial,
    "plain_tuple": plain_tuple,
    "put_words": put_words,
    "raised": _wasmtime.raised,
    "raw_caller": raw_caller,
    "ref": weakref.ref,
    "root_all": references.from_raws,
    "trap": _wasmtime.trap,
}
"""What the generated code calls."""


class HostThunk:
    """A plan's callback, compiled, for `_wasmtime.define_callback`. Serves any number of linkers and instances."""

    __slots__ = ("__weakref__", "address", "callback", "source")

    def __init__(
        self, plan: Plan, memory: str = "memory", fixed: tuple[Any, Callable[[], int | None]] | None = None
    ) -> None:
        locator = FixedLocator(plan.where, *fixed) if fixed else Locator(plan.where, memory)
        text, names = render_host(plan, fixed is not None)
        frames: dict[int, Frame] = {}
        words = plan.words

        def new_frame(address: int) -> Frame:
            if len(frames) >= MAX_FRAMES:
                frames.clear()
            frames[address] = frame = Frame(address, words, locator)
            return frame

        names.update(
            frames=frames,
            new_frame=new_frame,
            locator=locator,
            CallMemory=FixedCallMemory if fixed else CallMemory,
        )
        function = compile_source(text, _NAMES | names, f"trampoline {plan.where}")["trampoline"]
        uninterruptible_entry(function)
        self.source = text
        self.callback = _wasmtime.CALLBACK(function)
        self.address = ctypes.cast(self.callback, ctypes.c_void_p).value or 0


def define_all(
    linker: int,
    rows: tuple[tuple[Any, bytes, bytes, int], ...],
    functions: tuple[Callable[..., Any], ...],
    receiver: object,
    keep: list[object] | None,
) -> tuple[int, int] | None:
    """Define functions in a linker: (thunk, module, name, type's address) and what serves it, for each.

    With a `receiver` that is not None, the functions are its methods. What has to live as long as they do is added to
    `keep`; without one, wasmtime keeps it. Returns the index of the first that the linker
    refuses and the address of its error, or None.
    """
    served = functions if receiver is None else [MethodType(each, receiver) for each in functions]
    for index, ((thunk, module, name, type_), callable_) in enumerate(zip(rows, served, strict=True)):
        env = (callable_, thunk)
        if keep is not None:
            keep.append(env)
        error = _wasmtime.define_callback(linker, module, name, type_, thunk.address, env, keep is None)
        if error:
            return index, error
    return None
