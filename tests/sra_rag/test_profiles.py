"""The profiles that come with sra-rag: found by name, made for the embedded model, and true to their evidence."""

import json

import pytest

from sra_rag import SRAConfig
from sra_rag.attention.reattend import make_session
from sra_rag.errors import ConfigError
from sra_rag.models.loading import load_model
from sra_rag.notation import parse_sra
from sra_rag.profiles import profile_names, profile_path


def test_a_name_stands_for_a_file():
    assert profile_names() == ["embedded", "embedded-likelihood"]
    for name in profile_names():
        assert parse_sra(name) == parse_sra(name, files=False) == SRAConfig.coerce(name) == SRAConfig.from_json(name)
        assert SRAConfig.from_json(profile_path(name)) == SRAConfig.coerce(name)
    assert profile_path("../embedded") is None


def test_a_name_that_is_none_is_told_which_are():
    with pytest.raises(ConfigError, match="embedded, embedded-likelihood"):
        SRAConfig.coerce("nothing")


@pytest.mark.parametrize("name", profile_names())
def test_they_are_what_their_evidence_says(name):
    profile = json.loads(profile_path(name).read_text())
    sra, evidence = SRAConfig.from_json(name), profile["evidence"]
    judged_by = {"answers": "right", "likelihood": "gold_nats"}[evidence["options"]["judged_by"]]
    if profile["chosen"] == "off":
        assert not sra.enabled
        for finalist in evidence["confirmation"].values():
            assert finalist[judged_by]["p_adjusted"] > 0.05 or finalist[judged_by]["difference"] < 0
    else:
        assert sra == SRAConfig.from_dict(evidence["settings"][profile["chosen"]])
        assert evidence["confirmation"][profile["chosen"]][judged_by]["p_adjusted"] < 0.05
        harm = evidence["harm_nats_a_token"][profile["chosen"]].values()
        assert max(kind["difference"] for kind in harm) <= evidence["options"]["harm"]


def test_they_fit_the_embedded_model(embedded):
    for name in profile_names():
        make_session(embedded.model, name)
    assert load_model("embedded", dtype="float32", sra="embedded").sra == SRAConfig.from_json("embedded")
