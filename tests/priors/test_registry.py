"""What is known of a prior before it is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gifd_bench.common.errors import UserError
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.overview import overview, stage_facts
from gifd_bench.priors.registry import PRIORS
from tests.priors import test_stylegan2
from tests.priors.small import SmallPrior

LIGHT = """
import sys
from jsonargparse import ArgumentParser
from gifd_bench.priors.overview import overview
from gifd_bench.priors.registry import PRIORS

overview()
for name in PRIORS:
    PRIORS.describe(name)
    ArgumentParser().add_function_arguments(PRIORS.signature(name), "prior")
    PRIORS.absent_files(name, {})
    PRIORS.are_fetched(name, {})
    PRIORS.stage_names(name, {})
tiny = {"weights": sys.argv[1]}
assert len(PRIORS.stage_names("generator_file", tiny)) == len(PRIORS.stage_names("cifar10", {})) == 5
heavy = {"torch", "torchvision", "lightning", "pytorch_lightning", "timm", "wandb"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_what_is_known_of_a_bundled_prior_does_not_need_torch(tmp_path: Path, tiny_weights: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIGHT, tiny_weights],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert found.stdout == "\n"


def test_stage_names_are_those_of_the_prior_that_is_made(small_prior: SmallPrior) -> None:
    names = PRIORS.stage_names(small_prior.name, small_prior.options)
    # A file of torch.save would have to be loaded, and nothing else tells the shape of these two.
    from_shapes = small_prior.name in ("stylegan2", "dcgan")
    assert names == (None if from_shapes else small_prior.make().stages)
    assert PRIORS.absent_files(small_prior.name, small_prior.options) == []


def test_stage_names_of_stylegan2_are_in_the_header_of_a_safetensors_file(tmp_path: Path) -> None:
    save_file(test_stylegan2.published(), tmp_path / "faces.safetensors")
    options = {"weights": tmp_path / "faces.safetensors"}
    names = PRIORS.stage_names("stylegan2", options)
    assert names == PRIORS.make("stylegan2", options).stages == ("latent", "4x4", "8x8", "16x16", "32x32")


@pytest.mark.parametrize("size", [8, 64])
def test_stage_names_follow_the_options(size: int) -> None:
    options = {"size": size, "width": 8}
    assert PRIORS.stage_names("untrained", options) == PRIORS.make("untrained", options).stages


@pytest.mark.parametrize("name", ["biggan", "generator_file", "stylegan2"])
def test_stage_names_are_unknown_where_the_weights_are_not_here(name: str, tmp_path: Path) -> None:
    for options in ({}, {"weights": tmp_path / "nowhere"}):
        assert PRIORS.stage_names(name, options) is None
        assert PRIORS.absent_files(name, options)


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"no tensors")
    for name in ("generator_file", "stylegan2"):
        with pytest.raises(PriorError, match="damaged weights file") as error:
            PRIORS.stage_names(name, {"weights": path})
        assert "\n" not in str(error.value)
    with pytest.raises(PriorError, match="size must be"):
        PRIORS.stage_names("untrained", {"size": 30})


@pytest.mark.slow
def test_what_is_listed_is_what_the_networks_are() -> None:
    for listed in overview():
        variant, prior = listed.variant, listed.variant.network()
        stages = list(stage_facts(prior))
        (latent, *_) = stages[0].searched.values()
        assert variant.stages == prior.stages == tuple(stage.name for stage in stages)
        assert (variant.image_size, variant.classes) == (prior.image_size, len(prior.class_names))
        assert variant.latent == torch.Size(latent).numel()
        assert variant.parameters == sum(parameter.numel() for parameter in prior.parameters())
    assert {listed.title for listed in overview() if listed.present} == {"cifar10", "untrained"}


def test_files_are_fetched_only_where_that_is_asked_for_in_full() -> None:
    hub = {"repository": "somebody/biggan", "revision": "a" * 40, "download": True}
    assert PRIORS.are_fetched("biggan", hub)
    for change in ({"download": False}, {"revision": None}, {"weights": Path("folder")}):
        assert not PRIORS.are_fetched("biggan", {**hub, **change})
    assert not PRIORS.are_fetched("dcgan", {})


OUTSIDE = """
from gifd_bench.priors.generators.untrained import UntrainedPrior

class Mine(UntrainedPrior):
    '''A prior of my own.'''

def small(width: int = 8) -> UntrainedPrior:
    return UntrainedPrior(size=16, width=width)

def nothing() -> int:
    return 3

class Nameless(UntrainedPrior):
    def __init__(self) -> None:
        super().__init__(8, 8)
        self.class_names = ["cat"]
"""


def test_a_prior_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "outside.py"
    file.write_text(OUTSIDE)
    assert PRIORS.make(f"{file}:Mine", {"size": 8}).image_size == 8
    assert PRIORS.describe(f"{file}:Mine") == "A prior of my own."
    assert PRIORS.stage_names(f"{file}:small", {"width": 16}) == ("latent", "4x4", "8x8", "16x16")
    assert PRIORS.absent_files(f"{file}:small", {}) == []
    assert not PRIORS.are_fetched(f"{file}:small", {})
    with pytest.raises(UserError, match=r"outside\.py:nothing: makes a value of type int"):
        PRIORS.make(f"{file}:nothing", {})
    with pytest.raises(
        UserError, match=r"outside\.py:Nameless: its prior has no 'class_names', which is a tuple"
    ):
        PRIORS.make(f"{file}:Nameless", {})


def test_a_bundled_prior_by_its_import_path_is_the_bundled_one() -> None:
    path = PRIORS.path("untrained")
    assert PRIORS.canonical(path) == "untrained"
    assert PRIORS.stage_names(path, {"size": 8}) == ("latent", "4x4", "8x8")


@pytest.fixture
def tiny_weights(tmp_path: Path) -> Path:
    from tests.priors.small import make_small

    return Path(make_small("generator_file", tmp_path).options["weights"])
