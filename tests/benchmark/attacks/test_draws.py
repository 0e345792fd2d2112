"""Common random numbers: what is drawn depends on seed, restart, purpose and index, and on no option."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.attacks.ggl import GGL
from gifd_bench.benchmark.attacks.gi import GI
from gifd_bench.benchmark.attacks.gias import GIAS
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.gifd_ood import GIFDOOD
from gifd_bench.benchmark.attacks.gion import GION
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.latent import Latent
from gifd_bench.benchmark.inversion.draws import Draws
from gifd_bench.benchmark.inversion.radii import PerEntry
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.threat_model import ThreatModel
from tests.rounds import make_task


class Starts(Callback):
    """Keeps where every lane starts, of each restart its first member apart, and what is searched after
    every step."""

    def __init__(self) -> None:
        self.starts: dict[tuple[int, int], dict[str, Tensor]] = {}
        self.members: dict[tuple[int, int], dict[str, Tensor]] = {}
        self.iterates: list[dict[str, Tensor]] = []

    def on_before_zero_grad(self, trainer: Any, attack: Any, *args: Any) -> None:
        if attack.progress.step == 0 and attack.progress.stage == 0:
            for index, lane in enumerate(attack.course.lanes()):
                searched = {n: t[index].detach().clone() for n, t in attack.search.searched.items()}
                self.members[lane.restart, lane.member] = searched
                if lane.member == 0:
                    self.starts[lane.restart, attack.progress.stage] = searched

    def on_train_batch_end(self, trainer: Any, attack: Any, *args: Any) -> None:
        self.iterates.append({n: t.detach().clone() for n, t in attack.search.searched.items()})


def run(attack: Attack, observation: Observation, prior: ResNetPrior | None = None) -> Starts:
    kept = Starts()
    invert(attack, observation, prior, 3, callbacks=[kept], accelerator="cpu")
    return kept


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_purpose_has_its_own_numbers_whatever_else_is_drawn() -> None:
    draws, others = Draws(7, 1), Draws(7, 1)
    torch.rand(5, generator=others.generator("langevin"))
    torch.rand(3, generator=others.generator("start", 1))
    assert torch.equal(
        torch.rand(4, generator=draws.generator("start")),
        torch.rand(4, generator=others.generator("start")),
    )
    seeds = {Draws(s, r).seed(p, k) for s in (7, 8) for r in (0, 1) for p in ("start", "x") for k in (0, 1)}
    assert len(seeds) == 16


def test_draws_go_on_from_their_state() -> None:
    draws, resumed = Draws(7, 0), Draws(7, 0)
    torch.rand(3, generator=draws.generator("langevin", 12))
    resumed.load_state(draws.state())
    for purpose, index in (("langevin", 12), ("start", 0)):
        following = [torch.rand(3, generator=d.generator(purpose, index)) for d in (draws, resumed)]
        assert torch.equal(*following)


def test_attacks_on_pixels_share_their_starts(observation: Observation) -> None:
    ig = run(IG(iterations=1, restarts=2), observation).starts
    assert not same(ig[0, 0], ig[1, 0])
    # DLG's search has no box.
    low, high = float(ig[0, 0]["inputs"].min()), float(ig[0, 0]["inputs"].max())
    for restart in (0, 1):
        drawn = run(DLG(iterations=1, evaluations=1, restarts=2), observation).starts[restart, 0]["inputs"]
        assert torch.equal(drawn.clamp(low, high), ig[restart, 0]["inputs"])
    groups = [run(GI(iterations=1, group_size=size), observation).starts for size in (1, 4)]
    assert all(same(group[0, 0], ig[0, 0]) for group in groups)


def test_langevin_noise_changes_nothing_else_that_is_drawn(observation: Observation) -> None:
    without, with_noise = (
        run(GI(iterations=1, group_size=2, restarts=2, langevin=langevin), observation)
        for langevin in (0.0, 0.5)
    )
    for restart in (0, 1):
        assert same(without.starts[restart, 0], with_noise.starts[restart, 0])
    assert not same(without.iterates[0], with_noise.iterates[0])


@pytest.mark.slow
def test_attacks_in_a_prior_share_their_latents(observation: Observation, tiny_prior: ResNetPrior) -> None:
    latent = run(Latent(iterations=1, restarts=2), observation, tiny_prior).starts
    others: dict[str, Attack] = {
        "gifd": GIFD(iterations=1, restarts=2),
        "free": GIFD(iterations=1, sphere=False, radii=None, restarts=2),
        "small balls": GIFD(iterations=2, radii=PerEntry(0.01), restarts=2),
        "held out": GIFD(iterations=1, stop="held_out", restarts=2),
        "two stages": GIFD(iterations=1, last_stage=1, restarts=3),
        "starts": GIFD(iterations=1, starts=3, restarts=2),
        "gias": GIAS(latent_iterations=1, weight_iterations=1, starts=2, restarts=2),
        "gifd_ood": GIFDOOD(iterations=1, starts=3, restarts=2),
    }
    runs = {name: run(attack, observation, tiny_prior) for name, attack in others.items()}
    found = {name: each.starts for name, each in runs.items()}
    members = {name: each.members for name, each in runs.items()}
    for name, starts in found.items():
        for restart in (0, 1):
            assert same(starts[restart, 0], latent[restart, 0]), name
    for later in (1, 2):
        assert same(members["starts"][0, later], members["gifd_ood"][0, later])
    assert same(members["starts"][1, 1], members["gias"][1, 1])
    assert not same(members["starts"][0, 1], members["starts"][0, 0])


@pytest.mark.parametrize("name", ["ggl", "gion"])
def test_a_restart_is_the_same_however_many_there_are(
    name: str, observation: Observation, tiny_prior: ResNetPrior
) -> None:
    def curve(restarts: int) -> Tensor:
        attack: Attack = (
            GGL(iterations=2, population=4, restarts=restarts)
            if name == "ggl"
            else GION(iterations=2, restarts=restarts)
        )
        return invert(attack, observation, tiny_prior, 3, accelerator="cpu").curve

    three = curve(3)
    torch.testing.assert_close(curve(2)[:4], three[:4], rtol=1e-3, atol=0)
    assert len(set(three.view(3, 2)[:, 0].tolist())) == 3


@pytest.mark.slow
def test_stop_rules_that_choose_among_the_same_iterates_have_the_same(tiny_prior: ResNetPrior) -> None:
    task = make_task(threat_model=ThreatModel(defense="kind"))
    observation = task.observe(task.truth(0), GaussianNoise(0.1), model_seed=0, defense_seed=0)
    lowest, discrepancy = (
        run(GIFD(iterations=3, stop=stop, restarts=2), observation, tiny_prior).iterates
        for stop in ("matching_loss", "discrepancy")
    )
    assert len(lowest) == 15
    assert all(same(one, other) for one, other in zip(lowest, discrepancy, strict=True))
