"""The code in docs/evidence.md runs, and its table names each setting."""

import dataclasses
import re
from pathlib import Path

from sra_rag.evidence_config import EvidenceConfig

TEXT = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_the_code_runs(capsys):
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "docs/evidence.md", "exec"), {})  # noqa: S102 - our own docs
    answer, shares, chosen = capsys.readouterr().out.strip().rsplit("\n", 2)
    assert "four years" in answer
    mill, boathouse = map(float, shares.strip("()").split(","))
    assert boathouse > mill
    assert chosen in ("(1,)", "()")


def test_the_table_names_each_setting():
    named = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert set(named) == {field.name for field in dataclasses.fields(EvidenceConfig)}
