"""A guest's own allocator: which exports allocate and free, and with which arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import wasmtime

from hostmod.errors import DeclarationError, ExportMismatch, Mismatch
from hostmod.exported import export_caller

Expression = int | str | tuple[str, tuple[Any, ...]]
"""A number, one of the words, or a call: an export's name, and its arguments."""

ALLOCATE = ("size", "align")
FREE = ("pointer", "size", "align")
"""The words that the arguments of an allocator's exports are made of. Sizes and alignments are in bytes."""

_TOKEN = re.compile(r"\s*([(),]|[^\s(),]+)")


def parse(text: str, words: Sequence[str], where: str) -> Expression:
    """Read what an allocator's export is called with: ``"malloc"``, ``"__pin(__new(size, 1))"``.

    Raises:
        DeclarationError: it is neither a name nor a call of one, or has arguments that are no words and no numbers.
    """
    tokens = [match[1] for match in _TOKEN.finditer(text)]

    def refuse() -> DeclarationError:
        call = "free(pointer, size)" if "pointer" in words else "realloc(0, 0, align, size)"
        return DeclarationError(
            where,
            f"{text!r}",
            f"an export's name, or a call of one with {', '.join(words)} and numbers",
            f'write "malloc", or "{call}"',
        )

    def at(*expected: str) -> bool:
        return bool(tokens) and tokens[0] in expected

    def read() -> Expression:
        if not tokens or at("(", ")", ","):
            raise refuse()
        name = tokens.pop(0)
        if not at("("):
            return int(name) if name.lstrip("-").isdecimal() else name
        arguments: list[Any] = []
        while at("(", ","):
            tokens.pop(0)
            if at(")") and not arguments:
                break
            arguments.append(read())
            if isinstance(arguments[-1], str) and arguments[-1] not in words:
                raise refuse()
        if not at(")"):
            raise refuse()
        tokens.pop(0)
        return name, tuple(arguments)

    found = read()
    if tokens or isinstance(found, int):
        raise refuse()
    return found


class Recipe:
    """What a class declares of its guest's allocator: two expressions, and whether the author wrote them."""

    __slots__ = ("allocate", "allocate_given", "free", "free_given")

    def __init__(self, allocate: Expression = "malloc", free: Expression = "free") -> None:
        self.allocate = allocate
        self.free = free
        self.allocate_given = self.free_given = False

    def changed(self, allocate: str | None, free: str | None, where: str) -> Recipe:
        """Return one with another expression for what is not None; errors as of `parse`."""
        made = Recipe(self.allocate, self.free)
        made.allocate_given, made.free_given = self.allocate_given, self.free_given
        if allocate is not None:
            made.allocate = parse(allocate, ALLOCATE, f"{where} allocate=")
            made.allocate_given = True
        if free is not None:
            made.free = parse(free, FREE, f"{where} free=")
            made.free_given = True
        return made


class Allocator:
    """A guest's own allocator, as its class declares it."""

    __slots__ = ("_allocate", "_free", "name")

    def __init__(
        self,
        recipe: Recipe,
        store: Any,
        look_up: Callable[[str], Any],
        where: str,
        wrong: list[Mismatch],
    ) -> None:
        """Find its exports. What the author named and the guest lacks, or takes other arguments, goes to `wrong`."""
        calls = _Calls(store, look_up, where, wrong)
        self.name = recipe.allocate if isinstance(recipe.allocate, str) else recipe.allocate[0]  # type: ignore[index]
        self._allocate = calls.make(recipe.allocate, ALLOCATE, recipe.allocate_given, "allocate")
        self._free = calls.make(recipe.free, FREE, recipe.free_given, "free")

    @property
    def allocates(self) -> bool:
        """Whether the guest has what allocates."""
        return self._allocate is not None

    @property
    def frees(self) -> bool:
        """Whether the guest has what frees."""
        return self._free is not None

    def allocate(self, size: int, align: int) -> int:
        """Allocate; returns the address, 0 if there is no room."""
        assert self._allocate is not None  # as `allocates` says
        return int(self._allocate(size, align)) & 0xFFFFFFFF

    def free(self, offset: int, size: int, align: int) -> None:
        """Free what was allocated; nothing happens in a guest that has no export for it."""
        if self._free is not None:
            self._free(offset, size, align)


class _Calls:
    """Makes callables of expressions."""

    def __init__(self, store: Any, look_up: Callable[[str], Any], where: str, wrong: list[Mismatch]) -> None:
        self._store = store
        self._look_up = look_up
        self._where = where
        self._wrong = wrong

    def make(
        self, expression: Expression, words: Sequence[str], given: bool, name: str
    ) -> Callable[..., Any] | None:
        """Make a callable of the words' values; None if the guest lacks an export of it."""
        if isinstance(expression, str):
            function = self._function(expression, given, name)
            if function is None:
                return None
            count = len(function.type(self._store).params)
            if not 1 <= count <= len(words):
                shape = f"{expression}({', '.join(words)})"
                self._refuse(
                    expression, f"1 to {len(words)} arguments, such as {shape}", f"{count} of them", name
                )
                return None
            call = export_caller(name, self._store, function)
            return lambda *values: call(*values[:count])
        value = self._compile(expression, words, given, name)
        return None if value is None else lambda *values: value(dict(zip(words, values, strict=True)))

    def _compile(
        self, expression: Any, words: Sequence[str], given: bool, name: str
    ) -> Callable[[dict[str, int]], int] | None:
        if isinstance(expression, int):
            return lambda values: expression
        if isinstance(expression, str):
            return lambda values: values[expression]
        export, arguments = expression
        function = self._function(export, given, name)
        parts = [self._compile(each, words, given, name) for each in arguments]
        if function is None or None in parts:
            return None
        count = len(function.type(self._store).params)
        if count != len(arguments):
            self._refuse(export, f"{len(arguments)} arguments", f"{count} of them", name)
            return None
        call = export_caller(name, self._store, function)
        return lambda values: call(*(part(values) for part in parts))  # type: ignore[misc]  # None was seen above

    def _function(self, export: str, given: bool, name: str) -> wasmtime.Func | None:
        found = self._look_up(export)
        if isinstance(found, wasmtime.Func):
            return found
        if given:
            self._refuse(export, f"an export that {name}s", None, name)
        return None

    def _refuse(self, export: str, wanted: str, found: str | None, name: str) -> None:
        advice = f"{name}= of the class names it" if found is None else f'write {name}="{export}(...)"'
        self._wrong.append(ExportMismatch(self._where, export, wanted, found, advice))
