"""Settings that workers of Ray ran: the same answers, written as they come, and nothing asked twice."""

import json
import re
from functools import partial

import pytest
import torch
from sra_evaluations import Comparison, compare
from sra_evaluations.results.provenance import describe_versions
from sra_evaluations.runs.compare_on_ray import EvaluationWorker, compare_on_ray
from sra_evaluations.runs.evaluate_tasks import load_by_name
from sra_pipelines.ray.cluster import RayError, RayOptions, ray_cluster
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from sra_rag.errors import ConfigError
from sra_rag.models.embedded import embedded_model_folder

pytest.importorskip("ray", reason="needs Ray: pip install 'sra-rag[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = ["off", "late:alpha=0.5,rows=after_context", "all:alpha=0.5"]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads a tiny random model, with the embedded model's tokenizer, from a folder."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_folder())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return partial(load_by_name, model=str(folder), dtype="float32", max_new_tokens=6)


@pytest.fixture
def questions(tmp_path):
    rows = [
        {"question": f"What is the rent of house {n}?", "answer": f"{n}1,{n}00",
         "context": " ".join(f"The rent of house {i} is {i}1,{i}00 crowns." for i in range(1, 6))}
        for n in range(1, 6)
    ]  # fmt: skip
    rows.append({"question": "Too long?", "answer": "yes", "context": "Many words. " * 400})
    path = tmp_path / "rents.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def by_key(comparison):
    return {(record.example, record.setting): record for record in comparison.records}


@pytest.fixture(scope="module")
def cluster():
    """Ray with room for two workers."""
    options = RayOptions("local", workers=2)
    with ray_cluster(options):
        yield options


def test_the_answers_are_those_without_ray_and_a_later_run_asks_for_what_is_left(
    cluster, load, questions, tmp_path, caplog
):
    engine, measures = load("cpu")
    here = by_key(compare(engine, [questions], SETTINGS, to=tmp_path / "here", measures=measures))
    told = []
    run = partial(
        compare_on_ray, load, [questions], SETTINGS, to=tmp_path / "ray", ray=cluster,
        on_progress=lambda what: lambda *progress: told.append((what, progress)),
    )  # fmt: skip
    found = run()
    there = by_key(found)
    assert there.keys() == here.keys()
    assert len(found.records) == len(there) == 15
    for key, record in there.items():
        assert record.answer == here[key].answer
        assert record.scores == pytest.approx(here[key].scores, abs=1e-4)
        assert record.timed is False
        assert record.worker
    assert "1 of 6 examples are longer than the model's window of 512 tokens" in caplog.text
    steps = [progress for what, progress in told if what == questions]
    assert steps == sorted(steps)  # the one that is too long may come at any place
    assert (len(steps), set(steps)) == (7, {(done, 18) for done in (0, 3, 6, 9, 12, 15)})
    manifest = found.manifest
    assert manifest["workers"].pop("cpus_a_worker") >= 1
    assert manifest["workers"] == {"workers": 2, "nodes": 1, "gpus_a_worker": 0}
    assert manifest["machine"].keys() == {"ray"}
    assert manifest["model"] == engine.describe()

    path = tmp_path / "ray" / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:10]) + lines[10][:40])  # as a kill in the midst of writing leaves it
    again = run(ray=RayOptions("local", workers=1))
    assert path.read_text().splitlines(keepends=True)[:10] == lines[:10]
    assert len(again.records) == 15
    assert {key: record.answer for key, record in by_key(again).items()} == {
        key: record.answer for key, record in here.items()
    }
    assert Comparison.read(tmp_path / "ray").manifest["workers"]["workers"] == 1
    with pytest.raises(ConfigError, match="machine differ"):
        compare(engine, [questions], SETTINGS, to=tmp_path / "ray", measures=measures)


def test_a_stop_ends_the_run_behind_the_next_example(cluster, load, questions, tmp_path):
    class Stop:
        set_after = 0

        def is_set(self):
            return self.set_after <= 0

    stop = Stop()
    one = RayOptions("local", workers=1)
    run = partial(compare_on_ray, load, [questions], SETTINGS, to=tmp_path / "ray", ray=one, stop=stop)
    assert len(run().records) == 0
    stop.set_after = 1

    def on_progress(what):
        def advance(done, total):
            stop.set_after -= done > 0

        return advance

    assert len(run(on_progress=on_progress).records) == 3


def worker(load, /, **changed):
    arguments = {
        "versions": describe_versions(),
        "threads": torch.get_num_threads(),
        "load": load,
        "model": load("cpu")[0].describe(),
    }
    return EvaluationWorker(**arguments | changed)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"versions": {"transformers": "4.0"}}, "transformers 5.*instead of 4.0"),
        ({"versions": {"no-such-package": "1"}}, "no-such-package is not installed"),
        ({"model": {"dtype": "bfloat16"}}, "another model .*dtype float32 instead of bfloat16"),
        ({"load": partial(load_by_name, model="/no/such/model")}, "could not be loaded"),
    ],
)
def test_a_worker_that_is_not_like_the_others_refuses(load, changed, says):
    refused = worker(load, **changed)({"said": "{}", "data": b""})
    assert re.search(says, refused["refusal"])
    assert refused["refusal"].startswith("A worker on ")


def test_a_refusal_ends_the_run_with_its_words(cluster, load, questions, tmp_path, monkeypatch):
    monkeypatch.setattr("sra_evaluations.results.provenance._PACKAGES", ("sra-rag",))
    monkeypatch.setattr("sra_pipelines.ray.versions.platform.python_version", lambda: "3.0.0")
    with pytest.raises(RayError, match=r"A worker on .* refuses: .*python 3\..* instead of 3\.0\.0"):
        compare_on_ray(load, [questions], SETTINGS, to=tmp_path / "ray", ray=RayOptions("local", workers=1))
    assert not (tmp_path / "ray" / "records.jsonl").exists()
