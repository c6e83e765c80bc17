"""How a model looks: the search is taken where it finds more, heads where they find more; a later run goes on."""

import dataclasses
import json
import threading

import pytest
from sra_evaluations.calibration.look_search import find_look
from sra_evaluations.examples import Example

from sra_rag import Engine
from sra_rag.evidence_config import EvidenceConfig

PARTS = ("mast", "keel", "sail", "rudder", "anchor", "oar")
GOLD = "\n".join(f"It has a new {part}." for part in PARTS)  # more words of the question than any other passage
ONE_LINE = "The inn sold a mast, a keel and a sail."  # more of them in a line than any other
# Long: a random model's attention is on the passages with the most tokens.
OTHERS = [" ".join([f"The {thing} was let for some years."] * 20) for thing in ("mill", "barn", "well", "kiln")]


def examples(score):
    """A question with the passages in six orders; `score` says how well a passage fits it."""
    made = []
    for turn in range(6):
        texts = [GOLD, ONE_LINE, *OTHERS]
        texts = [*texts[turn:], *texts[:turn]]
        made.append(
            Example(
                id=str(turn),
                instruction="Answer from the passages.",
                context="\n\n".join(texts),
                question=f"Which boat has a {', '.join(PARTS)}?",
                answers=("It",),
                gold=(GOLD,),
                passage_scores=tuple(score(text) for text in texts),
            )
        )
    return made


def names_gold(text):
    return float(text == GOLD)


def test_the_search_is_taken_where_it_finds_what_the_model_does_not(tiny, tmp_path):
    """A random model's heads find nothing, words and best line name two passages: the search decides."""
    found = find_look(Engine(tiny), examples(names_gold), tmp_path / "looks.json")
    assert (found.look, found.retrieval, found.asked) == (10, True, 6)
    assert found.found["10 heads, search"] >= 5 > found.found["10 heads"]
    weighed = found.evidence(EvidenceConfig(weight=4, heads=40))
    assert weighed == EvidenceConfig(weight=4, heads=40, look=10, retrieval=True)


@pytest.mark.parametrize("score", [lambda text: float(text == ONE_LINE), lambda text: 1.0])
def test_a_search_that_finds_no_more_is_left_out(tiny, tmp_path, score):
    """One that names another passage, and one that names none."""
    found = find_look(Engine(tiny), examples(score), tmp_path / "looks.json")
    assert found.retrieval is None
    assert found.found["10 heads, search"] <= found.found["10 heads"]


def test_without_scores_only_heads_are_compared(tiny, tmp_path):
    asked = [dataclasses.replace(example, passage_scores=()) for example in examples(names_gold)]
    found = find_look(Engine(tiny), asked, tmp_path / "looks.json")
    text = tiny.model.config
    most = text.num_hidden_layers * text.num_attention_heads // 4
    assert list(found.found) == ["10 heads", *(f"{count} heads" for count in (5, 20, 40) if count <= most)]
    assert found.retrieval is None


def test_a_later_run_goes_on_and_the_same_questions_decide(tiny, tmp_path):
    path, asked = tmp_path / "folder" / "looks.json", examples(names_gold)
    stop, steps = threading.Event(), []

    def progress(done, total):
        steps.append((done, total))
        if done == 3:
            stop.set()

    cut = find_look(Engine(tiny), asked, path, progress=progress, stop=stop)
    assert (cut.asked, steps) == (0, [(1, 6), (2, 6), (3, 6)])  # none was asked with all settings
    assert (cut.look, cut.retrieval) == (10, None)
    known = json.loads(path.read_text())
    assert sum(map(len, known.values())) == 3
    find_look(Engine(tiny), asked, path)
    known = json.loads(path.read_text())
    first = asked[0].sha256()
    path.write_text(json.dumps(known | {first: dict.fromkeys(known[first], False)}))
    whole, again = find_look(Engine(tiny), asked, path), find_look(Engine(tiny), asked, tmp_path / "again.json")
    assert (whole.asked, again.asked) == (6, 6)
    assert whole.found["10 heads, search"] == again.found["10 heads, search"] - 1  # the first is what the file says


def test_where_the_default_finds_all_nothing_else_is_tried(tiny, tmp_path):
    """A question whose words are in the first passage alone, and in no other."""
    texts = ["The boat was let for nine years.", "Bricks are red.", "Rain falls in May."]
    example = Example(
        id="boat",
        instruction="Answer from the passages.",
        context="\n\n".join(texts),
        question="For how long was the boat let?",
        answers=("nine years",),
        gold=(texts[0],),
        passage_scores=(1.0, 0.0, 0.0),
    )
    found = find_look(Engine(tiny), [example], tmp_path / "looks.json")
    assert (found.look, found.retrieval, found.found, found.asked) == (10, None, {"10 heads": 1}, 1)
