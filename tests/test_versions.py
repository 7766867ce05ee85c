"""What differs between versions of wasmtime, and makes no difference to who uses hostmod."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import wasmtime

from hostmod._wasmtime import capi, core_names
from hostmod.errors import InternalError

EVERY_TYPE = """(module (import "host" "f"
  (func (param i32 i64 f32 f64 v128 externref funcref) (result f64 v128 i32))))"""


def test_value_types_have_their_names_with_every_version() -> None:
    found = wasmtime.Module(wasmtime.Engine(), EVERY_TYPE).imports[0].type
    assert isinstance(found, wasmtime.FuncType)
    assert core_names(found.params) == ("i32", "i64", "f32", "f64", "v128", "externref", "funcref")
    assert core_names(found.results) == ("f64", "v128", "i32")


def test_value_types_of_an_unknown_layout_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # The types in order, but for one that has another's number: what the next one is, is not known then.
    numbers = iter([7, 8, 9, 9, 20, 21, 22])
    monkeypatch.setattr(capi, "_up_to_42", lambda type: next(numbers))
    monkeypatch.setattr(capi, "_of_43_and_44", lambda type: 0)
    with pytest.raises(
        InternalError, match=r"wasmtime .*: wasm_valtype_t is laid out .*; use wasmtime 45 or later"
    ):
        capi._looked_up()


def test_value_types_are_named_by_their_numbers_where_nothing_compares_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = ["i32", "i64", "f32", "f64", "externref", "funcref"]
    made = dict(zip(map(id, (each for _, each in capi._KNOWN)), [2, 3, 4, 5, (1, 4), (1, 6)], strict=True))
    assert [name for name, _ in capi._KNOWN] == order

    def key(type: Any) -> Any:
        return made.get(id(type)) or type.number

    monkeypatch.setattr(capi, "_up_to_42", lambda type: 0)
    monkeypatch.setattr(capi, "_of_43_and_44", key)
    name_of = capi._looked_up()
    found = [name_of(SimpleNamespace(number=number)) for number in (2, 6, (1, 4), (0, 4), (1, 6), 9)]  # type: ignore[arg-type]  # stand-ins for ValType
    assert found == ["i32", "v128", "externref", "a reference", "funcref", "a reference"]


RAISES = """
import os
import threading

import wasmtime

import hostmod
from hostmod import HostModule, function


class Host(HostModule, name="host"):
    @function
    def f(self) -> None:
        raise RuntimeError("of the host")


def work() -> None:
    text = '(module (import "host" "f" (func $f)) (func (export "run") (call $f)))'
    with hostmod.instantiate(text, Host) as guest:
        for _ in range(200):
            try:
                guest.exports.run()
            except RuntimeError as error:
                assert str(error) == "of the host"


threads = [threading.Thread(target=work) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
with hostmod.instantiate('(module (func (export "run") unreachable))') as guest:
    try:
        guest.exports.run()
    except wasmtime.Trap as trap:
        print("Stack backtrace" in str(trap), "unreachable" in str(trap))
print(os.environ.get("RUST_BACKTRACE"), os.environ.get("RUST_LIB_BACKTRACE"))
"""


def test_threads_that_raise_at_once_do_not_wait_for_backtraces_of_the_host() -> None:
    """With RUST_BACKTRACE set, wasmtime 37 to 41 took 50 ms an exception under a lock: 80 s for these."""
    environment = {name: value for name, value in os.environ.items() if name != "RUST_LIB_BACKTRACE"}
    environment["RUST_BACKTRACE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", RAISES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )
    assert done.stdout.splitlines() == ["False True", "1 None"]
