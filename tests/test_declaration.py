"""Declaring host modules: names, inheritance, what is refused, options, and what a class knows about itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import hostmod
from hostmod.declaration import Function, function
from hostmod.errors import DeclarationError
from hostmod.link import HostModule
from hostmod.testing import call
from hostmod.types.pointer import Pointer
from hostmod.types.results import Error, Optional
from hostmod.types.scalar import Float32, Int32, Int64, Uint32
from hostmod.types.structs import struct
from hostmod.types.text import String


class Base(HostModule, name="base"):
    def __init__(self, start: int = 0) -> None:
        self.start = start

    @function
    def get(self, key: Int32) -> Int32:
        """Return the key and where it starts."""
        return self.start + key

    @function("set")
    def set_(self, key: Int32, value: Int64) -> Error:
        raise KeyError(key)

    def helper(self) -> int:
        return 5


def test_a_class_knows_its_functions_by_the_names_that_guests_import() -> None:
    assert Base.name == "base"
    assert list(Base.functions) == ["get", "set"]
    get, set_ = Base.functions["get"], Base.functions["set"]
    assert (get.name, get.param_types, get.result_types) == ("get", ("i32",), ("i32",))
    assert (set_.name, set_.param_types, set_.result_types) == ("set", ("i32", "i64"), ("i32",))
    assert [(slot.name, str(slot.type)) for slot in set_.params] == [("key", "Int32"), ("value", "Int64")]
    assert [str(slot.type) for slot in get.results] == ["Int32"]
    assert set_.results == ()
    assert get.doc == "Return the key and where it starts."
    assert repr(set_) == "<function base::set(i32, i64) -> i32>"


def test_methods_stay_ordinary_methods() -> None:
    assert Base(3).get(4) == 7
    assert Base.get(Base(1), 1) == 2
    assert Base(1).helper() == 5
    with pytest.raises(KeyError):
        Base().set_(1, 2)


def test_functions_are_read_only() -> None:
    with pytest.raises(AttributeError):
        Base.functions.clear()  # type: ignore[attr-defined]  # refused
    with pytest.raises(TypeError):
        Base.errors[KeyError] = 1  # type: ignore[index]  # refused
    with pytest.raises(TypeError):
        Base.functions["x"] = Base.functions["get"]  # type: ignore[index]  # refused


def test_with_func_serves_the_same_function_by_another_callable() -> None:
    found = Base.functions["get"]
    other = found.with_func(lambda self, key: 99)
    assert isinstance(other, Function)
    assert (other.name, other.plan, other.has_self) == ("get", found.plan, True)
    assert other.func(Base(), 1) == 99
    assert found.func(Base(), 1) == 1


def test_an_export_name_may_be_any_text() -> None:
    class Odd(HostModule, name="wasi:odd/thing@1.0"):
        @function("[method]file.read-größe")
        def read(self) -> None: ...

        @function("")
        def nameless(self) -> None: ...

    assert set(Odd.functions) == {"[method]file.read-größe", ""}


def test_a_subclass_has_its_bases_functions_and_may_have_another_name() -> None:
    class Derived(Base, name="derived"):
        @function
        def extra(self) -> None: ...

    class Same(Base): ...

    assert (Derived.name, Same.name, Base.name) == ("derived", "base", "base")
    assert list(Derived.functions) == ["get", "set", "extra"]
    assert Derived.functions["get"].plan.where == "derived.get"
    assert Base.functions["get"].plan.where == "base.get"
    assert list(Same.functions) == list(Base.functions) == ["get", "set"]
    assert call(Derived(5).get, 1) == 6


def test_an_override_serves_with_and_without_function_above_it() -> None:
    class Plain(Base):
        def get(self, key: Int32) -> Int32:
            return -1

        def set_(self, key: Int32, value: Int64) -> Error:
            return None

    class Marked(Base):
        @function
        def get(self, key: Int32) -> Int32:
            return -2

    assert list(Plain.functions) == list(Marked.functions) == ["get", "set"]
    assert Plain.functions["get"].func(Plain(), 1) == -1
    assert Marked.functions["get"].func(Marked(), 1) == -2
    assert call(Marked().get, 1) == -2


def test_an_override_may_change_the_signature() -> None:
    class Wide(Base):
        def get(self, key: Int64, factor: Float32) -> Int64:  # type: ignore[override]  # on purpose
            return key

    assert Wide.functions["get"].param_types == ("i64", "f32")
    assert Base.functions["get"].param_types == ("i32",)


def test_an_override_under_another_export_name_replaces_the_old_one() -> None:
    class Renamed(Base):
        @function("fetch")
        def get(self, key: Int32) -> Int32:
            return key

    assert list(Renamed.functions) == ["fetch", "set"]


def test_super_reaches_the_base_class() -> None:
    class Doubled(Base):
        def get(self, key: Int32) -> Int32:
            return 2 * super().get(key)

    assert Doubled.functions["get"].func(Doubled(1), 4) == 10


def test_functions_come_from_every_base_and_the_first_one_wins() -> None:
    class Left(HostModule, name="left"):
        @function
        def which(self) -> Int32:
            return 1

        @function
        def left(self) -> Int32:
            return 1

    class Right(HostModule, name="right"):
        @function
        def which(self) -> Int32:
            return 2

        @function
        def right(self) -> Int32:
            return 2

    class Both(Left, Right): ...

    assert set(Both.functions) == {"which", "left", "right"}
    assert Both.functions["which"].func(Both()) == 1
    assert Both.name == "left"
    assert {each.plan.module for each in Both.functions.values()} == {"left"}


def test_functions_may_come_from_a_mixin_that_is_no_host_module() -> None:
    class Mixin:
        @function
        def ping(self) -> Int32:
            return 1

    class Pinged(Mixin, HostModule, name="ping"): ...

    assert call(Pinged().ping) == 1


def local_module() -> type[HostModule]:
    @struct
    class Local:
        x: Uint32

    class Module(HostModule, name="local"):
        @function
        def read(self, at: Pointer[Local]) -> Uint32:
            return at.load().x

    return Module


def test_a_class_whose_annotations_were_local_can_be_subclassed_elsewhere() -> None:
    Module = local_module()

    class Sub(Module, name="sub"):  # type: ignore[misc,valid-type,call-arg]  # made at run time
        @function
        def more(self) -> None: ...

    assert Sub.functions["read"].plan.where == "sub.read"
    assert str(Sub.functions["read"].params[0].type) == "Pointer[Local]"
    assert list(hostmod.decorate(Module).functions) == ["read"]


class Kv(HostModule, name="kv", errors={KeyError: 2}):
    @function
    def get(self, key: String) -> Optional[Uint32]:
        raise {"missing": KeyError(key), "index": IndexError(key), "full": OSError(28, "full")}[key]


class Deep(Kv, errors={IndexError: 3}): ...


@pytest.mark.parametrize(
    ("cls", "key", "number"),
    [
        pytest.param(Kv, "missing", 2, id="a class of the module's table"),
        pytest.param(Kv, "full", 28, id="an exception that carries a number"),
        pytest.param(Deep, "missing", 2, id="a class of the base's table"),
        pytest.param(Deep, "index", 3, id="a class of the subclass's table"),
    ],
)
def test_a_module_maps_exceptions_to_errnos(cls: type[Kv], key: str, number: int) -> None:
    with pytest.raises(hostmod.ErrnoError) as caught:
        call(cls().get, key)
    assert caught.value.errno == number


def test_an_exception_that_no_table_has_is_a_bug() -> None:
    with pytest.raises(IndexError):
        call(Kv().get, "index")


def test_the_tables_of_classes_are_apart() -> None:
    assert dict(Kv.errors) == {KeyError: 2}
    assert dict(Deep.errors) == {KeyError: 2, IndexError: 3}
    assert dict(Base.errors) == {}
    assert dict(Deep.functions["get"].plan.errors) == dict(Deep.errors)


def test_a_table_may_ask_a_function_for_the_number() -> None:
    class Numbered(HostModule, name="n", errors={LookupError: lambda error: len(str(error))}):
        @function
        def get(self) -> Error:
            raise LookupError("four")

    with pytest.raises(hostmod.ErrnoError) as caught:
        call(Numbered().get)
    assert caught.value.errno == 4


def no_name() -> object:
    class Kv(HostModule):
        @function
        def get(self) -> None: ...

    return Kv


def empty_name() -> object:
    class Kv(HostModule, name=""):
        pass

    return Kv


def number_name() -> object:
    class Kv(HostModule, name=5):  # type: ignore[arg-type]  # what is refused
        pass

    return Kv


def twice() -> object:
    class Kv(HostModule, name="kv"):
        @function
        def get(self) -> None: ...

        @function("get")
        def other(self) -> None: ...

    return Kv


def reserved() -> object:
    class Kv(HostModule, name="kv"):
        @function
        def link(self) -> None: ...  # type: ignore[override]  # what is refused

    return Kv


def static() -> object:
    class Kv(HostModule, name="kv"):
        @function
        @staticmethod
        def get() -> None: ...

    return Kv


def static_outside() -> object:
    class Kv(HostModule, name="kv"):
        @staticmethod
        @function
        def get() -> None: ...

    return Kv


def class_method() -> object:
    class Kv(HostModule, name="kv"):
        @classmethod
        @function
        def get(cls) -> None: ...

    return Kv


def no_method() -> object:
    return function(5)  # type: ignore[call-overload]  # what is refused


def erased() -> object:
    class Sub(Base):
        get = None  # type: ignore[assignment]  # what is refused

    return Sub


def wrong_annotation() -> object:
    class Kv(HostModule, name="kv"):
        @function
        def get(self, ttl: float) -> None: ...

    return Kv


def class_errors(errors: Any) -> Callable[[], object]:
    def make() -> object:
        class Kv(HostModule, name="kv", errors=errors):
            pass

        return Kv

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            no_name,
            'Kv: no module name, expected one; write class Kv(HostModule, name="kv")',
            id="no module name",
        ),
        pytest.param(
            empty_name,
            "Kv: name='', expected a module name; write class Kv(HostModule, name=\"kv\")",
            id="an empty module name",
        ),
        pytest.param(
            number_name,
            'Kv: name=5, expected a module name; write class Kv(HostModule, name="kv")',
            id="a number as a module name",
        ),
        pytest.param(
            twice,
            'kv.get: defined by get and by other, expected one method; name one of them with @function("...")',
            id="one name for two methods",
        ),
        pytest.param(
            reserved,
            "Kv.link: a function of a name that HostModule itself uses, expected another method name; "
            'write @function("link") above def link_',
            id="a name that HostModule uses",
        ),
        pytest.param(
            static,
            "@function get: a staticmethod, expected a method; write def with self, or use hostmod.module()",
            id="a static method",
        ),
        pytest.param(
            static_outside,
            "Kv.get: a staticmethod, expected a method; write def with self",
            id="a static method around a function",
        ),
        pytest.param(
            class_method,
            "Kv.get: a classmethod, expected a method; write def with self",
            id="a class method around a function",
        ),
        pytest.param(
            no_method,
            '@function: 5, expected a method; write @function or @function("name") above a def',
            id="a number in place of a method",
        ),
        pytest.param(
            erased,
            "base.get: NoneType, expected a plain function; put @function next to the def",
            id="a function overridden by None",
        ),
        pytest.param(
            wrong_annotation,
            "kv.get(ttl): annotated float, expected a guest type; write Float32 or Float64",
            id="an annotation of no guest type",
        ),
        pytest.param(
            class_errors({"KeyError": 2}),
            "Kv errors: 'KeyError', expected an exception class; write errors={KeyError: 2}",
            id="errors by name",
        ),
        pytest.param(
            class_errors({KeyError: 0}),
            "Kv errors[KeyError]: 0, expected an errno from 1 to 2147483647, or a function that returns one",
            id="an error that is success",
        ),
        pytest.param(
            class_errors({KeyError: 2**31}),
            "Kv errors[KeyError]: 2147483648, expected an errno from 1 to 2147483647, or a function that returns one",
            id="an errno of 32 bits",
        ),
        pytest.param(
            class_errors({KeyError: "ENOENT"}),
            "Kv errors[KeyError]: 'ENOENT', expected an errno from 1 to 2147483647, or a function that returns one",
            id="an errno by name",
        ),
    ],
)
def test_a_module_that_cannot_work_is_refused_where_its_class_is_created(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("attribute", ["link", "compile", "check", "name", "functions", "errors"])
def test_what_host_modules_themselves_use_is_no_functions_name(attribute: str) -> None:
    def method(self: object) -> None: ...

    method.__name__ = attribute
    with pytest.raises(
        DeclarationError, match=f"Kv.{attribute}: a function of a name that HostModule itself uses"
    ):
        type("Kv", (HostModule,), {attribute: function(method)}, name="kv")

    renamed = type("Kv", (HostModule,), {f"{attribute}_": function(attribute)(method)}, name="kv")
    assert list(renamed.functions) == [attribute]  # type: ignore[attr-defined]  # made at run time


def property_above() -> object:
    class G(HostModule, name="g"):
        @property
        @function
        def size(self) -> Int32:
            return 1

    return G


def cached_property_above() -> object:
    class G(HostModule, name="g"):
        @functools.cached_property
        @function
        def size(self) -> Int32:
            return 1

    return G


def called_without_a_name() -> object:
    class G(HostModule, name="g"):
        @function()  # type: ignore[call-overload, untyped-decorator]  # refused  # pyright: ignore[reportCallIssue]
        def size(self) -> Int32:
            return 1

    return G


def function_called_without_a_name() -> object:
    env = hostmod.module("env")

    @env.function()  # type: ignore[call-overload, untyped-decorator]  # refused  # pyright: ignore[reportCallIssue]
    def size() -> Int32:
        return 1

    return size


def a_name_of_half_a_character() -> object:
    class G(HostModule, name="\ud800"):
        pass

    return G


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        pytest.param(
            property_above,
            "G.size: a property, expected a method; a guest calls it as a function: write @function above a def of "
            "its own",
            id="a property",
        ),
        pytest.param(
            cached_property_above,
            "G.size: a cached_property, expected a method; a guest calls it as a function: write @function above a "
            "def of its own",
            id="a cached property",
        ),
        pytest.param(
            called_without_a_name,
            '@function(): no name, expected one in the parentheses; write @function or @function("name")',
            id="@function()",
        ),
        pytest.param(
            function_called_without_a_name,
            '@env.function: no function, expected a function; write @env.function or @env.function("name") above a '
            "def",
            id="@env.function()",
        ),
        pytest.param(
            a_name_of_half_a_character,
            "G: '\\ud800' (surrogates not allowed), expected a module name that UTF-8 can encode",
            id="a name that is no text",
        ),
        pytest.param(
            lambda: hostmod.module("env", errors={KeyError: "ENOENT"}),  # type: ignore[dict-item]  # refused
            "hostmod.module('env') errors[KeyError]: 'ENOENT', expected an errno from 1 to 2147483647, or a function "
            "that returns one",
            id="an errno by name",
        ),
        pytest.param(
            lambda: hostmod.module("env", errors={"KeyError": 2}),  # type: ignore[dict-item]  # refused
            "hostmod.module('env') errors: 'KeyError', expected an exception class; write errors={KeyError: 2}",
            id="an exception by name",
        ),
        pytest.param(
            lambda: hostmod.module("env", errors=[KeyError]),  # type: ignore[arg-type]  # refused
            "hostmod.module('env') errors: [<class 'KeyError'>] (list), expected a dict of exception classes; write "
            "errors={KeyError: 2}",
            id="a list of exceptions",
        ),
    ],
)
def test_what_cannot_be_offered_is_refused_where_it_is_written(
    declare: Callable[[], object], message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare()
    assert str(caught.value) == message
