"""Every exception that hostmod raises, and every message.

Messages read ``where: found, expected; what to write``. Exceptions carry their facts as fields and render them in
``__str__``; the class says whose error it is: `DeclarationError` the author's of the host module, `LinkError` guest and
host disagree, `SegmentationFault` and `InvalidStringError` the guest's, `ConversionError` a value that does not fit its
guest type, `InternalError` ours.
"""

from __future__ import annotations

import errno as _errno
import os
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import wasmtime


class HostmodError(Exception):
    """The base of every exception that hostmod defines.

    All of them pickle and copy with their fields, their notes, and the exception that they were raised from. One that
    pickle does not take, such as `wasmtime.WasmtimeError`, becomes a note that says what it was.
    """

    def _arguments(self) -> tuple[Any, ...]:
        """What the class makes an equal exception of."""
        return self.args

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(vars(self))
        cause = self.__cause__
        if cause is not None:
            if _pickles(cause):
                state["__cause__"] = cause
            else:
                notes = list(state.get("__notes__", ()))
                state["__notes__"] = [*notes, f"caused by {type(cause).__name__}: {cause}"]
        if self.__suppress_context__:
            state["__suppress_context__"] = True
        return type(self), self._arguments(), state or None

    def __copy__(self) -> Self:
        made = type(self)(*self._arguments())
        vars(made).update(vars(self))
        made.__cause__ = self.__cause__
        made.__suppress_context__ = self.__suppress_context__
        return made


def _pickles(error: BaseException) -> bool:
    """Whether pickle takes an exception, and gives back one of the same class."""
    if isinstance(error, HostmodError):
        return True  # as far as what an author put into it does; trying each in a chain would double the work each time
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # whatever the exception's own methods raise
        return False


def show_value(value: object, note: object = None) -> str:
    """Show a value that does not fit, cut where it is long, and its class; never raises.

    `note` is said in place of the class; an empty one is not.
    """
    try:
        if isinstance(value, int) and int.bit_length(value) > 1024:
            return f"an int of {int.bit_length(value)} bits"  # repr refuses ints of more than a few thousand digits
        text, note = repr(value), None if note is None else str(note)
    except Exception as error:  # whatever a __repr__ of the author's raises
        return f"a {type(value).__name__} (its repr raises {type(error).__name__})"
    if len(text) > 60:
        text = text[:57] + "..."
    if note is None:
        note = type(value).__name__
    return f"{text} ({note})" if note else text


class DeclarationError(HostmodError, TypeError):
    """A host module, guest module, struct or guest type is declared in a way that cannot work.

    Raised where the class is created. `where` names the method and parameter (``kv.get(ttl)``), `found` what stands
    there, `expected` what could, and `write` what to put in its place.
    """

    def __init__(self, where: str, found: str, expected: str, write: str = "") -> None:
        super().__init__(where, found, expected, write)
        self.where = where
        self.found = found
        self.expected = expected
        self.write = write

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}, expected {self.expected}"
        return f"{text}; {self.write}" if self.write else text


