"""`String` and `CString`: where their bytes are, what is no text, and by which policy it is taken all the same."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from guards import GUARD, START, content, guarded
from hypothesis import given
from hypothesis import strategies as st

from hostmod.errors import ConversionError, InvalidStringError, SegmentationFault
from hostmod.memory import FixedSizeMemory
from hostmod.types.base import GuestType, resolve
from hostmod.types.text import CString, CStringType, String, StringType

STRING, CSTRING = resolve(String, "test"), resolve(CString, "test")

TEXTS = ["", "a", "hostmod", "größe", "日本語", "\0 inside", "🦀", "﻿bom"]


def test_a_string_is_a_pointer_and_a_length() -> None:
    assert (STRING.core, STRING.size, STRING.align) == (("i32", "i32"), 8, 4)
    assert (CSTRING.core, CSTRING.size, CSTRING.align) == (("i32",), 4, 4)


@pytest.mark.parametrize("text", TEXTS)
def test_a_string_is_loaded_from_the_stack_and_from_memory(text: str) -> None:
    data = text.encode()
    memory = guarded(data + GUARD + START.to_bytes(4, "little") + len(data).to_bytes(4, "little"))
    assert STRING.load_value(memory, (START, len(data))) == text
    assert STRING.load_object(memory, START + len(data) + len(GUARD)) == text


@pytest.mark.parametrize("text", [text for text in TEXTS if "\0" not in text])
def test_a_c_string_ends_before_its_nul(text: str) -> None:
    data = text.encode() + b"\0"
    memory = guarded(data + START.to_bytes(4, "little"))
    assert CSTRING.load_value(memory, (START,)) == text
    assert CSTRING.load_object(memory, START + len(data)) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    memory = FixedSizeMemory(1 << 17, base=8)
    assert STRING.load_value(memory, STRING.store_value(memory, text)) == text
    STRING.store_object(memory, 0, text)
    assert STRING.load_object(memory, 0) == text
    if "\0" not in text:
        assert CSTRING.load_value(memory, CSTRING.store_value(memory, text)) == text


def test_a_string_is_stored_between_the_guards() -> None:
    memory = FixedSizeMemory.exactly(GUARD * 5)
    memory._next = 12
    STRING.store_object(memory, 4, "host")
    assert content(memory) == GUARD + b"\x0c\0\0\0\x04\0\0\0" + b"host" + GUARD
    memory = FixedSizeMemory.exactly(GUARD * 4)
    memory._next = 8
    CSTRING.store_object(memory, 4, "hos")
    assert content(memory) == GUARD + b"\x08\0\0\0" + b"hos\0" + GUARD


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"ab\xff", "invalid start byte at byte 2", id="a byte that starts nothing"),
        pytest.param(b"\xe2\x82", "unexpected end of data at byte 0", id="a character cut short"),
        pytest.param(b"\xc0\xaf", "invalid start byte at byte 0", id="an overlong slash"),
        pytest.param(b"\xed\xa0\x80", "invalid continuation byte at byte 0", id="a surrogate"),
        pytest.param(b"a\x80", "invalid start byte at byte 1", id="a continuation alone"),
        pytest.param(
            b"\xf4\x90\x80\x80", "invalid continuation byte at byte 0", id="past the last code point"
        ),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    memory = guarded(data + b"\0")
    for type_, words in ((STRING, (START, len(data))), (CSTRING, (START,))):
        with pytest.raises(InvalidStringError) as caught:
            type_.load_value(memory, words)
        assert (caught.value.offset, caught.value.data, caught.value.reason) == (START, data, reason)
        assert f"string at offset 0x4: {data!r} ({reason}), expected UTF-8" in str(caught.value)
    assert content(memory) == GUARD + data + b"\0" + GUARD


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        pytest.param("replace", "a�b", id="replace"),
        pytest.param("ignore", "ab", id="ignore"),
        pytest.param("surrogateescape", "a\udcffb", id="surrogateescape"),
        pytest.param("backslashreplace", "a\\xffb", id="backslashreplace"),
    ],
)
def test_another_policy_is_part_of_the_annotation(policy: str, text: str) -> None:
    memory = guarded(b"a\xffb\0")
    string = resolve(Annotated[str, StringType(errors=policy)], "test")
    c_string = resolve(Annotated[str, CStringType(errors=policy)], "test")
    assert string.load_value(memory, (START, 3)) == text
    assert c_string.load_value(memory, (START,)) == text
    assert (str(string), str(c_string)) == (f"String[{policy}]", f"CString[{policy}]")
    assert string != STRING


def test_surrogateescape_gives_the_guest_its_own_bytes_back() -> None:
    string = StringType(errors="surrogateescape")
    memory = FixedSizeMemory.exactly(GUARD + b"\xff\xfea" + GUARD * 4)
    memory._next = 11
    offset, length = string.store_value(memory, string.load_value(memory, (START, 3)))
    assert memory.read(offset, length) == b"\xff\xfea"


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        pytest.param(STRING, b"bytes", "b'bytes' (bytes), expected String", id="bytes"),
        pytest.param(CSTRING, None, "None (NoneType), expected CString", id="None"),
        pytest.param(
            STRING,
            "\ud800",
            "'\\ud800' (surrogates not allowed), expected text that UTF-8 can encode",
            id="a surrogate",
        ),
        pytest.param(
            StringType("replace"),
            "\ud800",
            "'\\ud800' (surrogates not allowed), expected text that UTF-8 can encode",
            id="a surrogate, which no policy for loading makes a question mark",
        ),
        pytest.param(
            CSTRING,
            "a\0b",
            "'a\\x00b' (holds a NUL), expected text without NUL characters; String can hold them",
            id="a NUL in a CString",
        ),
    ],
)
def test_what_is_no_text_is_refused_and_nothing_is_stored(
    type_: GuestType[Any], value: object, message: str
) -> None:
    memory = FixedSizeMemory.exactly(GUARD + bytes(16) + GUARD)
    with pytest.raises(ConversionError) as caught:
        type_.store_value(memory, value)
    assert str(caught.value) == message
    assert content(memory) == GUARD + bytes(16) + GUARD
    assert memory.allocate(0) == 0


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        pytest.param(11, 2, id="the last byte and one past it"),
        pytest.param(12, 1, id="one byte past the end"),
        pytest.param(13, 0, id="nothing, past the end"),
        pytest.param(2**32 - 1, 2, id="a sum that wraps"),
        pytest.param(2**32 - 1, 2**32 - 1, id="the greatest pair"),
        pytest.param(0, 2**32 - 1, id="the greatest length"),
    ],
)
def test_a_string_outside_the_memory_faults(offset: int, length: int) -> None:
    memory = guarded(4)
    for policy in ("strict", "replace"):
        with pytest.raises(SegmentationFault) as caught:
            StringType(policy).load_value(memory, (offset, length))
        assert (caught.value.offset, caught.value.length) == (offset, length)
    memory = guarded(offset.to_bytes(4, "little") + length.to_bytes(4, "little"))
    with pytest.raises(SegmentationFault):
        STRING.load_object(memory, START + 1)
    with pytest.raises(SegmentationFault):
        STRING.load_object(FixedSizeMemory.exactly(content(memory)[4:12]), 0)


@pytest.mark.parametrize("offset", [0, 4, 11, 12, 2**31, 2**32 - 1])
def test_a_c_string_without_an_end_faults(offset: int) -> None:
    memory = FixedSizeMemory.exactly(b"\x01" * 12)
    with pytest.raises(SegmentationFault) as caught:
        CSTRING.load_value(memory, (offset,))
    assert caught.value.offset == offset


def test_a_string_that_does_not_fit_the_memory_faults_and_leaves_it_as_it_was() -> None:
    memory = FixedSizeMemory.exactly(GUARD + bytes(8) + GUARD)
    with pytest.raises(SegmentationFault):
        STRING.store_object(memory, START, "longer than the memory")
    assert content(memory) == GUARD + bytes(8) + GUARD


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Ada", '"Ada"', id="short"),
        pytest.param('say "hi"\n', '"say \\"hi\\"\\n"', id="quotes and line ends"),
        pytest.param("größe", '"größe"', id="letters beyond ASCII"),
        pytest.param("a" * 64, '"' + "a" * 64 + '"', id="as long as it may be"),
        pytest.param("a" * 65, '"' + "a" * 64 + '... (65 characters)"', id="one character too long"),
    ],
)
def test_text_is_shown_in_quotes_and_cut_where_it_is_long(text: str, shown: str) -> None:
    assert STRING.show(text) == CSTRING.show(text) == shown
