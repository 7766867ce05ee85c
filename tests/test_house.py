"""The house: who may import whom, and that each file and each public name says who it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hostmod
import hostmod.testing
import hostmod.types

HOUSE = Path(hostmod.__file__).parent

TABLE = {
    # What a call goes through.
    "errors": "wasmtime",
    "memory": "errors",
    "_generated": "",
    "types": "errors memory _generated",
    "plan": "errors types",
    "module": "errors types plan",
    "_wasmtime": "errors wasmtime",
    "_trampoline_py": "errors memory _generated types plan _wasmtime",
    "_trampoline_c": "",
    "_trampoline_native": "errors memory types plan _wasmtime _trampoline_py _trampoline_c",
    "trampoline": "errors plan _trampoline_py _trampoline_native",
    "decorators": "errors types module",
    "link": "errors memory plan module _wasmtime trampoline wasmtime",
    "guest": "errors memory types plan module _wasmtime trampoline link wasmtime",
    # The rooms that are built on it.
    "recorder": "errors types module decorators",
    "testing": "errors memory types plan module _wasmtime trampoline link guest recorder wasmtime",
    "pytest_plugin": "recorder testing",
    "trace": "errors types module decorators",
    "profile": "errors types module decorators",
    "otel": "errors types module decorators",
    "cache": "guest wasmtime",
    "inspection": "module link guest wasmtime",
    "stubs": "link inspection wasmtime",
    "bindgen": "errors types plan module link",
    "wasi": "errors memory types module link",
    "__init__": "errors memory types module decorators link guest testing trace profile otel",
    "cli": "errors types module trampoline decorators link guest trace profile cache inspection stubs bindgen wasi "
    "__init__ wasmtime",
    "__main__": "cli",
}
"""Who may import whom: a file (or package) and the files above it. A new file or a new arrow is a change to this."""

INSIDE = {
    "_wasmtime": {
        "structures": "",
        "library": "",
        "signatures": "structures",
        "handlers": "library",
        "linkers": "library",
        "traps": "structures library",
        "modules": "signatures",
        "signals": "",
        "stack": "",
        "references": "library stack",
        "engine": "stack",
        "store": "engine stack signals",
        "instances": "library store",
        "views": "engine library store",
        "patches": "structures engine references stack store traps signals",
        "selftest": "structures library signatures linkers references traps store",
    },
    "_trampoline_py": {
        "source": "",
        "frames": "",
        "locators": "frames",
        "memory": "frames locators",
        "ending": "",
        "values": "source frames",
        "host_source": "source",
        "host": "frames locators memory ending values host_source",
        "guest_source": "source",
        "guest": "frames values guest_source",
    },
    "guest": {
        "engines": "",
        "source": "engines",
        "memory": "",
        "interface": "",
        "exports": "interface",
        "arguments": "memory exports",
        "declared": "memory arguments",
        "agreement": "interface",
        "instance": "source memory interface exports agreement engines",
    },
}
"""Who may import whom inside the packages that a call goes through; `__init__`, their face, has any of them."""

IN_C = {"_trampoline_c"}
"""Rows that are no Python."""


def files() -> list[Path]:
    return sorted(HOUSE.rglob("*.py"))


def noun(path: Path) -> str:
    """The row of a file: its own name, or its package's."""
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def row(module: str) -> str | None:
    """The row that an import leads to, or None for one that is none of ours."""
    first, *rest = module.split(".")
    if first == "wasmtime":
        return "wasmtime"
    if first == "hostmod":
        return rest[0] if rest else "__init__"
    return None


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Find each import of a file, those inside functions too: its line, and the row that it leads to."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import, expected from hostmod..."
            module = node.module or ""
            names = [module]
            if module == "hostmod":
                # `from hostmod import link` is an arrow to link; any other name would be one to the package's root.
                names = [f"hostmod.{alias.name}" if alias.name in TABLE else module for alias in node.names]
        else:
            continue
        for name in names:
            found = row(name)
            if found is not None:
                yield node.lineno, found


