"""Measuring in a process of its own, for which trampoline serves is settled when hostmod is imported."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Told by hostmod to use the pure-Python trampoline.
SWITCH = "HOSTMOD_NO_EXTENSIONS"


def in_new_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a module's function in a freshly started interpreter and return what it returns."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(work, *args, **kwargs).result()


def active_twin() -> str:
    """Tell which trampoline this process uses: `"c"` or `"py"`."""
    from hostmod.trampoline import active

    return active.NAME


def available(asked: str) -> list[str]:
    """The trampolines to measure.

    Args:
        asked: `"py"`, `"c"`, or `"both"`: all that there are.

    Raises:
        SystemExit: if the C trampoline was asked for and is not there.
    """
    if asked == "py":
        return ["py"]
    there = in_new_process(active_twin) == "c"
    if asked == "c" and not there:
        raise SystemExit("--twin c: no C trampoline here; build it, or write --twin py")
    return (["py"] if asked == "both" else []) + (["c"] if there else [])


@contextmanager
def using(twin: str) -> Generator[None]:
    """Have the processes started inside the `with` block use this trampoline."""
    before = os.environ.pop(SWITCH, None)
    if twin == "py":
        os.environ[SWITCH] = "1"
    try:
        yield
    finally:
        os.environ.pop(SWITCH, None)
        if before is not None:
            os.environ[SWITCH] = before
