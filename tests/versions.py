"""Skipping what the present wasmtime is too old for."""

from __future__ import annotations

import pytest
import wasmtime

moves = pytest.mark.skipif(
    not hasattr(wasmtime.Config, "memory_reservation"),
    reason="this wasmtime-py has no Config.memory_reservation (wasmtime 45 has): memories of its guests do not move",
)


def skip_unless_compiled(text: str) -> None:
    """Skip the test if the present wasmtime does not know the proposals that a guest needs."""
    try:
        wasmtime.Module(wasmtime.Engine(), text)
    except wasmtime.WasmtimeError as error:
        if (
            "not supported" not in str(error)
            and "required" not in str(error)
            and "not enabled" not in str(error)
        ):
            raise
        pytest.skip(f"this wasmtime does not compile it: {str(error).strip().splitlines()[-1].strip()}")
