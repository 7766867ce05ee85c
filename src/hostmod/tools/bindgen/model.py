"""The host module that bindings are written from: functions, structs, enums and error numbers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hostmod.checks import functions_of, name_of
from hostmod.declaration import Function, with_out_pointers
from hostmod.link import Host
from hostmod.plan import Slot
from hostmod.types.base import GuestType
from hostmod.types.buffers import ArrayType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, PointerType
from hostmod.types.references import CallerType, ExternRefType
from hostmod.types.structs import FixedArrayType, StructType

Type = GuestType[Any]

# Source: Linux, include/uapi/asm-generic/errno-base.h and errno.h. Guests have no errno of their own host, so the names
# are these wherever bindings are made.
ERRNO_NAMES: dict[int, str] = dict(
    enumerate(
        "EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK "
        "EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE "
        "EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP".split(),
        1,
    )
) | {
    71: "EPROTO",
    74: "EBADMSG",
    75: "EOVERFLOW",
    84: "EILSEQ",
    88: "ENOTSOCK",
    90: "EMSGSIZE",
    93: "EPROTONOSUPPORT",
    95: "EOPNOTSUPP",
    98: "EADDRINUSE",
    99: "EADDRNOTAVAIL",
    101: "ENETUNREACH",
    103: "ECONNABORTED",
    104: "ECONNRESET",
    105: "ENOBUFS",
    106: "EISCONN",
    107: "ENOTCONN",
    110: "ETIMEDOUT",
    111: "ECONNREFUSED",
    113: "EHOSTUNREACH",
    114: "EALREADY",
    115: "EINPROGRESS",
    116: "ESTALE",
    122: "EDQUOT",
    125: "ECANCELED",
}
"""Names of error numbers."""


@dataclass(slots=True)
class Declared:
    """One function as a guest declares it.

    `import_name` is what it imports; `params` are those of the import, the pointers for results (`outs`) included.
    `result` is its one core result, if it has any; with `optional` that is the errno.
    """

    name: str
    import_name: str
    doc: str
    params: list[Slot]
    outs: list[Slot]
    values: list[Slot]
    result: Type | None
    optional: bool
    why_not: str = ""
    """Why a guest cannot declare it, if it cannot."""

    @property
    def types(self) -> Iterator[Type]:
        """Every type of its signature."""
        for slot in (*self.params, *self.outs, *self.values):
            yield slot.type

    @property
    def uses_references(self) -> bool:
        """Whether it takes or gives references to host objects, which few languages have."""
        return any(isinstance(each, ExternRefType) for each in self.types)


@dataclass(slots=True)
class Interface:
    """One host module. `structs` come after the structs that they hold."""

    name: str
    doc: str
    functions: list[Declared]
    structs: list[StructType] = field(default_factory=list)
    enums: list[EnumType] = field(default_factory=list)
    errors: list[tuple[int, str, str]] = field(default_factory=list)
    """Number, name, and the exceptions that stand for it."""
    reached: list[Type] = field(default_factory=list)
    """Every type that is reached from the functions, after those that it is made of."""


def interface_of(host: Host) -> Interface:
    """Read a host module."""
    cls = host if isinstance(host, type) else type(host)
    doc = inspect.cleandoc(cls.__doc__ or "") if cls.__module__ != "hostmod.link" else ""
    functions = functions_of(host)
    found = Interface(name_of(host), doc, [_declared(function) for function in functions.values()])
    seen: set[Type] = set()
    for function in found.functions:
        for each in function.types:
            _reach(each, seen, found)
    numbers: dict[int, list[str]] = {}
    for offered in functions.values():
        for error, number in offered.plan.errors.items():
            if not isinstance(number, int):
                continue  # worked out for each exception: no one number stands for it
            names = numbers.setdefault(number, [])
            if error.__name__ not in names:
                names.append(error.__name__)
    found.errors = [
        (number, ERRNO_NAMES.get(number, f"E{number}"), ", ".join(names))
        for number, names in sorted(numbers.items())
    ]
    return found


def _declared(function: Function) -> Declared:
    plan = function.plan
    many = len(plan.result_types) > 1
    out = with_out_pointers(function) if many else None
    params = [slot for slot in plan.params if not isinstance(slot.type, CallerType)]
    outs = list(out.params[len(plan.params) :]) if out is not None else []
    why_not = ""
    if many and out is None:
        why_not = f"it has {len(plan.result_types)} results, and one of them has no place in memory"
    return Declared(
        name=function.name,
        import_name=out.name if out is not None else function.name,
        doc=function.doc,
        params=params,
        outs=outs,
        values=list(plan.results),
        result=None if many or not plan.results else plan.results[0].type,
        optional=plan.optional,
        why_not=why_not,
    )


def parts(type_: Type) -> Iterable[Type]:
    """Return the types that a type is made of."""
    if isinstance(type_, PointerType | ListType | ArrayType | FixedArrayType):
        return (type_.element,)
    if isinstance(type_, StructType):
        return [each.type for each in type_.fields]
    return ()


def _reach(type_: Type, seen: set[Type], found: Interface) -> None:
    if type_ in seen:
        return
    seen.add(type_)
    for part in parts(type_):
        _reach(part, seen, found)
    found.reached.append(type_)
    if isinstance(type_, StructType):
        found.structs.append(type_)
    if isinstance(type_, EnumType):
        found.enums.append(type_)


def doc_of(type_: StructType | EnumType) -> str:
    """Return the docstring of a struct's or enum's class, if its author wrote it."""
    text = type_.cls.__doc__ or ""
    if text.startswith(f"{type_.cls.__name__}(") or text in ("An enumeration.", ""):
        return ""
    return inspect.cleandoc(text)


def words(name: str) -> list[str]:
    """Split a name into lower-case words.

    >>> words("HTTPServer2"), words("find-me"), words("double_")
    (['http', 'server2'], ['find', 'me'], ['double'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    found = [part.lower() for part in re.split(r"[^A-Za-z0-9]+", spaced) if part]
    return found or ["_"]


def snake(name: str) -> str:
    """``find_me``."""
    return _start("_".join(words(name)))


def pascal(name: str) -> str:
    """``FindMe``."""
    return _start("".join(word[:1].upper() + word[1:] for word in words(name)))


def camel(name: str) -> str:
    """``findMe``."""
    text = "".join(word[:1].upper() + word[1:] for word in words(name))
    return _start(text[:1].lower() + text[1:])


def shout(name: str) -> str:
    """``FIND_ME``."""
    return _start("_".join(words(name)).upper())


def _start(text: str) -> str:
    return f"_{text}" if text[:1].isdigit() else text


class Names:
    """Names that are free, in one scope of a language with reserved words."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)

    def take(self, name: str) -> str:
        """Return the name, with as many underscores as it needs to be free, and keep it."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def comment(text: str, prefix: str) -> list[str]:
    """Make lines of a line comment."""
    return [f"{prefix} {line}".rstrip() for line in text.splitlines()]


def block(text: str) -> list[str]:
    """Make lines of a C block comment."""
    safe = text.replace("*/", "* /").replace("/*", "/ *").splitlines()
    if not safe:
        return []
    if len(safe) == 1:
        return [f"/* {safe[0]} */"]
    return [f"/* {safe[0]}", *(f" * {line}".rstrip() for line in safe[1:]), " */"]


def escaped(text: str, control: str = "\\x{number:02x}") -> str:
    """Put a name into double quotes, for languages with C's escapes; `control` is that of other control characters."""
    simple = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    chars = (
        simple.get(char)
        or (control.format(char=char, number=ord(char)) if char < " " or char == "\x7f" else char)
        for char in text
    )
    return f'"{"".join(chars)}"'


HEADER = "Written by `hostmod bindgen {language}`; what stands here follows the Python declaration."
"""The first line of every file."""
