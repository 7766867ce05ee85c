"""Generated source: tracebacks show its lines, and it leaves linecache with its code."""

from __future__ import annotations

import gc
import linecache
import traceback
from collections import deque

import pytest

from hostmod import _generated
from hostmod._generated import compile_source


def generated() -> set[str]:
    return {name for name in linecache.cache if name.startswith("<hostmod test of sources ")}


def test_a_traceback_shows_the_lines_of_generated_source() -> None:
    divide = compile_source("def divide(a, b):\n    return a / b\n", {}, "test of sources")["divide"]
    with pytest.raises(ZeroDivisionError) as caught:
        divide(1, 0)
    assert "    return a / b\n" in "".join(traceback.format_exception(caught.value))


def test_source_leaves_once_its_code_is_gone_and_more_is_compiled() -> None:
    for _ in range(10):
        compile_source("def f(): ...\n", {}, "test of sources")
        gc.collect()
    assert len(generated()) <= 2


def test_threads_that_compile_at_once_do_not_empty_it_from_under_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone(deque[str]):
        def __bool__(self) -> bool:
            found = len(self) > 0
            self.clear()  # what another thread does in between
            return found

    monkeypatch.setattr(_generated, "_gone", Gone(["<hostmod test of sources x>"]))
    assert compile_source("answer = 42\n", {}, "test of sources")["answer"] == 42


def test_code_may_go_while_linecache_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [compile_source("def f(): ...\n", {}, "test of sources") for _ in range(3)]

    class Cache(dict[str, object]):
        def keys(self) -> list[str]:  # type: ignore[override]  # what a garbage collection would do just after it
            found = list(super().keys())
            held.clear()
            gc.collect()
            return found

    monkeypatch.setattr(linecache, "cache", Cache(linecache.cache))
    linecache.checkcache()
