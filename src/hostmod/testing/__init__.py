"""Tests of host modules: calling a function without a guest, with guard bytes, and recording the calls of a run."""

from hostmod.testing.calling import call
from hostmod.testing.guards import GUARD, GUARD_LENGTH, GuardedMemory, GuardError
from hostmod.testing.recorder import Call, Recorder

__all__ = ["GUARD", "GUARD_LENGTH", "Call", "GuardError", "GuardedMemory", "Recorder", "call"]
