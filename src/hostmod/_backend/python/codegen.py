"""Writes Python source for a `Plan`: the callback of a host function, and the call of a guest's export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostmod import _wasmtime
from hostmod.plan import Plan, Slot
from hostmod.types.scalar import ERRNO

FORMATS = {"i32": "I", "i64": "Q", "f32": "f", "f64": "d"}
_WIDTH = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


class Lines:
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


def core_values_of(slot: Slot, frame: str) -> str:
    """A tuple of the slot's core values, as GuestType.load_value takes them."""
    items = "".join(
        f"{frame}.{item(slot.index + at, FORMATS[core])}, " for at, core in enumerate(slot.type.core)
    )
    return f"({items})"


class Place:
    """The place of one slot's value in generated code: the `Code` that its guest type writes with."""

    def __init__(self, source: Lines, slot: Slot, value: str, where: str, frame: str) -> None:
        self.source = source
        self.slot = slot
        self.value = value
        self.where = where
        self.frame = frame
        self.memory = "memory"
        self.in_place = False
        self.deferred = False

    def core(self, index: int, format: str) -> str:
        return f"{self.frame}.{item(self.slot.index + index, format)}"

    def core_values(self) -> str:
        return core_values_of(self.slot, self.frame)

    def slots(self) -> str:
        return f"{self.frame}.raw, {self.slot.index * _wasmtime.RAW_SIZE}"

    def name(self, prefix: str, value: object) -> str:
        return self.source.name(prefix, value)

    def add(self, *lines: str) -> None:
        self.source.add(*lines)

    def guarded(self, *lines: str) -> None:
        self.add(*lines)

    def range(self, step: int) -> str:
        raise TypeError("a range of bytes is read in place for parameters of host functions only")

    def view(self, format: str) -> None:
        raise TypeError("bytes are shown in place for parameters of host functions only")

    def store_by(self, function: str) -> None:
        raise TypeError("a value is stored where it is an argument or a result")

    def defer(self) -> None:
        self.deferred = True


class Stored(Place):
    """A value that becomes core values: what a host function returned, or an argument of a guest's export."""

    def __init__(self, source: Lines, slot: Slot, value: str, where: str, frame: str, memory: bool) -> None:
        super().__init__(source, slot, value, where, frame)
        self.memory = "memory" if memory else "None"
        self._slot_name = source.name("slot", slot)

    def guarded(self, *lines: str) -> None:
        guarded(self.source, lines, self.where, self._slot_name, self.value)

    def store_by(self, function: str) -> None:
        # What failed in the guest's allocator, while an argument was copied into its memory, is not about the value.
        passing = "memory.failed" if self.frame == "s" and self.memory == "memory" else ""
        line = f"core_values = {function}({self.memory}, {self.value})"
        guarded(self.source, [line], self.where, self._slot_name, self.value, passing)
        self.add(
            f"put_core_values({self.frame}, {self.where}, {self._slot_name}, core_values)", "del core_values"
        )  # they may be views


class Parameter(Place):
    """A host function's parameter, made from core values."""

    def __init__(self, source: Lines, slot: Slot, value: str, where: str, memory: bool) -> None:
        super().__init__(source, slot, value, where, "f")
        self.in_place = True
        self.memory = "memory" if memory else "None"
        self._has_memory = memory

    def guarded(self, *lines: str) -> None:
        self.add(
            "try:",
            *("    " + line for line in lines),
            "except ConversionError as error:",
            f"    raise bad_value({self.where}, {self.name('slot', self.slot)}, None, error) from error",
        )

    def range(self, step: int) -> str:
        self.add(
            f"o = {self.core(0, 'I')}",
            f"n = {self.core(1, 'I')}" + (f" * {step}" if step != 1 else ""),
            "if o + n > size:",
            "    raise SegmentationFault(o, n, size)",
        )
        return "data[o : o + n]"

    def view(self, format: str) -> None:
        if self._has_memory:
            self.add(f"{self.value} = memory._elements(o, n, {format!r})")
        else:
            cast = f".cast({format!r})" if format != "B" else ""
            self.add(
                "if views is None:",
                f"    {self.value} = root[o : o + n]{cast}",
                "else:",
                f"    {self.value} = view_of(f, views, o, o + n, {format!r})",
            )


