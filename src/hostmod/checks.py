"""Compares what a guest imports with what host modules offer, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import wasmtime

from hostmod import _wasmtime
from hostmod.declaration import Agreed, Declaration, Function, Functions, find_function
from hostmod.errors import LinkError, Mismatch
from hostmod.plan import signature


class Offers(Protocol):
    """Something that offers functions under one module name: a class of host modules, or a module of functions."""

    @property
    def name(self) -> str:
        """The module name that guests import from."""
        ...

    @property
    def functions(self) -> Functions:
        """Its functions by name."""
        ...

    @property
    def _agreed(self) -> Agreed: ...


Offer = Declaration | type[Declaration] | Offers
"""What functions can be offered from: an instance of a host module, its class, or a module of functions."""


def offered_by(host: Offer) -> type[Declaration] | Offers:
    """Return what a host's functions are declared in: an instance may have attributes of any name."""
    return type(host) if isinstance(host, Declaration) else host


def name_of(host: Offer) -> str:
    """Return the module name that guests import from, whatever an instance keeps in an attribute of that name."""
    return offered_by(host).name


def functions_of(host: Offer) -> Functions:
    """Return what a host module offers by name, whatever an instance keeps in an attribute `functions`."""
    return offered_by(host).functions


def core_signature(type_: wasmtime.FuncType) -> str:
    """Spell a function type as messages do."""
    return signature(core_names(type_.params), core_names(type_.results))


core_names = _wasmtime.core_names
"""Spells value types as the text format does."""


def spell_type(each: _wasmtime.Extern) -> str:
    """Spell the type of an import or export as messages do: a core signature, or the kind of another thing."""
    return signature(*each.core_types) if each.kind == "func" else f"a {each.kind}"


def mismatches(module: wasmtime.Module, hosts: Iterable[Offer]) -> list[Mismatch]:
    """Compare what a guest imports with what hosts of those module names offer.

    That a module and a host agree is found out once, and remembered by the host for as long as there is the module.
    """
    new = [host for host in hosts if module not in offered_by(host)._agreed]
    if not new:
        return []
    unknown = {name_of(host): offered_by(host) for host in new}
    found: dict[tuple[str, str, str], Mismatch] = {}
    for each in _wasmtime.imports_of(module):
        if each.module in unknown:
            functions = unknown[each.module].functions
            spelled = spell_type(each)
            function = find_function(functions, each.name)
            if function is None:
                near = each.name.lower().replace("_", "")
                close_to = [known for known in functions if known.lower().replace("_", "") == near]
                advice = f'write @function("{each.name}")' + (f" above {close_to[0]}" if close_to else "")
                found[each.module, each.name, spelled] = Mismatch(
                    each.module, each.name, spelled, None, advice
                )
            elif function.plan.signature != spelled:
                found[each.module, each.name, spelled] = Mismatch(
                    each.module, each.name, spelled, function.plan.signature, f"declared {declared(function)}"
                )
    differing = {name for name, _, _ in found}
    for name, declaration in unknown.items():
        if name not in differing:
            declaration._agreed.add(module)
    return list(found.values())


def declared(function: Function) -> str:
    """Spell a function in guest types, as it was declared."""
    params = ", ".join(f"{slot.name}: {slot.type}" for slot in function.params)
    results = ", ".join(str(slot.type) for slot in function.results)
    if function.plan.is_tuple:
        results = f"tuple[{results}]"
    if function.plan.optional:
        results = f"Optional[{results}]" if results else "Error"
    return f"({params}) -> {results or 'None'}"


def check(module: wasmtime.Module, *hosts: Offer) -> None:
    """Compare what a guest imports from these hosts with what they offer, before anything runs.

    Imports from other modules are none of their business.

    Raises:
        LinkError: with every missing and every mismatched import, and both signatures of each.
    """
    found = mismatches(module, hosts)
    if found:
        names = ", ".join(sorted({each.module for each in found}))
        count = f"{len(found)} import{'s' if len(found) > 1 else ''}"
        raise LinkError(f"the guest and the host module {names} disagree about {count}:", found)
