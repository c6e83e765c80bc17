"""What is measured of the embedded model: its answers' text, their scores, likelihoods, attention and entropy.

The other tests of this folder use a tiny random model, whose text means nothing.
"""

import pytest
from sra_evaluations import compare
from sra_evaluations.examples import Example
from sra_evaluations.runs.measures import Measures

from sra_rag import Engine

SETTINGS = ["off", "late:alpha=0.3,rows=after_context", "all:alpha=0.3", "zero:alpha=0"]
RENTS = [f"The rent of house {n} is {n}1,{n}00 crowns a year." for n in range(1, 7)]


class Rents:
    """A question that the model answers rightly, one that it answers wrongly, and one without an answer."""

    name = "rents"

    def examples(self, count, seed, count_tokens):
        def example(name, house, answers, **gold):
            question = f"What is the rent of house {house}?"
            return Example(name, "Answer briefly.", " ".join(RENTS), question, answers, **gold)

        return [
            example("right", 6, ("61,600",), gold=(RENTS[5],)),
            example("wrong", 4, ("41,400",), gold=(RENTS[3],)),
            example("missing", 77, ()),
        ]


@pytest.fixture(scope="module")
def found(embedded, tmp_path_factory):
    measures = Measures(max_new_tokens=16, timed=1)
    return compare(Engine(embedded), [Rents()], SETTINGS, to=tmp_path_factory.mktemp("run"), measures=measures)


def of(found, setting, name="wrong"):
    [record] = [r for r in found.records if r.setting == setting and r.example.startswith(f"{name}@")]
    return record


@pytest.mark.parametrize("setting", ["off", "late", "all", "zero"])
def test_the_answers_are_these_texts(found, setting):
    right, wrong, missing = (of(found, setting, name) for name in ("right", "wrong", "missing"))
    assert (right.answer, right.scores["right"]) == ("The rent of house 6 is 61,600 crowns a", 1)
    assert (wrong.answer, wrong.scores["right"]) == ("The rent of house 4 is 61,600 crowns a", 0)
    amount, supported = {"all": ("12,000", 0.5)}.get(setting, ("61,600", 1))
    assert missing.answer == f"The rent of house 77 is {amount} crowns"
    assert (missing.scores["right_refusal"], missing.scores["claims_supported"]) == (0, supported)


def test_alpha_zero_is_off(found):
    off, zero = of(found, "off"), of(found, "zero")
    assert zero.scores == pytest.approx(off.scores, abs=0.05)
    for here, there in zip(zero.entropy, off.entropy, strict=True):
        assert here == pytest.approx(there, abs=0.05)


def test_sharpening_changes_likelihood_attention_and_entropy(found):
    off, sharpened = of(found, "off"), of(found, "all")
    assert len(off.entropy) == 30
    assert {len(layer) for layer in off.entropy} == {9}
    assert sum(map(sum, sharpened.entropy)) < sum(map(sum, off.entropy))
    assert off.scores["gold_nats"] == pytest.approx(7.74, abs=0.05)
    assert of(found, "late").scores["gold_nats"] == pytest.approx(7.10, abs=0.05)
    assert sharpened.scores["gold_attention"] != off.scores["gold_attention"]
    assert found.manifest["model"]["parameters"] > 100_000_000
