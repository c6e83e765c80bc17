"""Settings of requests: allowed forms and rejected values. Needs no vLLM."""

import pytest
from vllm_sra.plugin.request_evidence import EvidenceSpans, LookRequest
from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE, RequestSettings, read_settings

from sra_rag import SRAConfig
from sra_rag.attention.evidence import TO_END
from sra_rag.errors import ConfigError
from sra_rag.evidence_config import EvidenceConfig


@pytest.mark.parametrize(
    "value",
    [0.2, "0.2", "alpha=0.2", '{"alpha": 0.2}', {"alpha": 0.2}],
    ids=["number", "text", "option", "json", "dict"],
)
def test_settings_can_be_written_in_every_form(value):
    assert read_settings({"sra": value}) == RequestSettings(SRAConfig(alpha=0.2))


def test_lists_of_layers_and_heads_are_parsed():
    assert read_settings({"sra": "alpha=0.2,layers=3,5-7,policy=focus"}).sra.layers == (3, 5, 6, 7)
    assert read_settings({"sra": {"alpha": [[0.1, 0.2]]}}).sra.alpha == ((0.1, 0.2),)


@pytest.mark.parametrize("extra", [None, {}, {"sra": "off"}, {"sra": 0}, {"sra": None}, {"other": 1}])
def test_off_is_off(extra):
    assert read_settings(extra) is None


def test_requests_without_settings_use_the_default(monkeypatch):
    monkeypatch.setenv(DEFAULT_VARIABLE, "alpha=0.3,rows=generated")
    assert read_settings({}).sra == SRAConfig(alpha=0.3, rows="generated")
    assert read_settings({"sra": "off"}) is None
    assert read_settings({"sra": 0.1}).sra == SRAConfig(alpha=0.1)


def test_a_default_after_context_applies_to_requests_with_a_context_length(monkeypatch):
    monkeypatch.setenv(DEFAULT_VARIABLE, "alpha=0.3,rows=after_context")
    assert read_settings({}) is None
    assert read_settings({"sra_context_length": 7}).context_length == 7


def test_the_error_of_an_invalid_default_names_the_variable(monkeypatch):
    monkeypatch.setenv(DEFAULT_VARIABLE, "strong")
    with pytest.raises(ConfigError, match=DEFAULT_VARIABLE):
        read_settings({})


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"sra": "strong"}, "is not a valid setting"),
        ({"sra": "alpha=-1"}, "alpha"),
        ({"sra": "{"}, "not valid JSON"),
        ({"sra": [0.2]}, "is a list"),
        ({"sra": True}, "is not a strength"),
        ({"sra": "rows=after_context"}, "sra_context_length"),
        ({"sra": 0.2, "sra_context_length": -1}, "sra_context_length"),
        ({"sra": 0.2, "sra_context_length": True}, "sra_context_length"),
        ({"sra": 0.2, "sra_prompt_length": -1}, "sra_prompt_length"),
        ({"sra": "bounds=observed"}, "observed"),
        ({"sra": "policy=reallocate", "sra_context_length": 3}, "is not served inside vLLM"),
        ({"sra": "evidence=4", "sra_context_length": 9}, "requires sra_evidence"),
        ({"sra": "evidence=4,rows=generated", "sra_evidence": "[[2, 5, 4]]"}, "requires sra_context_length"),
        ({"sra": 0.2, "sra_evidence": "[[2, 5, 4]]"}, "requires settings with evidence"),
        ({"sra": "evidence=4", "sra_evidence": "[", "sra_context_length": 9}, "not valid JSON"),
        ({"sra": "evidence=4", "sra_evidence": [], "sra_context_length": 9}, "list of .start, end, weight"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 5]], "sra_context_length": 9}, "list of .start, end, weight"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 5, 1]], "sra_context_length": 9}, "above 1"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 5, True]], "sra_context_length": 9}, "above 1"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 10, 4]], "sra_context_length": 9}, "within the 9 tokens"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 5, 4], [4, 6, 4]], "sra_context_length": 9}, "not overlapping"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 5, 4], [4, None, 4]], "sra_context_length": 9}, "not overlapping"),
        ({"sra": "evidence=4", "sra_evidence": [[10, None, 4]], "sra_context_length": 9}, "within the 9 tokens"),
        ({"sra": "evidence=4", "sra_evidence": [[2, 5.5, 4]], "sra_context_length": 9}, "2, 5.5"),
        (
            {"sra": "evidence=4,evidence.heads=9", "sra_evidence": [[2, 5, 4]], "sra_context_length": 9},
            "ranks no heads",
        ),
        ({"sra_return_evidence": {"spans": [[2, 5]]}}, "requires sra_context_length"),
        ({"sra_return_evidence": {"spans": []}, "sra_context_length": 9}, "spans=.. is not allowed"),
        ({"sra_return_evidence": [[2, 5]], "sra_context_length": 9}, "an object with spans"),
        ({"sra_return_evidence": {"spans": [[2, 5]], "top": 1}, "sra_context_length": 9}, "an object with spans"),
        ({"sra_return_evidence": {"spans": [[2, 5]], "heads": 4}, "sra_context_length": 9}, "ranks no heads"),
        ({"sra_return_evidence": {"spans": [[2, 5]]}, "sra_context_length": 9, "sra": 0.2}, "does not change it"),
    ],
)
def test_invalid_values_are_rejected_with_the_reason(extra, message):
    with pytest.raises(ConfigError, match=message):
        read_settings(extra)


