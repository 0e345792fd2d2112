"""Training a conditional generator on your own images, from the first step to the finished file."""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from torch.utils.data import BatchSampler, DataLoader, RandomSampler
from torchvision.datasets import VisionDataset
from torchvision.utils import make_grid, save_image

from gifd_bench.common.files import make_folder, write_text, written_whole
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.resnet import ResNetGenerator, save_generator
from gifd_bench.priors.kinds.resnet import GeneratorConfig
from gifd_bench.priors.training.card import model_card
from gifd_bench.priors.training.classifier import accuracy, trained_classifier
from gifd_bench.priors.training.discriminator import GROUP
from gifd_bench.priors.training.frechet import ClassifierFrechetDistance
from gifd_bench.priors.training.gan import ConditionalGAN
from gifd_bench.priors.training.images import PriorImages, from_dataset, load_images


@dataclass(frozen=True)
class TrainingConfig:
    """How a prior is trained.

    Attributes:
        name: the name of the prior, which is also that of its files.
        data: a folder, or a zip file of one, with one folder of images for each class.
        split: path inside `data` that holds the class folders.
        held_back: path inside `data` to class folders of images with which samples are scored; `None` for
            no score.
        dataset: in place of `data`, a torchvision dataset by class_path and init_args.
        held_back_dataset: in place of `held_back`, a torchvision dataset.
        latent_size: entries of the latent.
        embedding_size: entries of the class embedding.
        channels: channels of the generator; four entries render 32x32 pixels, five 64x64.
        discriminator_channels: output channels of the discriminator's blocks.
        steps: generator steps.
        batch_size: images in a step.
        generator_lr: learning rate of the generator.
        discriminator_lr: learning rate of the discriminator.
        penalty: weight of the gradient penalty (R1).
        augment: whether to use differentiable augmentation, for a few thousand images or fewer.
        decay: decay of the moving average of the weights.
        bfloat16: whether to train in bfloat16 where it helps (convolutions and matrix products).
        seed: the seed of weights, batches and latents.
        save_every: steps between checkpoints, sample grids and scores.
        classifier_epochs: epochs of the classifier in whose features samples are scored.
        tracker: where losses, scores and grids are also logged; W&B is offline unless WANDB_API_KEY is set.
    """

    name: str
    data: Path | None = None
    split: str = "."
    held_back: str | None = None
    dataset: VisionDataset | None = None
    held_back_dataset: VisionDataset | None = None
    latent_size: int = 128
    embedding_size: int = 64
    channels: tuple[int, ...] = (256, 192, 128, 64)
    discriminator_channels: tuple[int, ...] = (64, 128, 192, 256)
    steps: int = 10_000
    batch_size: int = 32
    generator_lr: float = 3e-4
    discriminator_lr: float = 5e-4
    penalty: float = 0.05
    augment: bool = False
    decay: float = 0.999
    bfloat16: bool = True
    seed: int = 0
    save_every: int = 250
    classifier_epochs: int = 6
    tracker: Literal["csv", "wandb"] = "csv"

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return int(4 * 2 ** (len(self.channels) - 1))

    @property
    def precision(self) -> Literal["bf16-mixed", "32-true"]:
        """The precision, as Lightning names it."""
        return "bf16-mixed" if self.bfloat16 else "32-true"


