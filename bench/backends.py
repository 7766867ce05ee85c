"""Measuring in a process of its own, for which backend serves is settled when hostmod is imported."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Told by hostmod to use the pure backend.
SWITCH = "HOSTMOD_NO_EXTENSIONS"


def in_new_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a module's function in a freshly started interpreter and return what it returns."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(work, *args, **kwargs).result()


def active_backend() -> str:
    """Tell which backend this process uses: `"native"` or `"pure"`."""
    from hostmod._backend.select import active

    return active.NAME


def available(asked: str) -> list[str]:
    """The backends to measure.

    Args:
        asked: `"pure"`, `"native"`, or `"both"`: all that there are.

    Raises:
        SystemExit: if the native backend was asked for and is not there.
    """
    if asked == "pure":
        return ["pure"]
    there = in_new_process(active_backend) == "native"
    if asked == "native" and not there:
        raise SystemExit("--backend c: no native backend here; build it, or write --backend pure")
    return (["pure"] if asked == "both" else []) + (["native"] if there else [])


@contextmanager
def using(backend: str) -> Generator[None]:
    """Have the processes started inside the `with` block use this backend."""
    before = os.environ.pop(SWITCH, None)
    if backend == "pure":
        os.environ[SWITCH] = "1"
    try:
        yield
    finally:
        os.environ.pop(SWITCH, None)
        if before is not None:
            os.environ[SWITCH] = before