def store_values(
    source: Lines, slots: Sequence[Slot], names: Sequence[str], where: str, frame: str, memory: bool
) -> None:
    """Add the lines that turn Python values into core values."""
    references: list[str] = []
    for slot, name in zip(slots, names, strict=True):
        place = Stored(source, slot, name, where, frame, memory)
        slot.type.write_store(place)
        if place.deferred:
            references.append(name)
    if references:
        # Made last and together, by whoever called this: a raw reference is no root.
        source.add(f"references = ({''.join(f'{name}, ' for name in references)})")


def guarded(
    source: Lines, lines: Sequence[str], where: str, slot: str, value: str, passing: str = ""
) -> None:
    """Add lines whose errors are about a value; all but the one that `passing` names, if it does."""
    source.add(
        "try:",
        *("    " + line for line in lines),
        "except (TypeError, ValueError, OverflowError, StructError) as error:",
        *((f"    if error is {passing}:", "        raise") if passing else ()),
        f"    raise bad_value({where}, {slot}, {value}, error) from error",
    )


_SIZE = (
    "data = window.view",
    "size = window.size",
    "if size < 0:",
    "    window, data, size = f.take_memory_again()",
)
"""Lines that ask a window for its view and size. One on memory that can move may have ended just now, by Python code
that let the guest run: it is made again. What is read in place is read by `data`, which ends when the guest runs."""


def render_host(plan: Plan, fixed_memory: bool = False) -> tuple[str, dict[str, Any]]:
    """Write the source of a plan's callback, and the names it refers to."""
    source = Lines()
    where = repr(plan.where)
    reads = any(slot.type.facts.in_place for slot in plan.params)
    memory = any(slot.type.facts.memory for slot in (*plan.params, *plan.results))
    references = any(slot.type.facts.reference for slot in (*plan.params, *plan.results))
    callers = _variables(plan, "caller")
    shown = _variables(plan, "view")
    # Where a CallMemory exists it keeps account of the views; where none does, the generated code does so itself.
    views = bool(shown) and not memory

    source.add("def trampoline(env, caller, stack, count):", "    try:")
    source.depth = 2
    source.add("here.used = stack")
    source.add("try:", "    f = frames[stack]", "except KeyError:", "    f = new_frame(stack)")
    if references:
        source.add("references = None", "context = caller_context(caller)")
        _root_params(source, plan)
    if reads or memory:
        source.add("if caller != f.caller:", "    f.called_by(caller)")
    if reads:
        if fixed_memory:
            source.add("window = locator.locate(f)")
        else:
            source.add(
                "if not export_get(f.caller_argument, f.name_argument, f.length_argument, f.item_argument):",
                "    raise locator.missing()",
                "key = f.item.tobytes()",
                "window = f.window",
                "if key != f.key or window.size != data_size(f.context_argument, f.memory_argument):",
                "    window = f.take_memory(key)",
            )
        source.add(*_SIZE)
    if memory:
        source.add(
            "memory = new(CallMemory)",
            "memory._owner = get_ident()",
            "memory._frame = f",
            f"memory._found = {reads}",
            "memory._views = []",
        )
    source.add(*(f"{name} = None" for name in (*shown, *callers)))
    if views:
        # What Views does, without the cost of its calls, but for a memory that can move.
        source.add(
            "views = root = None",
            "if window.moves:",
            "    views = []",
            "else:",
            "    array = window.exporter.from_address(window.base)",
            "    array.keeper = window.keeper",
            "    alive = ref(array)",
            "    root = memoryview(array).cast('B')",
            "    array = None",
        )
    cleanup = bool(memory or views or callers)
    if cleanup:
        source.add("try:")
        source.depth += 1
    users = False
    for position, slot in enumerate(plan.params):
        if users and slot.type.facts.in_place:
            # Code of the user's has run since the memory was looked at: it may have let the guest grow it.
            source.add("window = locator.locate(f)", *_SIZE)
        slot.type.write_load(Parameter(source, slot, f"p{position}", where, memory))
        users = users or not slot.type.facts.known
    arguments = ", ".join(f"p{position}" for position in range(len(plan.params)))
    if plan.optional:
        source.add("try:", f"    result = env[0]({arguments})", "except BaseException as error:")
        source.depth += 1
        source.add(f"number = as_errno(error, {source.name('errors', dict(plan.errors))})")
        source.add("if number is None:", "    raise")
        source.add("result = None")
        source.depth -= 1
        source.add("else:", "    number = 0")
        source.add("if number == 0:")
        source.depth += 1
        _store_results(source, plan, "f", memory)
        source.add(f"f.{item(plan.errno_index, 'i')} = 0")
        source.depth -= 1
        source.add("else:")
        source.depth += 1
        for slot in plan.results:
            for at in range(len(slot.type.core)):
                source.add(f"f.{item(slot.index + at, 'Q')} = 0")
        errno = source.name("slot", Slot("errno", ERRNO, plan.errno_index))
        guarded(source, [f"f.{item(plan.errno_index, 'i')} = number"], where, errno, "number")
        source.depth -= 1
    else:
        source.add(f"result = env[0]({arguments})")
        _store_results(source, plan, "f", memory)
    if cleanup:
        source.add(*_ending(plan, memory, views, where, False))
        source.depth -= 1
        # Also where a signal has come in between: ending can be done again.
        source.add(
            "except BaseException:",
            *("    " + line for line in _ending(plan, memory, views, where, True)),
            "    raise",
        )
    returned = [slot for slot in plan.results if slot.type.facts.reference]
    if returned:
        # The last thing that is done, since a raw reference is no root.
        source.add("if references is not None:", "    raws = hold_raws(context, references)")
        source.add(
            *(f"    f.{item(slot.index, 'I')} = raws[{position}]" for position, slot in enumerate(returned))
        )
    source.add("return 0")
    source.depth = 1
    source.add(
        # Without a call, first: at the end of Python's stack none works.
        "except BaseException as error:",
        "    raised.error = error",
        "    raised.message = SPARE_TEXT",
        "    try:",
        f"        return trap({where}, error)",
        "    except Exception:",
        "        pass",
        "    except BaseException as interrupt:",
        "        raised.error = interrupt",
        "        raised.message = SPARE_TEXT",
        "    pointer = SPARES[-1]",
        "    del SPARES[-1]",
        "    return pointer",
    )
    return source.text, source.names