def train_prior(config: TrainingConfig, output: Path, command: str) -> Path:
    """Train a prior, or continue from the last checkpoint in `output`.

    Args:
        config: how it is trained.
        output: a folder for checkpoints, sample grids, losses, weights and the model card.
        command: the command line, for the model card.

    Returns:
        The weights file.

    Raises:
        PriorError: the configuration or the images are wrong.
    """
    _check(config)
    pl.seed_everything(config.seed, verbose=False)
    images, held_back = _images(config)
    make_folder(output)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
        distance, judged = None, {}
        if held_back is not None:
            path = output / "classifier.safetensors"
            classifier = trained_classifier(images, path, config.classifier_epochs, config.precision)
            distance = ClassifierFrechetDistance(classifier, held_back)
            judged = {
                "held-back images": f"{len(held_back):,}",
                "accuracy of the judging classifier on them": f"{accuracy(classifier, held_back):.1%}",
                "distance of as many training images": f"{distance.of_images(images):.3g}",
            }
        # Again, so that training does not depend on whether a classifier was trained before it.
        pl.seed_everything(config.seed, verbose=False)
        gan = _fit(config, images, distance, output)
    generator = gan.averaged_generator()
    if distance is not None:
        judged["distance of samples"] = f"{distance.of_generator(generator):.3g}"
    return _export(config, images, generator, judged, gan.global_step // 2, output, command)


def _fit(
    config: TrainingConfig,
    images: PriorImages,
    distance: ClassifierFrechetDistance | None,
    output: Path,
) -> ConditionalGAN:
    shape = GeneratorConfig(images.class_names, config.latent_size, config.embedding_size, config.channels)
    gan = ConditionalGAN(
        shape,
        config.discriminator_channels,
        config.steps,
        config.generator_lr,
        config.discriminator_lr,
        config.penalty,
        config.augment,
        config.decay,
    )
    sampler = BatchSampler(RandomSampler(images), config.batch_size, drop_last=True)
    # Two optimizer steps each: Lightning counts both as global steps.
    checkpoints = ModelCheckpoint(
        output, "last", every_n_train_steps=2 * config.save_every, enable_version_counter=False
    )
    # The checkpoint comes last: what the others write about a step is there when it is.
    samples = Samples(output / "samples", config.save_every, distance)
    trainer = pl.Trainer(
        max_steps=2 * config.steps,
        max_epochs=-1,
        precision=config.precision,
        callbacks=[samples, RichProgressBar(), checkpoints],
        logger=_logger(config, output),
        log_every_n_steps=min(50, config.save_every),
        enable_model_summary=False,
    )
    last = output / "last.ckpt"
    trainer.fit(
        gan,
        DataLoader(images, sampler=sampler, batch_size=None),
        ckpt_path=last if last.exists() else None,
        weights_only=True,
    )
    return gan


def _check(config: TrainingConfig) -> None:
    # Half a batch goes through the gradient penalty, in whole groups.
    multiple = 2 * GROUP
    if config.steps < 1 or config.batch_size < 1 or config.batch_size % multiple:
        raise PriorError(f"steps must be at least 1 and batch_size a multiple of {multiple}")
    if (config.data is None) == (config.dataset is None):
        raise PriorError("give either data (a folder or zip) or dataset (a torchvision dataset)")
    if config.held_back is not None and config.data is None:
        raise PriorError("held_back is a path inside data; use held_back_dataset with dataset")


def _images(config: TrainingConfig) -> tuple[PriorImages, PriorImages | None]:
    """The training images, and the images that are held back."""
    size, held_back = config.image_size, None
    if config.data is not None:
        images = load_images(config.data, config.split, size)
        if config.held_back is not None:
            held_back = load_images(config.data, config.held_back, size)
    else:
        assert config.dataset is not None
        images = from_dataset(config.dataset, size)
        if config.held_back_dataset is not None:
            held_back = from_dataset(config.held_back_dataset, size)
    if len(images) < config.batch_size:
        raise PriorError(f"{len(images)} images do not fill a batch of {config.batch_size}")
    return images, held_back


def _logger(config: TrainingConfig, output: Path) -> Logger:
    if config.tracker == "wandb":
        offline = "WANDB_API_KEY" not in os.environ
        return WandbLogger(
            name=config.name,
            save_dir=output,
            project="gifd-bench-priors",
            offline=offline,
            # The logger tells W&B by an environment variable, which W&B reads once in a process.
            mode="offline" if offline else "online",
        )
    return CSVLogger(output, name="losses")


def _export(
    config: TrainingConfig,
    images: PriorImages,
    generator: ResNetGenerator,
    judged: Mapping[str, str],
    steps: int,
    output: Path,
    command: str,
) -> Path:
    """Write the generator, a sample grid and the model card."""
    weights = output / f"{config.name}.safetensors"
    save_generator(weights, generator)
    grid = make_grid(sample_grid(generator, columns=10), nrow=10, padding=1)
    _write_png(output / f"{config.name}.png", grid)
    source = type(config.dataset).__name__ if config.data is None else f"{config.data.name}, {config.split}"
    facts = {
        "architecture": "residual blocks, conditional batch normalization (priors/generators/resnet.py)",
        "parameters": f"{sum(p.numel() for p in generator.parameters()):,}",
        "image size": f"{generator.config.image_size}x{generator.config.image_size}",
        "classes": ", ".join(images.class_names),
        "training data": f"{len(images):,} images ({source})",
        "training": f"{steps:,} steps of {config.batch_size} images",
        "loss": "non-saturating logistic with R1, projection discriminator"
        + (", differentiable augmentation" if config.augment else ""),
        "weights kept": "exponential moving average, batch statistics measured afresh",
        **judged,
        "date": datetime.date.today().isoformat(),
        "command": f"`{command}`",
    }
    write_text(output / f"{config.name}.md", model_card(config.name, facts))
    return weights


def _write_png(path: Path, image: torch.Tensor) -> None:
    """Write an image (3, H, W) in [0, 1], completely or not at all."""
    with written_whole(path) as partial:
        save_image(image, partial, format="png")


@torch.no_grad()
def sample_grid(generator: ResNetGenerator, columns: int) -> torch.Tensor:
    """Samples, one row for each class, with the same latents at every call.

    Returns:
        (classes * columns, 3, S, S) in [0, 1].
    """
    random = torch.Generator().manual_seed(1)
    classes = torch.arange(len(generator.config.class_names)).repeat_interleave(columns)
    z = torch.randn(len(classes), generator.config.latent_size, generator=random)
    device = generator.stem.weight.device
    images: torch.Tensor = generator(z.to(device), classes.to(device))
    return (images.float().cpu() + 1) / 2


class Samples(Callback):
    """Regularly writes a grid of samples, one row for each class, and logs it.

    The distance of samples from held-back images is logged with it.
    """

    def __init__(self, folder: Path, every: int, distance: ClassifierFrechetDistance | None) -> None:
        self.folder, self.every, self.distance = folder, every, distance

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        step = trainer.global_step // 2
        if step % self.every or not isinstance(pl_module, ConditionalGAN):
            return
        make_folder(self.folder)
        generator = pl_module.average.module.eval()
        assert isinstance(generator, ResNetGenerator)
        grid = make_grid(sample_grid(generator, columns=8), nrow=8, padding=1)
        _write_png(self.folder / f"{step:06d}.png", grid)
        if isinstance(trainer.logger, WandbLogger):
            trainer.logger.log_image("samples", [grid], step=step)
        if self.distance is not None and trainer.logger is not None:
            score = self.distance.of_generator(generator)
            trainer.logger.log_metrics({"classifier_frechet_distance": score}, step=step)
