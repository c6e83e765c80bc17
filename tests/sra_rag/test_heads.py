"""Evidence heads: found without labels, kept under the model's fingerprint, shipped for measured models."""

import json
import time

import pytest
import torch

from sra_rag import Engine, LoadedModel, SamplingOptions, SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.heads import known
from sra_rag.heads.head_search import encode_probe, find_evidence_heads
from sra_rag.heads.known import chosen_heads, evidence_heads, known_heads, measured_settings
from sra_rag.heads.probes import make_probes
from sra_rag.models.fingerprint import fingerprint, fingerprint_of_files
from sra_rag.notation import parse_sra
from tests.sra_rag.tiny_models import tiny_model


@pytest.fixture
def small(embedded, monkeypatch, tmp_path):
    """A model that nobody has measured, and a cache of its own."""
    monkeypatch.setenv("SRA_RAG_CACHE", str(tmp_path))
    return LoadedModel(tiny_model("llama", vocabulary=len(embedded.tokenizer)), embedded.tokenizer, "tiny")


def test_probes_hold_their_answer_once_and_are_the_same_for_a_seed():
    probes = make_probes(80)
    assert len({probe.question for probe in probes}) == 80
    assert all(len(set(probe.passages)) == 10 for probe in probes)
    assert all(probe.answer.lower() in probe.passages[probe.gold].lower() for probe in probes)
    assert len({probe.gold for probe in probes}) == 10
    assert probes[:5] == make_probes(5)
    assert probes[:5] != make_probes(5, seed=1)


def test_the_best_heads_of_the_embedded_model_find_the_passage(embedded):
    heads = find_evidence_heads(embedded, probes=make_probes(3, seed=5))
    shipped = {(head.layer, head.head) for head in evidence_heads(embedded)[:10]}
    assert len(heads) == 30 * 9
    assert len(shipped & {(head.layer, head.head) for head in heads[:20]}) >= 6
    assert heads[0].accuracy == 1
    assert heads[0].share > 0.5 > heads[-1].share


def test_a_prompt_of_probes_knows_its_passages(embedded):
    probe = make_probes(1)[0]
    encoder = Engine(embedded).encoder
    prompt = encode_probe(encoder, probe)
    first, last = prompt.passages[probe.gold]
    assert probe.passages[probe.gold] in embedded.tokenizer.decode(prompt.token_ids[first:last])
    assert probe.question in embedded.tokenizer.decode(prompt.token_ids[prompt.context_length :])


def test_heads_are_found_once_and_kept(small, monkeypatch, capsys):
    monkeypatch.setattr(
        known, "find_evidence_heads", lambda model, **kw: find_evidence_heads(model, probes=make_probes(2))
    )
    heads = evidence_heads(small)
    assert len(heads) == 3 * 6
    assert known_heads(fingerprint(small.model)) == heads
    assert "finding the evidence heads of tiny" in capsys.readouterr().err
    again = LoadedModel(tiny_model("llama", vocabulary=len(small.tokenizer)), small.tokenizer, "again")

    def fail(*_, **__):
        raise AssertionError("they are known")

    monkeypatch.setattr(known, "find_evidence_heads", fail)
    assert evidence_heads(again) == heads
    assert capsys.readouterr().err == ""


def test_a_broken_file_in_the_cache_is_not_trusted(small, monkeypatch, tmp_path):
    monkeypatch.setattr(
        known, "find_evidence_heads", lambda model, **kw: find_evidence_heads(model, probes=make_probes(2))
    )
    path = tmp_path / "heads" / f"{fingerprint(small.model)}.json"
    path.parent.mkdir()
    assert known_heads(fingerprint(small.model)) is None
    path.write_text('{"heads": [[0')
    assert known_heads(fingerprint(small.model)) is None
    assert len(evidence_heads(small)) == 18


def test_settings_that_name_a_number_of_heads_find_them(small, monkeypatch):
    monkeypatch.setattr(
        known, "find_evidence_heads", lambda model, **kw: find_evidence_heads(model, probes=make_probes(2))
    )
    passages = ["The mill has a red door.", "The granary has a blue door."]
    context = "\n\n".join(passages)
    engine = Engine(small, options=SamplingOptions(max_new_tokens=3))
    prompt = [{"role": "user", "content": f"{context}\n\nWhat colour is the door of the mill?"}]
    answer = engine.generate(prompt, context=context, passages=passages, sra="evidence")
    assert answer.sra == known.UNMEASURED
    assert len(answer.evidence.shares) == 2
    assert len(chosen_heads(small, 19)) == 18  # there are no more


