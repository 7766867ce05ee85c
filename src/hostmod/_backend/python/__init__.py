"""The backend in pure Python: a `Plan` becomes readable Python source, which is compiled and called through ctypes.

Host direction (`host`): wasmtime calls a ctypes callback with the address of the call's stack, an array of 16-byte
slots that holds the parameters and takes the results. `render_host` writes a function of four arguments for one plan:

    env     a tuple whose first item is the callable to run
    caller  the address of the wasmtime_caller_t
    stack   the address of the slots
    count   how many there are

Guest direction (`guest`): `render_guest` writes a function of the plan's parameters that fills such slots and calls the
guest.
"""

from hostmod._backend.conversions import StructError, bad_none, bad_tuple, bad_value, checked_core_values
from hostmod._backend.python.codegen import render_guest, render_host
from hostmod._backend.python.runtime import GuestThunk, HostThunk, define_all, no_memory, not_copied

NAME: str = "pure"

__all__ = [
    "NAME",
    "GuestThunk",
    "HostThunk",
    "StructError",
    "bad_none",
    "bad_tuple",
    "bad_value",
    "checked_core_values",
    "define_all",
    "no_memory",
    "not_copied",
    "render_guest",
    "render_host",
]
