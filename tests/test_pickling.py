"""Exceptions that go to another process: every one arrives with its fields, its notes and what caused it."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import wasmtime

import hostmod
import hostmod.cli.specs
import hostmod.testing
from hostmod import errors
from hostmod.errors import (
    DeclarationError,
    ErrnoError,
    HostmodError,
    LinkError,
    Mismatch,
    SegmentationFault,
    StoreBusyError,
    Trap,
    TrapFrame,
)

FRAME = TrapFrame(1, "inner", None, 61, 4)

VALUES: dict[str, object] = {
    "mismatches": [Mismatch("kv", "get", "() -> ()", None, "write it")],
    "frames": [FRAME],
    "trap_code": wasmtime.TrapCode.UNREACHABLE,
    "data": b"caf\xe9",
    "number": 28,
    "offset": 65535,
    "length": 2,
    "size": 65536,
    "count": 1,
    "code": 3,
    "expected": "one",
}
"""Arguments by the names of parameters; others are texts, named as they are."""


def classes(cls: type[HostmodError] = HostmodError) -> Iterator[type[HostmodError]]:
    """Every exception class that hostmod has, those that are not in hostmod.errors too."""
    if cls.__module__.startswith("hostmod"):
        yield cls
    for each in cls.__subclasses__():
        yield from classes(each)


def test_every_exception_of_the_module_is_among_them() -> None:
    inside = {
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BaseException)
    }
    assert inside <= set(classes())
    assert hostmod.testing.GuardError in set(classes())
    assert hostmod.cli.specs.SpecError in set(classes())


def made(cls: type[HostmodError]) -> HostmodError:
    """An exception of a class, made of arguments that its parameters' names say."""
    if cls.__init__ in (Exception.__init__, HostmodError.__init__):
        return cls("something did not hold")
    names = list(inspect.signature(cls).parameters)
    arguments: dict[str, Any] = {name: VALUES.get(name, f"the {name}") for name in names}
    if cls is hostmod.testing.GuardError:
        arguments.update(found=255, distance=3)
    return cls(**arguments)


WAYS: list[Any] = [
    *(
        pytest.param(
            lambda error, version=version: pickle.loads(pickle.dumps(error, version)), id=f"{version}"
        )
        for version in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ),
    pytest.param(copy.copy, id="copied"),
    pytest.param(copy.deepcopy, id="copied deeply"),
]


def fields(error: BaseException) -> dict[str, object]:
    plain = {
        name: value for name, value in vars(error).items() if name != "__notes__" and not name.startswith("_")
    }
    shown: dict[str, object] = {name: str(value) for name, value in plain.items()}
    mismatches = plain.get("mismatches", ())
    assert isinstance(mismatches, tuple)
    return {**shown, "mismatches": [str(each) for each in mismatches]}


@pytest.mark.parametrize("go", WAYS)
@pytest.mark.parametrize(
    "cls",
    [pytest.param(cls, id=cls.__name__) for cls in sorted(set(classes()), key=lambda cls: cls.__name__)],
)
def test_an_exception_arrives_with_its_fields_notes_and_cause(
    cls: type[HostmodError], go: Callable[[HostmodError], HostmodError]
) -> None:
    error = made(cls)
    error.add_note("guest backtrace:\n    0: 0x20")
    error.__cause__ = KeyError("what it came of")
    there = go(error)
    assert type(there) is cls
    assert there is not error
    assert str(there) == str(error)
    assert fields(there) == fields(error)
    assert there.__notes__ == error.__notes__
    assert type(there.__cause__) is KeyError
    assert str(there.__cause__) == str(error.__cause__)
    assert there.__suppress_context__
    assert go(there).__notes__ == error.__notes__


@pytest.mark.parametrize("go", WAYS)
def test_an_exception_without_notes_or_cause_gains_none(go: Callable[[HostmodError], HostmodError]) -> None:
    there = go(SegmentationFault(1, 2, 3))
    assert there.__cause__ is None
    assert not there.__suppress_context__
    assert not hasattr(there, "__notes__")


