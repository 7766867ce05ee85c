"""Both backends do the same, on random plans, stacks and memories; `scripts/compare_backends.py` runs more."""

from __future__ import annotations

import random
from typing import Any

import backends
import pytest
import random_plans
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip(
    "hostmod._backend._native", reason="the native backend was not built: there is nothing to compare"
)

seeds = st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=40)
thorough = settings(
    max_examples=150,
    deadline=None,  # a plan's guests are compiled
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@thorough
@given(st.randoms(use_true_random=False), seeds)
def test_a_host_function_does_the_same_with_both_backends(choices: random.Random, seeds: list[int]) -> None:
    pair = backends.HostPair(random_plans.Choices(choices).plan(), random.Random(seeds[0]))
    for seed in seeds:
        pair.compare(seed)


@thorough
@given(st.randoms(use_true_random=False), seeds)
def test_a_guest_call_does_the_same_with_both_backends(choices: random.Random, seeds: list[int]) -> None:
    pair = backends.GuestPair(random_plans.Choices(choices).guest_plan(), random.Random(seeds[0]))
    for seed in seeds:
        pair.compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_plans_that_the_long_run_begins_with_have_no_difference(seed: int) -> None:
    rng = random.Random(seed)
    pair = backends.pair_of(rng, guest=seed % 5 == 4)
    for _ in range(100):
        pair.compare(rng.getrandbits(48))


def test_the_comparison_sees_every_kind_of_difference() -> None:
    same: tuple[Any, ...] = ([1], None, [], [], [], b"memory")
    backends.assert_same("nothing", same, same)
    others: tuple[Any, ...] = ([2], ("OSError", "()", "", []), [1], [1], ["line"], b"Memory")
    for part, other in enumerate(others):
        changed = (*same[:part], other, *same[part + 1 :])
        with pytest.raises(AssertionError, match=backends.PARTS[part]):
            backends.assert_same("something", same, changed)
