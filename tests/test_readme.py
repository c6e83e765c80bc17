"""The README's code runs, and its commands and names exist."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_snippets_run(code, capsys):
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert "82,400" in capsys.readouterr().out


def test_the_changed_line_works(embedded):
    [diff] = re.findall(r"```diff\n(.*?)```", README, re.DOTALL)
    added = [line[1:] for line in diff.splitlines() if line.startswith("+")]
    namespace = {}
    exec(added[0], namespace)  # noqa: S102 - our own README
    keywords = re.findall(r"(\w+)=", added[1])
    namespace["SRAHuggingFaceLLM"](model=embedded, **{k: 0.2 if k == "sra" else "embedded" for k in keywords})


def test_the_options_of_the_command_line_exist():
    from typer.main import get_command

    from sra_rag.cli import make_app

    ask = get_command(make_app()).commands["ask"]
    known = {option for parameter in ask.params for option in parameter.opts}
    used = set(re.findall(r"(--[a-z-]+)", "\n".join(re.findall(r"\$ sra-rag ask.*", README))))
    assert used
    assert used <= known
