"""Settings of requests: allowed forms and rejected values. Needs no vLLM."""

import pytest
from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE, RequestSettings, read_settings

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError


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


def test_different_settings_have_different_cache_keys():
    keys = {read_settings({"sra": text}).cache_key() for text in ("0.2", "0.3", "policy=focus", "alpha=0.2,layers=1")}
    assert len(keys) == 4
    assert read_settings({"sra": 0.2}).cache_key() == read_settings({"sra": "alpha=0.2"}).cache_key()
