"""The random numbers of clients' defenses: all strengths share a draw, with and without other defenses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gifd_bench.common.registry import Registry
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.defenses.knowledge import describe
from gifd_bench.tasks.defenses.names import kind_of, name_of
from gifd_bench.tasks.defenses.noise import GaussianNoise, LaplaceNoise
from gifd_bench.tasks.defenses.quantisation import Quantisation
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.outside import named_by_user
from tests.rounds import make_task

CLIENTS = [
    ClientSettings(),
    ClientSettings(clients=2),
    ClientSettings(local=FedAvg(2, 1, 0.1)),
]


def sent(defense: Defense, client: ClientSettings = CLIENTS[0], seed: int = 0) -> Tensor:
    task = make_task(2, client=client)
    update = task.observe(task.truth(0), defense, 0, seed).update
    return torch.cat([value.flatten().double() for value in update.values()])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("noise", [GaussianNoise, LaplaceNoise])
def test_a_sweep_over_strengths_scales_one_draw(
    noise: Callable[..., Defense], client: ClientSettings
) -> None:
    clean = sent(NoDefense(), client)
    one, two = (sent(noise(strength), client) - clean for strength in (0.01, 0.02))
    assert float(one.abs().max()) > 0.02
    torch.testing.assert_close(two, 2 * one, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("client", CLIENTS[:2])
def test_the_noise_of_dp_sgd_is_one_draw_too(client: ClientSettings) -> None:
    clipped, one, two = (sent(DPSGD(0.5, multiplier), client) for multiplier in (0.0, 0.1, 0.2))
    assert float((one - clipped).abs().max()) > 0.01
    torch.testing.assert_close(two - clipped, 2 * (one - clipped), atol=1e-6, rtol=1e-5)


def test_quantisation_rounds_with_the_same_numbers_at_every_level() -> None:
    """Whoever is rounded up with few bits has a larger number than whoever is rounded down."""
    clean, numbers = sent(NoDefense()), {}
    for bits in (2, 3):
        scale = torch.cat([v.abs().max().expand(v.numel()) for v in make_clean().values()]).double()
        step = scale / (2 ** (bits - 1) - 1)
        rounded_up = sent(Quantisation(bits)) > clean
        share = clean / step - (clean / step).floor()
        # Rounded up where the number is at least 1 - share: a bound on the number of each entry.
        numbers[bits] = (torch.where(rounded_up, 1 - share, 0.0), torch.where(rounded_up, 1.0, 1 - share))
    low = torch.maximum(numbers[2][0], numbers[3][0])
    high = torch.minimum(numbers[2][1], numbers[3][1])
    assert float((high - low).min()) > -1e-4
    other = sent(Quantisation(3), seed=1)
    assert not torch.equal(other, sent(Quantisation(3)))


def make_clean() -> dict[str, Tensor]:
    task = make_task(2)
    return dict(task.observe(task.truth(0), NoDefense(), 0, 0).update)


@pytest.mark.parametrize("client", CLIENTS)
def test_noise_is_the_same_alone_and_after_a_clipping(client: ClientSettings) -> None:
    alone = sent(GaussianNoise(0.01), client) - sent(NoDefense(), client)
    among = sent(Composition((Clipping(0.1), GaussianNoise(0.01))), client) - sent(Clipping(0.1), client)
    torch.testing.assert_close(among, alone, atol=1e-6, rtol=1e-5)


def test_clients_draw_different_noise_and_a_client_draws_the_same_whoever_else_takes_part() -> None:
    zero = GaussianNoise(1.0)
    noises = [
        sent(zero, ClientSettings(clients=n)) - sent(NoDefense(), ClientSettings(clients=n)) for n in (1, 2)
    ]
    second = 2 * noises[1] - noises[0]
    assert float(second.std()) == pytest.approx(1, rel=0.05)
    assert abs(float((second * noises[0]).mean())) < 0.05


def test_another_seed_draws_other_noise_and_no_defense_draws_nothing() -> None:
    assert not torch.equal(sent(GaussianNoise(), seed=1), sent(GaussianNoise()))
    assert torch.equal(sent(NoDefense(), seed=1), sent(NoDefense()))


@dataclass(frozen=True)
class Mine(GaussianNoise):
    """A defense from outside."""


def test_a_defense_is_found_back_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFENSES.bundled:
        found = DEFENSES.find(name)
        assert name_of(found) == kind_of(found) == name
    assert (name_of(Mine), kind_of(Mine)) == (f"{__name__}:Mine", "Mine")
    assert DEFENSES.find(name_of(Mine)) is Mine
    assert describe(Mine(0.5)) == ((f"{__name__}:Mine", {"std": 0.5}),)
    file = tmp_path / "my_defense.py"
    file.write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for given in ("my_defense.py:Mine", f"{file}:Mine"):
        loaded = DEFENSES.find(given)
        assert name_of(loaded) == f"{file}:Mine"
        assert DEFENSES.find(name_of(loaded)) is loaded


def test_a_defense_of_an_installed_package_goes_by_the_name_that_this_gives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Registry, "installed", lambda self: {f"their_{self.noun}": f"{__name__}:Mine"})
    assert describe(Mine(0.5)) == (("their_defense", {"std": 0.5}),)
    assert DEFENSES.find("their_defense") is Mine
    assert kind_of(Mine) == "Mine"
    for named in ("their_defense", f"{__name__}:Mine"):
        assert named_by_user(DEFENSES, "their_defense", [named]) == named
    with pytest.raises(TaskError, match="'their_defense', which would be imported; name it yourself"):
        named_by_user(DEFENSES, "their_defense", ["their_model"])


def test_where_the_code_of_a_defense_lies_changes_no_number(tmp_path: Path) -> None:
    base = "from gifd_bench.tasks.defenses.noise import GaussianNoise"
    (tmp_path / "elsewhere.py").write_text(f"{base}\n\nclass Mine(GaussianNoise):\n    pass\n")
    elsewhere = DEFENSES.find(f"{tmp_path}/elsewhere.py:Mine")()
    assert torch.equal(sent(elsewhere), sent(Mine()))
    assert not torch.equal(sent(Mine()), sent(GaussianNoise()))
