"""The model card that goes with a prior's weights."""

from __future__ import annotations

from collections.abc import Mapping

_CARD = """# {name}

A class-conditional image generator, one of the priors of gifd-bench. The sample grid beside this file
({name}.png) has one row a class.

| | |
|---|---|
{rows}

It is meant for measuring what a gradient leaks, not for making pictures: it knows its training images'
classes and their biases, and nothing else.
{distances}"""

_DISTANCES = """
Distances are Fréchet distances between 2,000 images and the held-back ones in the features of a small
classifier, which was trained on the same training images as the prior. They are not FIDs, which have the
features of Inception, and cannot be compared with them; the distance of as many training images says what a
perfect generator would have.
"""


def model_card(name: str, facts: Mapping[str, str]) -> str:
    """A model card in Markdown: what a prior is, and how it was made.

    Args:
        name: the name of the prior.
        facts: rows of the table.
    """
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    scored = any(key.startswith("distance") for key in facts)
    return _CARD.format(name=name, rows=rows, distances=_DISTANCES if scored else "")
