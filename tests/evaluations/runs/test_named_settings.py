"""Settings as they are written on a command line, and the names they get."""

import pytest
from sra_evaluations.runs.named_settings import Setting, as_settings, parse_setting

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.notation import parse_indices, parse_sra


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("off", None),
        ("OFF", None),
        ("0.2", SRAConfig(alpha=0.2)),
        ("alpha=0.3,rows=after_context", SRAConfig(alpha=0.3, rows="after_context")),
        ("alpha=0.3,layers=0,3,10-12,policy=focus", SRAConfig(alpha=0.3, layers=(0, 3, 10, 11, 12), policy="focus")),
        ("layers=last:5,heads=1", SRAConfig(layers="last:5", heads=(1,))),
        ("bounds=0,6.5", SRAConfig(bounds=(0.0, 6.5))),
        ("bounds=observed", SRAConfig(bounds="observed")),
    ],
)
def test_what_is_written_is_what_is_meant(text, expected):
    assert parse_sra(text) == expected
    assert parse_setting(text).sra == expected
    assert parse_setting(f"mine:{text}") == Setting("mine", expected)


def test_a_file_is_named_after_itself(tmp_path):
    path = tmp_path / "profile.json"
    SRAConfig(alpha=0.4).to_json(path)
    assert parse_setting(str(path)) == Setting("profile", SRAConfig(alpha=0.4))


@pytest.mark.parametrize(
    "text", ["", "nothing.json", "alpha=x", "alpha=-1", "beta=1", "rows=some", "layers=a-b", "1.2.3"]
)
def test_what_is_no_setting_is_refused_with_what_is(text):
    with pytest.raises(ConfigError, match="Give|Use|allowed|Known"):
        parse_sra(text)


def test_names_are_told_apart():
    named = as_settings([None, 0.2, "alpha=0.2,rows=generated", SRAConfig(alpha=0.1, policy="constant")])
    assert [setting.name for setting in named] == [
        "off", "alpha=0.2", "alpha=0.2,rows=generated", "alpha=0.1,policy=constant",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="two settings have this name"):
        as_settings(["off", None])
    with pytest.raises(ConfigError, match="no setting to run"):
        as_settings([])


def test_indices():
    assert parse_indices("layers", "3,5-7") == (3, 5, 6, 7)
    assert parse_indices("layers", "last:2") == "last:2"
    with pytest.raises(ConfigError, match="layers='x'"):
        parse_indices("layers", "x")