def ids(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", files(), ids=ids)
def test_a_file_imports_only_what_the_table_allows(path: Path) -> None:
    here = noun(path)
    allowed = {here, *TABLE[here].split()}
    arrows = [
        f"{path.name}:{line}: {here} → {there}" for line, there in imports(path) if there not in allowed
    ]
    assert arrows == []


def test_the_table_has_a_row_for_each_file_and_for_nothing_else() -> None:
    assert {noun(path) for path in files()} == set(TABLE) - IN_C
    assert all((HOUSE / f"{name}.c").exists() for name in IN_C)


def test_arrows_only_point_up() -> None:
    above = {"wasmtime"}
    for name, allowed in TABLE.items():
        assert set(allowed.split()) <= above, name
        above.add(name)


def arrows_inside(package: str) -> Iterator[tuple[str, str]]:
    """Find the imports of a package's files from each other: which one, and what it imports."""
    for path in sorted((HOUSE / package).glob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"hostmod.{package}"):
                _, _, *rest = (node.module or "").split(".")
                for there in rest[:1] or [alias.name for alias in node.names]:
                    yield path.stem, there


@pytest.mark.parametrize("package", INSIDE)
def test_inside_a_package_arrows_only_point_up_too(package: str) -> None:
    table = INSIDE[package]
    assert {path.stem for path in (HOUSE / package).glob("*.py")} == {*table, "__init__"}
    above: set[str] = set()
    for name, allowed in table.items():
        assert set(allowed.split()) <= above, name
        above.add(name)
    arrows = set(arrows_inside(package))
    assert arrows
    assert [
        arrow for arrow in arrows if arrow[0] != "__init__" and arrow[1] not in table[arrow[0]].split()
    ] == []


def test_only_one_package_imports_what_is_private_to_wasmtime() -> None:
    found = {
        noun(path)
        for path in files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wasmtime"
        for name in [node.module or "", *(alias.name for alias in node.names)]
        if "._" in name or name.startswith("_")
    }
    assert found == {"_wasmtime"}


def test_only_five_files_of_a_calls_path_know_wasmtime() -> None:
    rooms = {"cache", "inspection", "stubs", "cli"}  # they look at modules before anything runs
    assert {name for name, allowed in TABLE.items() if "wasmtime" in allowed.split()} - rooms == {
        "errors",  # its Trap is a wasmtime.Trap
        "_wasmtime",
        "link",
        "guest",
        "testing",
    }
    users = {noun(path) for path in files() for _, there in imports(path) if there == "wasmtime"}
    assert {"_wasmtime", "link", "guest", "testing"} <= users


def test_the_imports_of_a_file_are_found_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(
        "import os, wasmtime.loader\n"
        "from hostmod import link, Memory\n"
        "def f():\n"
        "    from hostmod.types.base import GuestType\n"
        "    import hostmod\n",
        "utf-8",
    )
    assert list(imports(path)) == [
        (1, "wasmtime"),
        (2, "link"),
        (2, "__init__"),
        (4, "types"),
        (5, "__init__"),
    ]


@pytest.mark.parametrize("path", files(), ids=ids)
def test_the_first_line_of_a_file_says_who_it_is(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    docstring = ast.get_docstring(parsed(path))
    assert first.startswith(('"""', 'r"""')), first
    assert docstring is not None
    assert len(docstring.splitlines()[0].split()) >= 3, first


@cache
def documented() -> frozenset[str]:
    """Names that are defined with a docstring anywhere in the house: classes, functions, and assignments."""
    found: set[str] = set()
    for path in files():
        for body in bodies(parsed(path)):
            for statement, following in zip(body, [*body[1:], None], strict=False):
                if isinstance(statement, ast.ClassDef | ast.FunctionDef):
                    if ast.get_docstring(statement):
                        found.add(statement.name)
                elif (
                    isinstance(statement, ast.Assign | ast.AnnAssign)
                    and isinstance(following, ast.Expr)
                    and isinstance(following.value, ast.Constant)
                    and isinstance(following.value.value, str)
                ):
                    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                    found.update(target.id for target in targets if isinstance(target, ast.Name))
    return frozenset(found)


def bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The statements of a module, and those under its ifs."""
    yield tree.body
    for statement in tree.body:
        if isinstance(statement, ast.If):
            yield statement.body
            yield statement.orelse


@pytest.mark.parametrize(
    "module", [hostmod, hostmod.types, hostmod.testing], ids=["hostmod", "hostmod.types", "hostmod.testing"]
)
def test_every_public_name_exists_and_has_a_docstring(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]  # each has one
    assert [name for name in names if not hasattr(module, name)] == []
    assert [name for name in names if name not in documented()] == []
    assert len(set(names)) == len(names)
