"""Verifying a submission from beginning to end."""

from __future__ import annotations

from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer
from gifd_bench.leaderboard.verification import checks
from gifd_bench.leaderboard.verification.report import SCORING_VERSION, Check, Score, Verdict, Verification
from gifd_bench.leaderboard.verification.rerun import RerunRequest, rerun
from gifd_bench.leaderboard.verification.twins import check_twins


def verify(
    submission: SubmissionFolder,
    protocol: Protocol,
    reference: Reference,
    request: RerunRequest = RerunRequest(),
) -> Verification:
    """Check a submission and score it; nothing of it runs in this process.

    Args:
        submission: the submission, which is not trusted.
        protocol: the protocol to which it was submitted.
        reference: the verifier's own observations and truths.
        request: how many observations to attack again, and how.

    Raises:
        RerunRefused: a rerun is asked for, and there is no sandbox.
    """
    made: list[Check] = []
    scores: dict[str, Score] = {}
    claims: dict[str, Score] = {}
    complete, again_made, files = False, 0, dict[str, str]()
    seed: int | None = None
    owner: str | None = None
    try:
        index = reference.observations.index
        made.append(checks.check_files(submission, protocol))
        # Before anything is judged: whoever adds it to the entries compares what is there then.
        files = submission.checksums()
        signature, owner = checks.check_signature(submission, files)
        made.append(signature)
        results = submission.results
        made.append(checks.check_observations(results, index))
        made.append(checks.check_checksums(submission))
        answers = checks.read_answers(submission, index)
        made.append(Check(name="images", verdict=Verdict.PASSED, detail="all in [0, 1]"))
        made.append(checks.check_complete(results, index))
        complete = made[-1].verdict is Verdict.PASSED
        made.append(checks.check_budget(results, index.gradient_evaluations))
        judged = {
            name: checks.judge(answer, name, results[name], reference) for name, answer in answers.items()
        }
        scores = {name: one.score for name, one in judged.items()}
        made.append(checks.check_matching_loss(results, scores))
        made.append(checks.check_metrics(results, scores))
        made.append(checks.check_closeness(judged))
        reruns = rerun(submission, files, answers, reference, request)
        made.append(reruns.check)
        again_made, seed = len(reruns.answers), reruns.seed
        if again_made == len(answers):
            own = {
                name: checks.judge(
                    SubmittedAnswer(answer.images, answer.labels), name, answer, reference, answer.earlier
                )
                for name, answer in reruns.answers.items()
            }
            made.append(checks.check_closeness(own, "rerun_closeness"))
            claims, scores = scores, {name: one.score for name, one in own.items()}
            if request.twins and reruns.ordered is not None and reruns.seed is not None and not index.blind:
                made.append(
                    check_twins(reruns.ordered, scores, protocol, request, reruns.seed, reruns.folder)
                )
    except checks.Failed as failure:
        made.append(failure.check)
    return Verification(
        protocol=protocol.key,
        scoring=SCORING_VERSION,
        checks=made,
        complete=complete,
        rerun=again_made,
        scores=scores,
        claims=claims,
        seed=seed,
        files=files,
        owner=owner,
    )
