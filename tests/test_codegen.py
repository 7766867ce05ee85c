"""Generated source: compiled once per text, shown by tracebacks, out of linecache with the last of its functions."""

from __future__ import annotations

import gc
import linecache
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hostmod import _codegen
from hostmod._codegen import compile_source


def generated() -> set[str]:
    return {name for name in linecache.cache if name.startswith("<hostmod test of sources ")}


def text(number: int) -> str:
    return f"def f():\n    return {number} + more\n"


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test begin with nothing compiled."""
    monkeypatch.setattr(_codegen, "_kept", {})
    gc.collect()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are compiled from here on."""
    found: list[str] = []

    def compile_(source: str, *rest: Any) -> Any:
        found.append(source)
        return compile(source, *rest)

    monkeypatch.setattr(_codegen, "compile", compile_, raising=False)
    return found


def test_a_traceback_shows_the_lines_of_generated_source() -> None:
    divide = compile_source("def divide(a, b):\n    return a / b\n", {}, "test of sources")["divide"]
    with pytest.raises(ZeroDivisionError) as caught:
        divide(1, 0)
    assert "    return a / b\n" in "".join(traceback.format_exception(caught.value))


def test_a_traceback_shows_the_lines_of_source_that_was_compiled_for_another_function() -> None:
    first, second = ({"where": name} for name in ("first", "second"))
    source = "def fail():\n    raise ValueError(where)\n"
    compile_source(source, first, "test of sources")
    compile_source(source, second, "test of sources")
    del first
    gc.collect()
    compile_source(text(1), {}, "test of sources")
    with pytest.raises(ValueError, match="second") as caught:
        second["fail"]()  # type: ignore[operator]  # a function that the source defines
    assert "    raise ValueError(where)\n" in "".join(traceback.format_exception(caught.value))


def test_the_same_text_is_compiled_once_and_runs_with_the_names_of_each(compiled: list[str]) -> None:
    results = [compile_source(text(1), {"more": more}, "test of sources")["f"]() for more in range(100)]
    assert results == list(range(1, 101))
    assert compiled == [text(1)]


def test_the_same_text_of_something_else_is_shown_by_its_own_name(compiled: list[str]) -> None:
    one = compile_source(text(1), {}, "test of sources A")["f"]
    other = compile_source(text(1), {}, "test of sources B")["f"]
    assert one.__code__.co_filename.startswith("<hostmod test of sources A ")
    assert other.__code__.co_filename.startswith("<hostmod test of sources B ")
    assert compiled == [text(1), text(1)]


def test_the_oldest_of_too_many_sources_is_compiled_again(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_codegen, "KEPT", 2)
    for number in (1, 2, 1, 3, 1, 3, 2):
        compile_source(text(number), {}, "test of sources")
        assert len(_codegen._kept) <= 2
    assert compiled == [text(number) for number in (1, 2, 3, 1, 2)]


def test_a_text_that_a_guest_made_long_is_not_kept() -> None:
    long = "# " + "x" * _codegen.LONGEST_KEPT + "\n" + text(1)
    function = compile_source(long, {"more": 1}, "test of sources")["f"]
    assert function() == 2
    assert _codegen._kept == {}


def test_source_leaves_once_its_code_is_gone_and_more_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codegen, "KEPT", 0)
    for number in range(10):
        compile_source(text(number), {}, "test of sources")
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

    monkeypatch.setattr(_codegen, "_gone", Gone(["<hostmod test of sources x>"]))
    assert compile_source("answer = 42\n", {}, "test of sources")["answer"] == 42


def test_source_stays_while_one_of_its_functions_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codegen, "KEPT", 0)
    held = compile_source(text(0), {}, "test of sources")["f"]
    for number in range(1, 10):
        compile_source(text(number), {}, "test of sources")
        gc.collect()
    assert held.__code__.co_filename in generated()


def test_code_may_go_while_linecache_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codegen, "KEPT", 0)
    held = [compile_source(text(number), {}, "test of sources") for number in range(3)]

    class Cache(dict[str, object]):
        def keys(self) -> list[str]:  # type: ignore[override]  # what a garbage collection would do just after it
            found = list(super().keys())
            held.clear()
            gc.collect()
            return found

    monkeypatch.setattr(linecache, "cache", Cache(linecache.cache))
    linecache.checkcache()
    assert held == []


def test_threads_that_compile_at_once_each_get_a_function_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codegen, "KEPT", 3)

    def work(thread: int) -> list[int]:
        return [
            compile_source(text(number % 7), {"more": thread}, "test of sources")["f"]()
            for number in range(200)
        ]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert found == [[number % 7 + thread for number in range(200)] for thread in range(8)]
