"""The examples in docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import hostmod

EXTRAS = {"click", "rich", "opentelemetry"}
"""What the modules behind an extra import, and an installation without it lacks."""

MODULES = sorted(
    each.name
    for each in pkgutil.walk_packages(hostmod.__path__, "hostmod.")
    if not each.name.endswith("__main__")  # it runs the command
)


@pytest.mark.parametrize("name", ["hostmod", *MODULES])
def test_the_examples_of_a_module_run(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        pytest.skip(f"needs {error.name}")
    found = doctest.testmod(module)
    assert found.failed == 0


def test_there_are_examples_to_run() -> None:
    names = [
        "errors",
        "memory",
        "declaration",
        "types.base",
        "types.pointer",
        "types.structs",
        "types.scalar",
        "testing.calling",
    ]
    finder = doctest.DocTestFinder()
    for name in names:
        module = importlib.import_module(f"hostmod.{name}")
        assert any(each.examples for each in finder.find(module)), name
