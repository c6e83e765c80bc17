"""Names and options of tasks: what is allowed, and what a refusal says."""

import re
from pathlib import Path

import pytest
from sra_evaluations.tasks import load_task, task_names

from sra_rag.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("haystack", "no task 'haystack'. Use one of needle, "),
        ("questions.csv", "no task 'questions.csv'"),
        ("needle:lenght=4", "'lenght=4' is no option of needle; it has length, depth, kind"),
        ("needle:length", "'length' is no option"),
        ("needle:length=long", "needle: length='long' is not allowed: it is a whole number"),
        ("needle:depth=deep", "needle: depth='deep' is not allowed: it is a number"),
        ("needle:length=0", "length=0"),
        ("needle:depth=1.5", "depth=1.5"),
        ("needle:depth=nan", "depth=nan"),
        ("needle:kind=double", "kind='double' is not allowed. Use one of single"),
        ("key-value:pairs=0", "pairs=0"),
        ("variables:hops=-1", "hops"),
        ("variables:chains=0", "chains"),
        ("variables:hops=99,chains=9", "500 names"),
        ("conflicting:versions=1", "versions"),
        ("multi-document", "multi-document:data=FILE.jsonl"),
        ("multi-document:data=x,position=10", "position=10"),
        (
            "multi-document:data=x,position=middle",
            "position=middle is not allowed: it is a number from 0 to 9, or random",
        ),
        ("multi-document:data=x,distractors=near", "distractors='near' is not allowed. Use one of any, similar"),
        ("multi-document:data=x,gold=maybe", "gold='maybe' is not allowed: it is true or false"),
        ("multi-document:data=x,skip=-1", "skip"),
        ("documents:tokens=0", "tokens=0"),
        ("documents:order=random", "order='random'"),
        ("own", "own:data=FILE.jsonl"),
        ("plain-text:tokens=3", "tokens=3"),
    ],
)
def test_what_is_not_allowed_is_refused_and_says_what_is(text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_task(text)


def test_options_are_read_as_what_they_are():
    task = load_task("multi-document:data=a/b=c.jsonl,passages=20,position=3,gold=False")
    assert (task.data, task.passages, task.position, task.gold) == (Path("a/b=c.jsonl"), 20, 3, False)
    assert load_task("needle:depth=1").depth == 1.0
    assert {load_task(name).name for name in task_names() if name not in {"multi-document", "own", "hub"}} == set(
        task_names()
    ) - {"multi-document", "own", "hub"}
