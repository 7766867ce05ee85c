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
    """Compare the functions that a guest imports with what hosts of those module names offer.

    Several hosts of one name offer together. That a module and a host agree is found out once, and remembered by the
    host for as long as there is the module.
    """
    offers: dict[str, list[type[Declaration] | Offers]] = {}
    for host in hosts:
        offers.setdefault(name_of(host), []).append(offered_by(host))
    unknown = {
        name: several
        for name, several in offers.items()
        if len(several) > 1 or module not in several[0]._agreed
    }
    if not unknown:
        return []
    found: dict[tuple[str, str, str], Mismatch] = {}
    for each in _wasmtime.imports_of(module):
        several = unknown.get(each.module, ())
        function: Function | None = None
        for one in several:
            function = function or find_function(one.functions, each.name)
        if not several or (function is None and each.kind != "func"):
            continue  # a memory, table or global is no host module's business
        spelled = spell_type(each)
        if function is None:
            near = each.name.lower().replace("_", "")
            known = (known for one in several for known in one.functions)
            close_to = [name for name in known if name.lower().replace("_", "") == near]
            advice = f'write @function("{each.name}")' + (f" above {close_to[0]}" if close_to else "")
            found[each.module, each.name, spelled] = Mismatch(each.module, each.name, spelled, None, advice)
        elif function.plan.signature != spelled:
            found[each.module, each.name, spelled] = Mismatch(
                each.module, each.name, spelled, function.plan.signature, f"declared {declared(function)}"
            )
    differing = {name for name, _, _ in found}
    for name, offering in unknown.items():
        if name not in differing and len(offering) == 1:
            offering[0]._agreed.add(module)
    return list(found.values())


def check_merged(where: str, hosts: Iterable[Offer]) -> None:
    """Refuse host modules of one name that offer a function of one name; LinkError."""
    taken: dict[str, dict[str, str]] = {}
    for host in hosts:
        by_name = taken.get(name_of(host))
        if by_name is None:
            taken[name_of(host)] = dict.fromkeys(functions_of(host), _spell_host(host))
            continue
        for name in functions_of(host):
            if name in by_name:
                raise LinkError(
                    f"{where}: {by_name[name]} and {_spell_host(host)} both have a function {name_of(host)}::{name}, "
                    "expected one of each name; name one of them differently, or leave one out"
                )
        by_name.update(dict.fromkeys(functions_of(host), _spell_host(host)))


def _spell_host(host: Offer) -> str:
    found = offered_by(host)
    return found.__name__ if isinstance(found, type) else f"module({found.name!r})"


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
