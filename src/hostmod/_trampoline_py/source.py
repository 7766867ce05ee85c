"""Lines of generated code, and those that both directions have: core values from and to Python values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostmod import _wasmtime
from hostmod.plan import Slot

WORD = {"i32": "I", "i64": "Q", "f32": "f", "f64": "d"}
_WIDTH = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


class Source:
    """Lines of generated code, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.depth = 0

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def name(self, prefix: str, value: object) -> str:
        found = f"{prefix}{len(self.names)}"
        self.names[found] = value
        return found

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def item(index: int, format: str) -> str:
    """The expression of core value `index` in a view of one format."""
    return f"{format}[{index * _wasmtime.RAW_SIZE // _WIDTH[format]}]"


def words(slot: Slot, frame: str) -> str:
    """A tuple of the slot's core values, as GuestType.load_value takes them."""
    items = "".join(
        f"{frame}.{item(slot.index + at, WORD[core])}, " for at, core in enumerate(slot.type.core)
    )
    return f"({items})"


WIDENED: dict[str, str] = {"b": "i", "h": "i", "B": "I", "H": "I"}
"""The `struct` character of the core value that a narrower integer is returned as."""


def store_values(source: Source, slots: Sequence[Slot], names: Sequence[str], where: str, frame: str) -> None:
    """Add the lines that turn Python values into core values."""
    references: list[tuple[Slot, str]] = []
    for slot, name in zip(slots, names, strict=True):
        type_: Any = slot.type  # its code says which class it is of, and so what attributes it has
        code = type_.code
        here = source.name("slot", slot)
        if code in ("int", "duration"):
            format: str = type_.format
            view = WIDENED.get(format, format)
            if type_.size < 4:
                lines = [
                    f"narrow = {name} if type({name}) is int else index({name})",
                    f"if not {type_.low} <= narrow <= {type_.high}:",
                    "    raise OverflowError",
                    f"{frame}.{item(slot.index, view)} = narrow",
                ]
            else:
                lines = [f"{frame}.{item(slot.index, view)} = {name}"]
            guarded(source, lines, where, here, name)
        elif code == "float":
            pack = source.name("pack", type_.layout.pack_into)
            guarded(
                source, [f"{pack}({frame}.raw, {slot.index * _wasmtime.RAW_SIZE}, {name})"], where, here, name
            )
        elif code == "bool":
            check = source.name("check", type_.check)
            guarded(
                source,
                [f"{frame}.{item(slot.index, 'I')} = {name} if {name} is True else {check}({name})"],
                where,
                here,
                name,
            )
        elif code == "enum":
            number = source.name("number", type_.number)
            format = type_.base.format
            view = WIDENED.get(format, format)
            guarded(source, [f"{frame}.{item(slot.index, view)} = {number}({name})"], where, here, name)
        elif code == "externref":
            references.append((slot, name))
        else:
            store = source.name("store", type_.store_value)
            passing = "memory.failed" if frame == "s" else ""
            guarded(source, [f"words = {store}(memory, {name})"], where, here, name, passing)
            source.add(f"put_words({frame}, {where}, {here}, words)", "del words")  # they may be views
    if references:
        # Made last and together, by whoever called this: a raw reference is no root.
        source.add(f"references = ({''.join(f'{name}, ' for _, name in references)})")


def guarded(
    source: Source, lines: Sequence[str], where: str, slot: str, value: str, passing: str = ""
) -> None:
    """Add lines whose errors are about a value; all but the one that `passing` names, if it does."""
    source.add(
        "try:",
        *("    " + line for line in lines),
        "except (TypeError, ValueError, OverflowError, StructError) as error:",
        *((f"    if error is {passing}:", "        raise") if passing else ()),
        f"    raise bad_value({where}, {slot}, {value}, error) from error",
    )
