"""``sra-rag calibrate`` and ``sra-rag bake`` as a user calls them."""

import json

import pytest
from sra_pipelines.samples import sample_documents
from typer.testing import CliRunner

from sra_rag import SRAConfig
from sra_rag.cli import make_app
from sra_rag.errors import ConfigError


def run(*arguments):
    result = CliRunner().invoke(make_app(), [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_help_teaches():
    for command, words in (("calibrate", ("without labels", "--minutes", "--harm")), ("bake", ("constant", "--out"))):
        shown = run(command, "--help").output
        assert all(word in shown for word in words)
        assert "For example" in shown


def test_a_run_too_short_says_so_and_writes_off(tmp_path):
    [agreement] = [path for path in sample_documents() if "agreement" in path.name]
    to = tmp_path / "profile.json"
    result = run(
        "calibrate",
        agreement,
        "--search",
        "sharpening",
        "--minutes",
        0.1,
        "--questions",
        16,
        "--tokens",
        200,
        "--to",
        to,
    )
    assert result.exit_code == 0
    profile = json.loads(to.read_text())
    assert profile["chosen"] == "off"
    assert profile["reason"] in result.output
    assert not SRAConfig.from_json(to).enabled
    assert profile["evidence"]["model"]["name"] == "embedded"
    assert (tmp_path / "profile.calibration" / "manifest.json").exists()


def test_what_cannot_be_calibrated_on_is_refused(tmp_path):
    assert run("calibrate", tmp_path, "--harm", "nan").exit_code == 2
    with pytest.raises(ConfigError, match="judged_by='luck'"):
        run("calibrate", tmp_path, "--search", "sharpening", "--judged-by", "luck")


def test_a_constant_profile_is_baked(tmp_path):
    settings = tmp_path / "constant.json"
    SRAConfig(alpha=0.2, policy="constant").to_json(settings)
    result = run("bake", "--profile", settings, "--out", tmp_path / "baked")
    assert result.exit_code == 0
    assert json.loads((tmp_path / "baked" / "sra.json").read_text())["sra"]["policy"] == "constant"
    with pytest.raises(ConfigError, match="there already"):
        run("bake", "--profile", settings, "--out", tmp_path / "baked")


def test_a_profile_that_is_not_constant_is_refused_and_nothing_is_left(tmp_path):
    settings = tmp_path / "entropy.json"
    SRAConfig(alpha=0.2).to_json(settings)
    with pytest.raises(ConfigError, match="policy='entropy'"):
        run("bake", "--profile", settings, "--out", tmp_path / "baked")
    assert [path.name for path in tmp_path.iterdir()] == ["entropy.json"]
