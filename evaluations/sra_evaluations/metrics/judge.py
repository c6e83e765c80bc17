"""A language model as judge, through LlamaIndex's own evaluators and their prompts."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from llama_index.core.evaluation import CorrectnessEvaluator, EvaluationResult, FaithfulnessEvaluator
from llama_index.core.llms import LLM

from sra_evaluations.examples import Example
from sra_rag.errors import ConfigError, require_extra
from sra_rag.generation.engine import Engine
from sra_rag.models.loading import LoadedModel, load_model

__all__ = ["JudgeScorer", "Verdict", "load_judge"]

Verdict = Literal["faithful", "correct"]

_logger = logging.getLogger(__name__)
_SCORE = re.compile(r"\b[1-5](?:\.\d+)?\b")
_YES_OR_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
# A provider in front makes it a name for LangChain; one letter would be a drive.
_SERVED = re.compile(r"[a-z][a-z0-9_]+:[^\\/]")


class JudgeScorer:
    """The verdicts of a judge on an answer: a `sra_evaluations.runs.measures.Scorer`.

    A judge errs and has its likes; take one that is stronger than the model judged, and read some of its verdicts.
    An output without a verdict is not scored; `unread` counts these, and a warning is logged.

    Parameters
    ----------
    judge
        A LlamaIndex `LLM` or a LangChain chat model; any other object is refused.
    verdicts
        ``"faithful"``: does the context support the answer (`FaithfulnessEvaluator`)? ``"correct"``: how well does it
        agree with the gold answer (`CorrectnessEvaluator`)? The second is asked only where there is a gold answer.

    name
        What results call the judge; by default its model's name.

    Attributes
    ----------
    unread
        How many verdicts could not be read.

    Raises
    ------
    ConfigError
        If the judge is neither, or there is no such verdict.
    """

    def __init__(
        self, judge: Any, *, verdicts: Sequence[Verdict] = ("faithful", "correct"), name: str | None = None
    ) -> None:
        unknown = set(verdicts) - set(get_args(Verdict))
        if unknown or not verdicts:
            raise ConfigError(f"verdicts={verdicts!r} is not allowed: name one or both of 'faithful' and 'correct'.")
        self.llm = _as_llm(judge)
        self.name = name or self.llm.metadata.model_name
        self.verdicts = tuple(verdicts)
        self.unread = 0
        self._faithful = FaithfulnessEvaluator(llm=self.llm)
        # The evaluator's own parser raises where a model gives the score that it was asked for and no reason.
        self._correct = CorrectnessEvaluator(llm=self.llm, parser_function=_read_score)

    def __call__(self, said: str, example: Example) -> dict[str, float]:
        """Have an answer judged.

        Returns
        -------
        dict
            ``judged_faithful``: 0 or 1; ``judged_correct``: the judge's one to five points as a share of the way, in
            [0, 1]. Empty where nothing was said.
        """
        if not said.strip():
            return {}
        question = example.question.removeprefix("Question: ")
        scores: dict[str, float] = {}
        if "faithful" in self.verdicts:
            contexts = [passage.text for passage in example.passages] or [example.context]
            found = self._faithful.evaluate(query=question, response=said, contexts=contexts)
            if self._readable("faithfulness", found, bool(_YES_OR_NO.search(found.feedback or ""))):
                scores["judged_faithful"] = float(bool(found.passing))
        if "correct" in self.verdicts and example.answers:
            found = self._correct.evaluate(query=question, response=said, reference=_reference(example))
            if self._readable("correctness", found, found.score is not None):
                scores["judged_correct"] = ((found.score or 1.0) - 1) / 4
        return scores

    def _readable(self, what: str, found: EvaluationResult, readable: bool) -> bool:
        if not readable:
            self.unread += 1
            _logger.warning("No verdict on %s in %r; %d were unread so far.", what, found.feedback, self.unread)
        return readable


def load_judge(name: str, shared: LoadedModel | None = None) -> JudgeScorer:
    """Make a judge from how it is written on the command line.

    Parameters
    ----------
    name
        ``"embedded"``, a name on the hub, a folder or a ``.gguf`` file: that model, run here without reattention. Or
        ``"provider:model"``, such as ``"openai:gpt-5"``: what LangChain's ``init_chat_model`` makes of it.
    shared
        A model that is loaded already: used if it has this name, else the judge's own is loaded.

    Raises
    ------
    ModelLoadError
        If there is no such model.
    MissingExtraError
        If LangChain is needed and not installed.
    ConfigError
        If LangChain knows no such provider, or lacks its package or key.
    """
    if _SERVED.match(name):
        require_extra("A judge behind an API", "judge", "langchain_core", "langchain")
        from langchain.chat_models import init_chat_model

        try:
            return JudgeScorer(init_chat_model(name, temperature=0), name=name)
        except Exception as error:  # each provider has its own errors
            raise ConfigError(f"The judge {name!r} could not be made: {error}") from error
    from llama_index.llms.sra import SRAHuggingFaceLLM

    loaded = shared if shared is not None and name == shared.name else load_model(name)
    return JudgeScorer(SRAHuggingFaceLLM(model=Engine(dataclasses.replace(loaded, sra=None))), name=name)


def _as_llm(judge: Any) -> LLM:
    if isinstance(judge, LLM):
        return judge
    try:
        from langchain_core.language_models.chat_models import BaseChatModel

        from sra_evaluations.metrics.langchain_llm import LangChainLLM
    except ImportError:
        pass
    else:
        if isinstance(judge, BaseChatModel):
            return LangChainLLM(judge)
    raise ConfigError(f"A {type(judge).__name__} is no judge. Give a LlamaIndex LLM or a LangChain chat model.")


def _reference(example: Example) -> str:
    return example.gold_text() if example.all_of else " or ".join(example.answers)


def _read_score(text: str) -> tuple[float | None, str | None]:
    """Read the points, from one to five, off the first line that has words or figures."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    found = _SCORE.search(first)
    return (min(5.0, float(found[0])), text) if found else (None, text)
