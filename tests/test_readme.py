"""The README's code runs, and its commands and names exist."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from sra_rag.models.embedded import embedded_model_folder

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
DIFFS = re.findall(r"```diff\n(.*?)```", README, re.DOTALL)
HUB_MODEL = "Qwen/Qwen3-4B"
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_snippets_run(code, capsys):
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert "four years" in capsys.readouterr().out


@pytest.mark.parametrize("diff", DIFFS, ids=range(len(DIFFS)))
def test_the_changed_lines_work(diff):
    added = "\n".join(line[1:] for line in diff.splitlines() if line.startswith("+"))
    namespace = {}
    code = added.replace(HUB_MODEL, str(embedded_model_folder()))  # the same lines, with a model that is there offline
    exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102 - our own README
    generation = namespace["llm"].engine.generate("Once", max_new_tokens=1)
    assert generation.usage.completion_tokens == 1


def test_every_framework_has_its_changed_lines():
    assert {"HuggingFaceLLM", "ChatHuggingFace", "HuggingFacePipeline"} <= set(
        re.findall(r"^-.*?= (\w+)", "\n".join(DIFFS), re.M)
    )


def test_the_options_of_the_command_line_exist():
    from sra_rag.cli import load_command

    (entry,) = importlib.metadata.entry_points(group="sra_rag.commands", name="ask")
    ask = load_command(entry)
    known = {option for parameter in ask.params for option in parameter.opts}
    used = set(re.findall(r"(--[a-z-]+)", "\n".join(re.findall(r"\$ sra-rag ask.*", README))))
    assert used
    assert used <= known


def test_the_readme_is_short_and_in_the_order_that_users_expect():
    assert len(README.splitlines()) <= 120
    parts = ["# sra-rag", "badge_", "Local language models", "right_by_place.svg", "pip install", "```python",
             "## Use it with", "## Results", "## How it fits together", "## Limits", "## Development"]  # fmt: skip
    places = [README.index(part) for part in parts]
    assert places == sorted(places)
    assert len(SNIPPETS[0].splitlines()) <= 9


def test_pictures_of_the_readme_are_in_the_repository():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 4
    assert all((Path(__file__).parents[1] / picture).is_file() for picture in pictures)
