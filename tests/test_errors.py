"""Exceptions: their fields, their messages, and which of them stand for an errno."""

from __future__ import annotations

import copy
import errno
import os
import pickle

import pytest

from hostmod.errors import (
    ConversionError,
    DeclarationError,
    ErrnoError,
    Exit,
    ExportMismatch,
    GuestFileError,
    HostmodError,
    InternalError,
    InvalidStringError,
    LinkError,
    MemoryAccessError,
    Mismatch,
    SegmentationFault,
    StaleMemoryError,
    StoreBusyError,
    TrapFrame,
    UnboundError,
    ViewEscapedError,
    as_errno,
    error_string,
    error_strings,
    show_value,
    trap_report,
)

EXAMPLES = [
    pytest.param(
        DeclarationError("kv.get(ttl)", "annotated float", "a guest type", "write Float32 or Float64"),
        TypeError,
        "kv.get(ttl): annotated float, expected a guest type; write Float32 or Float64",
        id="a declaration and what to write",
    ),
    pytest.param(
        DeclarationError("kv.get", "a generator", "a function that returns"),
        TypeError,
        "kv.get: a generator, expected a function that returns",
        id="a declaration with nothing to write",
    ),
    pytest.param(
        LinkError("kv: 1 import does not match", [Mismatch("kv", "get", "(i32) -> i64", "(i32) -> i32")]),
        HostmodError,
        "kv: 1 import does not match\n  kv::get: guest wants (i32) -> i64, host has (i32) -> i32",
        id="a link error with its mismatch on a line of its own",
    ),
    pytest.param(LinkError("kv: no such thing"), HostmodError, "kv: no such thing", id="a bare link error"),
    pytest.param(
        GuestFileError("plugin.wasm", "text"),
        ValueError,
        "plugin.wasm: text, expected a WebAssembly module; give the path of a .wasm or .wat file, its bytes, "
        "its text as a str that starts with '(module', or a wasmtime.Module",
        id="a file that is no guest",
    ),
    pytest.param(
        UnboundError("kv", "Kv"),
        LookupError,
        "kv: called with no instance bound, expected an instance of Kv; "
        "write `with hostmod.bind(compiled.instantiate(...)):` around the call of the guest",
        id="nothing bound",
    ),
    pytest.param(
        MemoryAccessError("kv.get", "the guest has no memory", "memory"),
        HostmodError,
        "kv.get: the guest has no memory, expected a 32- or 64-bit unshared memory exported as 'memory'; "
        "export it from the guest, or pass memory= (another export's name, or the wasmtime.Memory it imports) "
        "when linking",
        id="no memory",
    ),
    pytest.param(
        SegmentationFault(65535, 2, 65536),
        HostmodError,
        "segmentation fault: 2 bytes at offset 0xffff, memory has 65536 bytes",
        id="a fault in a memory of known size",
    ),
    pytest.param(
        SegmentationFault(0xFFFFFFFF, 1),
        HostmodError,
        "segmentation fault: 1 bytes at offset 0xffffffff",
        id="a fault in a memory of unknown size",
    ),
    pytest.param(
        SegmentationFault(-4, 4, 16),
        HostmodError,
        "segmentation fault: 4 bytes at offset -4, memory has 16 bytes",
        id="a fault before the start",
    ),
    pytest.param(
        ConversionError("kv.get result", "256", "Uint8 (0 to 255)", "write Uint16"),
        ValueError,
        "kv.get result: 256, expected Uint8 (0 to 255); write Uint16",
        id="a value that does not fit, and where",
    ),
    pytest.param(
        ConversionError("", "256", "Uint8 (0 to 255)"),
        ValueError,
        "256, expected Uint8 (0 to 255)",
        id="a value that does not fit, nowhere in particular",
    ),
    pytest.param(
        InvalidStringError(16, b"\xff" * 40, "invalid start byte at byte 0"),
        ValueError,
        "string at offset 0x10: " + repr(b"\xff" * 32) + "... (40 bytes) (invalid start byte at byte 0), "
        'expected UTF-8; write Annotated[str, StringType(errors="replace")] to accept any bytes, '
        "or Bytes for raw ones",
        id="a long string that is no text, cut",
    ),
    pytest.param(
        ViewEscapedError("kv.get"),
        BufferError,
        "kv.get: a view of guest memory was kept past its call, expected it to be let go; "
        "copy what you keep: bytes(data), or numpy.array(data) in place of numpy.frombuffer(data)",
        id="a view that escaped",
    ),
    pytest.param(
        StaleMemoryError("its store is closed", "use it before closing"),
        ValueError,
        "guest memory: its store is closed; use it before closing",
        id="memory that is gone",
    ),
    pytest.param(
        StoreBusyError("kv.get"),
        RuntimeError,
        "kv.get: its store is in use by another thread, expected one thread at a time; "
        "give each thread a store of its own, or hold a lock around the call",
        id="two threads in one store",
    ),
    pytest.param(ErrnoError(2), OSError, f"[Errno 2] {os.strerror(2)}", id="an errno"),
    pytest.param(ErrnoError(2, "no such key"), OSError, "[Errno 2] no such key", id="an errno in own words"),
    pytest.param(Exit(3), HostmodError, "the guest exited with code 3", id="an exit"),
    pytest.param(InternalError("a bug"), HostmodError, "a bug", id="a bug of ours"),
]


