"""Declarations in the syntax of newer Pythons: annotations without quotes (3.14), and aliases (3.12).

The files in tests/syntax hold what older Pythons do not parse, or evaluate at once.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, TypeVar

import pytest

from hostmod.errors import DeclarationError
from hostmod.plan import plan_of
from hostmod.types import Array, Float32, List, Pointer, Uint32, fields, offsetof, resolve, sizeof, struct
from hostmod.types.annotations import signature_of

T = TypeVar("T")

aliases_exist = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="the syntax of type X = ... came with 3.12"
)
evaluated_later = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="3.14 puts off the evaluation of annotations"
)


def sample(name: str) -> Any:
    """A file of tests/syntax, as a module."""
    return importlib.import_module(f"syntax.{name}")


def declared(text: str, **names: Any) -> dict[str, Any]:
    """Run a declaration that this file's own Python may not parse; its annotations are not made strings."""
    found = {"__name__": __name__, **names}
    exec(compile(text, "declared", "exec", dont_inherit=True), found)
    return found


def spelled(host: Any, name: str) -> list[str]:
    """The guest types of a function's parameters, then of its results."""
    plan = host.functions[name].plan
    return [str(slot.type) for slot in (*plan.params, *plan.results)]


# ------------------------------------------------------------------------------------------------- names without quotes


@evaluated_later
def test_a_struct_refers_to_itself_without_quotes() -> None:
    node = sample("unquoted").Node
    assert [str(field.type) for field in fields(node)] == [
        *("Uint32", "Pointer[Node] | None", "List[Node]", "list[Pointer[Node]] of length 2"),
    ]
    assert (sizeof(node), offsetof(node, "pair")) == (24, 16)


@evaluated_later
def test_a_struct_that_refers_to_itself_goes_through_memory_and_back() -> None:
    node = declared(
        "@struct\nclass Node:\n    value: Uint32\n    next: Pointer[Node] | None\n",
        struct=struct,
        Uint32=Uint32,
        Pointer=Pointer,
    )["Node"]
    first = Pointer.new(node, node(7, None))
    second = first + 8
    second.store(node(8, None))
    first.store(node(7, second))
    assert first.load().next.load() == node(8, None)


@evaluated_later
def test_a_struct_inside_itself_is_refused_without_quotes_too() -> None:
    with pytest.raises(DeclarationError) as caught:
        declared("@struct\nclass Node:\n    inner: Node\n", struct=struct)
    assert str(caught.value) == (
        "Node.inner: Node inside itself, expected a struct of a size that is known; "
        'write "Pointer[Node] | None"'
    )


@evaluated_later
def test_annotations_name_what_is_local_to_the_class_around_them() -> None:
    tree = sample("unquoted").Tree
    assert spelled(tree, "visit") == ["Pointer[Node]", "List[Leaf]", "Uint32"]
    assert spelled(tree.Inner, "visit") == ["Pointer[Leaf]"]
    assert [str(field.type) for field in fields(tree.Leaf)][1] == "Pointer[Leaf] | None"


@evaluated_later
def test_annotations_name_what_is_local_to_the_function_around_them() -> None:
    local = sample("unquoted").local()
    assert [str(field.type) for field in fields(local["Item"])] == ["Int32", "Pointer[Item] | None"]
    assert spelled(local["Local"], "take") == ["Caller", "List[Item]", "Array[Int32]", "Int32"]
    assert str(local["Guest"].exports["take"].params[0].type) == "Pointer[Item]"
    assert spelled(local["env"], "add") == ["Int32", "Int32", "Int32"]


@evaluated_later
def test_a_name_that_is_defined_nowhere_is_said_beside_others_that_are_found_late() -> None:
    with pytest.raises(DeclarationError) as caught:
        declared(
            "@struct\nclass Node:\n    next: Pointer[Node] | None\n    at: Pointer[Nowhere]\n",
            struct=struct,
            Pointer=Pointer,
        )
    assert str(caught.value) == (
        "Node: an annotation that cannot be read: name 'Nowhere' is not defined, expected names that are defined; "
        "define or import it above the class"
    )


def test_a_name_that_is_defined_nowhere_is_said_of_a_function_without_quotes() -> None:
    text = (
        "def build(plan_of):\n    def f(x: Uint32, y: Nowhere) -> None: ...\n"
        "    plan_of(f, 'kv', 'f', method=False)\n"
    )
    if sys.version_info < (3, 14):  # evaluated by the def itself
        text = text.replace("Nowhere", "'Nowhere'")
    with pytest.raises(DeclarationError) as caught:
        declared(text, Uint32=Uint32)["build"](plan_of)
    assert str(caught.value) == (
        "kv.f: an annotation names 'Nowhere', expected a name that is defined here; define or import it above the class"
    )


@evaluated_later
def test_the_signature_of_a_class_is_told_though_its_annotations_name_what_only_checkers_know() -> None:
    host = declared("class Host:\n    def __init__(self, path: Nowhere) -> None: ...\n")["Host"]
    assert list(signature_of(host).parameters) == ["path"]


@evaluated_later
def test_fields_that_a_struct_inherits_are_read_where_they_were_written() -> None:
    text = "@struct\nclass Base:\n    next: Pointer[Base] | None\n"
    base = declared(text, struct=struct, Pointer=Pointer)["Base"]
    text = "@struct\nclass Derived(Root):\n    own: Pointer[Derived] | None\n"
    derived = declared(text, struct=struct, Pointer=Pointer, Root=base)["Derived"]
    assert [str(field.type) for field in fields(derived)] == [
        "Pointer[Base] | None",
        "Pointer[Derived] | None",
    ]


