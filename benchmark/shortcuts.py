"""The benchmark from Python, in one line for each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.display import Listener
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.invert import invert as run_attack
from gifd_bench.common.errors import one_line
from gifd_bench.priors.base import Prior
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.observation import Observation


def invert(
    observation: Observation,
    attack: str | Attack = "gifd",
    prior: str | Prior | None = None,
    *,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Reconstruction:
    """Attack an observation: what could a server read back from this update?

    Args:
        observation: everything that the attacker sees.
        attack: a name (`gifd-bench list attacks`), an import path, a file (`my_attack.py:MyAttack`), or an
            attack that has already been made.
        prior: a name (`gifd-bench list priors`), an import path, a file, or a prior; `None` for attacks
            that need none.
        seed: the seed of everything random; the same seed gives the same bytes.
        progress: whether to show a bar on standard error.
        options: options of the attack, by name; `gifd-bench list gifd` shows those of GIFD.

    Returns:
        Images in [0, 1] with their labels, and the matching loss of exactly these.

    Raises:
        UserError: there is no such attack, prior or option, or the attack needs something that the
            observation's threat model does not grant.
    """
    if isinstance(attack, str):
        title, made = attack, _make(attack, options)
    elif options:
        raise BenchmarkError(
            f"the attack has already been made, and takes no option '{next(iter(options))}'"
        )
    else:
        title, made = type(attack).__name__, attack
    if made.options.needs_prior and prior is None:
        raise BenchmarkError(f"attack '{title}' needs a prior; give one, such as prior='cifar10'")
    made_prior: Prior | None = PRIORS.make(prior, {}) if isinstance(prior, str) else prior
    unmet = made.options.unmet(observation.threat_model, observation.is_difference)
    if unmet is not None:
        raise BenchmarkError(f"{title}: {unmet}")
    if not progress:
        return run_attack(made, observation, made_prior, seed)
    with ProgressDisplay(Terminal(stderr=True), 1, 0) as display:
        answer = run_attack(made, observation, made_prior, seed, callbacks=[Listener(display, title)])
        display.end(title, "done")
    return answer


def _make(attack: str, options: Mapping[str, Any]) -> Attack:
    """Make an attack by name, with some of its options."""
    try:
        return ATTACKS.attack_class(attack)(**options)
    except TypeError as error:  # A text where a number is expected, for example.
        raise BenchmarkError(f"{attack}: {one_line(error)}") from error