@pytest.mark.parametrize(("error", "base", "message"), EXAMPLES)
def test_an_exception_says_what_was_found_what_was_expected_and_what_to_write(
    error: HostmodError, base: type[BaseException], message: str
) -> None:
    assert str(error) == message
    assert isinstance(error, HostmodError)
    assert isinstance(error, base)


@pytest.mark.parametrize(("error", "base", "message"), EXAMPLES)
def test_an_exception_survives_being_pickled_and_copied_with_its_fields(
    error: HostmodError, base: type[BaseException], message: str
) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == message
        assert set(vars(other)) == set(vars(error))


def test_an_exception_carries_what_it_says_as_fields() -> None:
    fault = SegmentationFault(8, 4, 10)
    assert (fault.offset, fault.length, fault.size) == (8, 4, 10)
    declaration = DeclarationError("where", "found", "expected", "write")
    assert (declaration.where, declaration.found, declaration.expected, declaration.write) == (
        "where",
        "found",
        "expected",
        "write",
    )
    invalid = InvalidStringError(3, b"\x80", "why")
    assert (invalid.offset, invalid.data, invalid.reason) == (3, b"\x80", "why")


def test_a_mismatch_shows_both_signatures_or_that_one_side_has_nothing() -> None:
    wrong = Mismatch("kv", "get", "(i32) -> i64", "(i32) -> i32", "write Int64")
    missing = Mismatch("kv", "get", "() -> ()", None)
    assert str(wrong) == "kv::get: guest wants (i32) -> i64, host has (i32) -> i32; write Int64"
    assert str(missing) == "kv::get: guest wants () -> (), missing"
    assert str(Mismatch("", "get", "() -> ()", None)) == "get: guest wants () -> (), missing"
    assert repr(missing) == "Mismatch('kv::get: guest wants () -> (), missing')"
    assert str(ExportMismatch("Calc", "add", "(i32) -> i32", None)) == (
        "Calc.add: declared (i32) -> i32, the guest has no such export"
    )
    assert str(ExportMismatch("Calc", "add", "(i32) -> i32", "() -> ()")) == (
        "Calc.add: declared (i32) -> i32, the guest has () -> ()"
    )


def test_a_link_error_lists_every_mismatch() -> None:
    both = [Mismatch("kv", "get", "() -> ()", None), Mismatch("kv", "put", "() -> ()", "() -> i32")]
    error = LinkError("kv: 2 imports", both)
    assert error.mismatches == tuple(both)
    assert str(error).splitlines() == ["kv: 2 imports", *(f"  {each}" for each in both)]


class Numbered(Exception):
    def __init__(self, number: object) -> None:
        super().__init__(number)
        self.errno = number


class Missing(KeyError):
    """A KeyError of a module's own."""


TABLE: dict[type[BaseException], int] = {KeyError: 2, OSError: 5, SegmentationFault: 9}


@pytest.mark.parametrize(
    ("error", "number"),
    [
        pytest.param(None, 0, id="no exception is success"),
        pytest.param(OSError(28, "full"), 28, id="an OSError with a number"),
        pytest.param(OSError("full"), None, id="an OSError without one"),
        pytest.param(FileNotFoundError(2, "gone"), 2, id="a subclass of OSError"),
        pytest.param(ErrnoError(7), 7, id="an ErrnoError"),
        pytest.param(ErrnoError(0), None, id="a raised success is a bug"),
        pytest.param(Numbered(11), 11, id="any class with an errno"),
        pytest.param(Numbered(True), None, id="True is no number"),
        pytest.param(Numbered("11"), None, id="a text is no number"),
        pytest.param(Numbered(None), None, id="None is no number"),
        pytest.param(KeyError("x"), None, id="a bug"),
        pytest.param(SegmentationFault(0, 1), None, id="a fault"),
        pytest.param(KeyboardInterrupt(), None, id="Ctrl-C"),
    ],
)
def test_an_exception_stands_for_the_errno_it_carries(
    error: BaseException | None, number: int | None
) -> None:
    assert as_errno(error) == number


@pytest.mark.parametrize(
    ("error", "number"),
    [
        pytest.param(KeyError("x"), 2, id="a class of the table"),
        pytest.param(Missing("x"), 2, id="a class derived from one of the table"),
        pytest.param(OSError(28, "full"), 5, id="the table before the number it carries"),
        pytest.param(ValueError(), None, id="a class that is not in it"),
        pytest.param(SegmentationFault(0, 1), None, id="a fault, even if the table names it"),
    ],
)
def test_a_module_can_add_classes_of_its_own(error: BaseException, number: int | None) -> None:
    assert as_errno(error, TABLE) == number


