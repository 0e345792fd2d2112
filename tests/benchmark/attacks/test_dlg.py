"""DLG and iDLG: one call of L-BFGS against a slow reference, soft labels, and what they reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.attacks.idlg import IDLG
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.invert import invert
from gifd_bench.benchmark.scoring.scorer import score
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from tests.benchmark.attacks.references import start_of
from tests.rounds import make_round

CONVOLUTIONS = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(
            nn.Conv2d(3, 4, 3),
            nn.Sigmoid(),
            nn.Conv2d(4, num_classes, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
"""


class Record(Callback):
    """Keeps what is searched after every iteration."""

    def __init__(self) -> None:
        self.searched: list[dict[str, Tensor]] = []
        self.targets: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, attack: Any, *args: Any) -> None:
        searched = attack.search.searched
        self.searched.append({name: t[0].detach().clone() for name, t in searched.items()})
        self.targets.append(attack.targets(attack.search)[0].detach())


def record(attack: DLG, observation: Observation, seed: int = 0) -> Record:
    kept = Record()
    invert(attack, observation, None, seed, callbacks=[kept], accelerator="cpu")
    return kept


def slow_distance(observation: Observation, inputs: Tensor, logits: Tensor) -> Tensor:
    """Sum over parameters of the squared distance of gradients, for soft labels."""
    victim = observation.victim()
    probabilities = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    loss = -(probabilities * F.log_softmax(victim(inputs), dim=1)).sum(dim=1).mean()
    gradients = torch.autograd.grad(loss, list(victim.parameters()), create_graph=True)
    names = [name for name, _ in victim.named_parameters()]
    distance = torch.zeros(())
    for name, gradient in zip(names, gradients, strict=True):
        distance = distance + ((gradient - observation.update[name]) ** 2).sum()
    return distance