def test_more_heads_than_are_ranked_are_refused(embedded):
    with pytest.raises(ConfigError, match="asks for the 101 best heads, but only 100 are ranked"):
        chosen_heads(embedded, 101)


def test_files_have_the_fingerprint_of_the_model_that_they_hold(small, tmp_path):
    folder = tmp_path / "model"
    small.model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert fingerprint_of_files(folder) == fingerprint(small.model)
    tiny_model("llama").save_pretrained(tmp_path / "other")
    assert fingerprint_of_files(tmp_path / "other") != fingerprint(small.model)
    assert fingerprint_of_files(tmp_path) is None


def test_the_fingerprint_is_that_of_the_weights_in_each_dtype(small):
    name = fingerprint(small.model)
    assert fingerprint(tiny_model("llama", dtype=torch.bfloat16, vocabulary=len(small.tokenizer))) == name
    assert fingerprint(tiny_model("llama")) != name
    with torch.no_grad():
        small.model.model.layers[1].self_attn.q_proj.weight.add_(0.5)
    assert fingerprint(small.model) != name


def test_measured_models_are_known(embedded):
    assert fingerprint(embedded.model) in known._measured()
    assert not measured_settings(embedded).evidence.automatic
    for model in known._measured().values():
        assert len(model["heads"]) == 100
        if "sra" not in model:  # only its heads were measured
            continue
        config = SRAConfig.from_dict(model["sra"])
        assert config.evidence is None or config.evidence.most_heads <= len(model["heads"])
    assert json.dumps(known._measured()).count('"model"') >= 2


def test_the_settings_that_ship_are_those_of_the_measurements():
    """The weights of the larger models are not at hand in every test run, so their settings are read by name."""
    shipped = {model["model"]: SRAConfig.from_dict(model["sra"]).evidence for model in known._measured().values()}
    measured = {
        "SmolLM2-135M-Instruct": (
            "evidence=4,evidence.line_weight=4,evidence.new_words=true,evidence.others=16,evidence.heads=40,"
            "evidence.retrieval=true,evidence.gate=agree,evidence.tokens=1500"
        ),
        "Qwen2.5-Coder-0.5B-Instruct": "evidence=1,evidence.others=16,evidence.gate=agree",
        "Qwen2.5-Coder-1.5B-Instruct": "evidence=2,evidence.gate=agree",
    }
    assert shipped == {name: parse_sra(text).evidence for name, text in measured.items()}


def test_all_heads_and_named_heads_need_no_search(small, monkeypatch):
    monkeypatch.setattr(known, "find_evidence_heads", None)
    assert chosen_heads(small, "all") is None
    assert chosen_heads(small, ((0, 1), (2, 5))) == ((0, 1), (2, 5))


def test_finding_the_heads_is_no_part_of_the_time_of_the_first_answer(small, monkeypatch):
    def slow(model, **kw):
        time.sleep(2)
        return find_evidence_heads(model, probes=make_probes(2))

    monkeypatch.setattr(known, "find_evidence_heads", slow)
    passages = ["The rent is 5 crowns.", "The lease runs for nine years."]
    context = "\n\n".join(passages)
    arguments = {"context": context, "passages": passages, "sra": {"evidence": {"weight": 4.0, "look": 2}}}
    engine = Engine(small, options=SamplingOptions(max_new_tokens=2, timeout=60))
    question = [{"role": "user", "content": f"{context}\n\nWhat is the rent?"}]
    unchanged = engine.generate(question, **arguments | {"sra": None})
    assert known_heads(fingerprint(small.model)) is None  # without evidence nothing is looked for
    started = time.monotonic()
    first = engine.generate(question, **arguments)
    assert time.monotonic() - started > 2
    assert first.timing.total_seconds < 2
    assert first.evidence is not None
    assert unchanged.evidence is None
