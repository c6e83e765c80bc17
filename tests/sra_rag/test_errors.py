"""Messages of errors: the first line of another library's error in ours, and the value that is not allowed."""

import math
import types

import pytest

from sra_rag import SRAError, load_model
from sra_rag.errors import ConfigError, first_line, require_above_zero


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("One line."), "One line"),
        (OSError("\n  The first.  \nThe second."), "The first"),
        (ValueError(), "ValueError"),
        (ValueError("  \n "), "ValueError"),
    ],
)
def test_the_first_line_of_a_message(error, line):
    assert first_line(error) == line


def test_a_model_that_fails_without_a_message_raises_our_error(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", fail)
    with pytest.raises(SRAError, match="could not be loaded: OSError. Give"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("seconds", [0, -1.5, math.nan])
def test_what_is_not_above_zero_is_named(seconds):
    settings = types.SimpleNamespace(pages=3, seconds=seconds)
    require_above_zero(settings, ["pages"])
    with pytest.raises(ConfigError, match=f"^seconds={seconds} is not allowed: it must be above 0.$"):
        require_above_zero(settings, ["pages", "seconds"])
