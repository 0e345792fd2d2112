"""Adversarial training of the residual generator."""

from __future__ import annotations

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gifd_bench.priors.generators.resnet import ResNetGenerator
from gifd_bench.priors.kinds.resnet import GeneratorConfig
from gifd_bench.priors.training.augment import augment
from gifd_bench.priors.training.discriminator import Discriminator

PENALTY_EVERY = 8


class ConditionalGAN(pl.LightningModule):
    """Adversarial training with the non-saturating logistic loss and a gradient penalty on real images.

    The penalty is R1 (Mescheder et al., "Which training methods for GANs do actually converge?", ICML
    2018), applied in every eighth step (Karras et al., StyleGAN2, CVPR 2020, section 3.1). One training
    step is one discriminator step and one generator step; each counts as a global step for Lightning.

    Args:
        config: the generator's shape.
        discriminator_channels: output channels of the discriminator's blocks, each of which halves the
            side.
        steps: generator steps in all; the learning rates fall linearly to zero over the second half.
        generator_lr: learning rate of the generator's Adam (beta 0, 0.99).
        discriminator_lr: learning rate of the discriminator's Adam (beta 0, 0.99).
        penalty: weight of R1; half of it times the squared gradient norm is added.
        augmented: whether to show the discriminator only augmented images (see `augment`).
        decay: decay of the exponential moving average of the generator's weights, which is what is kept.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        discriminator_channels: tuple[int, ...],
        steps: int,
        generator_lr: float,
        discriminator_lr: float,
        penalty: float,
        augmented: bool,
        decay: float,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.steps, self.lrs, self.penalty = steps, (generator_lr, discriminator_lr), penalty
        self.latent_size = config.latent_size
        self.augment: Callable[[Tensor], Tensor] = augment if augmented else torch.nn.Identity()
        self.generator = ResNetGenerator(config).to(memory_format=torch.channels_last)
        self.discriminator = Discriminator(len(config.class_names), discriminator_channels)
        self.discriminator.to(memory_format=torch.channels_last)
        self.average = AveragedModel(
            self.generator,
            multi_avg_fn=get_ema_multi_avg_fn(decay),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        self.average.requires_grad_(False)

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        pairs = zip((self.generator, self.discriminator), self.lrs, strict=True)
        optimizers = [Adam(net.parameters(), lr=lr, betas=(0.0, 0.99)) for net, lr in pairs]
        schedules = [LambdaLR(o, lambda t: min(1.0, 2 * (1 - t / self.steps))) for o in optimizers]
        return optimizers, schedules

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, classes = batch
        images = images.contiguous(memory_format=torch.channels_last)
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        generator_optimizer, discriminator_optimizer = optimizers
        z = torch.randn(len(images), self.latent_size, device=self.device)
        fakes = self.generator(z, classes)

        self.discriminator.requires_grad_(True)
        # Real and generated apart: the minibatch statistic must not mix them.
        real = self.discriminator(self.augment(images), classes)
        fake = self.discriminator(self.augment(fakes.detach()), classes)
        discriminator_loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        total = discriminator_loss
        if batch_idx % PENALTY_EVERY == 0:
            half = len(images) // 2
            total = total + PENALTY_EVERY * self.penalty / 2 * self._r1(images[:half], classes[:half])
        discriminator_optimizer.zero_grad()
        self.manual_backward(total)
        discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)
        generator_loss = F.softplus(-self.discriminator(self.augment(fakes), classes)).mean()
        generator_optimizer.zero_grad()
        self.manual_backward(generator_loss)
        generator_optimizer.step()

        schedules = self.lr_schedulers()
        assert isinstance(schedules, list)
        for schedule in schedules:
            assert isinstance(schedule, LRScheduler)
            schedule.step()
        self.average.update_parameters(self.generator)
        self.log_dict(
            {"discriminator_loss": discriminator_loss, "generator_loss": generator_loss},
            prog_bar=True,
        )

    def _r1(self, images: Tensor, classes: Tensor) -> Tensor:
        """Mean squared norm of the score's gradient at real images, in full precision."""
        images = images.clone().requires_grad_()
        with torch.autocast(self.device.type, enabled=False):
            score = self.discriminator(images, classes).sum()
            (gradient,) = torch.autograd.grad(score, images, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()

    @torch.no_grad()
    def averaged_generator(self, batches: int = 64, batch_size: int = 64) -> ResNetGenerator:
        """The averaged generator, with its batch statistics measured again over many batches.

        These are the "standing statistics" of Brock et al., ICLR 2019, section 3.
        """
        generator = self.average.module
        assert isinstance(generator, ResNetGenerator)
        norms = [m for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches that follow
        generator.train()
        random = torch.Generator().manual_seed(0)
        classes = len(generator.config.class_names)
        for _ in range(batches):
            z = torch.randn(batch_size, self.latent_size, generator=random)
            labels = torch.randint(classes, (batch_size,), generator=random)
            generator(z.to(self.device), labels.to(self.device))
        return generator.eval()
