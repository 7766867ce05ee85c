"""Names that a guest chose: in messages, notes and log lines each of them stays on its line, and prints."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

import hostmod
from hostmod import GuestModule, HostModule, LinkError, export, function
from hostmod.types import Int32

EVIL = "evil\n\nCaused by:\n    wasm trap: none\nTrue::line\x1b[2J\u202e"
IN_TEXT = "evil\\n\\nCaused by:\\n    wasm trap: none\\nTrue::line\\1b[2J\\e2\\80\\ae"
ESCAPED = "evil\\n\\nCaused by:\\n    wasm trap: none\\nTrue::line\\x1b[2J\\u202e"

GUEST = f"""(module $m
  (import "host" "fail" (func $fail))
  (import "host" "say" (func $say (param i32)))
  (func $inner (@name "{IN_TEXT}") unreachable)
  (func $called (@name "{IN_TEXT}") (call $fail))
  (func (export "run") (call $inner))
  (func (export "{IN_TEXT}") (param i32) (call $say (local.get 0)))
  (func (export "fail") (call $called)))"""


class Host(HostModule, name="host"):
    @function
    def fail(self) -> None:
        raise KeyError(EVIL)

    @function
    def say(self, value: Int32) -> None:
        if value:
            raise RuntimeError(EVIL)


@pytest.fixture
def guest() -> Iterator[hostmod.Guest]:
    with hostmod.instantiate(GUEST, Host()) as guest:
        yield guest


def prints(text: str) -> bool:
    """Whether every line of a text prints, and none of them is the guest's."""
    return all(line.isprintable() for line in text.split("\n")) and "\nTrue::line" not in text


def test_a_trap_shows_them_on_their_line(guest: hostmod.Guest) -> None:
    with pytest.raises(hostmod.Trap) as caught:
        guest.exports.run()
    assert f"m!{ESCAPED}" in str(caught.value)
    assert str(caught.value).count("\n\nCaused by:") == 1
    assert prints(str(caught.value))
    assert caught.value.frames[0].func_name == EVIL


def test_the_guest_s_backtrace_on_an_exception_shows_them_on_their_line(guest: hostmod.Guest) -> None:
    fail: Any = guest.instance.exports(guest.store)["fail"]
    for call in (guest.exports.fail, lambda: fail(guest.store)):
        with pytest.raises(KeyError) as caught:
            call()
        (note,) = caught.value.__notes__
        assert f"m!{ESCAPED}" in note
        assert prints(note)
        assert len(note.splitlines()) == 3


def test_an_export_s_errors_show_them_on_their_line(guest: hostmod.Guest) -> None:
    for call in (
        guest.exports[EVIL],
        lambda: guest.exports[EVIL](1, 2),
        lambda: guest.exports[EVIL]("one"),
        lambda: guest.exports["nothing"],
        lambda: guest.exports["no\nthing"],
        lambda: guest.exports.nothing,
    ):
        with pytest.raises((TypeError, ValueError, LookupError, AttributeError)) as caught:
            call()
        assert all(prints(str(each)) for each in caught.value.args), caught.value
    assert prints(repr(guest))


STRANGE = [
    f'(module (import "{IN_TEXT}" "f" (func)))',
    f'(module (import "host" "{IN_TEXT}" (func)))',
    f'(module (import "{IN_TEXT}" "{IN_TEXT}" (memory 1 2 shared)))',
    f'(module (import "{IN_TEXT}" "g" (global i32)))',
]


@pytest.mark.parametrize(
    "text", STRANGE, ids=["a module", "a function", "a memory that threads share", "a global"]
)
def test_a_link_error_shows_them_on_their_line(text: str) -> None:
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(text, Host())
    assert prints(str(caught.value))


def test_a_guest_module_s_link_error_shows_them_on_their_line(guest: hostmod.Guest) -> None:
    class Typed(GuestModule):
        @export
        def missing(self) -> None: ...

    with pytest.raises(LinkError) as caught:
        Typed(guest.store, guest.instance)
    assert prints(str(caught.value))
    assert ESCAPED in str(caught.value)


def test_a_memory_s_name_is_shown_on_one_line() -> None:
    text = f'(module (memory (export "{IN_TEXT}") 1) (memory (export "other") 1))'
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(text, memory="missing")
    assert prints(str(caught.value))


def test_a_vector_s_export_is_shown_on_one_line() -> None:
    text = f'(module (func (export "{IN_TEXT}") (param v128)))'
    with hostmod.instantiate(text) as guest, pytest.raises(LinkError) as caught:
        guest.exports[EVIL]
    assert prints(str(caught.value))


def test_log_lines_are_lines(caplog: pytest.LogCaptureFixture, guest: hostmod.Guest) -> None:
    logged = hostmod.decorate(Host, hostmod.log(logging.getLogger("names")))
    with caplog.at_level(logging.DEBUG, "names"), hostmod.instantiate(GUEST, logged) as other:
        with pytest.raises(KeyError):
            other.exports.fail()
        with pytest.raises(RuntimeError):
            other.exports[EVIL](1)
    assert len(caplog.messages) == 2
    assert all(prints(each) and "\n" not in each for each in caplog.messages)


def test_traces_and_profiles_are_lines() -> None:
    stream = io.StringIO()
    trace, profile = hostmod.trace(stream), hostmod.profile()
    observed: Any = hostmod.decorate(Host, trace, profile)
    with hostmod.instantiate(GUEST, observed) as guest, pytest.raises(RuntimeError):
        guest.exports[EVIL](1)
    assert prints(stream.getvalue())
    assert len(stream.getvalue().splitlines()) == 1
    assert prints(str(profile))