def escape_controls(text: str) -> str:
    """Escape what does not print, such as ends of lines: names and texts are the guest's choice, and take one line.

    >>> escape_controls("a\\x1b[2J\\nb"), escape_controls("naïve →")
    ('a\\\\x1b[2J\\\\nb', 'naïve →')
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


_SHOWN = 20
"""Names and mismatches that a message shows: a guest can have a million."""


def join_names(names: Collection[str]) -> str:
    """List names on one line: the first twenty, and how many more there are; empty for none.

    >>> join_names(["a", "b\\n"]), join_names([str(number) for number in range(22)])[-22:]
    ('a, b\\\\n', '8, 19 and 2 more names')
    """
    text = ", ".join(map(escape_controls, islice(names, _SHOWN)))
    return text if len(names) <= _SHOWN else f"{text} and {len(names) - _SHOWN:,} more names"


class Mismatch:
    """One import or export on which guest and host disagree.

    `found` is None where the other side has nothing of that name; both signatures are in the text format's spelling,
    ``(i32, i32) -> i32``.
    """

    __slots__ = ("advice", "expected", "found", "module", "name")

    def __init__(self, module: str, name: str, expected: str, found: str | None, advice: str = "") -> None:
        self.module = module
        self.name = name
        self.expected = expected
        self.found = found
        self.advice = advice

    def __repr__(self) -> str:
        return f"Mismatch({str(self)!r})"

    def __str__(self) -> str:
        where = f"{self.module}::{self.name}" if self.module else self.name
        found = "missing" if self.found is None else f"host has {self.found}"
        text = f"{where}: guest wants {self.expected}, {found}"
        return escape_controls(f"{text}; {self.advice}" if self.advice else text)


class ExportMismatch(Mismatch):
    """One export of a guest that is not what a `GuestModule` declares."""

    __slots__ = ()

    def __str__(self) -> str:
        found = "the guest has no such export" if self.found is None else f"the guest has {self.found}"
        text = f"{self.module}.{self.name}: declared {self.expected}, {found}"
        return escape_controls(f"{text}; {self.advice}" if self.advice else text)


class LinkError(HostmodError):
    """A guest and what it is linked with disagree; `mismatches` lists every place, not only the first.

    The message shows the first twenty, and says how many more there are.
    """

    def __init__(self, summary: str, mismatches: Sequence[Mismatch] = ()) -> None:
        super().__init__(summary, tuple(mismatches))
        self.summary = summary
        self.mismatches = tuple(mismatches)

    def __str__(self) -> str:
        lines = [self.summary, *map(str, self.mismatches[:_SHOWN])]
        more = len(self.mismatches) - _SHOWN
        if more > 0:
            lines.append(f"and {more:,} more, in `mismatches` of this error")
        return "\n  ".join(lines)


class GuestFileError(HostmodError, ValueError):
    """The bytes, text or file given as a guest is no WebAssembly module."""

    def __init__(self, source: str, found: str) -> None:
        super().__init__(source, found)
        self.source = source
        self.found = found

    def __str__(self) -> str:
        return (
            f"{self.source}: {self.found}, expected a WebAssembly module; give the path of a .wasm or .wat file, its "
            "bytes, its text as a str that starts with '(module', or a wasmtime.Module"
        )


class UnboundError(HostmodError, LookupError):
    """A guest called a function of a compiled host module while no instance of it was bound.

    `bound` names the class of an instance that was bound: a class that derives from the module's, or the other way
    round; empty if there was none.
    """

    def __init__(self, module: str, cls: str, bound: str = "") -> None:
        super().__init__(module, cls, bound)
        self.module = module
        self.cls = cls
        self.bound = bound

    def __str__(self) -> str:
        found = (
            f"an instance of {self.bound} bound, which serves what {self.bound}.compile defined"
            if self.bound
            else "no instance bound"
        )
        return (
            f"{self.module}: called with {found}, expected an instance of {self.cls}; "
            "write `with hostmod.bind(compiled.instantiate(...)):` around the call of the guest"
        )


class MemoryAccessError(HostmodError):
    """A function needs the guest's memory, and the guest has none that it can reach."""

    def __init__(self, where: str, found: str, name: str) -> None:
        super().__init__(where, found, name)
        self.where = where
        self.found = found
        self.name = name

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.found}, expected a 32- or 64-bit unshared memory exported as {self.name!r}; "
            "export it from the guest, or pass memory= (another export's name, or the wasmtime.Memory it imports) "
            "when linking"
        )


class SegmentationFault(HostmodError):
    """An access outside the guest's memory. Always traps; nothing was read or written.

    `offset` is the address in bytes, `length` how many bytes were to be accessed there, `size` the size of the memory
    at that moment.
    """

    def __init__(self, offset: int, length: int, size: int | None = None) -> None:
        offset, length = int(offset), int(length)  # numpy's integers wrap
        super().__init__(offset, length, size)
        self.offset = offset
        self.length = length
        self.size = size

    def __str__(self) -> str:
        offset = f"0x{self.offset:x}" if self.offset >= 0 else show_value(self.offset, "")
        text = f"segmentation fault: {show_value(self.length, '')} bytes at offset {offset}"
        return text if self.size is None else f"{text}, memory has {self.size} bytes"


