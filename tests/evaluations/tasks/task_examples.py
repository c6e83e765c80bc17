"""What the tests of tasks share: reading a task, counting tokens, and writing rows of questions."""

import json
import re
from pathlib import Path

import pytest
from sra_evaluations.tasks import load_task

DATA = Path(__file__).parents[4] / "shared" / "data"


def count_tokens(text):
    """Words and marks, about as many as a model has tokens."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def examples_of(text, count=10, seed=0):
    return load_task(text).examples(count, seed, count_tokens)


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"shared/data/{path.name} is not there")