def test_a_chain_of_causes_arrives_whole() -> None:
    error: BaseException = ValueError("first")
    for number in range(40):  # twice the work for each would take hours
        following = ErrnoError(number + 1) if number % 2 else DeclarationError("a", f"{number}", "b")
        following.__cause__ = error
        error = following
    there: BaseException | None = pickle.loads(pickle.dumps(error))
    seen = []
    while there is not None:
        seen.append(str(there))
        there = there.__cause__
    assert len(seen) == 41
    assert seen[-1] == "first"


def test_a_cause_that_does_not_pickle_becomes_a_note() -> None:
    class Local(Exception):
        pass

    error = LinkError("kv: 1 import")
    error.add_note("first")
    error.__cause__ = Local("of no module")
    there = pickle.loads(pickle.dumps(error))
    assert there.__cause__ is None
    assert there.__notes__ == ["first", "caused by Local: of no module"]
    assert copy.copy(error).__cause__ is error.__cause__
    assert error.__notes__ == ["first"]


GUEST = """(module $plugin
  (memory (export "memory") 1)
  (func $inner (unreachable))
  (func (export "run") (call $inner))
  (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "outside") (result i32) (i32.load (i32.const 65536)))
  (func $deep (export "deep") (call $deep)))"""


def trap_of(name: str, *arguments: int) -> Trap:
    with hostmod.instantiate(GUEST) as guest, pytest.raises(wasmtime.Trap) as caught:
        guest.exports[name](*arguments)
    assert type(caught.value) is hostmod.Trap
    return caught.value


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("run", wasmtime.TrapCode.UNREACHABLE),
        ("divide", wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO),
        ("outside", wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS),
        ("deep", wasmtime.TrapCode.STACK_OVERFLOW),
    ],
)
def test_a_guest_s_trap_says_the_same_in_another_process(name: str, code: wasmtime.TrapCode) -> None:
    trap = trap_of(name, *([0] if name == "divide" else []))
    assert trap.trap_code is code
    for there in (pickle.loads(pickle.dumps(trap)), copy.copy(trap), copy.deepcopy(trap)):
        assert type(there) is Trap
        assert str(there) == there.message == str(trap) == trap.message
        assert there.trap_code is code
        assert there.frames == trap.frames


def test_a_guest_s_trap_has_the_guest_s_stack_as_plain_data() -> None:
    inner, outer = trap_of("run").frames
    assert (inner.func_index, inner.func_name, inner.module_name) == (0, "inner", "plugin")
    assert (outer.func_index, outer.func_name, outer.module_name) == (1, None, "plugin")
    assert 0 < inner.module_offset < outer.module_offset
    assert "plugin!inner" in str(trap_of("run"))


def test_a_trap_in_a_start_function_is_one() -> None:
    with pytest.raises(hostmod.Trap) as caught:
        hostmod.instantiate("(module (func $begin unreachable) (start $begin))")
    assert caught.value.trap_code is wasmtime.TrapCode.UNREACHABLE
    assert [each.func_name for each in caught.value.frames] == ["begin"]


def test_a_trap_that_a_host_function_raises_in_a_start_function_is_that_very_one() -> None:
    mine = wasmtime.Trap("of the host's making")

    class Host(hostmod.HostModule, name="host"):
        @hostmod.function
        def f(self) -> None:
            raise mine

    for trap in (mine, hostmod.Trap("the host's too")):
        mine = trap
        with pytest.raises(wasmtime.Trap) as caught:
            hostmod.instantiate('(module (import "host" "f" (func $f)) (start $f))', Host)
        assert caught.value is trap


def test_a_trap_made_by_hand_is_one_too() -> None:
    trap = Trap("out of luck")
    assert (str(trap), trap.message, trap.trap_code, trap.frames) == ("out of luck", "out of luck", None, [])
    assert isinstance(trap, HostmodError)
    trap.close()


def _work(name: str) -> None:
    with hostmod.instantiate(GUEST) as guest:
        if name == "busy":
            raise StoreBusyError("Guest.memory")
        guest.exports[name]()


def test_a_worker_process_survives_a_trap_and_tells_it() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for _ in range(2):
            with pytest.raises(hostmod.Trap, match="wasm `unreachable` instruction executed") as caught:
                pool.submit(_work, "run").result(60)
            assert [each.func_name for each in caught.value.frames] == ["inner", None]
            with pytest.raises(StoreBusyError, match=r"Guest\.memory: its store is in use by another thread"):
                pool.submit(_work, "busy").result(60)
