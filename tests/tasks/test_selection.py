"""Choosing targets: which images make up which batch."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.selection import RULES, Batches, Selection

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=60)


def test_consecutive_batches_are_the_images_in_order() -> None:
    assert list(Selection().batches([0] * 7, 3)) == [(0, 1, 2), (3, 4, 5)]


def test_every_takes_the_multiples_of_the_stride_as_gifd_does() -> None:
    batches = Selection("every").batches(range(50_000), 1)
    assert [batches[target] for target in (0, 1, 49)] == [(0,), (1000,), (49_000,)]
    assert len(batches) == 50
    assert list(Selection("every", stride=10).batches(range(45), 2)) == [(0, 10), (20, 30)]


def test_a_stride_of_one_is_consecutive() -> None:
    labels = [0] * 11
    assert list(Selection("every", stride=1).batches(labels, 4)) == list(Selection().batches(labels, 4))


@pytest.mark.parametrize("rule", sorted(RULES))
@given(
    labels=LABELS, batch_size=st.integers(1, 8), stride=st.integers(1, 5), seed=st.integers(0, 2**63 - 1)
)
def test_batches_are_disjoint_whole_in_range_and_the_same_every_time(
    rule: Any, labels: list[int], batch_size: int, stride: int, seed: int
) -> None:
    selection = Selection(rule, stride, seed)
    try:
        batches = selection.batches(labels, batch_size)
    except TaskError:
        most = {"every": -(-len(labels) // stride), "unique_labels": len(set(labels))}
        assert most.get(rule, len(labels)) < batch_size
        return
    drawn = list(batches)
    assert len(drawn) == len(batches) >= 1
    assert all(len(batch) == batch_size for batch in drawn)
    indices = [index for batch in drawn for index in batch]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(len(labels)))
    torch.manual_seed(seed % 7)
    assert list(Selection(rule, stride, seed).batches(tuple(labels), batch_size)) == drawn


@given(labels=LABELS, batch_size=st.integers(1, 7), seed=st.integers(0, 5))
def test_unique_labels_fill_as_many_batches_as_any_drawing_could(
    labels: list[int], batch_size: int, seed: int
) -> None:
    counts = Counter(labels).values()
    assume(len(counts) >= batch_size)
    batches = list(Selection("unique_labels", seed=seed).batches(labels, batch_size))
    for batch in batches:
        assert len({labels[index] for index in batch}) == batch_size
    # m batches can be filled if and only if classes that give at most one image to each suffice.
    possible = [m for m in range(1, 61) if sum(min(count, m) for count in counts) >= m * batch_size]
    assert len(batches) == max(possible)


@given(count=st.integers(1, 300), seed=st.integers(0, 2**63 - 1))
def test_random_is_the_permutation_that_torch_draws(count: int, seed: int) -> None:
    expected = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    assert list(Selection("random", seed=seed).batches(range(count), 1).order) == expected


def test_random_batches_depend_on_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    labels = [k % 10 for k in range(100)]
    for rule in ("random", "unique_labels"):
        one, two = (list(Selection(rule, seed=seed).batches(labels, 5)) for seed in (0, 1))
        assert one != two
        assert sorted(i for batch in one for i in batch) == list(range(100))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_classes_do_not_recur_in_the_same_company() -> None:
    labels = [k % 12 for k in range(1200)]
    batches = Selection("unique_labels").batches(labels, 3)
    companies = {frozenset(labels[index] for index in batch) for batch in batches}
    assert len(companies) > 100


def test_selection_is_fast_and_reads_labels_only_where_it_needs_them() -> None:
    class Unreadable(list[int]):
        def __getitem__(self, index: Any) -> Any:
            raise AssertionError("a label was read")

    for rule in ("consecutive", "every", "random"):
        assert len(Selection(rule).batches(Unreadable([0] * 50_000), 4)) >= 12
    labels = [k // 50 for k in range(50_000)]
    start = time.process_time()
    assert len(Selection("unique_labels").batches(labels, 32)) == 50_000 // 32
    assert time.process_time() - start < 5


@pytest.mark.parametrize("target", [-1, 3])
def test_a_target_that_does_not_exist_is_an_error(target: int) -> None:
    with pytest.raises(TaskError, match=rf"^target {target} does not exist: .* targets 0 to 2$"):
        Batches(range(10), 3)[target]


def test_a_selection_without_a_single_batch_is_an_error() -> None:
    with pytest.raises(TaskError, match="rule consecutive finds 3 of 3 images, too few for one batch of 4"):
        Selection().batches([0, 1, 2], 4)
    with pytest.raises(TaskError, match="rule every finds 2 of 1500 images"):
        Selection("every").batches(range(1500), 4)
    with pytest.raises(TaskError, match="rule random finds 0 of 0 images"):
        Selection("random").batches([], 1)


def test_more_unique_labels_than_classes_is_an_error() -> None:
    with pytest.raises(TaskError, match=r"batches of 3 images with unique labels .* has images of 2"):
        Selection("unique_labels").batches([0, 1, 0, 1, 0], 3)


def test_bad_settings_are_errors() -> None:
    with pytest.raises(TaskError, match="stride must be at least 1, not 0"):
        Selection("every", stride=0)
    for seed in (-1, 1 << 63):
        with pytest.raises(TaskError, match="seed must be"):
            Selection("random", seed=seed)
    rule: Any = "nonesuch"
    with pytest.raises(TaskError, match="no rule 'nonesuch'; there are: consecutive, every"):
        Selection(rule)
