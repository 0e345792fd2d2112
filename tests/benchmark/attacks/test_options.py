"""Options: what they cost is said beforehand, what makes no sense is refused, and JSON goes to and fro."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import ArgumentParser

from gifd_bench.benchmark.attacks.generator_options import GIFDOODOptions, GIFDOptions
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.options import AttackOptions, Stage
from gifd_bench.benchmark.attacks.pixel_options import DLGOptions, IDLGOptions, IGOptions
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.contract.subject import AttackSubject
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Exponential, Linear, Matching
from gifd_bench.benchmark.inversion.radii import Growing, PerEntry, PerStage
from gifd_bench.common.errors import UserError
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.threat_model import ThreatModel
from tests.benchmark.attacks.test_contract import OPTIONS

FIVE = ("latent", "a", "b", "c", "d")


def parsed(name: str, values: dict[str, Any]) -> tuple[AttackOptions, dict[str, Any]]:
    """Options from JSON values, and the JSON values that they are written as."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(ATTACKS.signature(name), "it", instantiate=False)
    found = parser.parse_object({"it": values})
    written = json.loads(parser.dump(found, format="json", skip_unset=False))["it"]
    return ATTACKS.options(name, vars(parser.instantiate(found)["it"])), written


@pytest.mark.parametrize("name", sorted(ATTACKS.bundled))
def test_iterations_and_evaluations_are_those_of_a_run(
    name: str, observation: Observation, tiny_prior: Prior, tmp_path: Path
) -> None:
    attack = ATTACKS.make(name, OPTIONS[name])
    result = AttackSubject(lambda: attack, tiny_prior, tmp_path).run(observation)
    stages = tiny_prior.stages if attack.options.needs_prior else ()
    assert attack.options.total_iterations(stages) == len(result.curve)
    said = attack.options.total_evaluations(stages)
    if isinstance(attack.options, DLGOptions):  # whose optimizer may end a call early
        assert said >= result.gradient_evaluations
    else:
        assert said == result.gradient_evaluations


@pytest.mark.parametrize("name", sorted(ATTACKS.bundled))
def test_every_option_is_documented_with_its_default(name: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ATTACKS.signature(name), "it", instantiate=False)
    helps = {action.dest: action.help or "" for action in parser._actions}
    for field in fields(ATTACKS.signature(name)):  # type: ignore[arg-type]
        assert helps[f"it.{field.name}"].strip(), field.name
    assert ATTACKS.describe(name).endswith(".")


@pytest.mark.parametrize("name", sorted(ATTACKS.bundled))
def test_the_defaults_are_written_and_read_back_without_import_paths(name: str) -> None:
    options, written = parsed(name, {})
    assert options == ATTACKS.options(name, {})
    assert json.loads(json.dumps(asdict(options))) == written
    assert "gifd_bench" not in json.dumps(written)
    assert parsed(name, written) == (options, written)