def test_a_struct_in_a_class_body_knows_the_names_of_the_function_around_that_class() -> None:
    @struct
    class Point:
        x: Uint32

    class Around:
        @struct
        class Line:
            points: List[Point]

    assert [str(field.type) for field in fields(Around.Line)] == ["List[Point]"]


# -------------------------------------------------------------------------------------------------------------- aliases


@aliases_exist
def test_aliases_stand_for_what_they_name_in_parameters_and_fields() -> None:
    aliases = sample("aliases")
    assert spelled(aliases.Aliased, "scalars") == ["Uint32", "String", "Color", "Color", "Uint32"]
    assert [(str(field.type), field.offset) for field in fields(aliases.Point)] == [
        *(("Uint32", 0), ("list[Float32] of length 2", 4), ("Color", 12), ("Pointer[Uint16] | None", 16)),
    ]


@aliases_exist
def test_aliases_stand_inside_other_types_and_take_types_themselves() -> None:
    aliased = sample("aliases").Aliased
    assert spelled(aliased, "nested") == [
        *("List[Uint32]", "Pointer[Uint32]", "Array[Float32]", "Int32", "List[Point]"),
    ]
    assert spelled(aliased, "null") == ["Pointer[Point] | None", "Pointer[Point] | None", "Array[Uint32]"]
    assert str(sample("aliases").Guest.exports["nested"].params[0].type) == "List[Uint32]"


@aliases_exist
@pytest.mark.parametrize(
    ("name", "results", "optional", "is_tuple"),
    [
        ("maybe", ["Uint32"], True, False),
        ("optional", ["Uint32"], True, False),
        ("pair", ["Uint32", "Float32"], False, True),
        ("maybe_pair", ["Uint32", "Float32"], True, True),
        ("swapped", ["Float32", "Int32"], False, True),
        ("fail", [], True, False),
        ("null", [], False, False),
    ],
)
def test_aliases_stand_for_results(name: str, results: list[str], optional: bool, is_tuple: bool) -> None:
    plan = sample("aliases").Aliased.functions[name].plan
    assert [str(slot.type) for slot in plan.results] == results
    assert (plan.optional, plan.is_tuple) == (optional, is_tuple)


@aliases_exist
@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param(
            "Plain",
            "kv.f(x): annotated Plain, an alias of int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
        ),
        pytest.param(
            "Plainer",
            "kv.f(x): annotated Plainer, an alias of int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
        ),
        pytest.param(
            "Missing",
            "kv.f(x): annotated Missing, an alias that names 'Nowhere', expected a name that is defined by now; "
            "define Nowhere above, or write what Missing stands for in its place",
        ),
        pytest.param("Endless", "kv.f(x): annotated Endless, an alias of itself, expected a guest type"),
        pytest.param(
            "Nullable",
            "kv.f(x): annotated Nullable, an alias that is given 0 types, expected 1; "
            "write Nullable[Uint32], for example",
        ),
        pytest.param(
            "Second[Id]",
            "kv.f(x): annotated Second, an alias that is given 1 types, expected 2; "
            "write Second[Uint32, Uint32], for example",
        ),
        pytest.param(
            "Bad",
            "kv.f(x): annotated Bad, an alias of String, expected an integer or float type; write List[String]",
        ),
        pytest.param(
            "Maybe[Id]",
            "kv.f(x): annotated Maybe[Id], an alias of Optional or Error, expected a type that carries a value; "
            "Optional and Error are for results only",
        ),
        pytest.param(
            "Pointer[Plain]",
            "kv.f(x): annotated Pointer[Plain], expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
        ),
    ],
)
def test_an_alias_that_cannot_work_is_refused_by_its_own_name(written: str, message: str) -> None:
    aliases = sample("aliases")
    function = eval("lambda x: None")  # no annotations of its own
    function.__annotations__ = {"x": eval(written, vars(aliases)), "return": None}
    with pytest.raises(DeclarationError) as caught:
        plan_of(function, "kv", "f", method=False)
    assert str(caught.value) == message


@aliases_exist
def test_an_alias_that_is_local_to_a_function_is_known_there() -> None:
    text = (
        "def build():\n    type Key = Uint32\n"
        "    @struct\n    class Row:\n        key: Key\n        keys: List[Key]\n    return Row\n"
    )
    row = declared(text, Uint32=Uint32, List=List, struct=struct)["build"]()
    assert [str(field.type) for field in fields(row)] == ["Uint32", "List[Uint32]"]


def test_an_alias_of_typing_extensions_works_on_every_python() -> None:
    extensions = pytest.importorskip("typing_extensions")
    alias: Any = extensions.TypeAliasType("Key", Uint32)
    assert str(resolve(alias, "test")) == "Uint32"
    pointer: Any = Pointer
    assert str(resolve(pointer[alias], "test")) == "Pointer[Uint32]"


def test_an_array_of_a_type_parameter_is_refused_in_a_signature() -> None:
    array: Any = Array
    with pytest.raises(DeclarationError, match="a signature cannot be generic; name the type"):
        resolve(array[T], "kv.f(x)")
    assert str(resolve(array[T][Float32], "kv.f(x)")) == "Array[Float32]"
