"""Find how a model looks best for evidence: with how many of its heads, and whether the search names a passage too.

No answers are compared here, only how often the passage that is weighed is the one with the answer.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sra_evaluations.examples import Example
from sra_evaluations.results.records import write_whole
from sra_evaluations.rivals.changed_prompts import asked
from sra_evaluations.rivals.passages import parts_of
from sra_evaluations.runs.run_task import Stop
from sra_rag.config import SRAConfig
from sra_rag.evidence_config import EvidenceConfig, HeadChoice
from sra_rag.generation.engine import Engine

__all__ = ["FoundLook", "find_look"]

_PLAIN = EvidenceConfig(weight=2.0, gate="agree")  # no weight changes what is chosen
_COUNTS = (_PLAIN.look, 5, 20, 40)  # evidence heads; the first is kept unless another finds more


@dataclasses.dataclass(frozen=True, slots=True)
class FoundLook:
    """How a model looks.

    Parameters
    ----------
    look
        Number of its best evidence heads that choose.
    retrieval
        True if the first passage of the search counts, else None, as where nothing is said of it.
    found
        For how many questions the passage with the answer was weighed, by what was tried.
    asked
        Number of questions.
    """

    look: HeadChoice
    retrieval: bool | None
    found: Mapping[str, int]
    asked: int

    def evidence(self, evidence: EvidenceConfig) -> EvidenceConfig:
        """Return settings of evidence that look in this way."""
        return evidence.replace(look=self.look, retrieval=self.retrieval)


def find_look(
    engine: Engine,
    examples: Sequence[Example],
    path: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> FoundLook:
    """Find with how many of its evidence heads a model looks best, and whether the search helps.

    Parameters
    ----------
    engine
        The model.
    examples
        Questions whose passages with the answer are known (`Example.gold`).
    path
        JSON file of what was found; a later run continues from it.
    progress
        Called with (done, total).
    stop
        Ends it after the current question; what was asked until then decides.

    Returns
    -------
    found
        The number of heads, and whether the search counts: each as by default unless another choice finds more. Where
        the default finds all, nothing else is tried.
    """
    known: dict[str, dict[str, bool]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    text = engine.loaded.model.config.get_text_config(decoder=True)
    most = text.num_hidden_layers * text.num_attention_heads // 4
    tried = {_name(count): _PLAIN.replace(look=count) for count in _COUNTS if count == _PLAIN.look or count <= most}
    if all(example.passage_scores for example in examples):
        tried |= {f"{name}, search": evidence.replace(retrieval=True) for name, evidence in tried.items()}

    def ask(wanted: Mapping[str, EvidenceConfig]) -> None:
        for done, example in enumerate(examples, start=1):
            of_example = known.setdefault(example.sha256(), {})
            missing = [name for name in wanted if name not in of_example]
            if missing and stop is not None and stop.is_set():
                break
            of_example |= {name: _finds(engine, example, wanted[name]) for name in missing}
            if missing:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps(known))
            if progress is not None:
                progress(done, len(examples))

    default = {_name(_PLAIN.look): _PLAIN}
    ask(default)
    if all(known.get(example.sha256(), {}).get(_name(_PLAIN.look)) for example in examples):
        tried = default  # nothing can find more
    else:
        ask(tried)
    complete = [of for example in examples if len(of := known.get(example.sha256(), {})) >= len(tried)]
    found = {name: sum(of_example[name] for of_example in complete) for name in tried}
    best = max(tried, key=lambda name: found[name])  # the first of equal ones: fewer changes
    chosen = tried[best]
    return FoundLook(chosen.look, chosen.retrieval, found, len(complete))


def _name(count: object) -> str:
    return f"{count} heads"


def _finds(engine: Engine, example: Example, evidence: EvidenceConfig) -> bool:
    """Whether the passage with the answer is among those that would be weighed."""
    given = asked(example, None)
    texts = given.passages or list(parts_of(example).texts)
    answer = engine.generate(
        example.prompt(),
        context=example.context,
        passages=texts,
        passage_scores=given.scores,
        sra=SRAConfig(alpha=0.0, evidence=evidence),
        max_new_tokens=1,
    )
    chosen = answer.evidence.chosen if answer.evidence is not None else ()
    return any(one in texts[number] or texts[number] in one for number in chosen for one in example.gold)
