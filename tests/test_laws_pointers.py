"""Pointers, lists and callers end with their call"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import wasmtime
from kept_views import guest_of
from wat import passing

import hostmod
from hostmod import HostModule, StaleMemoryError, function
from hostmod.types import Bytes, Caller, List, Pointer, Uint16, Uint32, struct


@struct
class Pair:
    a: Uint16
    b: Uint32


class Objects(HostModule, name="objects"):
    """Keeps what points into memory."""

    def __init__(self) -> None:
        self.kept: Any = None

    @function
    def pointer(self, at: Pointer[Pair]) -> None:
        self.kept = at

    @function
    def list(self, items: List[Uint32]) -> None:
        self.kept = items

    @function
    def caller(self, caller: Caller) -> None:
        caller.raw  # noqa: B018  # made, so that it has to be ended
        self.kept = caller

    @function
    def whole(self, caller: Caller) -> None:
        self.kept = caller.memory


USES: dict[str, tuple[str, tuple[int, ...], Callable[[Any], object]]] = {
    "loading": ("pointer", (8,), lambda kept: kept.load()),
    "storing": ("pointer", (8,), lambda kept: kept.store(Pair(1, 2))),
    "indexing": ("pointer", (8,), lambda kept: kept[1]),
    "storing at an index": ("pointer", (8,), lambda kept: kept.__setitem__(1, Pair(1, 2))),
    "a slice of a pointer": ("pointer", (8,), lambda kept: kept.slice(2)),
    "loading what comes after": ("pointer", (8,), lambda kept: (kept + 1).load()),
    "an item": ("list", (0, 4), lambda kept: kept[0]),
    "storing an item": ("list", (0, 4), lambda kept: kept.__setitem__(0, 1)),
    "all items": ("list", (0, 4), list),
    "a part": ("list", (0, 4), lambda kept: kept[1:3]),
    "a pointer to an item": ("list", (0, 4), lambda kept: next(kept.pointers()).load()),
    "reading": ("whole", (), lambda kept: kept.read(0, 1)),
    "writing": ("whole", (), lambda kept: kept.write(0, b"x")),
    "viewing": ("whole", (), lambda kept: kept.view(0, 1)),
    "a range": ("whole", (), lambda kept: kept.end(0, 1)),
    "the size": ("whole", (), lambda kept: kept.size),
    "the length": ("whole", (), len),
    "searching": ("whole", (), lambda kept: kept.find(0, 0)),
    "an integer": ("whole", (), lambda kept: kept.read_uint32(0)),
    "the caller's memory": ("caller", (), lambda kept: kept.memory.read(0, 1)),
    "the raw caller": ("caller", (), lambda kept: kept.raw),
    "an export": ("caller", (), lambda kept: kept.get("memory")),
    "an export by name": ("caller", (), lambda kept: kept["memory"]),
}


@pytest.mark.parametrize("what", USES)
def test_what_points_into_memory_is_stale_after_its_call(what: str) -> None:
    name, arguments, use = USES[what]
    objects = Objects()
    with guest_of(objects) as guest:
        guest.exports[name](*arguments)
        first = objects.kept
        guest.exports[name](*arguments)  # nor does another call of the same function bring it back
        for kept in (first, objects.kept):
            with pytest.raises(StaleMemoryError, match="after its call"):
                use(kept)
        assert guest.memory.read(0, 16) == b"abcdefgh" * 2
    with pytest.raises(StaleMemoryError):
        use(objects.kept)


class Copies(HostModule, name="copies"):
    """Keeps copies of what ends with the call."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    @function
    def caller(self, caller: Caller) -> None:
        self.kept.append(copy.copy(caller))

    @function
    def pointer(self, at: Pointer[Uint32]) -> None:
        self.kept.append(copy.copy(at))
        ways: list[Callable[[Any], object]] = [copy.copy, copy.deepcopy, pickle.dumps]
        for way in ways:
            with pytest.raises(StaleMemoryError, match="a copy of it would outlive its call"):
                way(at.memory)


@pytest.mark.parametrize("memory", ['(memory (export "memory") 1)', ""], ids=["a memory", "no memory"])
def test_a_copy_of_a_caller_ends_with_its_call(memory: str) -> None:
    copies = Copies()
    with hostmod.instantiate(passing(Copies, memory=memory), copies) as guest:
        guest.exports.caller()
        with pytest.raises(StaleMemoryError):
            copies.kept[0].get("memory")
    with pytest.raises(StaleMemoryError):
        copies.kept[0].raw  # noqa: B018  # asked for what it raises


def test_a_copy_of_a_pointer_ends_with_its_call_and_its_memory_has_none() -> None:
    copies = Copies()
    with hostmod.instantiate(passing(Copies), copies) as guest:
        guest.exports.pointer(8)
        with pytest.raises(StaleMemoryError):
            copies.kept[0].load()


def test_what_the_raw_caller_gave_ends_with_its_call() -> None:
    class Raw(HostModule, name="raw"):
        kept: wasmtime.Caller

        @function
        def f(self, caller: Caller) -> None:
            self.kept = caller.raw

    raw = Raw()
    with guest_of(raw) as guest:
        guest.exports.f()
        assert raw.kept.get("memory") is None
        with pytest.raises(ValueError, match="no longer valid"):
            raw.kept._context()


@pytest.mark.parametrize("show", [repr, str])
def test_showing_what_is_stale_is_fine(show: Callable[[object], str]) -> None:
    objects = Objects()
    with guest_of(objects) as guest:
        for name, arguments in (("pointer", (8,)), ("list", (0, 4)), ("caller", ())):
            guest.exports[name](*arguments)
            assert show(objects.kept)


def test_an_outer_call_s_views_are_still_there_after_an_inner_call() -> None:
    class Nested(HostModule, name="nested"):
        guest: hostmod.Guest
        depth = 0

        @function
        def f(self, data: Bytes, pointer: Pointer[Uint32], caller: Caller) -> Uint32:
            self.depth += 1
            if self.depth < 20:
                self.guest.exports.f(self.depth, 4, self.depth * 4)
            data[0] = 1
            pointer.load()
            return len(data) + len(caller.memory.view(0, 2))

    nested = Nested()
    with guest_of(nested) as nested.guest:
        assert nested.guest.exports.f(0, 4, 0) == 6
        assert nested.depth == 20
    del nested.guest
