"""The source of a host function's callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostmod._trampoline_py.source import Source, guarded, item, store_values, words
from hostmod.plan import Plan, Slot
from hostmod.types.scalar import ERRNO


def _reads_memory(slot: Slot) -> bool:
    return slot.type.code in ("string", "bytes", "array")


def _uses_call_memory(slot: Slot) -> bool:
    return slot.type.code in ("pointer", "pointer?", "list", "cstring", "caller", "")


def render_host(plan: Plan, fixed_memory: bool = False) -> tuple[str, dict[str, Any]]:
    """Write the source of a plan's callback, and the names it refers to."""
    source = Source()
    where = repr(plan.where)
    reads = any(_reads_memory(slot) for slot in plan.params)
    caller_slots = [slot for slot in plan.params if slot.type.code == "caller"]
    memory = any(_uses_call_memory(slot) for slot in (*plan.params, *plan.results))
    references = any(slot.type.code == "externref" for slot in (*plan.params, *plan.results))
    # Where a CallMemory exists it keeps account of the views; where none does, the generated code does so itself.
    views = [] if memory else [slot for slot in plan.params if slot.type.code in ("bytes", "array")]

    source.add("def trampoline(env, caller, stack, count):", "    try:")
    source.depth = 2
    source.add("if watched:", "    moved(caller_context(caller))")
    source.add("try:", "    f = frames[stack]", "except KeyError:", "    f = new_frame(stack)")
    if references:
        source.add("context = caller_context(caller)")
    if reads or memory:
        source.add("if caller != f.caller:", "    f.called_by(caller)")
    if reads:
        if fixed_memory:
            source.add("locator.locate(f)")
        else:
            source.add(
                "if not export_get(f.caller_argument, f.name_argument, f.length_argument, f.item_argument):",
                "    raise locator.missing()",
                "key = f.item.tobytes()",
                "if key != f.key or f.size != data_size(f.context_argument, f.memory_argument):",
                "    f.adopt(key)",
            )
        source.add("size = f.size")
    if memory:
        source.add(
            "memory = new(CallMemory)",
            "memory._owner = get_ident()",
            "memory._frame = f",
            f"memory._found = {reads}",
        )
    source.add(
        *(
            f"p{position} = None"
            for position, slot in enumerate(plan.params)
            if slot.type.code in ("bytes", "array", "caller")
        )
    )
    cleanup = bool(memory or views or caller_slots)
    if cleanup:
        source.add("try:")
        source.depth += 1
    if views:
        source.add("lent[stack] = f")
    users = False
    for position, slot in enumerate(plan.params):
        if users and _reads_memory(slot):
            # Code of the user's has run since the memory was looked at: it may have let the guest grow it.
            source.add("locator.locate(f)", "size = f.size")
        _load_param(source, position, slot, where, memory)
        users = users or slot.type.code == ""
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
        _store_results(source, plan, "f")
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
        _store_results(source, plan, "f")
    if cleanup:
        source.depth -= 1
        ends = _ending(plan, memory, views, where)
        source.add("except BaseException as error:")
        source.add(*("    " + line for line in ends("error")), "    raise")
        source.add("else:")
        source.add(*("    " + line for line in ends("None")))
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


