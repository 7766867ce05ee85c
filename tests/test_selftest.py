"""The trial of wasmtime, once in a process: what fails where a private detail is another."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
import wasmtime
from wasmtime import _func as wasmtime_func
from wasmtime import _value as wasmtime_value
from wat import run_apart

import hostmod
from hostmod import HostModule, InternalError, function
from hostmod._wasmtime import capi, externref, selftest, traps
from hostmod._wasmtime import store as stores


class Host(HostModule, name="host"):
    @function
    def f(self) -> None: ...


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "done", False)


def test_this_wasmtime_is_as_expected(caplog: pytest.LogCaptureFixture) -> None:
    selftest.verify()
    assert selftest.done
    assert caplog.messages == []  # nor is the C code's short cut to a caller's memory lost


def test_nothing_is_tried_at_import_and_once_at_the_first_use() -> None:
    program = """
    import hostmod
    from hostmod._wasmtime import selftest
    assert not selftest.done
    tries = []
    original = selftest._tried
    selftest._tried = lambda: tries.append(1) or original()
    for _ in range(2):
        with hostmod.instantiate('(module (func (export "run")))') as guest:
            guest.exports.run()
    print(len(tries), selftest.done)
    """
    assert run_apart(program) == "1 True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is not enforced everywhere")
def test_a_process_of_few_addresses_is_no_other_wasmtime() -> None:
    program = """
    import resource
    import hostmod
    from hostmod._wasmtime import selftest
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    selftest.verify()
    guest = hostmod.instantiate('(module (func (export "run") (param externref)))')
    guest.exports.run(None)
    try:
        guest.exports.run(object())
    except MemoryError as error:
        print(error)
    """
    assert "the store's GC heap is exhausted" in run_apart(program)


@pytest.mark.parametrize("use", ["link", "compile", "an export", "a declared export"])
def test_each_first_use_tries_it(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Typed(hostmod.GuestModule): ...

    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    module = wasmtime.Module(engine, '(module (func (export "run")))')
    instance = wasmtime.Instance(store, module, [])
    ways: dict[str, Callable[[], object]] = {
        "link": lambda: Host().link(linker),
        "compile": lambda: Host.compile(linker),
        "an export": lambda: hostmod.instantiate(module, engine=engine).exports.run,
        "a declared export": lambda: Typed(store, instance),
    }
    monkeypatch.setattr(capi, "size_of", lambda name: 1)
    with pytest.raises(InternalError, match="wasmtime_extern_t has 1 bytes, expected 32"):
        ways[use]()


def differs(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the error says differs, of one that names both versions and what to do."""
    with pytest.raises(InternalError) as caught:
        Host().link(wasmtime.Linker(wasmtime.Engine()))
    start = f"hostmod {hostmod.__version__} with wasmtime {capi.wasmtime_version()}: "
    text = str(caught.value)
    assert text.startswith(start)
    found, separator, advice = text.removeprefix(start).rpartition("; ")
    assert separator
    assert advice == "use a version of wasmtime that hostmod's CHANGELOG names, or a newer hostmod"
    assert not selftest.done
    return found


def test_a_structure_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = capi.size_of
    monkeypatch.setattr(capi, "size_of", lambda name: 24 if name == "wasmtime_val_raw_t" else real(name))
    assert differs(monkeypatch) == "wasmtime_val_raw_t has 24 bytes, expected 16"


def test_a_member_at_another_offset_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = capi.size_of
    monkeypatch.setattr(capi, "size_of", lambda name: 8 if name.endswith(".store_id") else real(name))
    assert differs(monkeypatch) == "; ".join(
        f"wasmtime_{name}.store_id is at offset 8, expected 0"
        for name in ("func", "global", "instance", "memory_anon_0")
    )


def test_a_structure_that_is_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_SIZES", (*selftest._SIZES, ("wasmtime_gone_t", 8)))
    assert differs(monkeypatch) == "there is no wasmtime_gone_t"