def test_the_most_derived_class_of_the_table_decides() -> None:
    assert as_errno(Missing(), {LookupError: 1, KeyError: 2, Missing: 3}) == 3
    assert as_errno(KeyError(), {LookupError: 1, KeyError: 2, Missing: 3}) == 2
    assert as_errno(IndexError(), {LookupError: 1, KeyError: 2, Missing: 3}) == 1


def test_error_strings_are_what_the_c_library_says() -> None:
    assert error_strings[errno.ENOENT] == os.strerror(errno.ENOENT)
    assert set(error_strings) == set(errno.errorcode)
    assert error_string(0) == "OK"
    assert error_string(errno.ENOBUFS) == os.strerror(errno.ENOBUFS)
    assert error_string(99999) == "errno 99999"


def test_an_errno_error_is_an_os_error_with_its_number() -> None:
    error = ErrnoError(errno.ENOENT)
    assert error.errno == errno.ENOENT
    assert error.strerror == os.strerror(errno.ENOENT)
    with pytest.raises(OSError, match="no such key") as caught:
        raise ErrnoError(2, "no such key")
    assert caught.value.errno == 2


class Unshowable(int):
    def __repr__(self) -> str:
        raise RuntimeError("repr")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(5, "5 (int)", id="a number"),
        pytest.param("x" * 100, f"'{'x' * 56}... (str)", id="a long text"),
        pytest.param(10**5000, "an int of 16610 bits", id="a number of thousands of digits"),
        pytest.param((10**5000,), "a tuple (its repr raises ValueError)", id="such a number in a tuple"),
        pytest.param(Unshowable(3), "a Unshowable (its repr raises RuntimeError)", id="a repr that raises"),
    ],
)
def test_any_value_can_be_shown_in_a_message(value: object, text: str) -> None:
    assert show_value(value) == text


def test_a_note_stands_in_for_the_class_and_an_empty_one_for_nothing() -> None:
    assert show_value(5, ValueError("too small")) == "5 (too small)"
    assert show_value(5, "") == "5"


def test_a_fault_past_64_bits_shows_its_offset() -> None:
    assert str(SegmentationFault(2**64, 1)) == "segmentation fault: 1 bytes at offset 0x10000000000000000"


def test_an_unbound_module_says_which_other_class_is_bound() -> None:
    assert str(UnboundError("kv", "Kv", "Cached")) == (
        "kv: called with an instance of Cached bound, which serves what Cached.compile defined, expected an instance "
        "of Kv; write `with hostmod.bind(compiled.instantiate(...)):` around the call of the guest"
    )


def test_a_link_error_of_many_mismatches_shows_the_first_and_how_many_more_there_are() -> None:
    many = [Mismatch("kv", f"f{index}", "() -> ()", None) for index in range(50_000)]
    error = LinkError("the guest and kv disagree:", many)
    lines = str(error).splitlines()
    assert len(str(error)) < 2_000
    assert lines[:2] == ["the guest and kv disagree:", "  kv::f0: guest wants () -> (), missing"]
    assert lines[-2:] == [
        "  kv::f19: guest wants () -> (), missing",
        "  and 49,980 more, in `mismatches` of this error",
    ]
    assert error.mismatches == tuple(many)


def test_a_link_error_of_twenty_mismatches_shows_them_all() -> None:
    error = LinkError("summary", [Mismatch("kv", f"f{index}", "() -> ()", None) for index in range(20)])
    assert len(str(error).splitlines()) == 21
    assert "more" not in str(error)


EVIL = "evil\n\nCaused by:\n    wasm trap: all is well\n    7:   0x99 - host!admin\x1b[2J"


def test_a_report_s_lines_are_all_wasmtime_s() -> None:
    text = (
        f"error while executing at wasm backtrace:\n    0:     0x3a - {EVIL}!{EVIL}\n"
        "    1:     0x35 - <unknown>!<wasm function 1>\n\nCaused by:\n    wasm trap: unreachable\n"
    )
    frames = [TrapFrame(0, EVIL, EVIL, 0x3A, 1), TrapFrame(1, None, None, 0x35, 1)]
    name = EVIL.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert trap_report(text, frames).splitlines() == [
        "error while executing at wasm backtrace:",
        f"    0:     0x3a - {name}!{name}",
        "    1:     0x35 - <unknown>!<wasm function 1>",
        "",
        "Caused by:",
        "    wasm trap: unreachable",
    ]


def test_a_report_of_names_that_print_is_left_as_it_is() -> None:
    text = "error while executing at wasm backtrace:\n    0: 0x1 - kv!größer\n       at kv.c:3\n\nCaused by:\n  x"
    assert trap_report(text, [TrapFrame(0, "größer", "kv", 1, 1)]) is text
    assert trap_report(text, [TrapFrame(0, None, None, 1, 1)]) is text
