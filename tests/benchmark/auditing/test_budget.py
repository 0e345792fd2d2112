"""Sharing the time of an audit."""

from __future__ import annotations

import pytest

from gifd_bench.benchmark.auditing.budget import Cost, shares


def test_shares_are_equal_where_all_need_more() -> None:
    assert shares([Cost(100, 1)] * 4, 20) == [5, 5, 5, 5]


def test_what_one_does_not_need_goes_to_the_others() -> None:
    assert shares([Cost(100, 1), Cost(2, 1), Cost(7, 1)], 30) == [21, 2, 7]


def test_nobody_gets_more_than_it_needs() -> None:
    assert shares([Cost(3, 1), Cost(4, 1)], 1000) == [3, 4]


@pytest.mark.parametrize("seconds", [1.0, 9.0, 10.0, 25.0, 40.0])
def test_the_least_promising_are_left_out_where_the_time_does_not_suffice(seconds: float) -> None:
    costs = [Cost(100, 10)] * 4
    found = shares(costs, seconds)
    given = [share for share in found if share is not None]
    assert found == [*given, *[None] * (4 - len(given))]
    assert len(given) == max(1, min(4, int(seconds // 10)))
    assert sum(given) == pytest.approx(seconds)


def test_a_dear_attack_at_the_end_costs_no_other_its_share() -> None:
    assert shares([Cost(10, 1), Cost(10, 1), Cost(1e6, 1e3)], 20) == [10, 10, None]
