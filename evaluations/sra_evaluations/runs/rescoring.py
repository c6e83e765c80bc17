"""Score stored answers with the metrics as they are now, without asking the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sra_evaluations.examples import Example
from sra_evaluations.metrics import score
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.records import read_examples, read_run
from sra_evaluations.runs.measures import Scorer

__all__ = ["rescored"]


def rescored(folder: Path | str, scorers: Sequence[Scorer] = ()) -> Comparison:
    """Read a run and score its answers again; nothing on disk changes.

    Scores that are not taken from the text of an answer, such as likelihoods, stay what they were, and so do those of
    scorers that are not given here.

    Parameters
    ----------
    folder
        What `compare` or ``sra-rag evaluate`` wrote.
    scorers
        More metrics of an answer, such as an NLI model's.

    Raises
    ------
    ConfigError
        If the folder has no run.
    """
    manifest, records = read_run(Path(folder))
    examples = {key: Example.from_dict(content) for key, content in read_examples(Path(folder)).items()}
    rescored_records = []
    for record in records:
        example = examples.get((record.task, record.example))
        scores = dict(record.scores)
        if example is not None and record.answer is not None:
            kept = scores
            scores = {}
            for scorer in (score, *scorers):
                scores |= scorer(record.answer, example)
            scores |= {name: value for name, value in kept.items() if name not in scores}
        rescored_records.append(dataclasses.replace(record, scores=scores))
    return Comparison(manifest, rescored_records)
