"""Quantization: fewer bits for each entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.noise import Noisy
from gifd_bench.tasks.errors import TaskError

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Quantisation(Defense):
    """Rounds each parameter's update to a uniform grid between plus and minus its largest magnitude.

    Alistarh et al., "QSGD: communication-efficient SGD via gradient quantization and encoding", NeurIPS
    2017, section 3.1, with the maximum in place of the l2 norm.

    Stochastic rounding, which QSGD uses, goes to either neighbor with probabilities that keep the mean. The
    clean update is then the best guess of the rounded one, and rounding it to the nearest level would be
    further off. An attacker therefore imitates nothing, and treats the difference as noise. Rounding to the
    nearest level is imitated exactly, with the observed magnitudes. An attacker who is not told the
    rounding assumes stochastic rounding.

    Attributes:
        bits: bits for each entry, including the sign, which give 2^(bits - 1) - 1 levels above zero; 2 to
            16.
        rounding: `stochastic`, or to the `nearest` level.
    """

    bits: int = 8
    rounding: Literal["stochastic", "nearest"] = "stochastic"

    def __post_init__(self) -> None:
        check_choices(self, "quantisation")
        if self.bits not in range(2, 17):
            raise TaskError(f"quantisation: bits must be a whole number from 2 to 16, not {self.bits}")

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: self._round(value, generator) for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses import grid

        scales = [grid.scale_of(value) for value in observed.values()]
        if options is not None and options["rounding"] == "nearest":
            return grid.Quantized(scales, grid.levels_of(options["bits"]))
        levels = (
            grid.observed_levels(observed, scales) if options is None else grid.levels_of(options["bits"])
        )
        return Noisy(grid.rounding_noise(observed, [grid.step_of(scale, levels) for scale in scales]))

    def _round(self, value: Tensor, generator: torch.Generator) -> Tensor:
        from gifd_bench.tasks.defenses import grid
        from gifd_bench.tasks.defenses.draws import uniform_like

        levels = grid.levels_of(self.bits)
        step = grid.step_of(grid.scale_of(value), levels)
        position = value / step
        if self.rounding == "nearest":
            position = position.round()
        else:
            position = (position + uniform_like(value, generator)).floor()
        return position.clamp(-levels, levels) * step


@dataclass(frozen=True)
class Sign(Defense):
    """Sends only the signs of each parameter's update, and their mean magnitude; zero stays zero.

    Bernstein et al., "signSGD", ICML 2018 (arXiv:1802.04434), algorithm 1, with the magnitude as in
    Karimireddy et al., "Error feedback fixes SignSGD", ICML 2019.
    """

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: value.abs().mean() * value.sign() for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.grid import Signed, scale_of

        return Signed(scale_of(value) for value in observed.values())
