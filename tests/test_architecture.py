"""The architecture: which file may import which, and that each file and public name says what it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hostmod
import hostmod.testing
import hostmod.types

SOURCE = Path(hostmod.__file__).parent

TABLE = {
    # What a call goes through.
    "errors": "wasmtime",
    "memory": "errors",
    "_codegen": "",
    "types": "errors memory _codegen",
    "plan": "errors types",
    "declaration": "errors types plan",
    "_wasmtime": "errors wasmtime",
    "_backend": "errors memory _codegen types plan _wasmtime",
    "checks": "errors plan declaration _wasmtime wasmtime",
    "exported": "errors types plan _wasmtime _backend wasmtime",
    "link": "errors memory types plan declaration _wasmtime _backend checks exported wasmtime",
    "untyped": "errors memory types plan declaration",
    "guest": "errors memory types plan declaration _wasmtime _backend checks exported link untyped wasmtime",
    # What is built on it.
    "observe": "errors types declaration",
    "testing": "errors memory types plan declaration _wasmtime _backend guest observe wasmtime",
    "tools": "errors types plan declaration checks link guest wasmtime",
    "wasi": "errors memory types declaration link",
    "__init__": "errors memory types declaration _wasmtime _backend checks link guest observe testing wasi",
    "recorder": "testing",
    "cache": "tools",
    "cli": "errors types _backend checks link guest observe tools wasi __init__ wasmtime",
    "__main__": "cli",
}
"""Who may import whom: a file (or package) and the files above it. A new file or a new arrow is a change to this."""

INSIDE = {
    "types": {
        "annotations": "",
        "code": "",
        "base": "annotations code",
        "scalar": "base code",
        "text": "base code",
        "buffers": "base code scalar",
        "pointer": "base code",
        "references": "base code",
        "results": "annotations base",
        "json": "base text",
        "directions": "base code buffers pointer text",
        "enums": "base code scalar",
        "structs": "annotations base code buffers pointer",
        "formatting": "base scalar text buffers pointer",
    },
    "_wasmtime": {
        "capi": "",
        "stack": "",
        "engine": "stack",
        "traps": "capi",
        "externref": "capi stack",
        "store": "engine externref stack",
        "views": "capi engine store",
        "linker": "capi",
        "patches": "capi engine externref stack store traps",
        "selftest": "capi externref linker store traps",
    },
    "_backend": {
        "conversions": "",
        "python.codegen": "conversions",
        "python.runtime": "conversions python.codegen",
        "python": "conversions python.codegen python.runtime",
        "_native": "",
        "native": "python _native",
        "select": "python native",
    },
    "guest": {
        "loading": "",
        "guest_memory": "",
        "interface": "",
        "exports": "interface",
        "imports": "interface exports",
        "allocator": "",
        "arguments": "guest_memory allocator",
        "results": "arguments",
        "instance": "loading guest_memory interface exports imports",
        "guest_module": "guest_memory allocator arguments results instance",
    },
    "observe": {
        "decorate": "",
        "calls": "",
        "log": "decorate calls",
        "trace": "decorate calls",
        "profile": "decorate",
        "otel": "decorate calls",
    },
    "testing": {"recorder": "", "guards": "", "calling": "guards"},
    "tools": {
        "cache": "",
        "wasm_binary": "",
        "inspect": "wasm_binary",
        "stubs": "inspect",
        "bindgen.model": "",
        "bindgen.writer": "bindgen.model",
        **{f"bindgen.{name}": "bindgen.model bindgen.writer" for name in ("c", "rust", "zig", "tinygo")},
        "bindgen.assemblyscript": "bindgen.model bindgen.writer",
        "bindgen.cpp": "bindgen.model bindgen.writer bindgen.c",
        "bindgen": "bindgen.model bindgen.assemblyscript bindgen.c bindgen.cpp bindgen.rust bindgen.tinygo bindgen.zig",
    },
    "wasi": {
        "abi": "",
        "system": "abi",
        "fs.posix": "abi system",
        "fs.mounts": "abi system fs.posix",
        "fs.memfs": "abi system fs.mounts",
        "io.streams": "abi system",
        "io.sockets": "abi system io.streams",
        "io.polling": "abi system",
        "sandbox": "abi system",
        "buffers": "abi",
        "descriptors": "abi system io.sockets",
        "opening": "abi system sandbox descriptors",
        "preview1": "abi system fs.mounts io.streams io.sockets io.polling sandbox buffers descriptors opening",
    },
    "cli": {
        "version": "",
        "show": "",
        "specs": "",
        "execute": "show specs",
        "app": "show specs version execute",
    },
}
"""Who may import whom inside a package; its `__init__`, which offers what others use, has any of them."""


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def noun(path: Path) -> str:
    """The row of a file: its own name, or its package's."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


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
    return path.relative_to(SOURCE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", files(), ids=ids)
def test_a_file_imports_only_what_the_table_allows(path: Path) -> None:
    here = noun(path)
    allowed = {here, *TABLE[here].split()}
    arrows = [
        f"{path.name}:{line}: {here} → {there}" for line, there in imports(path) if there not in allowed
    ]
    assert arrows == []


def test_the_table_has_a_row_for_each_file_and_for_nothing_else() -> None:
    assert {noun(path) for path in files()} == set(TABLE)


def test_arrows_only_point_up() -> None:
    above = {"wasmtime"}
    for name, allowed in TABLE.items():
        assert set(allowed.split()) <= above, name
        above.add(name)


def inside(path: Path, package: str) -> str:
    """The row of a file inside of a package: its dotted name there, that of a package in it without `__init__`."""
    parts = path.relative_to(SOURCE / package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def arrows_inside(package: str) -> Iterator[tuple[str, str]]:
    """Find the imports of a package's files from each other: which one, and what it imports."""
    prefix = f"hostmod.{package}"
    for path in sorted((SOURCE / package).rglob("*.py")):
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.ImportFrom) or f"{node.module}.".startswith(f"{prefix}.") is False:
                continue
            module = (node.module or "").removeprefix(prefix).removeprefix(".")
            for name in (alias.name for alias in node.names):
                whole = f"{module}.{name}" if module else name
                yield inside(path, package), whole if whole in INSIDE[package] else module


EMPTY = {"fs.__init__", "io.__init__", "fs", "io"}
"""Packages in packages that hold nothing themselves."""


@pytest.mark.parametrize("package", INSIDE)
def test_inside_a_package_arrows_only_point_up_too(package: str) -> None:
    table = INSIDE[package]
    found = {inside(path, package) for path in (SOURCE / package).rglob("*.py")} - EMPTY
    found |= {inside(path, package) for path in (SOURCE / package).rglob("*.c")}
    assert found == {*table, "__init__"}
    above: set[str] = set()
    for name, allowed in table.items():
        assert set(allowed.split()) <= above, name
        above.add(name)
    arrows = set(arrows_inside(package))
    assert arrows
    assert [
        arrow for arrow in arrows if arrow[0] != "__init__" and arrow[1] not in table[arrow[0]].split()
    ] == []


def described(path: Path) -> str:
    """The first line of a file's docstring, as a cell of a table."""
    docstring = ast.get_docstring(parsed(path))
    assert docstring is not None
    return docstring.splitlines()[0].replace("|", "\\|")


def documented_tables() -> Iterator[tuple[str, str]]:
    """The tables of docs/architecture.md, by the name of their place: made of what stands above and of docstrings."""
    rows = ["| file | what it is | may import |", "| --- | --- | --- |"]
    for name, allowed in TABLE.items():
        folder = SOURCE / name
        path = folder / "__init__.py" if folder.is_dir() else SOURCE / f"{name}.py"
        shown = f"`{name}/`" if folder.is_dir() else f"`{name}`"
        rows.append(f"| {shown} | {described(path)} | {', '.join(f'`{each}`' for each in allowed.split())} |")
    yield "files", "\n".join(rows)
    for package, table in INSIDE.items():
        rows = [f"| file of `{package}/` | what it is |", "| --- | --- |"]
        for name in table:
            path = SOURCE / package / name.replace(".", "/")
            in_c = path.with_suffix(".c")
            if in_c.exists():
                first = in_c.read_text("utf-8").splitlines()[0]
                rows.append(f"| `{name}.c` | {first.removeprefix('/* ')} |")
            else:
                path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                rows.append(f"| `{name}` | {described(path)} |")
        yield package, "\n".join(rows)


PAGE = SOURCE.parent.parent / "docs" / "architecture.md"


def with_tables(text: str) -> str:
    """Put the tables between their marks in a page."""
    for name, table in documented_tables():
        start, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        assert found, f"{PAGE.name} has no line {start!r}"
        _, found, after = rest.partition(end)
        assert found, f"{PAGE.name} has no {end!r} after {start!r}"
        text = f"{before}{start}\n{table}\n\n{end}{after}"
    return text


def test_the_page_about_the_architecture_has_these_tables() -> None:
    text = PAGE.read_text("utf-8")
    assert with_tables(text) == text, "python tests/test_architecture.py writes them"


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


def test_few_files_of_a_calls_path_know_wasmtime() -> None:
    before_running = {"checks", "tools", "cli"}  # they look at modules
    assert {name for name, allowed in TABLE.items() if "wasmtime" in allowed.split()} - before_running == {
        "errors",  # its Trap is a wasmtime.Trap
        "_wasmtime",
        "exported",
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
def test_the_first_line_of_a_file_says_what_it_is(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    docstring = ast.get_docstring(parsed(path))
    assert first.startswith(('"""', 'r"""')), first
    assert docstring is not None
    assert len(docstring.splitlines()[0].split()) >= 3, first


SUBMODULES = {"backend", "errors", "testing", "types", "wasi"}


@cache
def documented() -> frozenset[str]:
    """Names that are defined with a docstring anywhere in the library: classes, functions, and assignments."""
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
    assert [name for name in names if name not in documented() | SUBMODULES] == []
    assert len(set(names)) == len(names)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
