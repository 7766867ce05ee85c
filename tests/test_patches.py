"""The changes to wasmtime-py: complete by what its own sources say, installed, and refused where it differs."""

from __future__ import annotations

import ast
import ctypes
import importlib
import pkgutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import wasmtime
from wasmtime import _bindings as bindings
from wasmtime import _func as wasmtime_func
from wasmtime import _store as wasmtime_store
from wasmtime import _value as wasmtime_value
from wat import run_apart

from hostmod import _wasmtime
from hostmod._wasmtime import externref, patches, store

NEWEST = int(_wasmtime.wasmtime_version().partition(".")[0]) >= 48
"""Whether wasmtime-py has all of the modules that are known; older ones have fewer."""


def modules() -> list[types.ModuleType]:
    """Import every module of the wasmtime package, its subpackages included."""
    found = pkgutil.walk_packages(wasmtime.__path__, "wasmtime.")
    return [wasmtime, *(importlib.import_module(each.name) for each in found if "linux" not in each.name)]


MODULES = modules()


class Use(NamedTuple):
    """A C function of wasmtime's, where wasmtime-py names it."""

    module: str
    scope: tuple[str, ...]  # the classes and functions around it
    name: str
    call: ast.Call | None

    def __str__(self) -> str:
        return f"{self.module}: {'.'.join(self.scope)}: {self.name}"


def taking(wanted: Any) -> dict[str, list[int]]:
    """Find the C functions that take arguments of a type, and the places of those."""
    found = {}
    for name, function in vars(bindings).items():
        if name.startswith("_wasm"):
            places = [at for at, each in enumerate(function.argtypes) if each is wanted]
            if places:
                found[name[1:]] = places
    return found


CONTEXTS = taking(ctypes.POINTER(bindings.wasmtime_context_t))
STORES = taking(ctypes.POINTER(bindings.wasmtime_store_t))
CALLERS = taking(ctypes.POINTER(bindings.wasmtime_caller_t))
TRAPS = taking(ctypes.POINTER(ctypes.POINTER(bindings.wasm_trap_t)))


def uses(names: set[str]) -> list[Use]:
    """Find wherever wasmtime-py's own sources name one of some C functions, in a call or not."""
    found = []
    for module in MODULES:
        if module is not bindings and module.__file__ is not None:
            tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
            found += list(_uses_in(tree, names, module.__name__, ()))
    return found


def _uses_in(node: ast.AST, names: set[str], module: str, scope: tuple[str, ...]) -> Iterator[Use]:
    called = node.func if isinstance(node, ast.Call) else None
    if called is not None and _name_of(called) in names:
        assert isinstance(node, ast.Call)
        yield Use(module, scope, _name_of(called), node)
    elif _name_of(node) in names:
        yield Use(module, scope, _name_of(node), None)
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        scope = (*scope, node.name)
    for child in ast.iter_child_nodes(node):
        if child is not called or not _name_of(child):
            yield from _uses_in(child, names, module, scope)


def _name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def replaced(use: Use) -> bool:
    """Whether the method that a use is in is not wasmtime-py's own any more."""
    owner: Any = importlib.import_module(use.module)
    for name in use.scope:
        owner = vars(owner).get(name)
        if owner is None or not (isinstance(owner, type) or owner.__module__.startswith("wasmtime")):
            return owner is not None
    return False


def test_the_sources_are_found_and_searched() -> None:
    names = {each.__name__ for each in MODULES}
    assert {"wasmtime._func", "wasmtime._instance", "wasmtime._linker"} <= names
    if NEWEST:
        assert {"wasmtime._instance_pre", "wasmtime.component._func"} <= names
    assert len(CONTEXTS) > (60 if NEWEST else 40)
    assert len(uses(set(CONTEXTS))) > (40 if NEWEST else 30)
    assert {"wasmtime_store_limiter", "wasmtime_store_delete"} <= set(STORES)


def test_every_module_that_enters_guests_by_enter_wasm_has_hostmod_s() -> None:
    importing = [
        module
        for module in MODULES
        if getattr(vars(module).get("enter_wasm"), "__module__", "") in ("wasmtime._func", patches.__name__)
    ]
    assert wasmtime_func in importing
    assert [each.__name__ for each in importing if vars(each)["enter_wasm"] is not patches.Entry] == []
    assert {each.__name__ for each in importing} == {each.__name__ for each in patches.importers()}


