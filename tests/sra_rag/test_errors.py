"""The first line of another library's error, as it is quoted in ours."""

import pytest

from sra_rag import SRAError, load_model
from sra_rag.errors import first_line


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
