"""Entailment by a cross-encoder: the label is read from the model, the best window counts, refusals are not scored."""

import json
import random

import pytest
import torch
from sra_evaluations.examples import Example
from sra_evaluations.metrics.entailment import EntailmentScorer
from sra_pipelines.values import Passage
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from sra_rag.errors import ConfigError, ModelLoadError

WORDS = "[PAD] [UNK] [CLS] [SEP] the lease warehouse ends in may june rent is paid ferry . tickets rises at".split()  # noqa: SIM905
LABELS = {0: "contradiction", 1: "ENTAILMENT", 2: "neutral"}
WINDOW = 40
SHARED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
          "max_position_embeddings", "id2label", "label2id")  # fmt: skip


def write_model(folder, labels=LABELS):
    """A tiny cross-encoder of random weights, scaled up so that it is sure of what it says."""
    torch.manual_seed(3)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=WINDOW,
    ).save_pretrained(folder)  # fmt: skip
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=WINDOW, id2label=labels, label2id={name: i for i, name in labels.items()},
        initializer_range=1.0,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("nli"))


@pytest.fixture(scope="module")
def scorer(folder):
    return EntailmentScorer(str(folder))


def probability(folder, premise, hypothesis):
    """The same, spelled out with transformers."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(**tokenizer(premise, hypothesis, return_tensors="pt")).logits[0]
    return float(torch.softmax(logits, -1)[1])


def example(*passages, question="When does the lease end ?"):
    return Example(
        id="1", instruction="Answer.", context="\n\n".join(passages), question=f"Question: {question}",
        answers=("in june",), passages=tuple(Passage("a.pdf", n, str(n + 1), text) for n, text in enumerate(passages)),
    )  # fmt: skip


PASSAGES = ("the lease ends in june .", "rent is paid in may .", "ferry tickets paid .")
SENTENCES = ("The lease ends in june and may.", "Rent is paid in may at the ferry.", "The ferry rises in june again.")


def test_each_sentence_counts_with_its_best_passage(folder, scorer):
    expected = [max(probability(folder, passage, sentence) for passage in PASSAGES) for sentence in SENTENCES]
    assert scorer.probabilities(list(SENTENCES), list(PASSAGES)) == pytest.approx(expected, abs=1e-5)
    share = sum(value >= 0.5 for value in expected) / len(expected)
    assert 0 < share < 1  # else the next line shows little
    assert scorer(" ".join(SENTENCES), example(*PASSAGES)) == {"entailed": pytest.approx(share)}


def test_a_long_passage_is_read_in_overlapping_windows(folder, scorer):
    words = random.Random(0).choices(WORDS[4:], k=90)
    sentence = "the lease ends in june ."
    room = WINDOW - 6 - 3
    windows = [" ".join(words[at : at + room]) for at in range(0, 90 - room // 2, room // 2)]
    assert words[-1] == windows[-1].split()[-1]
    expected = [probability(folder, window, sentence) for window in windows]
    assert max(expected) > expected[0]  # what the model would see if the passage were only cut off
    assert scorer.probabilities([sentence], [" ".join(words)]) == pytest.approx([max(expected)], abs=1e-5)
    fits = " ".join(words[:room])
    assert scorer.probabilities([sentence], [fits]) == pytest.approx([probability(folder, fits, sentence)], abs=1e-5)


def test_a_short_answer_is_judged_behind_its_question(folder, scorer):
    expected = max(probability(folder, passage, "When does the lease end ? in june") for passage in PASSAGES)
    assert scorer("in june", example(*PASSAGES)) == {"entailed": float(expected >= 0.5)}


def test_without_passages_the_context_is_read(scorer):
    with_passages = example(PASSAGES[0])
    plain = Example("1", "Answer.", PASSAGES[0], with_passages.question, ("in june",))
    assert scorer(SENTENCES[0], plain) == scorer(SENTENCES[0], with_passages)


@pytest.mark.parametrize("said", ["The documents do not say.", "", "..."])
def test_what_says_nothing_is_not_scored(scorer, said):
    assert scorer(said, example(*PASSAGES)) == {}


def test_what_cannot_be_judged_is_refused(tmp_path, folder, scorer):
    with pytest.raises(ModelLoadError, match="could not be loaded"):
        EntailmentScorer(str(tmp_path / "nothing"))
    with pytest.raises(ModelLoadError, match=r"LABEL_0, LABEL_1.*id2label"):
        EntailmentScorer(str(write_model(tmp_path, {0: "LABEL_0", 1: "LABEL_1"})))
    with pytest.raises(ConfigError, match="no room"):
        scorer.probabilities(["lease " * 30], [PASSAGES[0]])


def test_two_way_models_work_and_not_entailment_is_none(tmp_path):
    assert EntailmentScorer(str(write_model(tmp_path, {0: "not_entailment", 1: "entailment"}))).label == 1


@pytest.mark.parametrize(("kind", "window"), [("bert", WINDOW), ("roberta", WINDOW - 2)])
def test_a_window_the_tokenizer_does_not_know_comes_from_the_model(tmp_path, kind, window):
    write_model(tmp_path)
    if kind == "roberta":  # which keeps two of its positions for itself
        config = RobertaConfig(
            **{name: getattr(BertConfig.from_pretrained(tmp_path), name) for name in SHARED}, pad_token_id=1
        )
        RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["model_max_length"]
    path.write_text(json.dumps(settings))
    scorer = EntailmentScorer(str(tmp_path))
    assert scorer.window == window
    assert len(scorer.probabilities(["the lease ends ."], ["may " * 90])) == 1


def test_a_model_that_fails_without_a_message_is_one_error(monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr("sra_evaluations.metrics.entailment.CrossEncoder", fail)
    with pytest.raises(ModelLoadError, match=r"'somebody/model' could not be loaded: OSError\. Give a name"):
        EntailmentScorer("somebody/model")
