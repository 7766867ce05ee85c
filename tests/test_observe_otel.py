"""OpenTelemetry spans, as the real SDK's exporter sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hostmod
from hostmod import HostModule, function
from hostmod.testing import call
from hostmod.types import Bytes, Caller, Error, Int32, Optional, String, Uint64

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer


class Kv(HostModule, name="kv", errors={KeyError: 2}):
    @function
    def get(self, key: String, out: Bytes) -> Optional[Int32]:
        if key == "bug":
            raise RuntimeError("boom")
        if key != "a":
            raise KeyError(key)
        return 7

    @function
    def pair(self) -> tuple[Int32, Int32]:
        return 1, 2

    @function
    def outer(self, caller: Caller) -> Error:
        caller["inner"](caller.raw)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def tracer_of(spans: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


@pytest.fixture
def kv(spans: InMemorySpanExporter) -> type[Kv]:
    return hostmod.decorate(Kv, hostmod.otel(tracer_of(spans)))


def test_a_span_carries_the_function_its_arguments_and_its_result(
    kv: type[Kv], spans: InMemorySpanExporter
) -> None:
    call(kv().get, "a", b"xy")
    call(kv().pair)
    first, second = spans.get_finished_spans()
    assert first.name == "kv::get"
    assert dict(first.attributes or {}) == {
        "code.namespace": "kv",
        "code.function.name": "get",
        "hostmod.argument.key": "a",
        "hostmod.argument.out": 'b"xy"',
        "hostmod.result": 7,
    }
    assert first.status.status_code is StatusCode.UNSET
    assert (second.attributes or {})["hostmod.result"] == "(1, 2)"


def test_an_errno_is_an_attribute_and_no_error_of_the_span(kv: type[Kv], spans: InMemorySpanExporter) -> None:
    with pytest.raises(OSError, match="No such file"):
        call(kv().get, "b", b"")
    (span,) = spans.get_finished_spans()
    attributes = span.attributes or {}
    assert (attributes["hostmod.errno"], attributes["error.type"]) == (2, "ENOENT")
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())


def test_what_traps_the_guest_is_recorded_and_makes_the_span_an_error(
    kv: type[Kv], spans: InMemorySpanExporter
) -> None:
    with pytest.raises(RuntimeError):
        call(kv().get, "bug", b"")
    (span,) = spans.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "RuntimeError: boom")
    assert [event.name for event in span.events] == ["exception"]


def test_nested_calls_are_children(kv: type[Kv], spans: InMemorySpanExporter) -> None:
    guest = """(module (import "kv" "outer" (func $outer (result i32)))
        (import "kv" "pair" (func $pair (result i32 i32)))
        (func (export "inner") (call $pair) drop drop) (func (export "run") (result i32) (call $outer)))"""
    with hostmod.instantiate(guest, kv) as made:
        made.exports.run()
    inner, outer = spans.get_finished_spans()
    assert (inner.name, outer.name) == ("kv::pair", "kv::outer")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


@pytest.mark.parametrize("value", [2**63 - 1, 2**63, 2**64 - 1])
def test_integers_that_an_attribute_cannot_hold_are_text(value: int, spans: InMemorySpanExporter) -> None:
    class Echo(HostModule, name="echo"):
        @function
        def echo(self, value: Uint64) -> Uint64:
            return value

    call(hostmod.decorate(Echo, hostmod.otel(tracer_of(spans)))().echo, value)
    (span,) = spans.get_finished_spans()
    expected = value if value < 2**63 else str(value)
    attributes = span.attributes or {}
    assert attributes["hostmod.argument.value"] == attributes["hostmod.result"] == expected


def test_arguments_can_be_left_out(spans: InMemorySpanExporter) -> None:
    call(hostmod.decorate(Kv, hostmod.otel(tracer_of(spans), arguments=False))().get, "a", b"secret")
    assert set(spans.get_finished_spans()[0].attributes or {}) == {"code.namespace", "code.function.name"}


def test_importing_hostmod_does_not_import_opentelemetry_and_a_missing_one_is_named() -> None:
    code = (
        "import sys, hostmod\n"
        "assert not any(name.startswith(('opentelemetry', 'click', 'rich')) for name in sys.modules)\n"
        "sys.modules['opentelemetry'] = None\n"
        "try: hostmod.otel()\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == (
        "otel: the package opentelemetry-api is not installed; write: pip install 'hostmod[otel]'\n"
    )
