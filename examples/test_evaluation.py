"""Require in pytest that a setting does not hurt: `pytest examples/test_evaluation.py`."""

import pytest
from sra_evaluations import compare
from sra_evaluations.runs.measures import Measures

from sra_rag import Engine, load_model

MODEL = "embedded"
TASK = "needle:length=300"


@pytest.fixture(scope="module")
def engine():
    return Engine(load_model(MODEL))


def test_evidence_does_not_hurt(engine, tmp_path):
    comparison = compare(
        engine, [TASK], ["off", "on:evidence"], to=tmp_path, limit=3, measures=Measures(max_new_tokens=24)
    )
    assert comparison.verdict("on", task=TASK) != "hurts"
