"""Settings of evidence: validated, and read from JSON, dicts and text wherever settings go."""

import pytest

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.notation import parse_sra


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("evidence", SRAConfig(alpha=0.0, rows="after_context", evidence=EvidenceConfig())),
        ("evidence,alpha=0.3", SRAConfig(alpha=0.3, rows="after_context", evidence=EvidenceConfig())),
        ("evidence=16,alpha=0.3", SRAConfig(alpha=0.3, rows="after_context", evidence=EvidenceConfig(weight=16))),
        ("evidence=1,evidence.others=16", SRAConfig(evidence=EvidenceConfig(weight=1, others=16))),
        ("alpha=0.3,evidence=16,rows=all", SRAConfig(alpha=0.3, rows="all", evidence=EvidenceConfig(weight=16))),
        (
            "evidence=4,evidence.heads=40,evidence.look=18.7+12.0,evidence.unit=line,evidence.gate=1.5",
            SRAConfig(evidence=EvidenceConfig(4.0, 40, ((18, 7), (12, 0)), unit="line", gate=1.5)),
        ),
        ("evidence=2,evidence.passages=3", SRAConfig(evidence=EvidenceConfig(2.0, passages=3))),
        ("evidence=2,evidence.passages=named", SRAConfig(evidence=EvidenceConfig(2.0))),
        ("evidence=2,evidence.tokens=1500", SRAConfig(evidence=EvidenceConfig(2.0, tokens=1500))),
    ],
)
def test_text(text, expected):
    assert parse_sra(text) == expected
    assert parse_sra(text, files=False) == expected


@pytest.mark.parametrize("value", [4, {"weight": 4}, EvidenceConfig(weight=4)])
def test_whatever_a_user_writes(value):
    assert SRAConfig(evidence=value).evidence == EvidenceConfig(weight=4.0)
    assert SRAConfig.coerce({"evidence": value}).evidence == EvidenceConfig(weight=4.0)


def test_true_and_the_name_take_what_suits_the_model():
    assert SRAConfig.coerce("evidence") == SRAConfig(evidence=True) == SRAConfig.coerce({"evidence": True})
    assert SRAConfig.coerce("evidence").evidence.automatic
    assert SRAConfig(evidence=False) == SRAConfig()


def test_evidence_brings_no_sharpening_of_its_own():
    assert SRAConfig().alpha == 0.2
    assert SRAConfig().rows == "all"
    alone = SRAConfig(evidence=4)
    assert not alone.sharpens
    assert alone.enabled
    assert not SRAConfig(alpha=0).enabled


def test_json_round_trip(tmp_path):
    config = SRAConfig(alpha=0.3, evidence=EvidenceConfig(16.0, ((3, 1), (4, 2)), 12, unit="line"))
    config.to_json(tmp_path / "sra.json")
    assert SRAConfig.from_json(tmp_path / "sra.json") == config
    assert SRAConfig.from_dict(config.to_dict()) == config
    assert SRAConfig.from_dict(SRAConfig().to_dict()) == SRAConfig()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": 1}, "above 1, or 1 with others above 1"),
        ({"weight": 1, "others": 1}, "above 1"),
        ({"weight": 0.5, "others": 16}, "above 1"),
        ({"weight": 4, "others": 0.5}, "others=0.5 is not allowed. Give a finite number >= 1"),
        ({"weight": True}, "weight=True"),
        ({"weight": float("nan")}, "finite"),
        ({"weight": 4, "heads": 0}, "number of heads >= 1"),
        ({"weight": 4, "heads": [(1, 2), (1, 2)]}, "different pairs"),
        ({"weight": 4, "look": "some"}, "look='some'"),
        ({"weight": 4, "look": [(1, -1)]}, "pairs"),
        ({"weight": 4, "passages": 0}, "whole number >= 1"),
        ({"weight": 4, "tokens": 0}, "tokens=0 is not allowed. Give a whole number >= 1"),
        ({"weight": 4, "tokens": 1500.5}, "whole number"),
        ({"weight": 4, "passages": True}, "passages=True"),
        ({"weight": 4, "unit": "word"}, "passage, line"),
        ({"weight": 4, "gate": -1}, ">= 0"),
        ({"wieght": 4}, "Unknown evidence setting wieght. Known are: weight"),
        ("strong", "is a str"),
    ],
)
def test_what_is_not_allowed(settings, message):
    with pytest.raises(ConfigError, match=message):
        SRAConfig(evidence=settings)


def test_observed_bounds_do_not_go_with_it():
    with pytest.raises(ConfigError, match="observed.*theoretical"):
        SRAConfig(alpha=0.2, bounds="observed", evidence=4)


@pytest.mark.parametrize(
    "text",
    [
        "evidence=much",
        "evidence=4,evidence.heads=some",
        "evidence.passages=x,evidence=2",
        "evidence.passages=0",
        "evidence.tokens=-1",
    ],
)
def test_text_that_makes_no_sense(text):
    with pytest.raises(ConfigError):
        parse_sra(text)
