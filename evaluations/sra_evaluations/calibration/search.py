"""Find the setting that helps a model most on your own documents, within a bound on harm and on time.

1. Which heads matter: the gradient of the answers' likelihood by the strength of each head.
2. Strengths: for every shape of setting the strength that does the harm that is allowed. So policies compete at equal
   harm, not at equal alpha.
3. Search by the likelihood of right answers, by successive halving: all candidates on few questions, the better half on
   twice as many, and so on (Jamieson and Talwalkar, arXiv 1502.07943).
4. Confirmation by generated answers to questions that the search did not see. What does not beat "off" there beyond
   chance, corrected for the number of finalists, is not taken.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.retrieval.retriever import Retriever

from sra_evaluations.calibration.candidates import Shape, head_shapes, layer_shapes, strength_at
from sra_evaluations.calibration.cloze import make_cloze
from sra_evaluations.calibration.harm import harm_examples, measured_harm
from sra_evaluations.calibration.profile import Profile, make_profile
from sra_evaluations.calibration.work import Deadline, Work
from sra_evaluations.examples import Example, content_hash
from sra_evaluations.runs.run_task import Stop
from sra_rag.config import Rows, SRAConfig
from sra_rag.errors import ConfigError, require_above_zero
from sra_rag.generation.engine import Engine

__all__ = ["CalibrationOptions", "calibrate", "document_questions"]

_LEAST_QUESTIONS = 16
_PROBED = 0.2  # the strength at which harm is measured first
_MOST = 1.0  # no stronger, however harmless
_FRACTIONS = (1.0, 0.5)  # of the strength that does all the harm that is allowed
_ROWS: tuple[Rows, ...] = ("all", "after_context")
_FIRST_ROUND = 8  # questions
_GRADIENTS = 12  # questions
_MIN_PAIRS = 4
# Shares of the time, up to the end of each step.
_HEADS, _STRENGTHS, _SEARCH = 0.08, 0.30, 0.65
_ALWAYS, _AT_THE_LATEST = 3, 0.5  # this number of shapes get their strengths in any case, up to a later end


@dataclasses.dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """How to calibrate.

    Parameters
    ----------
    minutes
        Time in all, but for making the questions; what is being answered at its end is finished.
    questions
        Made from the passages at most; half are for the search, half for confirmation.
    tokens
        Of passages in a prompt.
    harm
        Maximum increase of the negative log-likelihood of plain text and short prompts, in nats per token, for the
        worst kind.
    finalists
        Candidates that are confirmed.
    judged_by
        ``"answers"``: generated answers must be right more often beyond chance. ``"likelihood"``: right answers must be
        likelier; seen sooner, and weaker.
    max_new_tokens
        Of a generated answer.
    seed
        Of questions and texts.
    """

    minutes: float = 30.0
    questions: int = 400
    tokens: int = 1200
    harm: float = 0.02
    finalists: int = 3
    judged_by: Literal["answers", "likelihood"] = "answers"
    max_new_tokens: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        require_above_zero(self, ("minutes", "questions", "tokens", "finalists", "max_new_tokens"))
        if not self.harm >= 0:
            raise ConfigError(f"harm={self.harm} is not allowed: it must not be below 0.")
        if self.judged_by not in ("answers", "likelihood"):
            raise ConfigError(f"judged_by={self.judged_by!r} is not allowed. Use answers or likelihood.")


def calibrate(
    engine: Engine,
    index: PassageIndex,
    folder: Path,
    options: CalibrationOptions | None = None,
    *,
    on_progress: Callable[[str], Callable[[int, int], None]] | None = None,
    stop: Stop | None = None,
) -> Profile:
    """Calibrate a model on the documents of an index, without labels.

    Parameters
    ----------
    engine
        The model.
    index
        The documents.
    folder
        Measurements are stored there; a run with the same model, documents and seed continues from them.
    options
        See `CalibrationOptions`.
    on_progress
        Called with the name of a step; what it returns is called with (done, total).
    stop
        Stops the search after the current measurement; the profile rests on the measurements made so far.

    Returns
    -------
    profile
        The setting, or off where none was confirmed, with the evidence.

    Raises
    ------
    ConfigError
        If the documents have too few sentences to ask about, or `folder` has measurements of another model or of
        other questions.
    """
    options = options or CalibrationOptions()
    searched, confirmed = document_questions(engine, index, options.questions, options.seed, options.tokens)
    texts = harm_examples(index.passages(), options.seed, lambda text: len(engine.encode(text).token_ids))
    made = [
        *searched,
        *confirmed,
        *(example for them in (*texts.searched.values(), *texts.unseen.values()) for example in them),
    ]
    work = Work(
        engine,
        folder,
        questions=content_hash(made),
        seed=options.seed,
        max_new_tokens=options.max_new_tokens,
        on_progress=on_progress,
    )
    started = time.monotonic()

    def until(share: float) -> Deadline:
        return Deadline(started + share * options.minutes * 60, stop)

    gradients = work.gradients(searched[:_GRADIENTS], until(_HEADS))
    config = engine.loaded.model.config.get_text_config(decoder=True)
    whole, *rest = _by_three(layer_shapes(config.num_hidden_layers))
    by_head = head_shapes(gradients) if len(gradients) >= _MIN_PAIRS else []
    shapes = [*whole, *by_head, *(shape for part in rest for shape in part)]
    candidates = _candidates(work, shapes, texts.searched, options.harm, until(_STRENGTHS), until(_AT_THE_LATEST))
    ranked = _halve(work, candidates, searched, options.finalists, until(_SEARCH))
    finalists = _harmless(work, ranked[: options.finalists], texts.unseen, options.harm, until(1.0))
    if finalists:
        work.measure("confirmation", confirmed, finalists, until(1.0), doing="confirming", generate=True)
    harm = {name: measured_harm(work.comparison, name, texts.unseen) for name in finalists}
    return make_profile(
        work.comparison, finalists, harm, judged_by=options.judged_by, options=dataclasses.asdict(options)
    )


def document_questions(
    engine: Engine, index: PassageIndex, count: int, seed: int, tokens: int
) -> tuple[list[Example], list[Example]]:
    """Make questions without labels from the documents of an index: half for the search, half for the confirmation.

    Parameters
    ----------
    engine
        Its tokens are counted.
    index
        The documents.
    count
        Number of questions at most.
    seed
        Seed of their choice.
    tokens
        Number of tokens of passages in a prompt.

    Raises
    ------
    ConfigError
        If the documents have too few sentences to ask about.
    """
    questions = make_cloze(Retriever(index), count, seed, tokens, lambda text: len(engine.encode(text).token_ids))
    if len(questions) < _LEAST_QUESTIONS:
        raise ConfigError(
            f"The documents have {len(questions)} sentences that can be asked about; at least {_LEAST_QUESTIONS} are "
            "needed. Give more documents."
        )
    return questions[::2], questions[1::2]


def _by_three(shapes: list[Shape]) -> list[list[Shape]]:
    return [shapes[start : start + 3] for start in range(0, len(shapes), 3)]


def _candidates(
    work: Work,
    shapes: Sequence[Shape],
    texts: Mapping[str, list[Example]],
    harm: float,
    deadline: Deadline,
    at_the_latest: Deadline,
) -> dict[str, SRAConfig]:
    """Give each shape the strengths that do the harm allowed, and half as much strength; as far as the time goes.

    The first shapes may take until `at_the_latest`: without them there is nothing to search.
    """
    found: dict[str, SRAConfig] = {}
    for number, shape in enumerate(shapes):
        strength = _strength(work, shape, texts, harm, at_the_latest if number < _ALWAYS else deadline)
        if strength is None:
            break
        for rows in _ROWS:
            for fraction in _FRACTIONS:
                alpha = _rounded(strength * fraction)
                if alpha > 0:
                    found[f"{shape.name}; {rows}; alpha {alpha:g}"] = shape.settings(alpha, rows)
    return found


def _strength(
    work: Work, shape: Shape, texts: Mapping[str, list[Example]], harm: float, deadline: Deadline
) -> float | None:
    """Solve for the strength that does `harm`: measured at one strength, then near the solution."""
    measured: list[tuple[float, float]] = []
    strength = _PROBED
    for _ in range(2):
        done = _worst_harm(work, shape, strength, texts, deadline)
        if done is None:
            break
        measured.append((strength, done))
        following = _rounded(strength_at(harm, measured, _MOST))
        if abs(following - strength) < 0.1 * strength:
            break
        strength = following
    return _rounded(strength_at(harm, measured, _MOST)) if measured else None


def _worst_harm(
    work: Work, shape: Shape, alpha: float, texts: Mapping[str, list[Example]], deadline: Deadline
) -> float | None:
    """Measure the harm of a shape; None where the time did not suffice."""
    if alpha <= 0:
        return 0.0
    name = f"{shape.name}; all; alpha {alpha:g}"
    for task, examples in texts.items():
        work.measure(task, examples, {name: shape.settings(alpha, "all")}, deadline, doing=f"harm of {name}")
    by_task = measured_harm(work.comparison, name, texts)
    return max((difference.difference for difference in by_task.values()), default=None)


def _halve(
    work: Work,
    candidates: dict[str, SRAConfig],
    examples: Sequence[Example],
    finalists: int,
    deadline: Deadline,
) -> list[tuple[str, SRAConfig]]:
    """Return candidates, best first, by how much likelier they make the right answers of more and more questions."""
    began = time.monotonic()
    work.measure("search", examples[:1], candidates, deadline, doing=f"{len(candidates)} candidates")
    now = time.monotonic()
    left = _affordable(candidates, now - began, deadline.at - now, finalists)
    size = _FIRST_ROUND
    while left:
        shown = examples[:size]
        # Without so many a candidate has no rank, and the round would be lost.
        work.measure("search", shown[:_MIN_PAIRS], left, deadline, doing=f"{len(left)} candidates")
        rounds_left = max(1, (len(left) // finalists).bit_length())
        now = time.monotonic()
        this_round = Deadline(now + max(0.0, deadline.at - now) / rounds_left, deadline)
        work.measure("search", shown, left, this_round, doing=f"{len(left)} candidates")
        gains = _gains(work, left)
        ranked = sorted(gains, key=lambda name: gains[name])
        if not ranked or deadline.is_set() or len(shown) == len(examples) or len(ranked) <= finalists:
            return [(name, left[name]) for name in ranked if gains[name] < 0]
        left = {name: left[name] for name in ranked[: max(finalists, len(ranked) // 2)]}
        size *= 2
    return []


def _affordable(
    candidates: dict[str, SRAConfig], seconds_a_question: float, seconds_left: float, least: int
) -> dict[str, SRAConfig]:
    """Keep as many candidates as there is time to rank, the most promising, which come first; at least some."""
    rank = seconds_a_question * (_MIN_PAIRS - 1)
    share = 1.0 if rank <= 0 else max(0.0, seconds_left) / rank
    return dict(list(candidates.items())[: max(least, int(len(candidates) * min(1.0, share)))])


def _gains(work: Work, candidates: dict[str, SRAConfig]) -> dict[str, float]:
    """Return the mean change of nats against off, of those measured often enough; below 0 is better."""
    found = work.comparison
    gains = {}
    for name in candidates:
        if "search" in found.tasks and len(found.values("search", name, "gold_nats")) >= _MIN_PAIRS:
            gains[name] = found.difference("gold_nats", name, task="search").difference
    return gains


def _harmless(
    work: Work,
    ranked: Sequence[tuple[str, SRAConfig]],
    texts: Mapping[str, list[Example]],
    harm: float,
    deadline: Deadline,
) -> dict[str, SRAConfig]:
    """Keep those whose harm to texts that the search did not see is within the bound too."""
    kept = {}
    for name, sra in ranked:
        for task, examples in texts.items():
            work.measure(task, examples, {name: sra}, deadline, doing=f"harm of {name}")
        by_task = measured_harm(work.comparison, name, texts)
        if by_task and max(difference.difference for difference in by_task.values()) <= harm:
            kept[name] = sra
    return kept


def _rounded(alpha: float) -> float:
    return float(f"{alpha:.2g}")
