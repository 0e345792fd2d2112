"""Every bundled prior keeps what a prior promises, and a prior that does not is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.contract.priors import CHECKS, PriorSubject
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.priors.base import UNKNOWN_CLASS, Prior, State, normal
from gifd_bench.priors.registry import PRIORS
from tests.priors.small import SmallPrior

Check = Callable[[PriorSubject], None]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_bundled_prior_keeps_its_promises(check: Check, small_prior: SmallPrior) -> None:
    check(PriorSubject(small_prior.make))


def test_bundled_priors_have_at_least_four_stages_after_the_latent(small_prior: SmallPrior) -> None:
    assert len(small_prior.make().stages) >= 5


def test_the_latent_of_an_image_depends_on_the_draws_before_it_alone(small_prior: SmallPrior) -> None:
    prior = small_prior.make()

    def latents(images: int) -> Tensor:
        classes = torch.full((images,), UNKNOWN_CLASS)
        state = prior.initial_state(classes, torch.Generator().manual_seed(3))
        return state.tensors["z" if "z" in state.tensors else "latent"]

    three = latents(3)
    assert torch.equal(latents(1), three[:1])
    # Nothing is drawn before it, so that two priors, and two options of one, begin with the same numbers.
    first = torch.randn(three.shape[1:], generator=torch.Generator().manual_seed(3))
    assert torch.equal(three[0], first)


def test_two_shapes_of_a_prior_share_the_latent() -> None:
    states = [
        PRIORS.make("untrained", options).initial_state(
            torch.tensor([UNKNOWN_CLASS]), torch.Generator().manual_seed(0)
        )
        for options in ({"width": 8}, {"width": 16, "size": 64, "seed": 5})
    ]
    assert torch.equal(states[0].tensors["z"], states[1].tensors["z"])


class Toy(Prior):
    """A class embedding added to the latent, and three linear stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stages, self.image_size, self.class_names = ("latent", "first", "second"), 4, ("a", "b")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embeddings = nn.Parameter(torch.randn(2, 6))
            self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 48)])
        self.eval().requires_grad_(False)

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        z = normal(len(classes), 6, generator=generator)
        known = (classes != UNKNOWN_CLASS)[:, None]
        embedding = torch.where(known, self.embeddings[classes.clamp(min=0)], self.embeddings.mean(dim=0))
        searched = ("z",) if bool(known.all()) else ("z", "embedding")
        return State(0, {"z": z, "embedding": embedding}, searched)

    def advance(self, state: State) -> State:
        feature = torch.tanh(self.layers[state.stage](self.entering(state)))
        return State(state.stage + 1, {"feature": feature}, ("feature",))

    def generate(self, state: State) -> Tensor:
        while state.stage < 2:
            state = Toy.advance(self, state)
        return torch.sigmoid(self.layers[2](state.tensors["feature"])).view(-1, 3, 4, 4)

    def entering(self, state: State) -> Tensor:
        if state.stage:
            return state.tensors["feature"]
        return state.tensors["z"] + state.tensors["embedding"]


class MoreNames(Toy):
    """Names a stage that it does not advance to."""

    def advance(self, state: State) -> State:
        return super().advance(state) if state.stage == 0 else state


class BeyondOne(Toy):
    """Images up to 2."""

    def generate(self, state: State) -> Tensor:
        return 2 * super().generate(state)


class Nearest(Toy):
    """Takes every second pixel."""

    def render(self, state: State, size: int | None = None) -> Tensor:
        return self.generate(state)[
            ..., :: self.image_size // (size or 4), :: self.image_size // (size or 4)
        ]


class Jumps(Toy):
    """Loses a little of the feature."""

    def advance(self, state: State) -> State:
        after = super().advance(state)
        return State(after.stage, {"feature": after.tensors["feature"] + 0.1}, after.searched)


class DrawsElsewhere(Toy):
    """Uses the global generator."""

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        return super().initial_state(classes, torch.default_generator)


class MixesTheBatch(Toy):
    """Each image less the batch's mean."""

    def generate(self, state: State) -> Tensor:
        images = super().generate(state)
        return (images + images.mean(dim=0)) / 2


class LosesTheGradient(Toy):
    """The feature counts, and its gradient is lost."""

    def generate(self, state: State) -> Tensor:
        return super().generate(
            State(state.stage, {n: t.detach() for n, t in state.tensors.items()}, ())
        ) + (0 * sum(t.sum() for t in state.tensors.values()))


class Trains(Toy):
    """Its weights need gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(True)


class Shares(Toy):
    """The embedding is a view of the weights."""

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        state = super().initial_state(classes, generator)
        return State(0, {**state.tensors, "embedding": self.embeddings[:2]}, state.searched)


class IgnoresTheUnknown(Toy):
    """Takes an unknown class for the first."""

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        return super().initial_state(classes.clamp(min=0), generator)


class OnTheDefaultDevice(Toy):
    """Adds a tensor of which it does not say where it is."""

    def generate(self, state: State) -> Tensor:
        return super().generate(state) + torch.zeros(1)


BROKEN: dict[str, tuple[type[Toy], str]] = {
    "has_the_stages_that_it_names": (MoreNames, "3 stages are named, but stage 2 is a state of 1"),
    "renders_images_in_range_and_of_its_size": (BeyondOne, r"not in \[0, 1\]"),
    "reaches_another_size_by_area_pooling": (Nearest, "at half its size the images are others"),
    "renders_on_without_a_jump": (Jumps, "after stage latent the images are others"),
    "draws_from_the_generator_alone": (DrawsElsewhere, "'z' is another with the same seed"),
    "renders_a_batch_as_its_images_one_by_one": (MixesTheBatch, "alone, at stage latent"),
    "lets_gradients_reach_what_is_searched": (LosesTheGradient, "first order: none reaches 'z'"),
    "keeps_still_what_is_not_searched": (Trains, "'embeddings' needs a gradient"),
    "shares_no_storage": (Shares, "'embedding' shares its storage with"),
    "takes_known_and_unknown_classes": (IgnoresTheUnknown, "nothing more is searched"),
    "names_the_device_of_every_tensor_that_it_makes": (
        OnTheDefaultDevice,
        "torch.zeros in line .* no device",
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_broken_promise_is_found(check: Check) -> None:
    check(PriorSubject(Toy))
    broken, message = BROKEN[check.__name__]
    with pytest.raises(Broken, match=message):
        check(PriorSubject(broken))


def test_a_state_that_searches_what_it_does_not_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match="which the state does not hold"):
        State(0, {}, ("z",))


def test_the_prior_of_the_documentation_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "priors.md").read_text(encoding="utf-8")
    (example,) = [block for block in page.split("```python\n")[1:] if "class MyPrior" in block]
    (command,) = [line.split() for line in page.splitlines() if "sample my_prior.py" in line]
    (tmp_path / "my_prior.py").write_text(example.split("```")[0])
    monkeypatch.chdir(tmp_path)
    for check in CHECKS:
        check(PriorSubject(lambda: PRIORS.make("my_prior.py:MyPrior", {})))
    assert cli(command[1:]) == 0
    assert (tmp_path / "mine.png").is_file()