class ConversionError(HostmodError, ValueError):
    """A value does not fit the guest type it is stored as; nothing was stored."""

    def __init__(self, where: str, found: str, expected: str, write: str = "") -> None:
        super().__init__(where, found, expected, write)
        self.where = where
        self.found = found
        self.expected = expected
        self.write = write

    def __str__(self) -> str:
        text = f"{self.found}, expected {self.expected}"
        if self.where:
            text = f"{self.where}: {text}"
        return f"{text}; {self.write}" if self.write else text


class InvalidStringError(HostmodError, ValueError):
    """The guest passed bytes that are no text in the encoding its host function asks for."""

    def __init__(self, offset: int, data: bytes, reason: str) -> None:
        super().__init__(offset, data, reason)
        self.offset = offset
        self.data = data
        self.reason = reason

    def __str__(self) -> str:
        shown = repr(self.data[:32]) + (f"... ({len(self.data)} bytes)" if len(self.data) > 32 else "")
        return (
            f"string at offset 0x{self.offset:x}: {shown} ({self.reason}), expected UTF-8; "
            'write Annotated[str, StringType(errors="replace")] to accept any bytes, or Bytes for raw ones'
        )


class ViewEscapedError(HostmodError, BufferError):
    """A view of guest memory was still in use when the call it belongs to ended.

    The store it belongs to refuses to run or close until the holder (a numpy array, say) is gone, so that the memory
    stays where it is.
    """

    def __init__(self, where: str, count: int = 1) -> None:
        super().__init__(where, count)
        self.where = where
        self.count = count

    def __str__(self) -> str:
        return (
            f"{self.where}: a view of guest memory was kept past its call, expected it to be let go; "
            "copy what you keep: bytes(data), or numpy.array(data) in place of numpy.frombuffer(data)"
        )


class StaleMemoryError(HostmodError, ValueError):
    """A pointer, list, memory or caller was used after its call ended, or after its store was closed."""

    def __init__(self, found: str, write: str) -> None:
        super().__init__(found, write)
        self.found = found
        self.write = write

    def __str__(self) -> str:
        return f"guest memory: {self.found}; {self.write}"


def store_closed(what: str = "") -> StaleMemoryError:
    """Return the error for the use of an export of a guest whose store is closed, or of its memory if none is named."""
    found = f"{what} was used, but its store is closed" if what else "its store is closed"
    return StaleMemoryError(found, "use it before closing the guest")


class StoreBusyError(HostmodError, RuntimeError):
    """A store was entered by a thread while another was inside it, or closed while its guest was running."""

    def __init__(
        self,
        where: str,
        found: str = "its store is in use by another thread",
        expected: str = "one thread at a time",
        write: str = "give each thread a store of its own, or hold a lock around the call",
    ) -> None:
        super().__init__(where, found, expected, write)
        self.where = where
        self.found = found
        self.expected = expected
        self.write = write

    def __str__(self) -> str:
        return f"{self.where}: {self.found}, expected {self.expected}; {self.write}"


class ErrnoError(HostmodError, OSError):
    """An error number, for host functions to raise and for callers of guests to catch.

    Source: wazergo's ``Errno``; numbers are the host's (`errno`) unless the module maps its own.
    """

    def __init__(self, number: int, message: str | None = None) -> None:
        text = error_string(number) if message is None else message
        super().__init__(number, text)
        self.errno: int = number  # pyright: ignore[reportIncompatibleVariableOverride]  # never None, as OSError's may be

    def _arguments(self) -> tuple[int, str | None]:
        return self.errno, self.strerror


@dataclass(frozen=True, slots=True)
class TrapFrame:
    """One call on a guest's stack, when it trapped; attributes as those of `wasmtime.Frame`, as plain data.

    Names are as the guest has them, None if it has none, and may hold anything. Offsets are in bytes: `module_offset`
    in the binary, `func_offset` in the function.
    """

    func_index: int
    func_name: str | None
    module_name: str | None
    module_offset: int
    func_offset: int


def trap_frames(frames: Sequence[wasmtime.Frame]) -> tuple[TrapFrame, ...]:
    """Copy wasmtime's frames."""
    return tuple(
        TrapFrame(each.func_index, each.func_name, each.module_name, each.module_offset, each.func_offset)
        for each in frames
    )