@pytest.mark.parametrize(
    ("option", "given", "expected", "written"),
    [
        ("loss", "l1", "l1", "l1"),
        ("loss", {"distance": "l1"}, "l1", "l1"),
        (
            "loss",
            {"distance": "masked_cosine", "fraction": 0.1},
            Matching("masked_cosine", 0.1),
            {"distance": "masked_cosine", "fraction": 0.1, "weights": None},
        ),
        (
            "loss",
            {"distance": "cosine", "weights": {"linear": "rising"}},
            Matching("cosine", weights=Linear("rising")),
            {"distance": "cosine", "fraction": None, "weights": {"linear": "rising"}},
        ),
        (
            "loss",
            {"distance": "cosine", "weights": {"exponential": 1}},
            Matching("cosine", weights=Exponential(1.0)),
            {"distance": "cosine", "fraction": None, "weights": {"exponential": 1.0}},
        ),
        ("radii", None, None, None),
        ("radii", {"per_entry": 2}, PerEntry(2.0), {"per_entry": 2.0}),
        ("radii", {"per_stage": [1, 2]}, PerStage((1.0, 2.0)), {"per_stage": [1.0, 2.0]}),
        ("radii", {"first": 1, "growth": 2}, Growing(1.0, 2.0), {"first": 1.0, "growth": 2.0}),
        ("iterations", [1, 2], (1, 2), [1, 2]),
        ("iterations", 3, 3, 3),
    ],
)
def test_an_option_has_one_plain_form(option: str, given: Any, expected: Any, written: Any) -> None:
    options, values = parsed("gifd", {option: given})
    assert getattr(options, option) == expected
    assert values[option] == written
    assert parsed("gifd", values) == (options, values)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("ig", {"restarts": 0}, "restarts must be at least 1, not 0"),
        ("ig", {"iterations": 0}, "iterations must be at least 1, not 0"),
        ("ig", {"learning_rate": 0.0}, "learning_rate must be positive, not 0.0"),
        ("ig", {"total_variation": float("nan")}, "total_variation must be at least 0, not nan"),
        ("ig", {"stop": "soon"}, "stop must be one of matching_loss, discrepancy, held_out, not soon"),
        ("ig", {"label_rule": "count"}, "no label rule 'count'; did you mean counts?"),
        ("ig", {"loss": "cosin"}, "loss: no distance 'cosin'"),
        ("ig", {"loss": "masked_cosine"}, "loss: fraction is for masked_cosine, which needs it"),
        ("gi", {"group_start": 1.5}, "group_start must be from 0 to 1, not 1.5"),
        ("gifd", {"iterations": [1, 0]}, "iterations must be at least 1, not 0"),
        ("gifd", {"last_stage": -1}, "last_stage must be at least 0, not -1"),
        ("gifd_ood", {"growth": 0.9}, "growth must be at least 1, not 0.9"),
        ("ggl", {"population": 1}, "population must be at least 2, not 1"),
    ],
)
def test_a_value_out_of_range_is_one_line_that_names_it(
    name: str, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as error:
        ATTACKS.options(name, wrong)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GIFDOptions(iterations=(1, 1, 1, 1)), "4 numbers of iterations given for 5 stages"),
        (GIFDOptions(last_stage=5), "last_stage is 5, and the prior's last is 4"),
        (GIFDOptions(radii=PerStage((1.0, 2.0, 3.0))), "per_stage has 3 numbers, none for stage 4"),
    ],
)
def test_options_that_do_not_fit_the_prior_are_refused(options: GIFDOptions, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        options.stages(FIVE)


def test_starts_are_members_of_the_first_stage() -> None:
    options = GIFDOptions(iterations=(3, 4), starts=2, last_stage=1)
    assert options.stages(FIVE) == (Stage("latent", 3, members=2), Stage("a", 4))
    assert GIFDOODOptions(iterations=10, growth=1.0, starts=1).stages(FIVE)[4] == Stage("d", 10)


def test_a_misspelled_keyword_names_the_nearest() -> None:
    with pytest.raises(BenchmarkError, match="IG: no option 'iteratons'; did you mean iterations"):
        IG(iteratons=3)


def test_an_attack_is_built_from_options_of_its_own() -> None:
    options = IGOptions(iterations=3)
    assert IG(options).options is options
    assert IG(iterations=3).options == options
    for wrong in (lambda: GIFD(options), lambda: IG(options, restarts=2)):
        with pytest.raises(BenchmarkError, match="is built from"):
            wrong()


@pytest.mark.parametrize("loss", ["cosine", "euclidean", Matching("masked_cosine", 0.1), "l1"])
def test_a_length_that_is_hidden_is_not_matched(loss: Any) -> None:
    hidden = ThreatModel(local_settings="unknown")
    reason = IGOptions(loss=loss).unmet(hidden, True)
    assert (reason is None) == (loss in ("cosine", Matching("masked_cosine", 0.1)))
    assert IGOptions(loss=loss).unmet(hidden, False) is None


def test_labels_that_a_rule_cannot_infer_are_known_before() -> None:
    inferred, known = ThreatModel(), ThreatModel(labels="known")
    idlg = IGOptions(label_rule="idlg")
    assert idlg.unmet_labels(inferred, 1, 10) is None
    assert "is for one image" in (idlg.unmet_labels(inferred, 2, 10) or "")
    assert idlg.unmet_labels(known, 2, 10) is None
    distinct = IGOptions(label_rule="row_sum")
    assert "only 10 classes" in (distinct.unmet_labels(inferred, 11, 10) or "")
    assert distinct.unmet_labels(inferred, 11, None) is None
    assert DLGOptions(label_rule="idlg").unmet_labels(inferred, 2, 10) is None
    assert IDLGOptions().unmet_labels(inferred, 2, 10) is None
    assert IDLGOptions(label_rule="idlg").unmet_labels(inferred, 2, 10) is not None


def test_options_are_read_without_torch() -> None:
    code = (
        "import sys\n"
        "from gifd_bench.benchmark.attacks.registry import ATTACKS\n"
        "for name in ATTACKS: ATTACKS.options(name, {}); ATTACKS.describe(name)\n"
        "heavy = {'torch', 'pytorch_lightning', 'lightning', 'torchvision', 'scipy', 'cma', 'PIL'}\n"
        "sys.exit(', '.join(heavy & {name.split('.')[0] for name in sys.modules}) or 0)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
