"""What every attack promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from jsonargparse import ArgumentParser

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.subject import AttackSubject, Broken, observe
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.factored import GradientProducts
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction, StageResult
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation, save_observation
from gifd_bench.tasks.threat_model import ThreatModel


def answers_with_images_and_exactly_their_matching_loss(subject: AttackSubject) -> None:
    """The answer is images in [0, 1], labels, and the matching loss of exactly these.

    This is checked for one image and for three.
    """
    for batch_size in (1, 3):
        observation = observe(batch_size=batch_size)
        result = subject.run(observation)
        shape = (batch_size, *observation.model.image_shape)
        _equal("images of shape", tuple(result.images.shape), shape)
        _equal("labels of shape", tuple(result.labels.shape), (batch_size,))
        _equal("type of images", result.images.dtype, torch.float32)
        low, high = float(result.images.min()), float(result.images.max())
        if not 0 <= low <= high <= 1:
            raise Broken(f"images are in [{low:.3g}, {high:.3g}], not in [0, 1]")
        answers: list[Reconstruction | StageResult] = [result, *result.stages]
        for answer in answers:
            # Rendered again from a stage's own state, images may differ in the last bits.
            expected = subject.matching_loss(observation, answer)
            if abs(answer.matching_loss - expected) > 1e-6 + 1e-4 * abs(expected):
                raise Broken(f"matching loss {answer.matching_loss:.7g} of images that have {expected:.7g}")


def keeps_the_best_of_all_iterates(subject: AttackSubject) -> None:
    """No iterate of any restart had a lower matching loss than the answer."""
    result = subject.run(observe())
    options = subject.make().options
    taken = result.curve[~torch.isnan(result.curve)]
    if not bool(torch.isfinite(taken).all()) or (options.keep == "all" and len(taken) < len(result.curve)):
        raise Broken("the curve does not have a finite matching loss for every iteration")
    if result.matching_loss > float(taken.min()) * (1 + 1e-4):
        raise Broken(f"matching loss {result.matching_loss:.7g}, but the curve has {taken.min():.7g}")


def counts_every_gradient_evaluation(subject: AttackSubject) -> None:
    """The reported evaluations are the number of times that the victim's update was computed.

    They are no more than the options predicted.
    """
    with _counted_updates() as calls:
        result = subject.run(observe())
    _equal("gradient evaluations", result.gradient_evaluations, len(calls))
    if result.gradient_evaluations < int((~torch.isnan(result.curve)).sum()):
        raise Broken("there are more iterations than gradient evaluations")
    options, stages = subject.make().options, subject.prior.stages
    _equal("iterations", len(result.curve), options.total_iterations(stages))
    most = options.total_evaluations(stages)
    if result.gradient_evaluations > most:
        raise Broken(f"{result.gradient_evaluations} gradient evaluations; its options said {most}")


def says_what_it_can_be_set_to_in_plain_values(subject: AttackSubject) -> None:
    """Its options can be written as JSON values and read back as the same options, none missing."""
    options = subject.make().options
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(type(options), "it", instantiate=False)
    values = json.loads(json.dumps(asdict(options)))
    parsed = parser.parse_object({"it": values} if values else {})
    given = parser.instantiate(parsed).get("it")
    made = type(options)(**(vars(given) if given else {}))
    _equal("options that were written and read back", made, options)


def draws_from_its_own_generator(subject: AttackSubject) -> None:
    """The same seed gives the same bytes whatever the global generators hold; another seed gives others."""
    observation = observe()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one = subject.run(observation, seed=7)
        torch.manual_seed(2)
        _same_bytes(one, subject.run(observation, seed=7))
    if torch.equal(one.images, subject.run(observation, seed=8).images):
        raise Broken("another seed gives the same images")


def draws_each_restart_alike_however_many_there_are(subject: AttackSubject) -> None:
    """The first restart is the same for any number of restarts.

    It is the same up to rounding if restarts run side by side, and byte for byte if they run one after
    another.
    """
    observation = observe()
    one, beside, before = (
        subject.with_restarts(count, at_once).run(observation).curve
        for count, at_once in ((1, None), (2, None), (2, 1))
    )
    if one.numpy().tobytes() != before[: len(one)].numpy().tobytes():
        raise Broken("the first of two restarts has another curve than one restart alone")
    if not torch.allclose(one[:1], beside[:1], rtol=1e-4):
        raise Broken("the first of two restarts at once has another start than one restart alone")


def needs_nothing_but_the_observation(subject: AttackSubject) -> None:
    """An observation that was written to a file and read back gives the same bytes."""
    observation, path = observe(), subject.folder / "observation.safetensors"
    save_observation(observation, path)
    _same_bytes(subject.run(observation), subject.run(load_observation(path)))


def resumes_from_any_iteration_to_the_same_bytes(subject: AttackSubject) -> None:
    """A run continued from a checkpoint of any iteration gives the same answer; it holds no code."""
    observation = observe()
    whole = subject.run(observation)
    for iteration in range(_iterations(subject, observation)):
        path = subject.folder / f"{iteration}.ckpt"
        subject.interrupt(observation, path, iteration)
        content = torch.load(path, weights_only=True)
        if content["state_dict"]:
            raise Broken(f"the checkpoint holds '{next(iter(content['state_dict']))}', a part of a model")
        _same_bytes(whole, subject.resume(observation, path))


def runs_under_every_defense(subject: AttackSubject) -> None:
    """It runs under every registered defense: unknown, known by its kind, and known with its parameters."""
    for name in DEFENSES.bundled:
        defense = DEFENSES.find(name)
        for known in ("unknown", "kind", "parameters"):
            granted: Any = known
            observation = observe(defense(), threat_model=ThreatModel(defense=granted))
            result = subject.run(observation)
            if not bool(torch.isfinite(result.images).all()):
                raise Broken(f"{name}, {known}: images that are not finite")
            expected = subject.matching_loss(observation, result)
            if abs(result.matching_loss - expected) > 1e-6 + 1e-4 * abs(expected):
                found = f"{result.matching_loss:.7g} of images that have {expected:.7g}"
                raise Broken(f"{name}, {known}: matching loss {found}")


def serves_every_client_or_says_why_not(subject: AttackSubject) -> None:
    """It runs for local training and for means over clients, or `unmet` says in one line why not.

    This is checked with known and with unknown local settings.
    """
    for client in (
        ClientSettings(local=FedAvg(2, 1, 0.05)),
        ClientSettings(clients=2),
        ClientSettings(FedAvg(1, 2, 0.1), 2),
    ):
        for known in ("known", "unknown"):
            granted: Any = known
            threat_model = ThreatModel(local_settings=granted)
            unmet = subject.make().options.unmet(threat_model, client.local is not None)
            if unmet is not None:
                if not unmet.strip() or "\n" in unmet:
                    raise Broken(f"unmet() gives {unmet!r}, which is not one line")
                continue
            result = subject.run(observe(batch_size=2, client=client, threat_model=threat_model))
            if not bool(torch.isfinite(result.images).all()):
                raise Broken(f"{client}: images that are not finite")


def names_the_device_of_every_tensor_that_it_makes(subject: AttackSubject) -> None:
    """Every tensor is made on a named device, for one image and for three, with two restarts."""
    for batch_size in (1, 3):
        observation = observe(batch_size=batch_size)
        with DevicesNamed():
            subject.with_restarts(2).run(observation)


def asks_for_a_prior_where_it_needs_one(subject: AttackSubject) -> None:
    """With `needs_prior`, a run without a prior is an error of one line; otherwise no prior is needed."""
    attack = subject.make()
    try:
        attack.observe(observe(), None, 0)
    except BenchmarkError as error:
        if not attack.options.needs_prior:
            raise Broken(f"needs_prior is false, but without one: {error}") from error
    else:
        if attack.options.needs_prior:
            raise Broken("needs_prior is true, but it accepts none silently")


def refuses_a_loss_that_is_never_finite(subject: AttackSubject) -> None:
    """If no iterate has a finite matching loss, there is an error and no answer."""
    attack = subject.make()

    class Nowhere(type(attack.loss)):  # type: ignore[misc]
        def __call__(self, candidate: Any) -> torch.Tensor:
            nothing: torch.Tensor = candidate[0].sum() * torch.nan
            return nothing

    attack.loss.__class__ = Nowhere
    try:
        AttackSubject(lambda: attack, subject.prior, subject.folder).run(observe())
    except BenchmarkError as error:
        if "never finite" not in str(error):
            raise
    else:
        raise Broken("it has an answer although the matching loss was never finite")


CHECKS: tuple[Callable[[AttackSubject], None], ...] = (
    answers_with_images_and_exactly_their_matching_loss,
    keeps_the_best_of_all_iterates,
    counts_every_gradient_evaluation,
    says_what_it_can_be_set_to_in_plain_values,
    draws_from_its_own_generator,
    draws_each_restart_alike_however_many_there_are,
    needs_nothing_but_the_observation,
    resumes_from_any_iteration_to_the_same_bytes,
    runs_under_every_defense,
    serves_every_client_or_says_why_not,
    names_the_device_of_every_tensor_that_it_makes,
    asks_for_a_prior_where_it_needs_one,
    refuses_a_loss_that_is_never_finite,
)


def _equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Broken(f"{what}: {found}, not {expected}")


def _same_bytes(one: Reconstruction, other: Reconstruction) -> None:
    tensors = [("images", one.images, other.images), ("labels", one.labels, other.labels)]
    tensors.append(("curve", one.curve, other.curve))
    _equal("number of stages", len(one.stages), len(other.stages))
    tensors += [(a.name, a.images, b.images) for a, b in zip(one.stages, other.stages, strict=True)]
    for name, mine, theirs in tensors:
        if mine.numpy().tobytes() != theirs.numpy().tobytes():
            raise Broken(f"{name}: other bytes the second time")
    _equal("matching loss", other.matching_loss, one.matching_loss)
    _equal("gradient evaluations", other.gradient_evaluations, one.gradient_evaluations)


def _iterations(subject: AttackSubject, observation: Observation) -> int:
    attack = subject.make()
    attack.observe(observation, subject.prior, 0)
    return attack.iterations


@contextmanager
def _counted_updates() -> Iterator[list[None]]:
    """A list that grows by one entry for each candidate for which an update is computed.

    It also grows if only the products are computed that a loss needs of the update.
    """
    calls: list[None] = []
    update, products = SimulatedClient.update, GradientProducts.__call__

    def counted_update(self: SimulatedClient, *arguments: Any) -> Any:
        calls.append(None)
        return update(self, *arguments)

    def counted_products(self: GradientProducts, inputs: torch.Tensor, targets: torch.Tensor) -> Any:
        calls.extend([None] * len(inputs))
        return products(self, inputs, targets)

    SimulatedClient.update = counted_update  # type: ignore[method-assign, assignment]
    GradientProducts.__call__ = counted_products  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        SimulatedClient.update = update  # type: ignore[method-assign]
        GradientProducts.__call__ = products  # type: ignore[method-assign]