def slow_lbfgs_direction(gradient: Tensor, moves: list[Tensor], changes: list[Tensor]) -> Tensor:
    """Nocedal and Wright, "Numerical optimization", algorithm 7.4: the two loops."""
    q, kept = gradient.clone(), []
    for s, y in zip(reversed(moves), reversed(changes), strict=True):
        alpha = (s @ q) / (y @ s)
        kept.append(alpha)
        q = q - alpha * y
    r = q * (moves[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y, alpha in zip(moves, changes, reversed(kept), strict=True):
        r = r + s * (alpha - (y @ r) / (y @ s))
    return -r


def test_dlg_takes_the_steps_of_lbfgs_in_pixels_and_labels_together(observation: Observation) -> None:
    attack = DLG(iterations=1, evaluations=3, learning_rate=0.5)
    seed = 1  # from which the search meets a curvature that is kept
    after = record(attack, observation, seed).searched[0]
    begun = start_of(attack, observation, seed=seed).searched
    start = {name: tensor[0].detach() for name, tensor in begun.items()}
    pixels, shape = start["inputs"].shape, start["logits"].shape
    point = torch.cat([start["inputs"].flatten(), start["logits"].flatten()])
    size = start["inputs"].numel()

    def gradient(at: Tensor) -> Tensor:
        at = at.detach().requires_grad_()
        distance = slow_distance(observation, at[:size].view(pixels), at[size:].view(shape))
        return torch.autograd.grad(distance, at)[0]

    g = gradient(point)
    step = -min(1.0, float(1 / g.abs().sum())) * 0.5 * g
    moves, changes = [], []
    for _ in range(2):
        point = point + step
        new = gradient(point)
        if step @ (new - g) > 1e-10:  # curvature: without it a pair is not kept
            moves.append(step)
            changes.append(new - g)
        g = new
        step = 0.5 * slow_lbfgs_direction(g, moves, changes)
    point = point + step
    assert moves
    torch.testing.assert_close(after["inputs"].flatten(), point[:size], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after["logits"].flatten(), point[size:], atol=1e-4, rtol=1e-4)


def test_every_inner_evaluation_of_lbfgs_and_every_trimmed_image_counts(observation: Observation) -> None:
    result = invert(DLG(iterations=3, evaluations=5), observation, None, 0, accelerator="cpu")
    assert result.gradient_evaluations == 3 * (1 + 5) + 1


def test_dlg_searches_a_soft_label_of_its_own_for_each_image() -> None:
    observation, _ = make_round(3)
    kept = record(DLG(iterations=2, evaluations=2), observation)
    for targets in kept.targets:
        assert targets.shape == (3, observation.model.num_classes)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(3))
        assert not torch.equal(targets[0], targets[1])


def test_granted_labels_are_not_searched() -> None:
    task = Task(Photos(16), "lenet", {}, TaskSettings(threat_model=ThreatModel(labels="known")))
    observation = task.observe(task.truth(1), NoDefense(), model_seed=0, defense_seed=0)
    attack = DLG(iterations=1, evaluations=2)
    assert set(record(attack, observation).searched[0]) == {"inputs"}
    assert attack.targets(attack.search).tolist() == [[1]]


def test_labels_that_are_searched_are_not_inferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net_without_linear_layer.py").write_text(CONVOLUTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    task = Task(Photos(8), "net_without_linear_layer:Net", {}, TaskSettings(batch_size=2))
    truth = task.truth(0)
    observation = task.observe(truth, NoDefense(), model_seed=0, defense_seed=0)
    with pytest.raises(TaskError, match="linear layer"):
        invert(IDLG(iterations=1), observation, None, 0, accelerator="cpu")
    attack = DLG(iterations=2, evaluations=2)
    result = invert(attack, observation, None, 0, accelerator="cpu")
    assert attack.observation is observation
    assert result.label_probabilities is not None
    assert result.label_probabilities.shape == (2, observation.model.num_classes)
    assert bool(((result.labels >= 0) & (result.labels < observation.model.num_classes)).all())
    scores = score(result, truth, observation)
    assert scores.per_image["feature_mse"] is None
    assert "feature_mse: model 'net_without_linear_layer:Net' has no linear layer" in scores.reasons


def test_idlg_searches_pixels_alone_and_reads_one_label_or_counts_many() -> None:
    for batch_size, rule in ((1, "idlg"), (3, "counts")):
        observation, _ = make_round(batch_size)
        attack = IDLG(iterations=1, evaluations=2)
        assert set(record(attack, observation).searched[0]) == {"inputs"}
        assert attack.options.label_rule_for(batch_size) == rule
    assert IDLG(label_rule="row_sum").options.label_rule_for(1) == "row_sum"


@pytest.mark.parametrize("kind", [DLG, IDLG])
def test_a_search_that_runs_off_keeps_what_it_had_found(kind: type[DLG], observation: Observation) -> None:
    attack = kind(iterations=4, evaluations=4, learning_rate=1e30, restarts=2)
    result = invert(attack, observation, None, 0, accelerator="cpu")
    assert not bool(torch.isfinite(result.curve).all())
    assert bool(torch.isfinite(result.images).all())
    assert result.matching_loss == pytest.approx(float(result.curve[result.curve.isfinite()].min()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DLG, IDLG])
def test_lenet_without_defense_gives_its_photograph_away(kind: type[DLG]) -> None:
    task = Task(Photos(16), "lenet", {}, TaskSettings())
    truth = task.truth(0)
    observation = task.observe(truth, NoDefense(), model_seed=0, defense_seed=0)
    result = invert(kind(iterations=25), observation, None, 0, accelerator="cpu")
    assert -10 * torch.log10((result.images - truth.images).square().mean()) > 35
    assert result.labels.tolist() == truth.labels.tolist()


@pytest.mark.parametrize("options", [{"iterations": 0}, {"evaluations": 0}, {"history": 0}])
def test_nothing_to_do_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError, match="at least 1"):
        DLG(**options)
