"""The parts of a prompt on which attention is measured: gold texts and passages are sums of the same pieces."""

import pytest
import torch
from sra_evaluations import compare
from sra_evaluations.examples import Example
from sra_evaluations.runs.answer_spans import AnswerSpans
from sra_evaluations.runs.measures import Measures


def test_overlapping_spans_are_divided_into_pieces_and_summed_again():
    spans = AnswerSpans(passages=((2, 6), (8, 12)), gold=((4, 6), (10, 14)), prompt_length=20)
    assert spans.pieces == [(2, 4), (4, 6), (8, 10), (10, 12), (12, 14)]
    shares = torch.tensor([0.01, 0.02, 0.04, 0.08, 0.16])
    assert spans.on_gold(shares) == pytest.approx(0.02 + 0.08 + 0.16)
    assert spans.on_passages(shares) == pytest.approx([0.03, 0.12])


def test_without_gold_and_passages_there_are_no_pieces():
    spans = AnswerSpans((), (), 5)
    assert (spans.pieces, spans.on_gold(torch.zeros(0)), spans.on_passages(torch.zeros(0))) == ([], 0, [])


class Rents:
    """A question whose gold text is a whole paragraph, one whose gold text is a part, and one of many paragraphs."""

    name = "rents"

    def examples(self, count, seed, count_tokens):
        mill, boat = "The rent of the mill is 82,400 crowns.", "The rent of the boathouse is 18,000 crowns."
        question = "Question: What is the rent of the mill?"
        many = "\n\n".join([mill, *(f"House {n} is empty." for n in range(30))])
        contexts = {"whole": (f"{boat}\n\n{mill}", mill), "part": (f"{mill} It is old.\n\n{boat}", mill)}
        contexts["long"] = (many, mill)
        return [
            Example(name, "Answer.", context, question, ("82,400 crowns",), gold=(gold,))
            for name, (context, gold) in contexts.items()
        ][:count]


def test_passages_and_gold_texts_get_their_share_of_the_attention(tiny_engine, tmp_path):
    measures = Measures(generate=False)
    comparison = compare(tiny_engine, [Rents()], ["off", 0.5], to=tmp_path, measures=measures)
    for setting in comparison.settings:
        records = {
            n.split("@")[0]: comparison.record("rents", setting, n) for n in comparison.examples("rents", setting)
        }
        whole, part, long = (records[name] for name in ("whole", "part", "long"))
        assert len(whole.passage_attention) == len(part.passage_attention) == 2
        assert whole.passage_attention[1] == pytest.approx(whole.scores["gold_attention"], abs=1e-4)
        assert part.passage_attention[0] > part.scores["gold_attention"] > 0
        assert long.passage_attention is None
        assert long.scores["gold_attention"] > 0
