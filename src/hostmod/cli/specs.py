"""Parses host modules named on the command line: ``pkg.module:Class`` or ``file.py:Class(option=value)``."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

from hostmod.errors import HostmodError
from hostmod.link import FunctionModule, Host, HostModule
from hostmod.types.annotations import signature_of

_SPEC = re.compile(
    r"(?P<where>.+?):(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\((?P<options>.*)\))?", re.DOTALL
)


HOST_MODULE = "a HostModule class, an instance of one, or hostmod.module(...)"
"""What a name is to lead to."""


class SpecError(HostmodError):
    """What was given for ``--host`` names no host module: `spec` is what was given, `found` what stands there."""

    def __init__(self, spec: str, found: str, write: str = "", expected: str = HOST_MODULE) -> None:
        super().__init__(spec, found, write, expected)
        self.spec = spec
        self.found = found
        self.write = write
        self.expected = expected

    def __str__(self) -> str:
        text = f"{self.spec}: {self.found}, expected {self.expected}"
        return f"{text}; {self.write}" if self.write else text


class Spec:
    """A host module as it was named, found, and ready to be made."""

    def __init__(self, text: str) -> None:
        """Import what `text` names. SpecError if that is no host module; whatever importing it raises."""
        self.text = text
        match = _SPEC.fullmatch(text)
        if match is None:
            raise SpecError(text, "no 'module:Class'", "write pkg.module:Class or path/to/file.py:Class")
        where, name, options = match["where"], match["name"], match["options"]
        self.label = f"{where}:{name}"
        module = self._import(where)
        self.target = self._find(module, name)
        self.options = self._parse(options)

    def _import(self, where: str) -> ModuleType:
        path = Path(where)
        if where.endswith(".py") or "/" in where or "\\" in where:
            if not path.is_file():
                raise SpecError(self.text, f"no file {where}")
            # As Python does for a script: modules beside it can be imported.
            folder = str(path.resolve().parent)
            if folder not in sys.path:
                sys.path.insert(0, folder)
            loaded = sys.modules.get(path.stem)
            file = getattr(loaded, "__file__", None)
            if loaded is not None and file is not None and Path(file).resolve() == path.resolve():
                return loaded
            spec = importlib.util.spec_from_file_location(path.stem, path)
            if spec is None or spec.loader is None:
                raise SpecError(self.text, f"{where} is no Python file")
            module = importlib.util.module_from_spec(spec)
            if path.stem not in sys.modules:
                sys.modules[path.stem] = module
            spec.loader.exec_module(module)
            return module
        here = str(Path.cwd())
        if here not in sys.path and "" not in sys.path:
            sys.path.insert(0, here)
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as error:
            if error.name is not None and (where == error.name or where.startswith(error.name + ".")):
                raise SpecError(
                    self.text, f"no module {where!r}", "write file.py:Class for a file that is not installed"
                ) from error
            raise

    def _find(self, module: ModuleType, name: str) -> Host:
        found: Any = module
        for part in name.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise SpecError(self.text, f"{module.__name__} has no {name!r}", _known(module)) from None
        if isinstance(found, HostModule | FunctionModule):
            return found
        if isinstance(found, type) and issubclass(found, HostModule):
            if found.name:
                return found
            raise SpecError(self.text, f"{name} has no module name", _known(module))
        what = (
            "a class that is no HostModule" if isinstance(found, type) else f"of type {type(found).__name__}"
        )
        raise SpecError(self.text, f"{name} is {what}", _known(module))

    def _parse(self, options: str | None) -> dict[str, Any]:
        if not options or not options.strip():
            return {}
        if not isinstance(self.target, type):
            raise SpecError(self.text, "options for what is no class", "leave out the parentheses")
        parameters = signature_of(self.target).parameters
        takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
        try:
            hints = typing.get_type_hints(self.target.__init__)
        except (NameError, TypeError):
            hints = {}
        found: dict[str, Any] = {}
        for part in _split(options):
            key, equals, value = part.partition("=")
            key = key.strip()
            if not equals or not key.isidentifier():
                raise SpecError(
                    self.text,
                    f"option {part.strip()!r}",
                    "write Class(name=value, name=value)",
                    "name=value",
                )
            if key not in parameters and not takes_any:
                known = ", ".join(parameters) or "none"
                raise SpecError(self.text, f"{self.target.__name__} has no option {key!r}", expected=known)
            hint = hints.get(key)
            found[key] = _value(value.strip(), hint)
            if hint in (int, float, bool) and isinstance(found[key], str):
                raise SpecError(
                    self.text,
                    f"option {key} is {value.strip()!r}",
                    expected=f"a value of type {hint.__name__}",
                )
        return found

    def make(self) -> HostModule | FunctionModule:
        """Make the instance that serves; one that the file made itself serves as it is."""
        if not isinstance(self.target, type):
            return self.target
        try:
            return self.target(**self.options)
        except TypeError as error:
            try:
                signature_of(self.target).bind(**self.options)
            except TypeError as mismatch:
                raise SpecError(
                    self.text, f"{self.target.__name__}: {mismatch}", "write Class(name=value)"
                ) from error
            raise


def _known(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if (isinstance(value, type) and issubclass(value, HostModule) and value is not HostModule)
        or isinstance(value, HostModule | FunctionModule)
    ]
    return f"it has {', '.join(names)}" if names else f"{module.__name__} has none"


def _split(text: str) -> list[str]:
    """Split at commas that are outside of quotes and brackets."""
    parts, depth, quote, start = [], 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


def _value(text: str, hint: object) -> Any:
    """Read an option's value: as Python, unless its parameter is annotated str, or it is no Python."""
    if hint is str and text[:1] not in ("'", '"'):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)
