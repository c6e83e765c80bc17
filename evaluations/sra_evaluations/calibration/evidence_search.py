"""Find the evidence settings that suit a model: what is weighed, how much, in which heads, with or without sharpening.

1. Look: with how many evidence heads, and with the search or without it, the passage with the answer is weighed most
   often (`look_search`).
2. Search by generated answers, by successive halving: all candidates on few questions, the better half on twice as
   many, and so on (Jamieson and Talwalkar, arXiv 1502.07943). The likelihood of right answers is no guide here:
   sharpening raises it and not the number of right answers.
3. Confirmation by the answers to questions that the search did not see. What is not significantly better than "off"
   there, corrected for the number of finalists, is not chosen. What a model that was not measured takes is always
   confirmed too: the few questions of the search may miss it, and it is what the result is used instead of.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sra_evaluations.calibration.look_search import find_look
from sra_evaluations.calibration.profile import Profile, make_profile
from sra_evaluations.calibration.work import OFF, Deadline, Work
from sra_evaluations.examples import Example, content_hash
from sra_evaluations.rivals.passages import parts_of, similarities
from sra_evaluations.runs.run_task import Stop
from sra_rag.config import SRAConfig
from sra_rag.errors import require_above_zero
from sra_rag.evidence_config import EvidenceConfig, HeadChoice
from sra_rag.generation.engine import Engine

__all__ = ["EvidenceSearchOptions", "calibrate_evidence", "evidence_candidates"]

_FIRST_ROUND = 10  # questions
_LOOK, _SEARCH = 0.15, 0.6  # of the time
_ALPHA = 0.3  # of candidates with sharpening
_BEST, _MANY = 40, 80  # evidence heads


class _Weights(NamedTuple):
    """Weight of the passage and, times it, of its best line, and how many times less others count; 1 is none."""

    passage: int
    line: int = 1
    new_words: bool = False  # the words of the line that are in the question have no weight
    others: int = 1


_DEFAULT = EvidenceConfig()
_UNMEASURED = _Weights(2)  # in all heads: `sra_rag.heads.known.UNMEASURED`
_ALL_HEADS = (
    _UNMEASURED,
    _Weights(4),
    _Weights(8),
    _Weights(1, others=16),
    _Weights(4, 4, new_words=True),
    _Weights(1, 16, new_words=True),
)
_BEST_HEADS = (
    _Weights(4),
    _Weights(16),
    _Weights(4, 4, new_words=True, others=16),
    _Weights(8, 8, new_words=True),
    _Weights(1, 64, new_words=True),
)
_MANY_HEADS = (_Weights(8, 8, new_words=True),)
_SHARPENED = (_Weights(16), _Weights(8, 8, new_words=True))


@dataclasses.dataclass(frozen=True, slots=True)
class EvidenceSearchOptions:
    """How evidence settings are searched.

    Parameters
    ----------
    minutes
        Time of search and confirmation; the answer that is being generated at its end is finished.
    finalists
        Number of candidates that are confirmed, beside what a model that was not measured takes.
    max_new_tokens
        Maximum number of tokens of an answer.
    seed
        Seed of the questions.

    Raises
    ------
    ConfigError
        If a value is not above 0.
    """

    minutes: float = 15.0
    finalists: int = 2
    max_new_tokens: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        require_above_zero(self, ("minutes", "finalists", "max_new_tokens"))


def evidence_candidates(n_heads: int, look: EvidenceConfig = _DEFAULT) -> dict[str, SRAConfig]:
    """Return the settings that are tried, by name.

    Parameters
    ----------
    n_heads
        Number of query heads of the model, all layers together: a model with few has no forty best ones.
    look
        Settings whose `look` and `retrieval` all take.
    """
    best, many = max(1, min(_BEST, n_heads // 4)), max(1, min(_MANY, n_heads // 2))
    groups: list[tuple[HeadChoice, tuple[_Weights, ...], float]] = [
        ("all", _ALL_HEADS, 0.0),
        (best, _BEST_HEADS, 0.0),
        (many, _MANY_HEADS, 0.0),
        (best, _SHARPENED, _ALPHA),
    ]
    return {
        _name(heads, chosen, alpha, look): _settings(heads, chosen, alpha, look)
        for heads, weights, alpha in groups
        for chosen in weights
    }


def calibrate_evidence(
    engine: Engine,
    searched: Sequence[Example],
    confirmed: Sequence[Example],
    folder: Path,
    options: EvidenceSearchOptions | None = None,
    *,
    on_progress: Callable[[str], Callable[[int, int], None]] | None = None,
    stop: Stop | None = None,
) -> Profile:
    """Find the evidence settings that make a model answer right most often.

    Parameters
    ----------
    engine
        The model.
    searched, confirmed
        Questions with known answers for the search and for the confirmation. Where they have no scores of a search, the
        similarity of the embedding takes its place.
    folder
        Folder of the measurements; a run with the same model and questions continues from them.
    options
        See `EvidenceSearchOptions`.
    on_progress
        Called with the name of a step; what it returns is called with (done, total).
    stop
        Stops after the current answer.

    Returns
    -------
    profile
        The settings, or off where none was confirmed, with all measurements that decided.

    Raises
    ------
    ConfigError
        If `folder` holds measurements of another model or of other questions.
    """
    options = options or EvidenceSearchOptions()
    start = on_progress or (lambda _: lambda done, total: None)
    searched, confirmed = (_with_scores(half, start("comparing passages")) for half in (searched, confirmed))
    work = Work(
        engine,
        folder,
        questions=content_hash([*searched, *confirmed]),
        seed=options.seed,
        max_new_tokens=options.max_new_tokens,
        on_progress=on_progress,
    )
    started = time.monotonic()
    text = engine.loaded.model.config.get_text_config(decoder=True)
    found = find_look(
        engine,
        searched,
        folder / "looks.json",
        progress=start("how the model looks"),
        stop=Deadline(started + _LOOK * options.minutes * 60, stop),
    )
    left = evidence_candidates(text.num_hidden_layers * text.num_attention_heads, found.evidence(_DEFAULT))
    in_time = Deadline(started + _SEARCH * options.minutes * 60, stop)
    size = _FIRST_ROUND
    while left:
        work.measure(
            "search", searched[:size], left, in_time, doing=f"{len(left)} settings", generate=True, likelihood=False
        )
        ranked = _ranked(work, left)
        last = in_time.is_set() or size >= len(searched) or len(ranked) <= options.finalists
        left = {
            name: left[name] for name in ranked[: options.finalists if last else max(options.finalists, len(left) // 2)]
        }
        if last:
            break
        size *= 2
    left |= {_name("all", _UNMEASURED, 0.0, _DEFAULT): _settings("all", _UNMEASURED, 0.0, _DEFAULT)}
    deadline = Deadline(started + options.minutes * 60, stop)
    work.measure("confirmation", confirmed, left, deadline, doing="confirming", generate=True, likelihood=False)
    profile = make_profile(work.comparison, left, {}, judged_by="answers", options=dataclasses.asdict(options))
    return dataclasses.replace(profile, evidence={**profile.evidence, "look": dataclasses.asdict(found)})


def _ranked(work: Work, candidates: Mapping[str, SRAConfig]) -> list[str]:
    """Return the candidates that gained over off, best first; on equal gain those with the better token F1."""
    found = work.comparison
    gains: dict[str, tuple[float, float]] = {}
    for name in candidates:
        if "search" in found.tasks and found.values("search", name, "right") and found.values("search", OFF, "right"):
            gains[name] = (
                found.difference("right", name, task="search").difference,
                found.difference("f1", name, task="search").difference,
            )
    return [name for name in sorted(gains, key=lambda name: gains[name], reverse=True) if gains[name] > (0.0, 0.0)]


def _with_scores(examples: Sequence[Example], progress: Callable[[int, int], None]) -> list[Example]:
    scored = []
    for done, example in enumerate(examples, start=1):
        scores = example.passage_scores or similarities(example, parts_of(example))
        scored.append(dataclasses.replace(example, passage_scores=scores))
        progress(done, len(examples))
    return scored


def _name(heads: HeadChoice, weights: _Weights, alpha: float, look: EvidenceConfig) -> str:
    parts = [f"passage {weights.passage}"] if weights.passage > 1 else []
    if weights.line > 1:
        parts.append(f"{'new words of the line' if weights.new_words else 'line'} {weights.passage * weights.line}")
    if weights.others > 1:
        parts.append(f"other passages 1/{weights.others}")
    where = "all heads" if heads == "all" else f"{heads} heads"
    looking = f", {look.look} heads look" if look.look != _DEFAULT.look else ""
    looking += ", with the search" if look.retrieval else ""
    return f"{' and '.join(parts)}, {where}" + (f", alpha {alpha:g}" if alpha else "") + looking


def _settings(heads: HeadChoice, weights: _Weights, alpha: float, look: EvidenceConfig) -> SRAConfig:
    evidence = look.replace(heads=heads, gate="agree", new_words=weights.new_words)
    if weights.others > 1:
        evidence = evidence.replace(others=weights.others)
    if weights.passage > 1 or weights.others > 1:
        evidence = evidence.replace(weight=weights.passage, line_weight=weights.line)
    else:
        evidence = evidence.replace(weight=weights.line, unit="line")
    return SRAConfig(alpha=alpha, rows="after_context", evidence=evidence)
