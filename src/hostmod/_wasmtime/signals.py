"""Functions whose entry no signal comes before."""

from __future__ import annotations

import dis
import types


def uninterruptible_entry(function: types.FunctionType) -> None:
    """Make a callback's first instruction look for no signals.

    A signal that arrives while the guest runs is handled by the first Python code after it, which is the callback's
    entry; what its handler raises there (KeyboardInterrupt) is outside every try, and ctypes prints it and returns an
    arbitrary number to wasmtime. RESUME with an argument of 2 or more skips the look, and the next one is inside the
    try. Source: CPython, Python/bytecodes.c, RESUME.
    """
    code = function.__code__
    raw = bytearray(code.co_code)
    for at in range(0, len(raw), 2):
        if raw[at] == dis.opmap["RESUME"]:
            raw[at + 1] |= 2
            break
    function.__code__ = code.replace(co_code=bytes(raw))