def _ending(plan: Plan, memory: bool, views: list[Slot], where: str) -> Callable[[str], list[str]]:
    """Lines that end what a call lent; `error` is the name of what it raised, or None.

    First what ends it for good, which no signal can come in between, since nothing is called; then the slow part, if
    there is one, and again if a signal does come in between.
    """
    callers = [f"p{at}" for at, slot in enumerate(plan.params) if slot.type.code == "caller"]
    returned = [
        "result",
        *(f"r{at}" for at in range(len(plan.results)) if plan.is_tuple),
        *(["words"] if memory else ()),
    ]
    lent = [f"p{at}" for at, slot in enumerate(plan.params) if slot.type.code in ("bytes", "array")]

    def lines(error: str) -> list[str]:
        raised = error != "None"
        found: list[str] = []
        if memory:
            found.append("memory._frame = None")
        for name in callers:
            found += [f"if {name} is not None:", f"    {name}._make = None"]
        if not raised and plan.results:  # what was returned may show memory
            found.append(f"{' = '.join(returned)} = None")
        if raised and lent:
            found.append(f"views = ({', '.join(lent)},)")
        if lent:
            found.append(f"{' = '.join(lent)} = None")
        if memory:
            found += ["shown = stack in lent", "if shown:", "    del lent[stack]"]
        elif views:
            found += ["if stack in lent:", "    del lent[stack]"] if raised else ["del lent[stack]"]
        conditions: list[str] = []
        shown = "refcount(f.buffer) > FREE or refcount(f.whole) > FREE"
        if raised and (memory or views):
            conditions.append("shown" if memory else "True")
        elif memory:
            conditions.append(f"shown and (f.outlived or {shown})")
        elif views:
            conditions.append(shown)
        conditions += [
            f"{name} is not None and {name}._made is not None" if raised else f"{name}._made is not None"
            for name in callers
        ]
        arguments = ", ".join(
            (
                "f",
                where,
                error,
                "views" if raised and lent else "()",
                f"({', '.join(callers)},)" if callers else "()",
            )
        )
        found += [
            "try:",
            *(
                [f"    end_call({arguments})"]
                if "True" in conditions
                else [f"    if {' or '.join(conditions)}:", f"        end_call({arguments})"]
            ),
            "except ViewEscapedError:",
            "    raise",
            "except BaseException as interrupt:",
            f"    end_again(interrupt, {arguments})",
            "    raise",
        ]
        return found

    return lines


def _load_param(source: Source, position: int, slot: Slot, where: str, memory: bool) -> None:
    """Add the lines that turn a parameter's core values into its Python value."""
    type_: Any = slot.type  # its code says which class it is of, and so what attributes it has
    code, name = type_.code, f"p{position}"
    if code in ("int", "float"):
        source.add(f"{name} = f.{item(slot.index, type_.format)}")
    elif code == "bool":
        source.add(f"{name} = f.{item(slot.index, 'I')} != 0")
    elif code == "duration":
        source.add(f"{name} = Duration(f.{item(slot.index, 'q')})")
    elif code == "enum":
        _load_guarded(
            source,
            f"{name} = {source.name('member', type_.member)}(f.{item(slot.index, type_.base.format)})",
            where,
            slot,
        )
    elif code == "pointer":
        # What Pointer(memory, offset, type) does, without the cost of its call.
        source.add(
            f"{name} = new(Pointer)",
            f"{name}.memory = memory",
            f"{name}.offset = f.{item(slot.index, 'I')}",
            f"{name}.type = {source.name('type', type_.element)}",
        )
    elif code == "externref":
        source.add(f"{name} = externref_from_raw(context, f.{item(slot.index, 'I')})")
    elif code == "caller":
        source.add(f"{name} = Caller(memory, partial(raw_caller, memory))")
    elif code in ("string", "bytes", "array"):
        step = type_.step if code != "string" else 1
        source.add(
            f"o = f.{item(slot.index, 'I')}",
            f"n = f.{item(slot.index + 1, 'I')}" + (f" * {step}" if step != 1 else ""),
            "if o + n > size:",
            "    raise SegmentationFault(o, n, size)",
        )
        if code == "string":
            policy = "" if type_.errors == "strict" else f", {type_.errors!r}"
            source.add(
                "try:",
                f"    {name} = str(f.window[o : o + n], 'utf-8'{policy})",
                "except UnicodeDecodeError as error:",
                "    raise invalid_string(o, f.window[o : o + n], error) from None",
            )
        else:
            cast = f".cast({type_.format!r})" if type_.format != "B" else ""
            source.add(f"{name} = {'memory.view(o, n)' if memory else 'f.window[o : o + n]'}{cast}")
    else:
        _load_guarded(
            source,
            f"{name} = {source.name('load', type_.load_value)}(memory, {words(slot, 'f')})",
            where,
            slot,
        )


def _load_guarded(source: Source, line: str, where: str, slot: Slot) -> None:
    here = source.name("slot", slot)
    source.add(
        "try:",
        "    " + line,
        "except ConversionError as error:",
        f"    raise bad_value({where}, {here}, None, error) from error",
    )


def _store_results(source: Source, plan: Plan, frame: str) -> None:
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
    store_values(source, plan.results, names, where, frame)
