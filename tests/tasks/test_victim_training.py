"""Training a victim: that it learns, that it can be repeated, and what is kept of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning.callbacks import Callback
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.common.cache import cache_folder
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.models.state import load_state
from gifd_bench.tasks.training.augment import augment
from gifd_bench.tasks.training.cache import trained_victim, victim_facts, victim_file
from gifd_bench.tasks.training.held_out import hold_back
from gifd_bench.tasks.training.images import VictimImages, load_images
from gifd_bench.tasks.training.settings import VictimTraining
from gifd_bench.tasks.training.train import accuracy, train_victim
from gifd_bench.tasks.training.utility import measure_utility

SPEC = ModelSpec("convnet", 3, 8, {"width": 8})
TRAINING = VictimTraining(epochs=10, batch_size=8, learning_rate=0.05)
FACTS = {"use": "stripes"}


class Stripes(Dataset):
    """Noise whose red, green or blue channel is brighter: three classes that are told apart easily."""

    class_names = ("red", "green", "blue")
    image_size = 8

    def __init__(self, count: int = 60, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = [index % 3 for index in range(count)]
        self._images = torch.rand(count, 3, 8, 8, generator=generator) / 2
        for index, label in enumerate(self.labels):
            self._images[index, label] += 0.4

    def image(self, index: int) -> Tensor:
        return self._images[index]


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trained(
    defense: Defense | None = None, training: VictimTraining = TRAINING, seed: int = 0
) -> nn.Module:
    return train_victim(SPEC, load_images(Stripes()), training, seed, defense, progress=False)


@pytest.mark.slow
def test_a_victim_learns_and_the_same_seeds_give_the_same_weights() -> None:
    state = torch.random.get_rng_state()
    model = trained()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    assert accuracy(model, Stripes(30, seed=1)) > 0.9
    torch.manual_seed(5)
    assert torch.equal(weights_of(trained()), weights_of(model))
    assert not torch.equal(weights_of(trained(seed=1)), weights_of(model))
    assert not torch.equal(weights_of(trained(training=replace(TRAINING, seed=1))), weights_of(model))


def test_training_is_stochastic_gradient_descent_with_momentum_and_a_cosine() -> None:
    """Against the update written out; one batch an epoch, so that the order does not matter."""
    images = load_images(Stripes(12))
    training = VictimTraining(
        epochs=3, batch_size=12, learning_rate=0.1, momentum=0.9, weight_decay=0.01, augment=False
    )
    model = SPEC.build(0)
    inputs = (images.pixels.double() / 255 - 0.5) / 0.25
    model.double()
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    for step in range(3):
        loss = F.cross_entropy(model(inputs), images.labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        rate = 0.1 * (1 + math.cos(math.pi * step / 3)) / 2
        with torch.no_grad():
            for p, v, g in zip(model.parameters(), velocity, gradients, strict=True):
                v.mul_(0.9).add_(g + 0.01 * p)
                p.sub_(rate * v)
    found = train_victim(SPEC, images, training, 0, progress=False)
    torch.testing.assert_close(weights_of(found), weights_of(model).float(), atol=1e-5, rtol=1e-4)


def test_batch_norm_layers_learn_their_statistics_and_dropout_is_seeded(tmp_path: Path) -> None:
    spec = ModelSpec("resnet_cifar", 3, 8, {"width": 2})
    model = train_victim(spec, load_images(Stripes(16)), replace(TRAINING, epochs=1), 0, progress=False)
    statistics = [b for name, b in model.named_buffers() if name.endswith("running_mean")]
    assert all(float(b.abs().sum()) > 0 for b in statistics)
    dropping = ModelSpec("timm", 3, 32, {"architecture": "test_vit"})
    images = VictimImages(
        torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4).long(), *(torch.ones(2, 3, 1, 1))
    )
    one, two = (train_victim(dropping, images, TRAINING, 0, progress=False) for _ in range(2))
    assert torch.equal(weights_of(one), weights_of(two))


def test_no_defense_trains_as_without_one() -> None:
    assert torch.equal(weights_of(trained(NoDefense())), weights_of(trained()))


def test_each_step_takes_the_defended_gradient() -> None:
    """Gradients clipped to almost nothing move the weights by almost nothing."""
    training = replace(TRAINING, epochs=1, weight_decay=0, momentum=0)
    start = weights_of(SPEC.build(0))
    bound, steps = 1e-3, 60 // 8
    moved = float((weights_of(trained(Clipping(bound), training)) - start).norm())
    assert 0 < moved <= TRAINING.learning_rate * bound * steps


def test_images_are_cropped_and_mirrored_each_in_its_own_way() -> None:
    inputs = torch.randn(64, 3, 16, 16)
    before = inputs.clone()
    changed = augment(inputs, torch.Generator().manual_seed(0))
    assert torch.equal(inputs, before)
    seen = set()
    for image, found in zip(inputs, changed, strict=True):
        padded = F.pad(image, (2, 2, 2, 2))
        matches = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (False, True)
            if torch.equal(
                found,
                padded[:, top : top + 16, left : left + 16].flip(-1)
                if flip
                else padded[:, top : top + 16, left : left + 16],
            )
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) > 30
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))


def test_images_are_read_as_bytes_and_a_limit_draws_some_of_them() -> None:
    dataset = Stripes()
    whole = load_images(dataset)
    for index in (0, 59):
        torch.testing.assert_close(whole.pixels[index] / 255, dataset.image(index), atol=0.5 / 255, rtol=0)
    some, same, others = (load_images(dataset, 10, seed) for seed in (0, 0, 1))
    assert len(some) == 10
    assert torch.equal(some.pixels, same.pixels)
    assert not torch.equal(some.pixels, others.pixels)
    for pixels, label in zip(some.pixels, some.labels, strict=True):
        (place,) = (whole.pixels == pixels).flatten(1).all(dim=1).nonzero()[0].tolist()
        assert whole.labels[place] == label


@given(count=st.integers(2, 40), share=st.floats(0.01, 0.99), seed=st.integers(0, 3))
def test_held_back_images_and_the_others_are_all_of_them(count: int, share: float, seed: int) -> None:
    dataset = Stripes(count)
    train, held_out = hold_back(dataset, share, seed)
    assert min(len(train), len(held_out)) >= 1
    parts = [(part.image(i), part.labels[i]) for part in (train, held_out) for i in range(len(part))]
    assert sorted(float(image.sum()) for image, _ in parts) == sorted(
        float(dataset.image(i).sum()) for i in range(count)
    )
    for image, label in parts:
        assert int(image.sum(dim=(1, 2)).argmax()) == label


def test_accuracy_is_the_share_of_right_answers_and_leaves_the_model_as_it_is() -> None:
    class Red(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            return torch.tensor([1.0, 0.0, 0.0]).expand(len(x), 3)

    model = Red().train()
    assert accuracy(model, Stripes(300)) == pytest.approx(1 / 3)
    assert model.training


class Unreadable(Stripes):
    """A dataset whose images must not be needed."""

    def image(self, index: int) -> Tensor:
        raise AssertionError("read")


def test_a_victim_is_trained_once(tmp_path: Path) -> None:
    first = trained_victim(SPEC, Stripes(), FACTS, TRAINING, 0, tmp_path, progress=False)
    again = trained_victim(SPEC, Unreadable(), FACTS, TRAINING, 0, tmp_path, progress=False)
    assert torch.equal(weights_of(first), weights_of(again))
    assert not again.training
    (path,) = tmp_path.rglob("*.*")
    assert path == victim_file(SPEC, FACTS, TRAINING, 0, tmp_path)
    facts = victim_facts(path)
    assert facts["images"] == 60
    assert facts["train_accuracy"] == accuracy(first, Stripes()) > 0.9
    # It is a plain state dict, too.
    own = SPEC.build(3)
    load_state(own, path)
    assert torch.equal(weights_of(own), weights_of(first))


def test_whatever_a_victim_depends_on_makes_another_file(tmp_path: Path) -> None:
    variations: list[tuple[ModelSpec, dict[str, str], VictimTraining, int]] = [
        (SPEC, FACTS, TRAINING, 0),
        (SPEC, FACTS, TRAINING, 1),
        (SPEC, FACTS, replace(TRAINING, seed=1), 0),
        (SPEC, FACTS, replace(TRAINING, limit=5), 0),
        (SPEC, {"use": "others"}, TRAINING, 0),
        (replace(SPEC, options={"width": 5}), FACTS, TRAINING, 0),
        (replace(SPEC, num_classes=4), FACTS, TRAINING, 0),
    ]
    files = {victim_file(*variation, tmp_path) for variation in variations}
    assert len(files) == len(variations)
    assert victim_file(*variations[0], tmp_path) == victim_file(*variations[0], tmp_path, threads=1)
    assert victim_file(*variations[0], tmp_path, threads=2) not in files
    with pytest.raises(TaskError, match="no model 'convnett'"):
        victim_file(replace(SPEC, name="convnett"), FACTS, TRAINING, 0)


@pytest.mark.slow
def test_a_victim_is_trained_with_its_number_of_threads(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watch(Callback):
        def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
            seen.append(torch.get_num_threads())

    before, short = torch.get_num_threads(), replace(TRAINING, epochs=1)
    trained_victim(SPEC, Stripes(), FACTS, short, 0, tmp_path, False, [Watch()], threads=2)
    assert set(seen) == {2}
    assert torch.get_num_threads() == before
    assert victim_file(SPEC, FACTS, short, 0, tmp_path, threads=2).is_file()


def test_the_cache_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFD_BENCH_CACHE", "/somewhere")
    assert cache_folder(Path("/option")) == Path("/option")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("GIFD_BENCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/me")
    assert cache_folder() == Path("/me/.cache/gifd-bench")


def test_a_damaged_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    trained_victim(SPEC, Stripes(), FACTS, replace(TRAINING, epochs=1), 0, tmp_path, progress=False)
    path = victim_file(SPEC, FACTS, replace(TRAINING, epochs=1), 0, tmp_path)
    whole = path.read_bytes()
    other = victim_file(SPEC, FACTS, TRAINING, 0, tmp_path)
    for content, training, message in (
        (whole[: len(whole) // 2], replace(TRAINING, epochs=1), "damaged"),
        (b"", replace(TRAINING, epochs=1), "damaged"),
        (save(load_file(path)), replace(TRAINING, epochs=1), "damaged .*its format is not"),
        (whole, TRAINING, "another victim's file"),
    ):
        target = other if training == TRAINING else path
        target.write_bytes(content)
        with pytest.raises(TaskError, match=message) as error:
            trained_victim(SPEC, Stripes(), FACTS, training, 0, tmp_path, progress=False)
        assert str(target) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_training_that_is_stopped_or_diverges_leaves_no_file(tmp_path: Path) -> None:
    class Stop(Callback):
        def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
            raise InterruptedError

    arguments = (SPEC, Stripes(), FACTS, TRAINING, 0, tmp_path)
    with pytest.raises(InterruptedError):
        trained_victim(*arguments, progress=False, callbacks=[Stop()])
    diverging = replace(TRAINING, learning_rate=1e30)
    with pytest.raises(TaskError, match="diverged; try a smaller learning_rate"):
        trained_victim(SPEC, Stripes(), FACTS, diverging, 0, tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.*"))


def test_a_victim_that_learned_nothing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Decay alone: the weights end at zero, and so does every logit.
    vanishing = replace(TRAINING, epochs=3, momentum=0.0, weight_decay=15.0)
    trained_victim(SPEC, Stripes(), FACTS, vanishing, 0, tmp_path, progress=False)
    assert "33% of its training images" in caplog.text
    assert "smaller learning_rate" in caplog.text
    caplog.clear()
    trained_victim(SPEC, Stripes(), FACTS, TRAINING, 0, tmp_path, progress=False)
    assert "learned nothing" not in caplog.text


def test_ctrl_c_is_an_interruption() -> None:
    class CtrlC(Callback):
        def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_victim(SPEC, load_images(Stripes()), TRAINING, 0, progress=False, callbacks=[CtrlC()])


def test_a_model_of_other_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="4 classes at 8 pixels, the training images of 3 at 8"):
        trained_victim(replace(SPEC, num_classes=4), Stripes(), FACTS, TRAINING, 0, tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"limit": 0},
        {"learning_rate": 0},
        {"learning_rate": math.nan},
        {"momentum": 1},
        {"weight_decay": -1},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match=next(iter(wrong))):
        VictimTraining(**wrong)


def utility(defense: Defense, training: VictimTraining = TRAINING, spec: ModelSpec = SPEC) -> Any:
    train, held_out = load_images(Stripes()), load_images(Stripes(60, seed=1))
    return measure_utility(spec, train, held_out, defense, training, 0, progress=False)


def test_utility_is_high_without_a_defense_and_lost_in_strong_noise() -> None:
    clean, noisy = utility(NoDefense()), utility(GaussianNoise(100.0))
    assert clean.accuracy > 0.9
    assert noisy.accuracy < 0.6
    assert utility(GaussianNoise(100.0)) == noisy
    assert (clean.epsilon, clean.delta) == (None, None)


@pytest.mark.slow
def test_the_utility_of_dp_sgd_comes_with_its_epsilon() -> None:
    pytest.importorskip("opacus")
    defense = DPSGD(bound=1.0, noise_multiplier=1.0)
    found = utility(defense)
    assert found.delta == 1 / 120
    assert found.epsilon == defense.epsilon(8 / 60, 10 * 7, 1 / 120)
    assert utility(DPSGD(noise_multiplier=0.0)).epsilon is None


def test_a_defense_that_the_model_cannot_be_trained_under_says_why() -> None:
    found = utility(DPSGD(), spec=ModelSpec("resnet_cifar", 3, 8, {"width": 2}))
    assert found.accuracy is None
    assert "BatchNorm" in found.reason
