"""What every label rule promises: of the bundled ones, and of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.contract.label_rules import (
    CHECKS,
    gives_a_label_for_each_image,
    gives_the_same_labels_again,
    is_right_on_one_image_without_a_defense,
    knows_nothing_of_the_order_of_the_batch,
    leaves_the_observation_as_it_is,
)
from gifd_bench.benchmark.contract.subject import Broken, observe
from gifd_bench.benchmark.inversion.labels.counting import counts
from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES, LabelRule, infer_labels, unmet_by_rule
from gifd_bench.common.errors import UserError
from gifd_bench.tasks.observation import Observation


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", LABEL_RULES.names())
def test_the_contract(name: str, check: object) -> None:
    assert callable(check)
    check(LABEL_RULES.find(name))


def wrong_shape(observation: Observation) -> Tensor:
    return counts(observation)[:, None]


def out_of_range(observation: Observation) -> Tensor:
    return counts(observation) + 10


def constant(observation: Observation) -> Tensor:
    return torch.zeros(observation.batch_size, dtype=torch.int64)


def random(observation: Observation) -> Tensor:
    return torch.randint(10, (observation.batch_size,))


def careless(observation: Observation) -> Tensor:
    next(iter(observation.update.values())).zero_()
    return constant(observation)


def sensitive(observation: Observation) -> Tensor:
    first = next(iter(observation.update.values()))
    return torch.full((observation.batch_size,), int(first.view(torch.int32).sum()) % 10)


@pytest.mark.parametrize(
    ("check", "rule", "message"),
    [
        (gives_a_label_for_each_image, wrong_shape, "labels of shape (1, 1), not int64 of 1"),
        (gives_a_label_for_each_image, out_of_range, "which are not from 0 to 9"),
        (is_right_on_one_image_without_a_defense, constant, "label [0] of an image of class [1]"),
        (gives_the_same_labels_again, random, "other labels the second time"),
        (leaves_the_observation_as_it_is, careless, "of the update"),
        (knows_nothing_of_the_order_of_the_batch, sensitive, "in another order give other labels"),
    ],
)
def test_a_broken_promise_is_named(check: object, rule: LabelRule, message: str) -> None:
    assert callable(check)
    with pytest.raises(Broken, match=re.escape(message)):
        check(rule)


def test_a_rule_from_a_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rule_of_mine.py").write_text(
        "import torch\n\ndef sevens(observation):\n    return torch.full((observation.batch_size,), 7)\n",
        encoding="utf-8",
    )
    observation = observe(batch_size=2)
    for name in ("rule_of_mine.py:sevens", "rule_of_mine:sevens"):
        assert infer_labels(observation, name).tolist() == [7, 7]
        assert unmet_by_rule(name, 20, 10) is None
    with pytest.raises(UserError, match="there is no 'eights'"):
        infer_labels(observation, "rule_of_mine.py:eights")