def test_nothing_else_of_wasmtime_py_refers_to_what_enter_wasm_was() -> None:
    original = {
        id(value)
        for value in (patches._original_caller_init, patches._original_set_limits, store.original_close)
    }
    for module in MODULES:
        for name, value in vars(module).items():
            assert id(value) not in original, f"{module.__name__}.{name}"
            code = getattr(value, "__wrapped__", value)
            assert getattr(code, "__qualname__", "") != "enter_wasm" or module.__name__ in (
                "wasmtime.component._enter",
                "wasmtime.component._func",
                "wasmtime.component._resources",
            ), f"{module.__name__}.{name}"


def test_every_context_is_asked_for_in_the_call_that_it_is_an_argument_of() -> None:
    wrong = []
    for use in uses(set(CONTEXTS)):
        for place in CONTEXTS[use.name]:
            argument = use.call.args[place] if use.call is not None and not use.call.keywords else None
            direct = (
                isinstance(argument, ast.Call)
                and isinstance(argument.func, ast.Attribute)
                and argument.func.attr == "_context"
                and not argument.args
            )
            if not direct and not replaced(use):
                wrong.append(str(use))
    assert wrong == []


def test_nothing_of_wasmtime_py_keeps_what_a_store_s_context_is() -> None:
    kept = []
    for module in MODULES:
        if module is bindings or module.__file__ is None:
            continue
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        arguments = {id(each) for call in ast.walk(tree) if isinstance(call, ast.Call) for each in call.args}
        kept += [
            f"{module.__name__}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _name_of(node.func) == "_context" and id(node) not in arguments
        ]
    assert kept == []


def test_what_takes_a_store_itself_is_in_a_method_that_hostmod_replaces() -> None:
    harmless = {"wasmtime_store_context", "wasmtime_store_delete"}
    found = [use for use in uses(set(STORES) - harmless) if not replaced(use)]
    assert [str(use) for use in found] == []


def test_what_takes_a_caller_itself_is_in_a_method_that_hostmod_replaces() -> None:
    harmless = {"wasmtime_caller_context"}
    found = [use for use in uses(set(CALLERS) - harmless) if not replaced(use)]
    assert [str(use) for use in found] == []


STARTS = {"wasmtime_linker_module"}
"""C functions that can run a guest, and leave what it raised in the error and not in a trap."""


def test_what_can_run_a_guest_and_returns_an_error_is_in_a_method_that_hostmod_replaces() -> None:
    found = uses(STARTS)
    assert found
    assert [str(use) for use in found if not replaced(use)] == []


def test_every_c_function_that_gives_a_trap_is_called_inside_enter_wasm() -> None:
    giving = set(TRAPS)
    assert {"wasmtime_func_call", "wasmtime_instance_pre_instantiate"} <= giving
    inside, every = set(), uses(giving)
    for module in MODULES:
        if module is bindings or module.__file__ is None:
            continue
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.With) and any(
                _name_of(getattr(item.context_expr, "func", item.context_expr)) == "enter_wasm"
                for item in node.items
            ):
                inside |= {
                    (module.__name__, _name_of(each), each.lineno)
                    for each in ast.walk(node)
                    if isinstance(each, ast.expr)
                }
    for use in every:
        assert use.call is not None, str(use)
        assert (use.module, use.name, use.call.func.lineno) in inside, str(use)


# ------------------------------------------------------------------------------------------------- what is installed


def test_every_kind_of_store_gives_hostmod_s_contexts() -> None:
    kinds = [
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and "_context" in vars(value) and value.__module__.startswith("wasmtime")
    ]
    assert {wasmtime.Store, wasmtime.Caller} <= set(kinds)
    assert [each.__name__ for each in kinds if vars(each)["_context"].__module__ != patches.__name__] == []


