"""The fields that an answer has in addition to those of OpenAI's API: citations, checks, settings and timing."""

from __future__ import annotations

import dataclasses
from typing import Any

from sra_pipelines.answering.answers import Answer
from sra_rag.generation.result import Generation

__all__ = ["answer_extras"]


def answer_extras(last: Answer | Generation) -> dict[str, Any]:
    """Return the additional fields of an answer."""
    generation = last.generation if isinstance(last, Answer) else last
    timing = generation.timing
    extras: dict[str, Any] = {
        "sra": None if generation.sra is None else generation.sra.to_dict(),
        "seconds": {"prefill": timing.prefill_seconds, "decode": timing.decode_seconds},
    }
    if generation.finish_reason == "repetition":
        extras["repetition"] = True
    if isinstance(last, Answer):
        extras["citations"] = [dataclasses.asdict(citation) for citation in last.citations]
        looks = None if last.evidence is None else zip(last.passages, last.evidence, strict=True)
        extras["evidence"] = looks and [
            {"document": passage.document, "page_label": passage.page_label} | dataclasses.asdict(look)
            for passage, look in looks
        ]
        extras["pages_read"] = list(last.pages_read)
        extras["unchecked"] = [claim.text for claim in last.supported.unchecked]
        extras["unsupported"] = [claim.text for claim in last.supported.unsupported_figures]
        extras["abstained"] = last.abstained
        extras["calculation"] = None if last.calculation is None else last.calculation.to_dict()
        extras["notes"] = list(last.notes)
    return extras
