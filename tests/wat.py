"""Guests for tests, as text: one that passes every call on; and processes of their own for what could crash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hostmod.declaration import Function

TESTS = Path(__file__).parent


def passing(*hosts: Any, memory: str = '(memory (export "memory") 1)', more: str = "") -> str:
    """Write a guest that imports every function of `hosts` and exports each under the same name."""
    functions = [each for host in hosts for each in host.functions.values()]
    imports = "".join(imported(each, f"${each.name}") for each in functions)
    return f"(module {imports} {memory} {''.join(map(_exported, functions))} {more})"


def imported(function: Function, label: str) -> str:
    """Write the import of one function."""
    return f'(import "{function.plan.module}" "{function.name}" (func {label} {_type(function)}))'


def _exported(function: Function) -> str:
    gets = " ".join(f"(local.get {at})" for at in range(len(function.param_types)))
    return f'(func (export "{function.name}") {_type(function)} {gets} (call ${function.name}))'


def _type(function: Function) -> str:
    return _clause("param", function.param_types) + _clause("result", function.result_types)


def _clause(word: str, types: Iterable[str]) -> str:
    return f"({word} {' '.join(types)})" if types else ""


def run_apart(source: str, *arguments: str, timeout: float = 100, status: int = 0) -> str:
    """Run a program in a process of its own, which may crash or hang without taking the tests with it.

    Returns what it printed; a wrong exit status, a crash and a hang fail the test with what it said last.
    """
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", textwrap.dedent(source), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
    )
    assert done.returncode == status, (
        f"exit status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    # wasmtime-py 36 prints this for each reference that it makes.
    return re.sub(r"^convert to externref .*\n", "", done.stdout, flags=re.MULTILINE)