def _variables(plan: Plan, fact: str) -> list[str]:
    """The variables of the parameters whose guest types have a fact."""
    return [f"p{at}" for at, slot in enumerate(plan.params) if getattr(slot.type.facts, fact)]


def _ending(plan: Plan, memory: bool, views: bool, where: str, raised: bool) -> list[str]:
    """Lines that end what a call handed out.

    First what ends it for good, which no signal can come in between, since nothing is called; then the views, and again
    if a signal does come in between.
    """
    callers = _variables(plan, "caller")
    lines: list[str] = []
    if memory:
        lines.append("memory._frame = None")
    for name in callers:
        lines += [f"if {name} is not None:", f"    {name}._make = None"]
    handed = _variables(plan, "view")
    if not raised and plan.results:  # what was returned may show memory
        handed.append("result")
        handed += [f"r{at}" for at in range(len(plan.results)) if plan.is_tuple]
        handed += ["core_values"] if memory else []
    shown_here = _variables(plan, "view")
    if views and raised:
        lines.append(f"end_plain(({', '.join(shown_here)},), root, views)")
    elif views:
        for name in shown_here:
            lines += ["try:", f"    {name}.release()", "except BufferError:", "    pass"]
    if handed:
        lines.append(f"{' = '.join(handed)} = None")
    if views:
        if not raised:
            lines += [
                "if views is None:",
                "    root.release()",
                "    if alive() is not None:",
                f"        raise ViewEscapedError({where})",
                "elif not end_all(views):",
                f"    raise ViewEscapedError({where})",
            ]
        if not callers:
            return lines
    shown = "memory._views" if memory else "()"
    ended = f"({', '.join(callers)},)" if callers else "()"
    if raised:
        lines.append(f"end_raised({shown}, {ended}, {where})")
    else:
        conditions = [shown] if memory else []
        conditions += [f"{name}._made is not None" for name in callers]
        lines += [f"if {' or '.join(conditions)}:", f"    end_call({shown}, {ended}, {where}, False)"]
    return lines


def _root_params(source: Lines, plan: Plan) -> None:
    """Add the lines that root the references among the parameters, before any other object is made.

    A raw reference is no root: whatever is made can run Python's collector, which can run a finalizer, which can let
    the guest's collector take what the reference is to.
    """
    raws = [f"f.{item(slot.index, 'I')}" for slot in plan.params if slot.type.facts.reference]
    if raws:
        source.add(f"rooted = root_all(context, ({', '.join(raws)},))")


