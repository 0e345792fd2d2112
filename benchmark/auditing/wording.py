"""What an audit assumed, which labels it found, and what to do next, in plain words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gifd_bench.benchmark.auditing.owner import Owned
from gifd_bench.benchmark.auditing.verdict import Outcome
from gifd_bench.benchmark.inversion.labels.rules import infer_labels
from gifd_bench.common.errors import UserError
from gifd_bench.tasks.observation import KnownDefense, Observation


@dataclass(frozen=True)
class LabelRow:
    """One class in the batch.

    Attributes:
        name: the name of the class.
        inferred: how many images of it the attacker believes there to be.
        true: how many there are; `None` if the owner does not say.
    """

    name: str
    inferred: int
    true: int | None


@dataclass(frozen=True)
class Labels:
    """What the update says about the labels.

    Attributes:
        rows: the classes that occur, or are believed to occur.
        sentence: the conclusion.
    """

    rows: tuple[LabelRow, ...]
    sentence: str


def labels_of(observation: Observation, owned: Owned | None) -> Labels:
    """Which labels leaked."""
    if observation.labels is not None:
        return Labels((), "The attacker was given the labels; nothing had to be inferred.")
    try:
        inferred = Counter(infer_labels(observation).tolist())
    except (UserError, RuntimeError) as error:
        return Labels((), f"The labels cannot be read from the last layer: {error}.")
    true = (
        None
        if owned is None or owned.labels is None or owned.labels.ndim == 2
        else Counter(owned.labels.tolist())
    )
    classes = sorted({*inferred, *(true or ())})
    rows = tuple(
        LabelRow(observation.class_names[k], inferred[k], None if true is None else true[k])
        for k in classes
    )
    count = observation.batch_size
    if true is None:
        return Labels(rows, "What the attacker reads from the last layer; the true labels are not given.")
    right = sum((inferred & true).values())
    return Labels(
        rows, f"{right} of {count} label{'s' * (count != 1)} leaked: read from the last layer alone."
    )


def assumptions_of(observation: Observation) -> list[str]:
    """What the attacker was assumed to know and to do, one sentence for each."""
    threat, client = observation.threat_model, observation.client
    total = sum(1 for _ in observation.victim().parameters())
    sent = len(observation.update)
    count = observation.batch_size
    lines = [
        "The attacker is the server, or whoever reads what it receives. It is curious and honest: it "
        "sends the "
        "weights that were agreed on, and reads one update. (A server that sends weights made for "
        "reading, or "
        "collects many rounds, reads more: Fowl et al., ICLR 2022; Boenisch et al., EuroS&P 2023.)",
        f"It knows the model, the weights that it sent out, the normalization of the images, and that the "
        f"update is of {count} image{'s' * (count != 1)}"
        + (f" of {client.clients} clients." if client is not None and client.clients > 1 else "."),
    ]
    if sent < total:
        lines.append(f"It sees the update of {sent} of the {total} parameter tensors; no others are sent.")
    lines.append(
        "It is given the labels."
        if threat.labels == "known"
        else "It is not given the labels, and infers them from the update."
    )
    if observation.is_difference:
        lines.append(
            "It knows how the client trains (steps, learning rate, optimizer), and computes the same."
            if threat.local_settings == "known" and client is not None
            else "It does not know how the client trains, and takes the round for one step of unknown "
            "length."
        )
    known = observation.defenses
    if known is None:
        lines.append("It does not know of any defense, whether there is one or not.")
    elif not known:
        lines.append("It knows that there is no defense.")
    else:
        names = ", ".join(_named(one) for one in known)
        lines.append(f"It knows what was done to the update: {names}.")
    if threat.bn_statistics == "batch":
        lines.append("It is given the BatchNorm statistics of the private batch, which few systems send.")
    return lines


def advice_for(outcome: Outcome, observation: Observation, seconds: float) -> list[str]:
    """What to do next, one sentence for each."""
    defended = bool(observation.defenses)
    trade = (
        "Find the cheapest defense that hides the images: gifd-bench tradeoff compares defenses and their "
        "strengths by what still leaks under the best attack and by the accuracy that they cost."
    )
    aggregate = (
        "Let the server see only sums over many clients (secure aggregation), and larger batches: both "
        "leave it less to read about any single image."
    )
    more = (
        f"Give the attacks more time (--seconds, here {seconds:g}), and other seeds and images (--seed): "
        "one "
        "image in one round is a sample of one."
    )
    prior = (
        "Train a prior on images like yours (gifd-bench train-prior) and audit with it (--priors): an "
        "attacker "
        "may have one."
    )
    check = (
        "Check the description with the private batch: gb.check_observation(observation, images, "
        "labels), or "
        "gifd-bench observe --check; it names the likely cause."
    )
    if outcome in ("recognized", "partly"):
        return [
            "Do not send this update as it is."
            if outcome == "recognized"
            else "Treat this as a leak: a stronger attack begins where this one ended.",
            trade if not defended else f"The defense is too weak. {trade}",
            aggregate,
        ]
    if outcome == "not_recognized":
        return [more, prior, f"See what the defense costs. {trade}" if defended else aggregate]
    if outcome == "unexplained":
        return [check, "Then run the audit again, with another --output."]
    return ["Run the same command again with --images and --labels: no attack is run twice.", more, prior]


def _named(defense: KnownDefense) -> str:
    """A defense and its parameters, if they are known."""
    if defense.parameters is None:
        return f"{defense.name} (of unknown strength)"
    given = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in defense.parameters.items()
    )
    return f"{defense.name} ({given})" if given else defense.name
