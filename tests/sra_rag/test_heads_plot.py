"""The picture of a model's evidence heads: the file that was written shows each score at its layer and head."""

import itertools
import json
import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sra_rag.cli import make_app
from sra_rag.errors import ConfigError, MissingExtraError
from sra_rag.heads.head_search import EvidenceHead
from sra_rag.heads.plot import check_plot_file, plot_heads

HEADS = [EvidenceHead(2, 3, 0.9, 1.0), EvidenceHead(0, 0, 0.5, 0.4), EvidenceHead(1, 2, 0.2, 0.1)]
SIZE = {"n_layers": 3, "n_heads": 4, "top": 1, "title": "Evidence heads of $a_1$"}


GREY = (217, 222, 227)


def drawn_scores(picture):
    """Return the score with the colour at the centre of each cell of 3 layers and 4 heads; None for grey."""
    pixels = np.asarray(picture).astype(int)
    colors = {head.share: 255 * np.array(plt.get_cmap("viridis_r")(head.share)[:3]) for head in HEADS} | {None: GREY}
    near = {share: np.abs(pixels - color).max(axis=2) < 4 for share, color in colors.items()}
    height, width, _ = pixels.shape
    plotted = np.any(list(near.values()), axis=0)[: height * 4 // 5, : width * 3 // 4]  # without legend and colour bar
    rows, columns = (np.flatnonzero(plotted.any(axis=axis)) for axis in (1, 0))
    (top, bottom), (left, right) = ((side.min(), side.max()) for side in (rows, columns))
    scores = {}
    for layer, head in itertools.product(range(3), range(4)):
        y, x = round(bottom - (layer + 0.5) * (bottom - top) / 3), round(left + (head + 0.5) * (right - left) / 4)
        [scores[layer, head]] = [share for share, mask in near.items() if mask[y, x]]
    return scores


def test_the_colours_of_the_picture_are_the_scores(tmp_path):
    path = tmp_path / "heads.png"
    plot_heads(HEADS, path, **SIZE)
    scores = {(head.layer, head.head): head.share for head in HEADS}
    cells = itertools.product(range(3), range(4))
    assert drawn_scores(Image.open(path).convert("RGB")) == {cell: scores.get(cell) for cell in cells}


def test_the_command_writes_a_picture_of_the_embedded_model(embedded, tmp_path):
    path = tmp_path / "heads.svg"
    done = CliRunner().invoke(make_app(), ["heads", "--top", "5", "--json", "--plot", str(path)])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["heads"]) == 5  # the output for programs is unchanged
    root = ET.parse(path).getroot()  # noqa: S314 - written above
    texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    expected = {"layer", "query head", "Evidence heads of embedded", "the 5 best heads", "not among the 100 best"}
    assert expected <= set(texts)
    assert re.search(r"share of the right passage", " ".join(texts))
    first = path.read_bytes()
    CliRunner().invoke(make_app(), ["heads", "--top", "5", "--plot", str(path)])
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "message"), [("heads.bmp", r"\.svg, \.png, \.pdf"), ("none/heads.svg", "does not exist")]
)
def test_a_file_that_cannot_be_written_is_named_first(name, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        check_plot_file(tmp_path / name)


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sra-rag\[plot\]'"):
        plot_heads(HEADS, tmp_path / "heads.svg", **SIZE)
    assert not (tmp_path / "heads.svg").exists()
