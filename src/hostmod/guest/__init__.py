"""Guests: loading one, and calling its exports from Python, typed, through the same plans."""

from hostmod.exported import export_caller
from hostmod.guest.exports import Exports
from hostmod.guest.guest_memory import GuestMemory
from hostmod.guest.guest_module import GuestModule, export
from hostmod.guest.instance import Guest, instantiate
from hostmod.guest.interface import Interface, interface_of
from hostmod.guest.loading import Source, compile_bytes, load, new_engine, read

__all__ = [
    "Exports",
    "Guest",
    "GuestMemory",
    "GuestModule",
    "Interface",
    "Source",
    "compile_bytes",
    "export",
    "export_caller",
    "instantiate",
    "interface_of",
    "load",
    "new_engine",
    "read",
]
