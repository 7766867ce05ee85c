"""The source of a function that calls a guest's export."""

from __future__ import annotations

from typing import Any

from hostmod._trampoline_py.source import Source, item, store_values, words
from hostmod.plan import Plan, Slot


def render_guest(plan: Plan, native_guard: bool = False) -> tuple[str, dict[str, Any]]:
    """Write the source of a function that calls a guest's export, and the names it refers to.

    The source is the same for all exports of one form: what differs is among the names, `WHERE` for one.
    `native_guard` says that stores are guarded by the C backend's guards, which are left by letting an `Entered` go.
    """
    source = Source()
    names = [f"p{position}" for position in range(len(plan.params))]
    memory = any(
        slot.type.code not in ("int", "float", "bool", "duration", "enum", "externref")
        for slot in (*plan.params, *plan.results)
    )
    source.add(f"def call({', '.join(names)}):")
    source.depth = 1
    source.add("try:", "    s = pool.pop()", "except IndexError:", "    s = new_slots()")
    if memory:
        source.add("context_of()", "memory = new_memory()", "try:")
        source.depth += 1
    store_values(source, plan.params, names, "WHERE", "s")
    passed = [slot for slot in plan.params if slot.type.code == "externref"]
    returned = [item(slot.index, "I") for slot in plan.results if slot.type.code == "externref"]
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
        "        raise closed(WHERE)",
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
    source.add("    error = invoke(context, function, s.address, WORDS, s.trap_address)")
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
    if plan.optional:
        source.add(f"number = s.{item(plan.errno_index, 'i')}", "if number:", "    raise ErrnoError(number)")
    for position, slot in enumerate(plan.results):
        _load_result(source, position, slot)
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


def _load_result(source: Source, position: int, slot: Slot) -> None:
    type_: Any = slot.type  # its code says which class it is of, and so what attributes it has
    code, name = type_.code, f"r{position}"
    if code in ("int", "float"):
        source.add(f"{name} = s.{item(slot.index, type_.format)}")
    elif code == "bool":
        source.add(f"{name} = s.{item(slot.index, 'I')} != 0")
    elif code == "externref":
        source.add(f"{name} = rooted.pop()")
    else:
        memory = "None" if code in ("duration", "enum") else "memory"
        source.add(f"{name} = {source.name('load', type_.load_value)}({memory}, {words(slot, 's')})")