def test_the_other_changes_are_there() -> None:
    assert wasmtime.Store.close is store.close
    assert wasmtime.Store.set_limits is patches._set_limits
    assert wasmtime.Store.gc is patches._gc
    assert wasmtime_value._externref_finalizer is externref.finalizer
    assert wasmtime.Engine.__init__ is patches._engine_init
    if NEWEST:
        assert vars(wasmtime.Config)["max_wasm_stack"].fset is patches._set_stack
    assert wasmtime_func.Trap is patches._CallbackTrap  # type: ignore[attr-defined]  # what its callback looks up
    changed = wasmtime.Caller.__init__ is patches._caller_init
    assert changed is ("hostmod._backend.native" not in sys.modules)


# ------------------------------------------------------------------------------------------- a wasmtime that is another


CHANGED = {
    "a store that keeps its context elsewhere": (
        "wasmtime.Store._context = lambda self: self._pointer",
        "Store._context does not use _Store__context",
    ),
    "a store without a context": ("del wasmtime.Store._context", "Store._context does not use"),
    "a caller that keeps its context elsewhere": (
        "wasmtime.Caller._context = lambda self: self._pointer",
        "Caller._context does not use _Caller__context",
    ),
    "a component's store that keeps its context elsewhere": (
        "wasmtime._store.StoreContext._context = lambda self: self._pointer",
        "StoreContext._context does not use _StoreContext__ptr",
    ),
    "an enter_wasm that does more": (
        """
import contextlib
@contextlib.contextmanager
def enter_wasm(store):
    yield prepare(store)
wasmtime._func.enter_wasm = enter_wasm
""",
        "_func.enter_wasm is another function",
    ),
    "an enter_wasm that is no context manager": (
        "wasmtime._func.enter_wasm = lambda store: None",
        "_func.enter_wasm is another function",
    ),
    "a module with an enter_wasm of its own": (
        "wasmtime._linker.enter_wasm = lambda store: None",
        "wasmtime._linker.enter_wasm is another function",
    ),
    "a callback that makes no Trap": ("del wasmtime._func.Trap", "_func has no Trap of its own"),
    "no finalizer of references": (
        "del wasmtime._value._externref_finalizer",
        "_value has no _externref_finalizer",
    ),
    "a finalizer of references that is no C function": (
        "wasmtime._value._externref_finalizer = print",
        "_value has no _externref_finalizer",
    ),
    "limits by the context": (
        "def set_limits(self, **limits): limit(self._context(), **limits)\nwasmtime.Store.set_limits = set_limits",
        "Store.set_limits uses a context",
    ),
}

REFUSED = """
import sys
import wasmtime, wasmtime._func, wasmtime._linker, wasmtime._store
before = wasmtime.Store.close
exec(sys.argv[1])
try:
    import hostmod._wasmtime
except ImportError:
    raise
except Exception as error:
    assert type(error).__qualname__ == "InternalError", error
    print(error)
assert wasmtime.Store.close is before, "a part of the changes was made"
"""


if not hasattr(wasmtime_store, "StoreContext"):  # there since wasmtime 37
    del CHANGED["a component's store that keeps its context elsewhere"]


@pytest.mark.parametrize("what", CHANGED)
def test_a_wasmtime_that_is_another_is_refused_by_its_version_and_left_alone(what: str) -> None:
    change, said = CHANGED[what]
    told = run_apart(REFUSED, change)
    assert told.startswith(f"wasmtime {_wasmtime.wasmtime_version()}: {said}"), told
    assert "use a version of wasmtime" in told


@pytest.mark.skipif(not hasattr(wasmtime.Config, "memory_reservation"), reason="there since wasmtime-py 45")
def test_what_a_config_was_told_of_memories_is_known_without_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(engine: wasmtime.Engine) -> bool:
        raise AssertionError("a memory was grown to 4 GiB")

    monkeypatch.setattr("hostmod._wasmtime.engine._try_growing", tried)
    for settings, moves in (
        ({"memory_reservation": 0}, True),
        ({"memory_reservation": 1 << 32}, False),
        ({"memory_reservation": 0, "memory_may_move": False}, False),
    ):
        config = wasmtime.Config()
        for name, value in settings.items():
            setattr(config, name, value)
        assert _wasmtime.engine.memories_move(wasmtime.Engine(config)) is moves
