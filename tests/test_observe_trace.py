"""Traces: the line of each call, nested calls, and the sinks."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any

import pytest

import hostmod
from hostmod import HostModule, function
from hostmod.testing import call
from hostmod.testing.recorder import Recorder
from hostmod.types import Bytes, Caller, Error, ExternRef, Int32, List, Pointer, String, Uint32


class Kv(HostModule, name="kv", errors={KeyError: 2}):
    @function
    def get(self, key: String, count: Pointer[Uint32]) -> Error:
        if key == "bug":
            raise RuntimeError("boom")
        if key != "a":
            raise KeyError(key)
        count.store(7)

    @function
    def fill(self, caller: Caller, out: Bytes, rows: List[Int32]) -> Uint32:
        out[:2] = b"hi"
        rows[0] = -1
        return len(out)

    @function
    def nest(self, caller: Caller, depth: Int32) -> Int32:
        return depth if depth == 0 else int(caller["again"](caller.raw, depth - 1)) + 1

    @function("odd")
    def odd(self) -> Error:
        raise OSError(4000, "no name")


def traced(*arguments: object, function: str = "get", **options: object) -> list[str]:
    lines: list[str] = []
    Traced = hostmod.decorate(Kv, hostmod.trace(lines.append, **options))  # type: ignore[arg-type]  # a test's own
    with contextlib.suppress(OSError, RuntimeError):
        call(getattr(Traced(), function), *arguments)
    return [re.sub(r"<\d+\.\d{6}>$", "<time>", line) for line in lines]


def test_a_line_has_named_arguments_what_was_written_the_result_and_the_duration() -> None:
    assert traced("a", Pointer.new(Uint32)) == ['kv::get(key="a", count=&0 → &7) = OK <time>']


def test_an_errno_is_named_and_said_in_words() -> None:
    assert traced("b", Pointer.new(Uint32)) == [
        'kv::get(key="b", count=&0) = ENOENT (No such file or directory) <time>'
    ]
    assert traced(function="odd") == ["kv::odd() = errno 4000 (4000) <time>"]


def test_what_traps_the_guest_is_shown_with_its_exception() -> None:
    assert traced("bug", Pointer.new(Uint32)) == [
        'kv::get(key="bug", count=&0) = ! RuntimeError: boom <time>'
    ]


def test_a_guests_text_takes_one_line_and_controls_no_terminal() -> None:
    lines: list[str] = []

    class Says(HostModule, name="says"):
        @function
        def say(self, text: String, odd: ExternRef) -> None:
            raise RuntimeError(f"cannot say {text}")

    class Odd:
        def __repr__(self) -> str:
            return "odd\nkv::get() = OK"

    logger = logging.getLogger("test.says")
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]  # a test's own
    logger.propagate = False
    recorder = Recorder()
    made = hostmod.decorate(Says, hostmod.trace(lines.append), hostmod.log(logger, logging.ERROR), recorder)
    with pytest.raises(RuntimeError, match="cannot say"):
        call(made().say, "a\n\x1b[2Jb\u202ec", Odd())
    assert len(lines) == 2
    assert all(line.isprintable() for line in (*lines, *recorder.lines)), lines


def test_buffers_and_lists_are_shown_before_and_after_and_the_caller_not_at_all() -> None:
    assert traced(bytearray(3), List.new(Int32, [1, 2]), function="fill") == [
        r'kv::fill(out=b"\x00\x00\x00" → b"hi\x00", rows=[1, 2] → [-1, 2]) = 3 <time>'
    ]


def test_long_values_are_cut() -> None:
    assert traced("x" * 300, Pointer.new(Uint32), limit=8)[0].startswith('kv::get(key="xxxxxxx... (')


@pytest.mark.parametrize(
    ("functions", "count"),
    [("get", 1), ("kv::*", 1), (["set", "other::get"], 0), (lambda module, name: module == "kv", 1)],
    ids=["by name", "by pattern", "by others", "by predicate"],
)
def test_only_the_functions_asked_for_are_traced(functions: object, count: int) -> None:
    assert len(traced("a", Pointer.new(Uint32), functions=functions)) == count


NESTING = """(module
    (import "kv" "nest" (func $nest (param i32) (result i32)))
    (import "kv" "visit" (func $visit (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "again") (param i32) (result i32) (call $nest (local.get 0)))
    (func (export "twice") (result i32) (drop (call $visit (i32.const 8) (i32.const 0))) (i32.const 0))
    (func (export "leaf") (param i32) (result i32) (call $nest (local.get 0))))"""


class Nesting(Kv, name="kv", errors={KeyError: 2}):
    @function
    def visit(self, caller: Caller, seen: Pointer[Uint32], fail: Int32) -> Error:
        again: Any = caller["leaf"]
        again(caller.raw, 0)
        seen.store(1)
        again(caller.raw, 0)
        if fail:
            raise KeyError(fail)


def nested(name: str, *arguments: int, **options: Any) -> list[str]:
    lines: list[str] = []
    module = hostmod.decorate(Nesting, hostmod.trace(lines.append, **options))
    with hostmod.instantiate(NESTING, module) as made:
        made.exports[name](*arguments)
    return [re.sub(r"<\d+\.\d{6}>$", "<time>", line) for line in lines]


def test_a_call_that_others_are_made_from_inside_is_written_in_two_parts_around_them() -> None:
    assert nested("again", 2) == [
        "kv::nest(depth=2 <unfinished ...>",
        "  kv::nest(depth=1 <unfinished ...>",
        "    kv::nest(depth=0) = 0 <time>",
        "  <... kv::nest resumed>) = 1 <time>",
        "<... kv::nest resumed>) = 2 <time>",
    ]


def test_what_such_a_call_changed_stands_in_its_second_part() -> None:
    assert nested("twice") == [
        "kv::visit(seen=&0, fail=0 <unfinished ...>",
        "  kv::nest(depth=0) = 0 <time>",
        "  kv::nest(depth=0) = 0 <time>",
        "<... kv::visit resumed> seen=&0 → &1) = OK <time>",
    ]


def test_calls_that_are_not_traced_leave_no_gap() -> None:
    assert nested("twice", functions="nest") == ["kv::nest(depth=0) = 0 <time>"] * 2
    assert nested("twice", functions="visit") == ["kv::visit(seen=&0 → &1, fail=0) = OK <time>"]


def test_an_inner_call_that_traps_the_guest_ends_the_outer_ones_too() -> None:
    lines: list[str] = []

    class Outer(HostModule, name="outer"):
        @function
        def enter(self, caller: Caller) -> None:
            inner: Any = caller["inner"]
            inner(caller.raw)

        @function
        def fail(self) -> None:
            raise RuntimeError("boom")

    guest = """(module (import "outer" "enter" (func $enter)) (import "outer" "fail" (func $fail))
        (func (export "inner") (call $fail)) (func (export "run") (call $enter)))"""
    with (
        hostmod.instantiate(guest, hostmod.decorate(Outer, hostmod.trace(lines.append))) as made,
        pytest.raises(RuntimeError, match="boom"),
    ):
        made.exports.run()
    assert [re.sub(r" <\d.*", "", line) for line in lines] == [
        "outer::enter( <unfinished ...>",
        "  outer::fail() = ! RuntimeError: boom",
        "<... outer::enter resumed>) = ! RuntimeError: boom",
    ]


def test_calls_of_another_thread_are_not_inside_of_this_ones() -> None:
    lines: list[str] = []

    class Slow(HostModule, name="slow"):
        @function
        def outer(self) -> None:
            other = threading.Thread(target=call, args=(made.inner,))
            other.start()
            other.join()

        @function
        def inner(self) -> None: ...

    made = hostmod.decorate(Slow, hostmod.trace(lines.append))()
    call(made.outer)
    assert [line.partition(" = ")[0] for line in lines] == ["slow::inner()", "slow::outer()"]


def test_what_goes_on_in_the_context_of_a_call_that_has_ended_is_not_inside_of_it() -> None:
    lines: list[str] = []
    contexts: list[Context] = []

    class Starts(HostModule, name="starts"):
        @function
        def later(self) -> None:  # as a task that it starts would have its context
            contexts.append(copy_context())

    made = hostmod.decorate(Starts, hostmod.trace(lines.append))()
    call(made.later)
    contexts[0].run(call, made.later)
    assert [line.partition(" = ")[0] for line in lines] == ["starts::later()"] * 2


def test_a_sink_can_be_a_path_a_file_a_logger_or_standard_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file = tmp_path / "calls", io.StringIO()
    caplog.set_level(logging.DEBUG, "kv.trace")
    with hostmod.trace(path) as to_path:
        Traced = hostmod.decorate(
            Kv,
            to_path,
            hostmod.trace(file),
            hostmod.trace(logging.getLogger("kv.trace"), level=logging.DEBUG),
            hostmod.trace(),
        )
        call(Traced().get, "a", Pointer.new(Uint32))
    found = [path.read_text("utf-8"), file.getvalue(), caplog.text, capsys.readouterr().err]
    assert all('kv::get(key="a"' in text for text in found)
    with pytest.raises(TypeError, match="expected a path"):
        hostmod.trace(5)  # type: ignore[arg-type]  # what is refused


def test_a_file_that_was_closed_does_not_change_how_calls_end() -> None:
    file = io.StringIO()
    Traced = hostmod.decorate(Kv, hostmod.trace(file))
    file.close()
    assert call(Traced().get, "a", Pointer.new(Uint32)) is None


def test_a_module_of_functions_can_be_traced_too() -> None:
    env, lines = hostmod.module("env"), list[str]()

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    call(hostmod.decorate(env, hostmod.trace(lines.append)).functions["add"], 2, 3)
    assert lines[0].startswith("env::add(a=2, b=3) = 5 <")
    call(env.functions["add"], 2, 3)
    assert len(lines) == 1
