"""The source of a function that calls a guest's export."""

from __future__ import annotations

from typing import Any

from hostmod._trampoline_py.source import Source, item, store_values, words
from hostmod.plan import Plan, Slot


def render_guest(plan: Plan) -> tuple[str, dict[str, Any]]:
    """Write the source of a function that calls a guest's export, and the names it refers to.

    The source is the same for all exports of one form: what differs is among the names, `WHERE` for one.
    """
    source = Source()
    names = [f"p{position}" for position in range(len(plan.params))]
    references = any(slot.type.code == "externref" for slot in (*plan.params, *plan.results))
    memory = any(
        slot.type.code not in ("int", "float", "bool", "duration", "enum", "externref")
        for slot in (*plan.params, *plan.results)
    )
    source.add(f"def call({', '.join(names)}):")
    source.depth = 1
    source.add("try:", "    s = pool.pop()", "except IndexError:", "    s = new_slots()")
    if references:
        source.add("context = context_of()")
    if memory:
        source.add("context_of()", "memory = new_memory()", "try:")
        source.depth += 1
    store_values(source, plan.params, names, "WHERE", "s")
    source.add(
        "headroom()",
        "here = context_of() if lent else 0",
        "watching = here != 0 and lends(here)",
        "me = get_ident()",
        "if guard.depth and guard.owner != me:",
        "    raise StoreBusyError(WHERE)",
        # From the check on no other thread has a turn and no signal is handled: the end gives back all of it.
        "guard.owner = me",
        "guard.depth += 1",
        "try:",
        "    if watching:",
        "        watched.append(here)",
        "    error = invoke(store._context(), function, s.address, WORDS, s.trap_address)",
        "except ValueError:",
        "    raise closed(WHERE) from None",
        "finally:",
        "    guard.depth -= 1",
        "    if watching:",
        "        watched.remove(here)",
        "if lent or native_lends():",
        "    try:",
        "        moved(context_of())",
        "    except ViewEscapedError:",
        "        if error is None and not s.trap[0]:",  # else what ended the call says more
        "            raise",
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
        source.add(f"{name} = externref_from_raw(context, s.{item(slot.index, 'I')})")
    else:
        memory = "None" if code in ("duration", "enum") else "memory"
        source.add(f"{name} = {source.name('load', type_.load_value)}({memory}, {words(slot, 's')})")