def _store_results(source: Lines, plan: Plan, frame: str, memory: bool) -> None:
    """Add the lines that check what a function returned and store it."""
    where = repr(plan.where)
    if not plan.results:
        if plan.is_tuple:
            source.add("if result != ():", f"    raise bad_tuple({where}, result, 0)")
        else:
            source.add("if result is not None:", f"    raise bad_none({where}, result)")
        return
    if plan.is_tuple:
        names = [f"r{position}" for position in range(len(plan.results))]
        source.add(
            f"if type(result) is not tuple or len(result) != {len(names)}:",
            f"    result = plain_tuple({where}, result, {len(names)})",
            f"{', '.join(names)}, = result",
        )
    else:
        names = ["result"]
    store_values(source, plan.results, names, where, frame, memory)


def render_guest(plan: Plan, native_guard: bool = False) -> tuple[str, dict[str, Any]]:
    """Write the source of a function that calls a guest's export, and the names it refers to.

    The source is the same for all exports of one form: what differs is among the names, `WHERE` for one.
    `native_guard` says that stores are guarded by the C backend's guards, which are left by letting an `Entered` go.
    """
    source = Lines()
    names = [f"p{position}" for position in range(len(plan.params))]
    memory = any(slot.type.facts.memory or slot.type.facts.in_place for slot in (*plan.params, *plan.results))
    source.add(f"def call({', '.join(names)}):")
    source.depth = 1
    source.add("try:", "    s = pool.pop()", "except IndexError:", "    s = new_slots()")
    if memory:
        source.add("context_of()", "memory = new_memory()", "try:")
        source.depth += 1
    store_values(source, plan.params, names, "WHERE", "s", memory)
    passed = [slot for slot in plan.params if slot.type.facts.reference]
    returned = [item(slot.index, "I") for slot in plan.results if slot.type.facts.reference]
    if passed:
        source.add("passed = None")
    if native_guard:
        source.add("used = here.used", "entered = Entered(guard, WHERE)")
    else:
        source.add("used, first = enter(guard, WHERE)")
    source.add(
        "try:",
        "    context = guard.context",
        "    if not context:",
        "        raise store_closed(WHERE)",
    )
    if returned:
        # Rooted by the first thing that is done with them, with all that it needs made before: a raw reference is no
        # root, and whatever runs in between can let the guest's collector take what it is to.
        places = ", ".join(each[2:-1] for each in returned)
        source.add(
            f"    returned = new_roots({len(returned)})",
            f"    raws = map(s.I.__getitem__, ({places},))",
            "    roots = map(from_raw, repeat(context), raws, returned[1])",
        )
    if passed:
        source.add(
            "    passed = make_roots(context, references)",
            "    passing = raws_of(context, passed, references)",
        )
        source.add(
            *(f"    s.{item(slot.index, 'I')} = passing[{position}]" for position, slot in enumerate(passed))
        )
    source.add("    error = invoke(context, function, s.address, COUNT, s.trap_address)")
    if returned:
        source.add(
            "    if error is None and not s.trap[0]:",
            "        any(roots)",  # makes all of them: from_raw returns None
            f"        rooted = objects_of(context, returned, ({', '.join(f's.{each}' for each in returned)},))",
        )
    source.add("finally:")
    if native_guard:
        source.add("    here.used = used", "    entered = None")
    else:
        # Without a call, so that no signal can come in between.
        source.add(
            "    guard.depth -= 1",
            "    here.used = used",
            "    if first:",
            "        del claim[0]",
        )
    if passed:
        source.add("    unroot(context, passed)")
    source.add("if here.held:", "    release(used)", "if dropped:", "    drop()")
    source.add(
        "if error is not None or s.trap[0]:",
        "    pointer = s.trap[0]",
        "    s.trap[0] = 0",
        "    reraise(failure(error, pointer))",
    )
    if memory:
        source.add("memory.returned()")
    if plan.optional:
        source.add(f"number = s.{item(plan.errno_index, 'i')}", "if number:", "    raise ErrnoError(number)")
    for position, slot in enumerate(plan.results):
        place = Place(source, slot, f"r{position}", "WHERE", "s")
        place.memory = "memory" if memory else "None"
        slot.type.write_load(place)
    if memory:
        source.depth -= 1
        source.add("except BaseException as error:", "    memory.free(error)", "    raise", "memory.free()")
    source.add("pool.append(s)")
    results = [f"r{position}" for position in range(len(plan.results))]
    source.add(
        f"return ({', '.join(results)},)"
        if plan.is_tuple and results
        else f"return {results[0] if results else ('()' if plan.is_tuple else 'None')}"
    )
    return source.text, source.names
