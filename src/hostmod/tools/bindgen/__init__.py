"""Bindings for guests: what host modules offer, declared in the languages that guests are written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from hostmod.link import Host
from hostmod.tools.bindgen import assemblyscript, c, cpp, rust, tinygo, zig
from hostmod.tools.bindgen.model import Interface, interface_of

LANGUAGES: Mapping[str, Callable[[Sequence[Interface]], str]] = MappingProxyType(
    {
        "c": c.generate,
        "cpp": cpp.generate,
        "rust": rust.generate,
        "zig": zig.generate,
        "tinygo": tinygo.generate,
        "assemblyscript": assemblyscript.generate,
    }
)
"""What writes the bindings of each language."""


def generate(language: str, hosts: Sequence[Host]) -> str:
    """Write what host modules offer as declarations of a language.

    Args:
        language: a key of `LANGUAGES`.
        hosts: classes or instances of `HostModule`, and modules of functions.

    Raises:
        DeclarationError: one of them cannot be declared in that language.
    """
    return LANGUAGES[language]([interface_of(host) for host in hosts])
