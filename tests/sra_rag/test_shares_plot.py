"""The picture of an answer's attention: one bar for each passage and setting, as high as the share."""

import pytest

from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ConfigError, MissingExtraError
from sra_rag.evidence.shares_plot import draw_shares

OFF, EVIDENCE = [0.1, 0.2, 0.3], [0.05, 0.6, 0.1]


def bars(figure):
    """Return the heights of the bars by the name of their setting."""
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    return {name: [bar.get_height() for bar in group] for name, group in zip(names, axes.containers, strict=True)}


def test_the_bars_are_the_shares_of_each_setting():
    figure = draw_shares({"off": OFF, "evidence": EVIDENCE}, marked=1)
    assert bars(figure) == {"off": OFF, "evidence": EVIDENCE}
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ["1", "2", "3"]
    assert [label.get_fontweight() for label in labels] == ["normal", "bold", "normal"]


def test_the_bars_of_a_passage_are_beside_each_other_at_its_label():
    (axes,) = draw_shares({"off": OFF, "evidence": EVIDENCE}, labels=["mill", "orchard", "smithy"]).axes
    for passage, place in enumerate(axes.get_xticks()):
        first, second = (group[passage] for group in axes.containers)
        assert first.get_x() + first.get_width() == pytest.approx(second.get_x()) == pytest.approx(place)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["mill", "orchard", "smithy"]


def test_the_attention_of_an_answer_before_and_after_is_drawn(tiny_engine):
    passages = ["The rent of the mill is 82,400 crowns.", "The rent of the boathouse is 18,000 crowns."]
    context = "\n\n".join(passages)
    messages = [{"role": "user", "content": f"{context}\n\nWhat is the rent of the mill?"}]
    prompt = tiny_engine.encode(messages, context=context, passages=passages)
    drawn = {}
    for name, sra in (("off", None), ("sharpened", 0.5)):
        shares = AttentionShares(prompt.passages, len(prompt.token_ids))
        tiny_engine.generate(prompt, sra=sra, shares=shares, max_new_tokens=4)
        drawn[name] = shares.mean().tolist()
    assert bars(draw_shares(drawn)) == drawn
    assert drawn["off"] != drawn["sharpened"]


@pytest.mark.parametrize(
    ("shares", "labels", "message"),
    [
        ({}, None, "no shares"),
        ({"off": OFF, "evidence": [0.5]}, None, "'off' has 3, 'evidence' has 1"),
        ({"off": OFF}, ["mill"], "1 labels for 3 passages"),
    ],
)
def test_what_does_not_fit_together_is_refused(shares, labels, message):
    with pytest.raises(ConfigError, match=message):
        draw_shares(shares, labels=labels)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sra-rag\[plot\]'"):
        draw_shares({"off": OFF})