def trap_report(text: str, frames: Sequence[TrapFrame]) -> str:
    """Return wasmtime's text of a trap with the backtrace in lines that are all wasmtime's own.

    The names in it are the guest's choice. With an end of line in one, the guest would write lines of the report.
    """
    names = [name for each in frames for name in (each.module_name, each.func_name) if name is not None]
    if all(name.isprintable() for name in names):
        return text
    head = text.partition("\n")[0]
    lines = [
        f"{index:>5}: {each.module_offset:#8x} - {escape_controls(each.module_name or '<unknown>')}!"
        + escape_controls(each.func_name or f"<wasm function {each.func_index}>")
        for index, each in enumerate(frames)
    ]
    # What the guest wrote stands before the cause, so the last of these is wasmtime's.
    _, separator, cause = text.rpartition("\n\nCaused by:")
    return "\n".join([head, *lines]) + separator + cause


class Trap(HostmodError, wasmtime.Trap):
    """A guest trapped by itself: it divided by zero, ran into `unreachable`, left its memory or its stack.

    It is a `wasmtime.Trap` with the same attributes (`message`, `trap_code`, `frames`), and keeps them where it goes:
    it pickles and copies. Names that do not print are escaped in the message.
    """

    def __init__(
        self,
        message: str,
        trap_code: wasmtime.TrapCode | None = None,
        frames: Sequence[TrapFrame] = (),
    ) -> None:
        Exception.__init__(self, message, trap_code, tuple(frames))
        self._message = message
        self._trap_code = trap_code
        self._frames = tuple(frames)

    @classmethod
    def of(cls, trap: wasmtime.Trap) -> Self:
        """Copy a trap of wasmtime's."""
        frames = trap_frames(trap.frames)
        try:
            code = trap.trap_code
        except ValueError:
            code = None  # wasmtime-py up to 47 has no name for the newer ones
        return cls(trap_report(trap.message, frames), code, frames)

    @property
    def message(self) -> str:
        """What happened, with the guest's backtrace."""
        return self._message

    @property
    def trap_code(self) -> wasmtime.TrapCode | None:
        """Why; None for a trap without a code, and for one that this wasmtime-py has no name for."""
        return self._trap_code

    @property
    def frames(self) -> list[TrapFrame]:  # type: ignore[override]  # plain data, of the same attributes
        """The guest's stack, innermost call first."""
        return list(self._frames)

    def __str__(self) -> str:
        return self._message


class Exit(HostmodError):
    """A guest ended itself, with an exit code: not an error, as SystemExit is none.

    `Guest.run` catches it and returns the code; who calls the guest's exports otherwise gets this.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"the guest exited with code {self.code}"


class InternalError(HostmodError):
    """Something that hostmod relies on did not hold: a bug of hostmod, or a `wasmtime` that it does not know."""


error_strings: Mapping[int, str] = {number: os.strerror(number) for number in sorted(_errno.errorcode)}
"""What each error number of this host means, as the C library words it."""


def error_string(number: int) -> str:
    """Say what an error number means: ``"OK"`` for 0, the C library's words for a known one, ``"errno N"`` else."""
    if number == 0:
        return "OK"
    return error_strings.get(number, f"errno {number}")


ErrnoTable = Mapping[type[BaseException], int | Callable[[Any], int]]
"""Exception classes and the error numbers that they stand for, or functions that find the number of one."""


def as_errno(error: BaseException | None, table: ErrnoTable | None = None) -> int | None:
    """Return the error number an exception stands for, or None if it is a bug rather than a value.

    `table` maps exception classes to numbers (or to functions from the exception to its number), and is asked first,
    most derived class first. `SegmentationFault` never has a number; ``None`` (no exception) is 0.

    >>> as_errno(FileNotFoundError(2, "gone")), as_errno(KeyError("x")), as_errno(KeyError("x"), {KeyError: 2})
    (2, None, 2)
    """
    if error is None:
        return 0
    if isinstance(error, SegmentationFault):
        return None
    if table:
        for cls in type(error).__mro__:
            number = table.get(cls)
            if number is not None:
                return number if isinstance(number, int) else number(error)
    number = getattr(error, "errno", None)
    if isinstance(number, int) and not isinstance(number, bool) and number != 0:
        return int(number)
    return None
