"""`ExternRef` and `Caller`: what holds no bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hostmod.errors import DeclarationError, StaleMemoryError
from hostmod.memory import FixedSizeMemory, Memory
from hostmod.types.base import resolve, resolve_object
from hostmod.types.references import Caller, ExternRef

NO_MEMORY = Memory()


@pytest.mark.parametrize("value", [None, 0, "text", [1], NO_MEMORY], ids=lambda value: type(value).__name__)
def test_a_reference_is_the_same_object_on_both_sides(value: object) -> None:
    found = resolve(ExternRef, "test")
    assert (found.core, found.size) == (("externref",), 0)
    (word,) = found.store_value(NO_MEMORY, value)
    assert found.load_value(NO_MEMORY, (word,)) is value


def test_a_reference_is_shown_by_its_repr_and_cut_where_that_is_long() -> None:
    found = resolve(ExternRef, "test")
    assert found.show([1, 2]) == "[1, 2]"
    assert found.show("a" * 78) == repr("a" * 78)
    assert found.show("a" * 79) == "'" + "a" * 76 + "..."


def test_a_reference_and_a_caller_have_no_place_in_memory() -> None:
    for annotation in (ExternRef, Caller):
        with pytest.raises(
            DeclarationError, match="expected a type with a place in memory; a reference has no bytes"
        ):
            resolve_object(annotation, "test")
    with pytest.raises(TypeError, match="ExternRef does not implement load_object"):
        resolve(ExternRef, "test").load_object(NO_MEMORY, 0)
    with pytest.raises(TypeError, match="ExternRef does not implement store_object"):
        resolve(ExternRef, "test").store_object(NO_MEMORY, 0, None)


class Raw:
    """Stands in for wasmtime's Caller."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.ended = False
        self.exports = {"run": "a function"}

    def get(self, name: str) -> object:
        return self.exports.get(name)

    def __getitem__(self, name: str) -> object:
        return self.exports[name]

    def _invalidate(self) -> None:
        self.ended = True


def test_a_caller_takes_no_core_value_and_is_shown_without_being_asked_anything() -> None:
    found = resolve(Caller, "test")
    caller = Caller(NO_MEMORY, Raw)
    before = Raw.made
    assert (found.core, found.size, str(found), found.show(caller)) == ((), 0, "Caller", "caller")
    assert Raw.made == before


def test_a_caller_makes_its_raw_caller_once_and_when_it_is_asked_for() -> None:
    memory, before = FixedSizeMemory(1), Raw.made
    caller = Caller(memory, Raw)
    assert caller.memory is memory
    assert Raw.made == before
    assert caller.raw is caller.raw
    assert Raw.made == before + 1
    assert (caller.get("run"), caller["run"], caller.get("missing")) == ("a function", "a function", None)
    with pytest.raises(KeyError):
        caller["missing"]


def test_a_caller_ends_with_its_call() -> None:
    caller = Caller(NO_MEMORY, Raw)
    raw = caller.raw
    assert repr(caller) == "<Caller>"
    caller._end()
    assert raw.ended
    assert repr(caller) == "<Caller, ended>"
    uses: list[Callable[[], object]] = [
        lambda: caller.raw,
        lambda: caller.get("run"),
        lambda: caller["run"],
    ]
    for use in uses:
        with pytest.raises(StaleMemoryError) as caught:
            use()
        assert str(caught.value) == (
            "guest memory: a Caller was used after its call; use it during the call only"
        )
