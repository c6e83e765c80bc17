"""Rows and metrics in preset files, further names for them, and errors that name the line."""

import pytest
from sra_pipelines.metrics.asked_metric import asked_metric
from sra_pipelines.presets import load_preset

from sra_rag.errors import ConfigError

HEAD = "instruction = 'x'\n"
TABLES = """
[[row]]
name = "restaurant sales"
asked = ["restaurant sales"]
labels = ["restaurant sales"]
pages = ["income_statement"]

[[metric]]
name = "restaurant share"
asked = ["restaurant share"]
computed = ["restaurant sales / revenue"]
"""
NAMES = """
[[row_names]]
row = "revenue"
asked = ["omzet"]
labels = ["netto-omzet"]

[[metric_names]]
metric = "gross margin"
asked = ["brutowinstmarge"]
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="own.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_tables_of_ones_own_are_added_to_those_that_are_included(write):
    own = load_preset(write("vocabularies = ['financial']\n" + HEAD + TABLES)).metrics
    assert own.row("restaurant sales").labels == ("restaurant sales",)
    assert len(own.rows) == len(load_preset("financial").metrics.rows) + 1
    assert asked_metric("What was the restaurant share in 2023?", own).name == "restaurant share"


def test_further_names_are_added_to_a_row_or_metric_of_an_included_file(write):
    own = load_preset(write("vocabularies = ['financial']\n" + HEAD + NAMES)).metrics
    revenue, before = own.row("revenue"), load_preset("financial").metrics.row("revenue")
    assert set(revenue.labels) - set(before.labels) == {"netto-omzet"}
    assert asked_metric("What was the omzet in 2023?", own).name == "revenue"
    assert asked_metric("What was the brutowinstmarge in 2023?", own).name == "gross margin"
    assert asked_metric("What was the omzet in 2023?", load_preset("financial").metrics) is None


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (
            "[[row_names]]\nrow = 'turnover'\nasked = ['x']",
            r"own.toml, line 3 \(row_names table 1\): there is no row 'turnover'. Use .*revenue",
        ),
        ("[[metric_names]]\nmetric = 'ROI'\nasked = ['x']", r"line 3 .*: there is no metric 'ROI'. Use .*gross margin"),
        ("[[row_names]]\nrow = 'revenue'\nasked = ['(']", "line 3 .*: '\\(' is not a regular expression"),
        ("[[row_names]]\nrow = 'revenue'\npages = ['x']", "line 3 .*: unknown key 'pages'. Allowed are row, asked"),
        ("[[metric_names]]\nmetric = 'gross margin'", "line 3 .*: .*asked"),
        (TABLES.replace('"income_statement"]', '"income_statement"]\nunlabelled = "sum"'), "Use group, gross_profit"),
    ],
)
def test_tables_that_are_not_allowed(write, tables, expected):
    path = write("vocabularies = ['financial']\n" + HEAD.strip() + "\n" + tables)
    with pytest.raises(ConfigError, match=expected):
        load_preset(path)


def test_names_without_any_row_say_so(write):
    with pytest.raises(ConfigError, match="there is no row 'revenue'. Use a file with row tables too"):
        load_preset(write(HEAD + "[[row_names]]\nrow = 'revenue'\nasked = ['omzet']"))
