"""``sra-rag evaluate --nli --judge``: a process, its records and its exit code."""

import json
import subprocess
import sys

import pytest
from transformers import BertConfig, BertForSequenceClassification

from sra_rag.cli import main
from sra_rag.models.embedded import embedded_model_folder


def run(*arguments):
    command = [sys.executable, "-m", "sra_rag.cli", "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def nli(tmp_path):
    """A tiny cross-encoder with the embedded model's tokenizer."""
    from transformers import AutoTokenizer

    folder = tmp_path / "nli"
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_folder())
    tokenizer.save_pretrained(folder)
    labels = {0: "entailment", 1: "neutral", 2: "contradiction"}
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=128, id2label=labels, label2id={name: i for i, name in labels.items()},
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_models_score_answers(tmp_path, nli):
    questions = tmp_path / "questions.jsonl"
    row = {"question": "When does the lease end?", "answers": ["June"], "context": "The lease ends in June."}
    questions.write_text(json.dumps(row))
    to = tmp_path / "results"
    done = run(questions, "--sra", "off", "--sra", "0.2", "--to", to, "--nli", nli, "--judge", "embedded")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (to / "records.jsonl").read_text().splitlines()]
    assert len(records) == 2
    for record in records:
        assert record["answer"]
        assert 0 <= record["scores"]["entailed"] <= 1
        assert {name for name in record["scores"] if name.startswith("judged_")} <= {
            "judged_faithful",
            "judged_correct",
        }
        assert all(0 <= value <= 1 for name, value in record["scores"].items() if name.startswith("judged_"))
    assert any("judged_faithful" in record["scores"] for record in records)
    assert "sentences that a passage entails" in (to / "report.html").read_text()


def test_judges_without_answers_are_refused(tmp_path, monkeypatch, capsys):
    arguments = ["needle", "--no-generate", "--judge", "embedded", "--to", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", ["sra-rag", "evaluate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "--no-generate" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "results").exists()
