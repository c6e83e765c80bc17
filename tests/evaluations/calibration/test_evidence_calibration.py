"""Calibration of evidence: what is asked and tried, what is chosen, and where the choice is used."""

import json

import pytest
from sra_evaluations.calibration import evidence_search
from sra_evaluations.calibration.evidence_search import (
    EvidenceSearchOptions,
    calibrate_evidence,
    evidence_candidates,
)
from sra_evaluations.calibration.look_search import FoundLook
from sra_evaluations.calibration.probe_questions import make_probe_questions
from typer.testing import CliRunner

from sra_rag import Engine, SRAConfig
from sra_rag.cli import make_app
from sra_rag.errors import ConfigError
from sra_rag.evidence.statements import paragraphs
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.heads.known import UNMEASURED, keep_settings, measured_settings
from sra_rag.heads.probes import probe_groups


def run(*arguments):
    result = CliRunner().invoke(make_app(), [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("sra_rag.heads.known.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_each_half_asks_about_each_passage_among_twenty():
    searched, confirmed = make_probe_questions(0)
    assert len(searched) == len(confirmed) == 40
    assert {e.question for e in searched}.isdisjoint(e.question for e in confirmed)
    for example in (*searched, *confirmed):
        assert example.answers[0] in example.gold[0]
        assert example.gold[0] in example.context
        assert len(paragraphs(example.context)) == 20
    # Consecutive questions share their context, so that it is read once.
    contexts = [example.context for example in searched]
    assert [contexts.index(context) // 5 for context in contexts] == [number // 5 for number in range(40)]
    assert make_probe_questions(1)[0] != searched


def test_both_halves_have_first_and_second_questions_of_passages():
    """Otherwise the search would choose what suits one kind of question, and the confirmation would ask the other."""
    firsts = {question for group in probe_groups() for passage in group for question, _ in passage.questions[:1]}
    for seed in range(4):
        for half in make_probe_questions(seed):
            assert 10 <= sum(example.question in firsts for example in half) <= 30


def test_candidates_are_mild_and_strong_for_all_heads_and_the_best():
    candidates = evidence_candidates(270)
    assert candidates["passage 2, all heads"].evidence == UNMEASURED.evidence == EvidenceConfig(weight=2, gate="agree")
    fewer = candidates["other passages 1/16, all heads"].evidence
    assert fewer == EvidenceConfig(weight=1, others=16, gate="agree")
    together = candidates["passage 4 and new words of the line 16 and other passages 1/16, 40 heads"].evidence
    assert together == EvidenceConfig(4, line_weight=4, new_words=True, others=16, heads=40, gate="agree")
    new_words = candidates["new words of the line 64, 40 heads"].evidence
    assert new_words == EvidenceConfig(weight=64, unit="line", new_words=True, heads=40, gate="agree")
    both = candidates["passage 8 and new words of the line 64, 80 heads"].evidence
    assert both == EvidenceConfig(weight=8, line_weight=8, new_words=True, heads=80, gate="agree")
    assert candidates["passage 8 and new words of the line 64, 40 heads, alpha 0.3"].alpha == 0.3
    assert all(sra.rows == "after_context" for sra in candidates.values())
    assert evidence_candidates(8)["new words of the line 64, 2 heads"].evidence.heads == 2


def test_a_model_that_answers_nothing_gets_off_and_a_second_run_goes_on(tiny, tmp_path):
    searched, confirmed = make_probe_questions(0)
    options = EvidenceSearchOptions(max_new_tokens=2, minutes=5)
    steps = []

    def on_progress(step):
        steps.append(step)
        return lambda done, total: None

    def calibrated():
        return calibrate_evidence(Engine(tiny), searched[:4], confirmed[:4], tmp_path, options, on_progress=on_progress)

    profile = calibrated()
    assert (profile.chosen, profile.sra.enabled) == ("off", False)
    # None gained on the first round, so what an unmeasured model takes is confirmed alone.
    assert steps == ["comparing passages", "comparing passages", "how the model looks", "14 settings", "confirming"]
    assert list(profile.evidence["confirmation"]) == ["passage 2, all heads"]
    records = (tmp_path / "records.jsonl").read_text().splitlines()
    assert len(records) == 4 * 15 + 4 * 2
    assert calibrated().chosen == "off"
    assert (tmp_path / "records.jsonl").read_text().splitlines() == records


def test_the_settings_that_gain_most_are_confirmed_and_chosen(tiny, tmp_path, monkeypatch):
    """A random model whose answers are known by running it: the gold answer is what one candidate makes it say."""
    import dataclasses

    engine = Engine(tiny)
    strong = SRAConfig(alpha=0.0, evidence=EvidenceConfig(weight=1e6, words=False))
    monkeypatch.setattr(
        evidence_search,
        "evidence_candidates",
        lambda n_heads, look: {
            "mild": strong.replace(evidence=strong.evidence.replace(weight=1.001)),
            "strong": strong,
        },
    )

    def answered(example):
        answer = engine.generate(
            example.prompt(), context=example.context, sra=strong, max_new_tokens=6, temperature=0.0
        )
        off = engine.generate(example.prompt(), context=example.context, max_new_tokens=6, temperature=0.0)
        known = dataclasses.replace(example, answers=(answer.text.strip(),))
        return known if answer.text.strip() and answer.text != off.text else None

    halves = [[known for known in map(answered, half) if known] for half in make_probe_questions(0)]
    assert min(map(len, halves)) >= 10
    options = EvidenceSearchOptions(max_new_tokens=6, minutes=5, finalists=1)
    profile = calibrate_evidence(engine, *halves, tmp_path, options)
    assert (profile.chosen, profile.sra) == ("strong", strong)
    assert list(profile.evidence["confirmation"]) == ["strong", "passage 2, all heads"]
    confirmed = profile.evidence["confirmation"]["strong"]["right"]
    assert (confirmed["other"], confirmed["n"]) == (1.0, len(halves[1]))
    assert confirmed["p_adjusted"] < 0.01


def test_the_look_that_finds_most_is_that_of_the_candidates(tiny, tmp_path, monkeypatch):
    searched, confirmed = make_probe_questions(0)
    seen = []

    def find(engine, examples, path, **_):
        seen.extend(examples)
        return FoundLook(20, True, {"20 heads, search": 2}, 2)

    monkeypatch.setattr(evidence_search, "find_look", find)
    options = EvidenceSearchOptions(max_new_tokens=2, minutes=5)
    profile = calibrate_evidence(Engine(tiny), searched[:2], confirmed[:2], tmp_path, options)
    # Without a search of their own, questions have the similarities of the embedding.
    assert [len(example.passage_scores) for example in seen] == [20, 20]
    assert all(len(set(example.passage_scores)) == 20 for example in seen)
    tried = json.loads((tmp_path / "manifest.json").read_text())["settings"]
    looks = {(sra["evidence"]["look"], sra["evidence"].get("retrieval")) for sra in tried.values() if sra}
    assert looks == {(20, True), (10, None)}  # what a model takes that was not measured looks as by default
    assert "passage 4, all heads, 20 heads look, with the search" in tried
    assert profile.evidence["look"]["found"] == {"20 heads, search": 2}


def test_settings_that_were_kept_are_those_of_evidence(tiny, cache):
    assert measured_settings(tiny) == UNMEASURED
    sra = SRAConfig(alpha=0.0, evidence=EvidenceConfig(weight=8, heads="all"))
    path = keep_settings(tiny, sra)
    assert measured_settings(tiny) == sra
    assert Engine(tiny).generate(
        [{"role": "user", "content": "One door is red.\n\nOne is blue.\n\nWhich?"}],
        context="One door is red.\n\nOne is blue.", sra="evidence", max_new_tokens=2,
    ).sra == sra  # fmt: skip
    path.write_text("{")
    assert measured_settings(tiny) == UNMEASURED
    with pytest.raises(ConfigError, match="need a weight of the evidence"):
        keep_settings(tiny, SRAConfig(evidence=EvidenceConfig()))


def test_what_cannot_be_searched_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--search 'luck' is not allowed. Use evidence or sharpening"):
        run("calibrate", "--search", "luck")
    with pytest.raises(ConfigError, match="--search sharpening needs documents"):
        run("calibrate", "--search", "sharpening")
    with pytest.raises(ConfigError, match="finalists=0 is not allowed"):
        EvidenceSearchOptions(finalists=0)


@pytest.mark.slow
def test_the_command_needs_no_documents(tmp_path, cache):
    to = tmp_path / "found.json"
    result = run("calibrate", "--minutes", 0.2, "--to", to)
    assert result.exit_code == 0
    profile = json.loads(to.read_text())
    assert profile["reason"] in result.output
    assert "right passage weighed, of" in result.output
    assert "10 heads" in profile["evidence"]["look"]["found"]
    assert profile["evidence"]["model"]["name"] == "embedded"
    assert profile["evidence"]["options"]["minutes"] == 0.2