def test_the_text_of_a_request_is_never_read_as_a_path(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text('{"alpha": 0.2}')
    with pytest.raises(ConfigError, match="is not a valid setting"):
        read_settings({"sra": str(path)})


def test_a_constant_policy_ignores_observed_bounds():
    assert read_settings({"sra": "policy=constant,bounds=observed"}).sra.policy == "constant"


@pytest.mark.parametrize(("rows", "first"), [("all", 0), ("after_context", 40), ("generated", 100)])
def test_keys_and_values_change_from_the_first_sharpened_row(rows, first):
    settings = read_settings({"sra": f"alpha=0.2,rows={rows}", "sra_context_length": 40})
    assert settings.first_changed(100) == first


@pytest.mark.parametrize(("length", "first"), [(None, 100), (40, 40), (140, 100)])
def test_rows_of_a_given_answer_count_as_generated(length, first):
    settings = read_settings({"sra": "rows=generated", "sra_prompt_length": length})
    assert settings.first_changed(100) == settings.own_prompt(100) == first


WEIGHED = {
    "sra": "evidence=4,evidence.heads=1.2+0.3",
    "sra_evidence": "[[2, 5, 4], [7, 8, 2.5]]",
    "sra_context_length": 9,
}


def test_weighed_spans_and_returned_attention_are_read_as_json_or_as_lists():
    for value in (WEIGHED["sra_evidence"], [[2, 5, 4], [7, 8, 2.5]], [(2, 5, 4), (7, 8, 2.5)]):
        settings = read_settings({**WEIGHED, "sra_evidence": value})
        assert settings.evidence == EvidenceSpans(((2, 5), (7, 8)), (4.0, 2.5), ((1, 2), (0, 3)))
        assert settings.sra.evidence == EvidenceConfig(weight=4, heads=((1, 2), (0, 3)))
    for start in (7, 9):  # 9: behind the context
        settings = read_settings({**WEIGHED, "sra_evidence": f"[[2, 5, 4], [{start}, null, 2.5]]"})
        assert settings.evidence.spans == ((2, 5), (start, TO_END))
    for value in ('{"spans": [[2, 5]]}', {"spans": [(2, 5)], "heads": "all"}):
        settings = read_settings({"sra_return_evidence": value, "sra_context_length": 9})
        assert settings.look == LookRequest(((2, 5),), None)
        assert not settings.sra.enabled


def test_the_default_of_the_server_does_not_apply_to_requests_that_return_attention(monkeypatch):
    monkeypatch.setenv(DEFAULT_VARIABLE, "alpha=0.3")
    assert not read_settings({"sra_return_evidence": {"spans": [[2, 5]]}, "sra_context_length": 9}).sra.enabled
    monkeypatch.setenv(DEFAULT_VARIABLE, "evidence=4")
    with pytest.raises(ConfigError, match="cannot be the default"):
        read_settings(None)


@pytest.mark.parametrize(
    ("sra", "first"),
    [("evidence=4", 9), ("evidence=4,alpha=0.3,rows=generated", 9), ("evidence=4,alpha=0.3,rows=all", 0)],
)
def test_evidence_changes_keys_and_values_after_the_context(sra, first):
    settings = read_settings({**WEIGHED, "sra": sra})
    assert settings.first_changed(40) == first
    others = [{**WEIGHED, "sra": sra, "sra_evidence": [[2, 5, 4]]}, {**WEIGHED, "sra": f"{sra},evidence.heads=0.1"}]
    assert len({settings.cache_key(), *(read_settings(other).cache_key() for other in others)}) == 3


def test_different_settings_have_different_cache_keys():
    keys = {read_settings({"sra": text}).cache_key() for text in ("0.2", "0.3", "policy=focus", "alpha=0.2,layers=1")}
    assert len(keys) == 4
    assert read_settings({"sra": 0.2}).cache_key() == read_settings({"sra": "alpha=0.2"}).cache_key()
