"""Train a conditional generator on a folder of images, from the first step to the shipped file."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import BatchSampler, DataLoader, RandomSampler
from torchvision.utils import save_image

from priors.errors import PriorError
from priors.generators.resnet import Generator, GeneratorConfig
from priors.training.discriminator import GROUP
from priors.training.gan import ConditionalGAN
from priors.training.images import LabelledImages, load_images
from priors.weights_file import save_generator


@dataclass(frozen=True)
class TrainingConfig:
    """How to train a prior.

    Attributes:
        name: of the prior; names the files written.
        data: a folder, or a zip file of one, with one folder of images a class.
        split: path inside `data` that holds the class folders.
        latent_size: entries of the latent.
        embedding_size: entries of the class embedding.
        channels: generator channels; four entries render 32x32, five 64x64.
        discriminator_channels: outputs of the discriminator's blocks.
        steps: generator steps.
        batch_size: images a step.
        generator_lr: learning rate of the generator.
        discriminator_lr: learning rate of the discriminator.
        penalty: weight of the gradient penalty (R1).
        decay: of the moving average of the weights.
        bfloat16: train in bfloat16 where it helps (convolutions and matrix products).
        seed: of weights, batches and latents.
        save_every: steps between checkpoints and sample grids.
    """

    name: str
    data: Path
    split: str = "."
    latent_size: int = 128
    embedding_size: int = 64
    channels: tuple[int, ...] = (256, 192, 128, 64)
    discriminator_channels: tuple[int, ...] = (64, 128, 192, 256)
    steps: int = 10_000
    batch_size: int = 32
    generator_lr: float = 3e-4
    discriminator_lr: float = 5e-4
    penalty: float = 0.05
    decay: float = 0.999
    bfloat16: bool = True
    seed: int = 0
    save_every: int = 250


def train_prior(config: TrainingConfig, output: Path, command: str) -> Path:
    """Train, or go on training where the last checkpoint in `output` stopped.

    Args:
        config: see there.
        output: folder for checkpoints, sample grids, losses, weights and the model card.
        command: the command line, for the model card.

    Returns:
        The weights file.
    """
    # Half a batch goes through the gradient penalty, in whole groups.
    multiple = 2 * GROUP
    if config.steps < 1 or config.batch_size < 1 or config.batch_size % multiple:
        raise PriorError(f"steps must be at least 1 and batch_size a multiple of {multiple}")
    pl.seed_everything(config.seed, verbose=False)
    size = 4 * 2 ** (len(config.channels) - 1)
    images = load_images(config.data, config.split, size)
    output.mkdir(parents=True, exist_ok=True)
    shape = GeneratorConfig(images.class_names, config.latent_size, config.embedding_size, config.channels)
    gan = ConditionalGAN(
        shape,
        config.discriminator_channels,
        config.steps,
        config.generator_lr,
        config.discriminator_lr,
        config.penalty,
        config.decay,
    )
    sampler = BatchSampler(RandomSampler(images), config.batch_size, drop_last=True)
    # Two optimizer steps each: Lightning counts both as global steps.
    checkpoints = ModelCheckpoint(
        output, "last", every_n_train_steps=2 * config.save_every, enable_version_counter=False
    )
    trainer = pl.Trainer(
        max_steps=2 * config.steps,
        max_epochs=-1,
        precision="bf16-mixed" if config.bfloat16 else "32-true",
        callbacks=[checkpoints, SampleGrids(output / "samples", config.save_every), RichProgressBar()],
        logger=CSVLogger(output, name="losses"),
        enable_model_summary=False,
    )
    last = output / "last.ckpt"
    trainer.fit(
        gan,
        DataLoader(images, sampler=sampler, batch_size=None),
        ckpt_path=last if last.exists() else None,
        weights_only=True,
    )
    return export(gan, config, images, output, command)


def export(
    gan: ConditionalGAN, config: TrainingConfig, images: LabelledImages, output: Path, command: str
) -> Path:
    """Write the averaged generator, a sample grid and the model card."""
    generator = gan.averaged_generator()
    weights = output / f"{config.name}.safetensors"
    save_generator(weights, generator)
    save_image(sample_grid(generator, columns=10), output / f"{config.name}.png", nrow=10, padding=1)
    steps = gan.global_step // 2
    card = _CARD.format(
        name=config.name,
        size=generator.config.image_size,
        classes=", ".join(images.class_names),
        count=len(images),
        data=f"{config.data.name}, {config.split}",
        parameters=sum(p.numel() for p in generator.parameters()),
        steps=steps,
        batch=config.batch_size,
        shown=steps * config.batch_size,
        date=datetime.date.today().isoformat(),
        command=command,
    )
    (output / f"{config.name}.md").write_text(card, encoding="utf-8")
    return weights


@torch.no_grad()
def sample_grid(generator: Generator, columns: int) -> torch.Tensor:
    """One row a class: (classes * columns, 3, S, S) in [0, 1], the same latents at every call."""
    random = torch.Generator().manual_seed(1)
    classes = torch.arange(len(generator.config.class_names)).repeat_interleave(columns)
    z = torch.randn(len(classes), generator.config.latent_size, generator=random)
    device = generator.stem.weight.device
    images: torch.Tensor = generator(z.to(device), classes.to(device))
    return (images.float().cpu() + 1) / 2


class SampleGrids(Callback):
    """Writes a grid of samples, one row a class, every so many generator steps."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        step = trainer.global_step // 2
        if step % self.every or not isinstance(pl_module, ConditionalGAN):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        generator = pl_module.average.module.eval()
        assert isinstance(generator, Generator)
        save_image(sample_grid(generator, columns=8), self.folder / f"{step:06d}.png", nrow=8, padding=1)


_CARD = """# {name}

A class-conditional generator of {size}x{size} images, one of the priors of gifd-bench.

| | |
|---|---|
| architecture | residual blocks with conditional batch normalisation (`priors/generators/resnet.py`) |
| parameters | {parameters:,} |
| classes | {classes} |
| training data | {count:,} images ({data}) |
| training | {steps:,} steps of {batch} images ({shown:,} shown) |
| loss | non-saturating logistic with R1, projection discriminator |
| weights kept | exponential moving average, batch statistics measured afresh |
| date | {date} |
| command | `{command}` |

Meant for measuring what a gradient leaks, not for making pictures: it knows its training classes and
their biases, and nothing else. The sample grid beside this file has one row a class.
"""