def test_a_function_that_is_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capi, "missing", [])
    assert capi._function(capi._keeping, "wasmtime_gone", None) is None
    assert differs(monkeypatch) == "there is no wasmtime_gone"


def test_a_function_of_other_arguments_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = capi.dll.wasmtime_memory_data_size
    monkeypatch.setattr(theirs, "argtypes", [*theirs.argtypes, ctypes.c_uint32])
    assert differs(monkeypatch) == (
        "wasmtime_memory_data_size has a result and arguments of 8, 8, 8, 4 bytes, expected 8, 8, 8"
    )


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (wasmtime.Memory, "_from_raw"),
        (wasmtime.Trap, "_from_ptr"),
        (wasmtime_value, "_intern"),
        (wasmtime_func, "LAST_EXCEPTION"),
    ],
    ids=["of a memory", "of a trap", "of references", "of entries"],
)
def test_a_private_name_that_is_gone_is_refused(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, name)
    assert differs(monkeypatch) == f"{owner.__name__} has no {name}"


def test_values_in_another_form_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_PACKED", ("<i", "<q", "<d", "<d"))
    found = differs(monkeypatch)
    assert "what a callback was given is [-2, 1099511627776, " in found
    assert "expected [-2, 1099511627776, 1.5, -0.1]" in found


def test_another_context_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = stores.context_of
    other = wasmtime.Store(wasmtime.Engine())
    monkeypatch.setattr(stores, "context_of", lambda store: real(other))
    assert differs(monkeypatch).startswith("the address of _Store__context is ")


def test_another_kind_of_extern_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capi, "EXTERN_MEMORY", 2)
    assert differs(monkeypatch) == "the kind of a memory is 3, expected 2"


def test_a_memory_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capi, "memory_data_size", lambda context, memory: 1)
    assert differs(monkeypatch) == "the size of a memory is 1, expected 65536"


def test_an_export_that_a_caller_does_not_find_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capi, "caller_export_get", lambda caller, name, length, item: False)
    assert differs(monkeypatch) == "a caller has no export 'memory'"


def test_references_that_come_back_as_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(externref, "externref_from_raw", lambda context, raw: "another")
    assert differs(monkeypatch) == (
        "an externref reached a callback as another object; an externref came back as another object"
    )


def test_a_trap_that_is_ignored_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traps, "trap", lambda where, error: 0)
    assert differs(monkeypatch) == "a callback's trap did not end the call"


def test_an_exception_that_comes_back_as_a_trap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traps, "take_raised", lambda trap: None)
    found = differs(monkeypatch)
    assert "a host function's exception came back as " in found
    assert "h.fail raised KeyError: 'raised by the host'" in found


def test_an_entry_of_wasmtime_s_that_raises_a_trap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(function: Any, store: Any, *arguments: Any) -> None:
        raise wasmtime.Trap("the trap, and not the exception")

    monkeypatch.setattr(wasmtime.Func, "__call__", call)
    assert differs(monkeypatch) == "Func raised Trap: the trap, and not the exception"


def test_an_error_in_the_trial_says_where_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def instantiate(*arguments: object) -> None:
        raise TypeError("another signature")

    monkeypatch.setattr(wasmtime.Linker, "instantiate", instantiate)
    assert differs(monkeypatch) == "an instance and its exports: TypeError: another signature"


def test_a_caller_of_another_form_is_said_and_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The C code compares before it believes what a wasmtime_caller_t holds, so it is slower, and right."""

    class Shifted(ctypes.c_uint64 * 3):  # type: ignore[misc]  # an array type, made by an expression
        def __getitem__(self, index: Any) -> Any:
            return super().__getitem__(0)

    monkeypatch.setattr(selftest, "_Words", Shifted)
    with caplog.at_level(logging.WARNING, "hostmod"):
        selftest.verify()
    assert selftest.done
    assert [each.partition(": ")[2] for each in caplog.messages] == [
        "wasmtime_caller_t is not as expected; host functions look their memory up at each call"
    ]
