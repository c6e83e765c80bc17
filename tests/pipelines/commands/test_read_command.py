"""``sra-rag read`` shows what the readers read."""

import json
import os
import re
from pathlib import Path

import pytest
from sra_pipelines.commands.read_command import read
from sra_pipelines.values import DocumentError


def test_pages_headings_and_notices_are_printed(tmp_path, capsys):
    path = tmp_path / "terms.md"
    path.write_text(f"# Rent\n\nIt is 82,400.\n\n![plan](data:image/png;base64,{'iVBORw0K' * 100})")
    read(path)
    printed = capsys.readouterr().out.split("\n")
    assert printed[0] == f"{path}: 1 page"
    assert printed[2:5] == ["--- page 1 ---", "headings: Rent", "note: 1 encoded picture or file is left out (822 "
                            "characters of base64)"]  # fmt: skip
    assert printed[5:8] == ["# Rent", "", "It is 82,400."]
    read(path, as_json=True)
    values = json.loads(capsys.readouterr().out)
    assert values["name"] == "terms"
    [page] = values["pages"]
    assert page["headings"] == [{"start": 0, "text": "Rent"}]
    assert page["notices"] == values["notices"]


def test_pages_without_text_and_bad_files(tmp_path, capsys, make_pdf):
    read(make_pdf("lease.pdf", "Rent is due.", None))
    assert capsys.readouterr().out.endswith("--- page 1 ---\nRent is due.\n\n--- page 2 ---\n(no text)\n")
    with pytest.raises(DocumentError, match="there is no such file"):
        read(tmp_path / "none.pdf")
    with pytest.raises(DocumentError, match=r"this is a folder\. Give one of the files in it"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("https://example.com/report.pdf", "Documents are not downloaded: save the page or file"),
        ("reports.zip", "Unpack it, and give the folder."),
        ("reports.tar.gz", "Unpack it, and give the folder."),
        ("pipe", "this is a device or a pipe. Save its contents to a file"),
        ("report.pdf", "there is no such file. Check the path."),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path, monkeypatch, path, step):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name in ("reports.zip", "reports.tar.gz"):
        Path(name).write_bytes(b"PK\x03\x04\x00\x01")
    with pytest.raises(DocumentError, match=re.escape(step)):
        read(Path(path))
