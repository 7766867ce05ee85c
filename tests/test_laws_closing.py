"""Closing a store in the middle of its calls"""

from __future__ import annotations

from wat import run_apart

CLOSES = """
import sys
import wasmtime, hostmod
from hostmod import HostModule, StoreBusyError, function
from hostmod.types import Bytes, Caller, Pointer, Uint32
from wat import passing

class Closes(HostModule, name="closes"):
    @function
    def f(self, data: Bytes, at: Pointer[Uint32], caller: Caller) -> Uint32:
        for _ in range(2):
            try:
                how()
            except StoreBusyError as error:
                assert "its guest is running" in str(error), error
            else:
                raise AssertionError("closed")
        data[0] = 7
        at.store(9)
        return caller.memory.read_uint32(4)

for enter in ("hostmod", "wasmtime", "start"):
    for how_name in ("guest", "store", "with"):
        guest = hostmod.instantiate(passing(Closes), Closes())
        store = guest.store
        how = {"guest": guest.close, "store": store.close, "with": lambda: store.__exit__(None, None, None)}[how_name]
        if enter == "hostmod":
            assert guest.exports.f(0, 4, 4) == 9
        elif enter == "wasmtime":
            assert guest.instance.exports(store)["f"](store, 0, 4, 4) == 9
        else:
            linker = wasmtime.Linker(store.engine)
            Closes().link(linker)
            call = "(drop (call $f (i32.const 0) (i32.const 4) (i32.const 4)))"
            text = passing(Closes, more=f"(func $go {call}) (start $go)")
            linker.instantiate(store, wasmtime.Module(store.engine, text))
        how()
        guest.close()
print("fine")
"""


def test_a_store_cannot_be_closed_by_what_its_guest_calls() -> None:
    assert run_apart(CLOSES) == "fine\n"
