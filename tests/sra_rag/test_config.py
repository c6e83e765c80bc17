import json

import pytest

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError, SRAError
from sra_rag.evidence_config import EvidenceConfig


def test_defaults_are_the_papers_rule():
    config = SRAConfig()
    assert (config.policy, config.rows, config.bounds, config.layers) == ("entropy", "all", "theoretical", "all")
    assert config.enabled


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 0.3},
        {"alpha": [0.1, 0.2]},
        {"alpha": [[0.1, 0.2], [0.0, 0.4]], "heads": [0, 1]},
        {"bounds": [0.5, 4.0], "layers": "last:4", "rows": "after_context", "policy": "focus"},
        {"layers": [0, -1], "rows": "generated", "policy": "constant"},
    ],
)
def test_json_round_trip(settings, tmp_path):
    config = SRAConfig.from_dict(settings)
    assert SRAConfig.from_dict(json.loads(config.to_json())) == config
    assert SRAConfig.from_dict(config.to_dict()) == config
    config.to_json(tmp_path / "sra.json")
    assert SRAConfig.from_json(tmp_path / "sra.json") == config
    assert hash(config) == hash(SRAConfig.from_dict(config.to_dict()))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"alpha": -0.1}, "between 0"),
        ({"alpha": float("nan")}, "between 0"),
        ({"alpha": 100.1}, "between 0 .* and 100"),
        ({"alpha": 1e308}, "between 0"),
        ({"alpha": 10**400}, "between 0"),
        ({"alpha": [[1e308, 0.1]]}, "between 0"),
        ({"bounds": (0, 10**400)}, "must hold"),
        ({"evidence": {"weight": 10**400}}, "finite number above 1"),
        ({"evidence": {"weight": 2, "gate": 10**400}}, "finite number >= 0"),
        ({"alpha": "0.2"}, "not a number"),
        ({"alpha": True}, "not a number"),
        ({"alpha": []}, "empty"),
        ({"alpha": [0.1, [0.2]]}, "ragged"),
        ({"alpha": [[0.1], [0.2, 0.3]]}, "ragged"),
        ({"bounds": "guessed"}, "theoretical"),
        ({"bounds": (2.0, 1.0)}, "h_min < h_max"),
        ({"bounds": (1.0, 2.0, 3.0)}, "pair"),
        ({"bounds": (2.0, 2.1), "alpha": 0.5}, "would invert"),
        ({"layers": "first:3"}, "last:N"),
        ({"layers": "last:0"}, "last:N"),
        ({"layers": [1, 1]}, "distinct"),
        ({"layers": 3}, "list"),
        ({"heads": ["a"]}, "integers"),
        ({"rows": "some"}, "after_context"),
        ({"policy": "random"}, "entropy"),
        ({"bounds": "observed", "rows": "generated"}, "does not sharpen"),
        ({"alhpa": 0.2}, "Known are"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(settings, names):
    with pytest.raises(ConfigError, match=names) as caught:
        SRAConfig.from_dict(settings)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SRAError)


def test_off():
    assert not SRAConfig(alpha=0).enabled
    assert not SRAConfig(alpha=[0.0, 0.0]).enabled
    assert not SRAConfig(layers=[]).enabled


def test_replace_validates():
    config = SRAConfig(alpha=0.1)
    assert config.replace(alpha=0.4) == SRAConfig(alpha=0.4)
    with pytest.raises(ConfigError):
        config.replace(alpha=-1)
    with pytest.raises(ConfigError, match="Known are"):
        config.replace(beta=2)


def test_coerce_takes_whatever_a_user_writes(tmp_path):
    config = SRAConfig(alpha=0.3, rows="after_context")
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"sra": config.to_dict(), "evidence": {"n": 200}}))
    assert SRAConfig.coerce(None) is None
    assert SRAConfig.coerce(config) is config
    assert SRAConfig.coerce(0.3) == SRAConfig(alpha=0.3)
    assert SRAConfig.coerce({"alpha": 0.3}) == SRAConfig(alpha=0.3)
    assert SRAConfig.coerce(str(profile)) == SRAConfig.coerce(profile) == config
    assert not SRAConfig.coerce("off").enabled
    assert SRAConfig.coerce("0.3") == SRAConfig(alpha=0.3)
    assert SRAConfig.coerce("evidence") == SRAConfig(evidence=EvidenceConfig())
    assert SRAConfig.coerce("evidence=16,alpha=0.3") == SRAConfig(alpha=0.3, evidence=EvidenceConfig(weight=16))
    with pytest.raises(ConfigError, match="neither a valid setting nor the path of a file"):
        SRAConfig.coerce(str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="alpha such as"):
        SRAConfig.coerce(True)
    with pytest.raises(ConfigError, match="object"):
        SRAConfig.coerce(object())


@pytest.mark.parametrize(
    ("content", "says"), [("{", "not valid JSON"), ("[1]", "not an object"), (None, "cannot be read")]
)
def test_a_bad_file_is_named(tmp_path, content, says):
    path = tmp_path / "sra.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=says) as caught:
        SRAConfig.from_json(path)
    assert str(path) in str(caught.value)
