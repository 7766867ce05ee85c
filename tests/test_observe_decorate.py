"""`decorate` and `log`: what is wrapped, in which order, and the exact lines."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest

import hostmod
from hostmod.declaration import Function, function
from hostmod.errors import DeclarationError, ErrnoError
from hostmod.link import HostModule
from hostmod.observe.decorate import Decorator, decorate, selects
from hostmod.observe.log import log
from hostmod.testing import call
from hostmod.types.base import GuestType
from hostmod.types.buffers import Bytes
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import Caller, ExternRef
from hostmod.types.results import Error, Optional
from hostmod.types.scalar import Duration, Float32, Int32, IntegerType, Uint32
from hostmod.types.structs import struct
from hostmod.types.text import String


@struct
class Vec:
    x: Float32
    y: Float32


class Greeter(HostModule, name="greeter"):
    """The module of the README."""

    def __init__(self, greeting: str = "ahoy") -> None:
        self.greeting = greeting

    @function
    def answer(self) -> Int32:
        raise RuntimeError("boom")

    @function
    def greet(self, name: String, out: Bytes) -> Optional[Uint32]:
        text = f"{self.greeting}, {name}!".encode()
        if len(text) > len(out):
            raise OSError(errno.ENOBUFS, "buffer too small")
        out[: len(text)] = text
        return len(text)

    @function
    def scale(self, caller: Caller, vectors: List[Vec], by: Pointer[Float32], wait: Duration) -> Error: ...

    @function
    def pair(self) -> tuple[Int32, Float32]:
        return 1, 2.5

    @function
    def nothing(self) -> None: ...

    @function
    def wrong(self) -> tuple[Int32, Int32]:
        return 5  # type: ignore[return-value]  # what a careless author does


LOGGER = logging.getLogger("test greeter")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, LOGGER.name)
    return lambda: [record.getMessage() for record in caplog.records]


def logged(instance: HostModule, name: str, *arguments: Any) -> Any:
    """Call the decorated function as a backend does."""
    return type(instance).functions[name].func(instance, *arguments)


Logged = decorate(Greeter, log(LOGGER))


# -------------------------------------------------------------------------------------------------- log lines


def test_the_lines_are_those_of_the_documentation(lines: Callable[[], list[str]]) -> None:
    greeter = Logged()
    assert logged(greeter, "greet", "Ada", memoryview(bytearray(64))) == 10
    with pytest.raises(OSError, match="buffer too small"):
        logged(greeter, "greet", "Ada", memoryview(bytearray(1)))
    with pytest.raises(RuntimeError, match="boom"):
        logged(greeter, "answer")
    assert lines() == [
        'greeter::greet("Ada", b"\\x00\\x00... (64 bytes)") → 10',
        'greeter::greet("Ada", b"\\x00") → ERROR: No buffer space available',
        "greeter::answer() PANIC! RuntimeError: boom",
    ]


def test_a_call_by_a_guest_is_logged(lines: Callable[[], list[str]]) -> None:
    room = bytearray(64)
    found = Function(Logged.functions["greet"].plan, lambda *a: logged(Logged(), "greet", *a), has_self=False)
    assert call(found, "Ada", room) == 10
    assert room[:10] == b"ahoy, Ada!"
    with pytest.raises(ErrnoError):
        call(found, "Ada", bytearray(1))
    assert lines() == [
        'greeter::greet("Ada", b"\\x00\\x00... (64 bytes)") → 10',
        'greeter::greet("Ada", b"\\x00") → ERROR: No buffer space available',
    ]


def test_every_kind_of_argument_and_result_is_shown(lines: Callable[[], list[str]]) -> None:
    greeter = Logged()
    vectors = List.new(Vec, [Vec(1.0, 2.0)])
    logged(
        greeter,
        "scale",
        Caller(vectors.pointer.memory, object),
        vectors,
        Pointer.new(Float32, 0.5),
        1_500_000_000,
    )
    logged(greeter, "pair")
    logged(greeter, "nothing")
    assert lines() == [
        "greeter::scale(caller, [{x: 1.0, y: 2.0}], &0.5, 1.5s) → OK",
        "greeter::pair() → (1, 2.5)",
        "greeter::nothing() → none",
    ]


def test_a_bug_in_a_function_of_an_errno_is_a_panic_and_an_errno_elsewhere_too(
    lines: Callable[[], list[str]],
) -> None:
    class Odd(HostModule, name="odd", errors={KeyError: errno.ENOENT}):
        @function
        def known(self) -> Error:
            raise KeyError("x")

        @function
        def bug(self) -> Error:
            raise ValueError("x")

        @function
        def no_errno(self) -> Int32:
            raise OSError(errno.ENOENT, "gone")

    odd = decorate(Odd, log(LOGGER))()
    for name, expected in (("known", KeyError), ("bug", ValueError), ("no_errno", OSError)):
        with pytest.raises(expected):
            logged(odd, name)
    assert lines() == [
        "odd::known() → ERROR: No such file or directory",
        "odd::bug() PANIC! ValueError: x",
        "odd::no_errno() PANIC! FileNotFoundError: [Errno 2] gone",
    ]


def test_even_ctrl_c_is_logged_and_goes_on(lines: Callable[[], list[str]]) -> None:
    class Interrupted(HostModule, name="m"):
        @function
        def wait(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        logged(decorate(Interrupted, log(LOGGER))(), "wait")
    assert lines() == ["m::wait() PANIC! KeyboardInterrupt: "]


def test_nothing_is_shown_at_a_level_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, LOGGER.name)

    class Silent(HostModule, name="m"):
        @function
        def put(self, value: ExternRef) -> None: ...

    shown = 0

    class Value:
        def __repr__(self) -> str:
            nonlocal shown
            shown += 1
            return "a value"

    logged(decorate(Silent, log(LOGGER))(), "put", Value())
    assert (caplog.records, shown) == ([], 0)
    logged(decorate(Silent, log(LOGGER, logging.ERROR))(), "put", Value())
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "m::put(a value) → none")
    ]
    assert shown > 0


def test_the_logger_is_hostmods_own_if_none_is_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hostmod")
    logged(decorate(Greeter, log())(), "nothing")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("hostmod", "greeter::nothing() → none")
    ]


def test_a_percent_sign_is_no_format(lines: Callable[[], list[str]]) -> None:
    logged(Logged(), "greet", "100%s %d", memoryview(bytearray(64)))
    assert lines()[0].startswith('greeter::greet("100%s %d", ')


# --------------------------------------------------------------- a value that cannot be shown changes nothing


class Unshowable:
    def __repr__(self) -> str:
        raise LookupError("no repr")


class WordlessError(Exception):
    def __str__(self) -> str:
        raise LookupError("no words")


class ShowlessType(IntegerType):
    def __init__(self) -> None:
        super().__init__("Showless", "i32", "i")

    def show(self, value: int) -> str:
        raise RuntimeError("no show")


class Hidden(HostModule, name="hidden"):
    @function
    def swap(self, value: ExternRef, number: Annotated[int, ShowlessType()]) -> ExternRef:
        return value

    @function
    def fail(self) -> None:
        raise WordlessError


def test_a_value_that_cannot_be_shown_never_changes_the_call(lines: Callable[[], list[str]]) -> None:
    hidden, value = decorate(Hidden, log(LOGGER))(), Unshowable()
    assert logged(hidden, "swap", value, 5) is value
    assert lines() == ["hidden::swap(Unshowable?, int?) → Unshowable?"]


def test_an_exception_without_words_reaches_the_caller_all_the_same(lines: Callable[[], list[str]]) -> None:
    with pytest.raises(WordlessError):
        logged(decorate(Hidden, log(LOGGER))(), "fail")
    assert lines() == ["hidden::fail() PANIC! WordlessError: ?"]


def test_a_wrong_result_is_logged_as_far_as_it_can_be_and_returned(lines: Callable[[], list[str]]) -> None:
    assert logged(Logged(), "wrong") == 5
    assert lines() == ["greeter::wrong() → 5"]


def test_a_pointer_to_nowhere_is_logged_as_that(lines: Callable[[], list[str]]) -> None:
    vectors, nowhere = List.new(Vec, []), Pointer.new(Float32) + 10**6
    logged(Logged(), "scale", Caller(vectors.pointer.memory, object), vectors, nowhere, 0)
    assert lines() == [f"greeter::scale(caller, [], 0x{nowhere.offset:x} (unreadable), 0s) → OK"]


def test_a_released_view_is_logged_without_its_bytes(lines: Callable[[], list[str]]) -> None:
    view = memoryview(bytearray(64))
    view.release()
    with pytest.raises(ValueError, match="released memoryview"):
        logged(Logged(), "greet", "Ada", view)
    assert lines()[0].startswith('greeter::greet("Ada", memoryview?) PANIC! ValueError: ')


# --------------------------------------------------------------------------------------------------- decorate


def tracer(name: str, trace: list[str]) -> Decorator:
    def decorator(module: str, function: Function) -> Function:
        wrapped = function.func

        def traced(*arguments: Any) -> Any:
            trace.append(f"{name} before {module}::{function.name}")
            try:
                return wrapped(*arguments)
            finally:
                trace.append(f"{name} after")

        return function.with_func(traced)

    return decorator


def test_the_first_decorator_is_the_innermost() -> None:
    trace: list[str] = []
    logged(decorate(Greeter, tracer("inner", trace), tracer("outer", trace))(), "nothing")
    assert trace == [
        "outer before greeter::nothing",
        "inner before greeter::nothing",
        "inner after",
        "outer after",
    ]


def test_decorating_a_decorated_module_wraps_it_again() -> None:
    trace: list[str] = []
    once = decorate(Greeter, tracer("inner", trace))
    logged(decorate(once, tracer("outer", trace))(), "nothing")
    assert trace == [
        "outer before greeter::nothing",
        "inner before greeter::nothing",
        "inner after",
        "outer after",
    ]


def test_a_subclass_of_a_decorated_module_keeps_the_wrapping_of_what_it_inherits() -> None:
    trace: list[str] = []
    Traced = decorate(Greeter, tracer("it", trace))

    class Sub(Traced, name="sub"):  # type: ignore[misc,valid-type,call-arg]  # made at run time
        @function
        def answer(self) -> Int32:
            return 1

    logged(Sub(), "nothing")
    assert trace == ["it before greeter::nothing", "it after"]
    trace.clear()
    assert logged(Sub(), "answer") == 1
    assert trace == []


def test_the_given_class_stays_as_it_is_and_the_new_one_is_like_it() -> None:
    before = dict(Greeter.functions)
    Logged = decorate(Greeter, log(LOGGER))
    assert dict(Greeter.functions) == before
    assert Logged is not Greeter
    assert issubclass(Logged, Greeter)
    assert (Logged.name, Logged.__name__, Logged.__qualname__, Logged.__doc__, Logged.__module__) == (
        "greeter",
        "Greeter",
        "Greeter",
        "The module of the README.",
        __name__,
    )
    assert list(Logged.functions) == list(Greeter.functions)
    for name, each in Logged.functions.items():
        assert each.plan == Greeter.functions[name].plan
        assert each.func is not Greeter.functions[name].func
    with pytest.raises(TypeError):
        Logged.functions["x"] = before["greet"]  # type: ignore[index]  # refused
    assert Logged("hi").greeting == "hi"


def test_no_decorators_serve_the_same_functions() -> None:
    same = decorate(Greeter)
    assert [each.func for each in same.functions.values()] == [
        each.func for each in Greeter.functions.values()
    ]


def test_a_module_of_functions_can_be_decorated(lines: Callable[[], list[str]]) -> None:
    env = hostmod.module("env")

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    wrapped = decorate(env, log(LOGGER))
    assert call(wrapped.functions["add"], 2, 3) == 5
    assert call(env.functions["add"], 2, 3) == 5
    assert lines() == ["env::add(2, 3) → 5"]


def returns_callable(module: str, function: Function) -> Any:
    return function.func


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: decorate(Greeter, returns_callable),
            "decorate(greeter): <function returns_callable at {address:#x}> returned {func!r}, expected a Function; "
            "return function.with_func(...)",
            id="a decorator that returns a callable",
        ),
        pytest.param(
            lambda: decorate(Greeter()),  # type: ignore[call-overload]  # what is refused
            "decorate: {instance}, expected a HostModule class; write decorate(Greeter, log(logger))",
            id="an instance",
        ),
        pytest.param(
            lambda: decorate(int),  # type: ignore[type-var]  # what is refused
            "decorate: <class 'int'>, expected a HostModule class; write decorate(Greeter, log(logger))",
            id="another class",
        ),
    ],
)
def test_what_cannot_be_decorated_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    filled = message.format(
        address=id(returns_callable),
        func=Greeter.functions["answer"].func,
        instance=str(caught.value).split(": ", 1)[1].split(", expected", 1)[0],
    )
    assert str(caught.value) == filled


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        pytest.param(None, True, id="all"),
        pytest.param("get", True, id="its name"),
        pytest.param("g*", True, id="a pattern of its name"),
        pytest.param("kv::get", True, id="its full name"),
        pytest.param("kv::*", True, id="its module"),
        pytest.param(["put", "get"], True, id="one of several"),
        pytest.param(lambda module, name: (module, name) == ("kv", "get"), True, id="a predicate"),
        pytest.param("put", False, id="another name"),
        pytest.param("env::*", False, id="another module"),
        pytest.param([], False, id="none of several"),
        pytest.param("GET", False, id="another case"),
    ],
)
def test_a_selection_holds_a_function_by_name_pattern_or_predicate(selection: Any, chosen: bool) -> None:
    assert selects(selection, "kv", "get") is chosen


def test_only_selected_functions_are_logged(lines: Callable[[], list[str]]) -> None:
    some = decorate(Greeter, log(LOGGER, functions="greeter::no*"))
    logged(some(), "nothing")
    logged(some(), "pair")
    assert lines() == ["greeter::nothing() → none"]
    assert some.functions["pair"].func is Greeter.functions["pair"].func


def test_a_guest_type_shows_itself() -> None:
    assert GuestType[int]().show(5) == "5"


# ------------------------------------------------------------------------------------------------ fields of a record


def test_a_record_carries_the_call_as_fields_that_json_can_hold(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    logged(Logged(), "greet", "Ada", memoryview(bytearray(64)))
    (record,) = caplog.records
    fields = {name: value for name, value in vars(record).items() if name.startswith("host_")}
    assert 0 < fields.pop("host_elapsed") < 10
    assert fields["host_arguments"]["name"] == "Ada"
    assert isinstance(json.dumps(fields), str)
    assert (fields["host_function"], fields["host_result"]) == ("greet", 10)
    assert (fields["host_errno"], fields["host_exception"]) == (None, None)


def test_calls_that_fail_have_a_level_of_their_own_and_lines_can_end_with_the_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    watched = decorate(Greeter, log(LOGGER, failures=logging.ERROR, elapsed=True))()
    with pytest.raises(OSError, match=r"No buffer space|buffer too small"):
        logged(watched, "greet", "Ada", memoryview(bytearray(1)))
    logged(watched, "nothing")
    failed, fine = caplog.records
    assert (failed.levelname, fine.levelname) == ("ERROR", "INFO")
    assert vars(failed)["host_errno"] == errno.ENOBUFS
    assert fine.getMessage().endswith(("ns)", "µs)", "ms)"))


def test_only_the_functions_asked_for_are_logged_and_long_values_are_cut(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    watched = decorate(Greeter, log(LOGGER, functions=["greet"], limit=5))()
    logged(watched, "nothing")
    logged(watched, "greet", "Ada Lovelace", memoryview(bytearray(64)))
    (line,) = caplog.messages
    assert '("Ada ... (14 characters), ' in line
