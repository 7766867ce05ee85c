"""Ways to keep a view past its call, and hosts that do."""

from __future__ import annotations

import collections
import ctypes
import functools
import pickle
import queue
import re
import struct as packing
import weakref
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from wat import passing

import hostmod
from hostmod import HostModule, function
from hostmod._wasmtime import store
from hostmod.types import Array, Bytes, Caller, Error, Int32, Pointer, String, Uint16, Uint32


class Keeper(HostModule, name="keeper"):
    """Keeps what `how` makes of the view that it was given."""

    def __init__(self, how: Callable[[Any], Any] = lambda data: data) -> None:
        self.how = how
        self.kept: list[Any] = []

    @function
    def bytes(self, data: Bytes) -> None:
        self.kept.append(self.how(data))

    @function
    def array(self, data: Array[Uint16]) -> None:
        self.kept.append(self.how(data))

    @function
    def beside_text(self, text: String, data: Bytes) -> None:
        self.kept.append(self.how(data))

    @function
    def beside_a_pointer(self, pointer: Pointer[Uint32], data: Bytes) -> None:
        self.kept.append(self.how(data))

    @function
    def asked(self, at: Uint32, length: Uint32, caller: Caller) -> None:
        self.kept.append(self.how(caller.memory.view(at, length)))

    @function
    def fails(self, data: Bytes) -> None:
        local = self.how(data)
        raise RuntimeError(f"with {type(local).__name__}")

    @function
    def refuses(self, data: Bytes) -> Error:
        self.kept.append(self.how(data))
        raise OSError(28, "full")

    @function
    def breaks(self, data: Bytes) -> None:
        self.kept.append(self.how(data))
        raise RuntimeError("a bug")

    @function
    def faults(self, at: Pointer[Uint32], length: Uint32) -> None:
        at.memory.write(0, b"abcd")
        local = at.memory.view(0, 8)[2:4]
        at.memory.write_uint32(2**31, len(local))

    @function
    def reads(self, at: Uint32, caller: Caller) -> None:
        caller.memory.read(at, 8)

    @function
    def answer(self) -> Int32:
        return 42


LENDING = {
    "bytes": (0, 8),
    "array": (0, 4),
    "beside_text": (16, 2, 0, 8),
    "beside_a_pointer": (0, 0, 8),
    "asked": (0, 8),
}


lending = pytest.mark.parametrize("name", LENDING)


def guest_of(host: HostModule) -> hostmod.Guest:
    guest = hostmod.instantiate(passing(type(host)), host)
    guest.memory.write(0, b"abcdefgh" * 4)
    return guest


class Holder:
    """An object with a place for a view."""

    def __init__(self, view: memoryview) -> None:
        self.view = view


def _closed_over(view: memoryview) -> Callable[[], int]:
    return lambda: view[0]


def _queued(view: memoryview) -> queue.Queue[memoryview]:
    made: queue.Queue[memoryview] = queue.Queue()
    made.put(view)
    return made


def keepers_of(guest: hostmod.Guest) -> weakref.ref[Any]:
    """Refer, weakly, to what keeps the memory of a guest's store."""
    guard = store.guard_of(guest.store)
    return weakref.ref(store.keeper_of(guard))


REACHES: dict[str, Callable[[memoryview], Any]] = {
    "a slice": lambda data: data[:2],
    "a slice of a slice": lambda data: data[0:4][1:3][0:1],
    "a view of the view": memoryview,
    "a cast": lambda data: data.cast("B"),
    "a cast of a slice": lambda data: data[:2].cast("B"),
    "a list of slices": lambda data: [data[:2], data[2:]],
    "a deque of slices": lambda data: collections.deque([data[:2], data[2:]]),
    "a slice in a closure": lambda data: _closed_over(data[1:]),
    "a slice in a generator": lambda data: (byte for byte in data[1:]),
    "a slice in an object": lambda data: Holder(data[1:]),
    "a slice in a queue": lambda data: _queued(data[1:]),
    "a slice beside the view": lambda data: (data, data[1:]),
    "numpy.frombuffer": lambda data: numpy.frombuffer(data, numpy.uint8),
    "numpy.asarray": numpy.asarray,
    "numpy.ndarray": lambda data: numpy.ndarray((2,), numpy.uint8, data),
    "the origin": lambda data: data.obj,
    "numpy of the origin": lambda data: numpy.frombuffer(data.obj, numpy.uint8),  # type: ignore[call-overload]  # a buffer
    "numpy of a slice": lambda data: numpy.frombuffer(data[2:4], numpy.uint8),
    "a slice of numpy": lambda data: numpy.asarray(data)[1:],
    "numpy in an object": lambda data: Holder(numpy.asarray(data)),  # type: ignore[arg-type]  # anything will do
    "a pickle buffer": pickle.PickleBuffer,
    "unpacking": lambda data: packing.iter_unpack("B", data.cast("B")),
    "matches": lambda data: re.finditer(b"a", data.cast("B")),
    "ctypes": (ctypes.c_ubyte * 8).from_buffer,
    "ctypes inside": lambda data: (ctypes.c_ubyte * 2).from_buffer(data, 3),
    "a partial": lambda data: functools.partial(numpy.sum, numpy.asarray(data)),
}
