"""An index whose documents were read and embedded by workers of Ray is the one that this process makes."""

import numpy as np
import pytest
from sra_pipelines.index.catalog import list_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.schema import connect
from sra_pipelines.index.stored_document import load_document
from sra_pipelines.index.writer import add_documents
from sra_pipelines.ray.cluster import RayOptions, ray_cluster

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'sra-rag[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def folder(tmp_path, make_pdf):
    docs = tmp_path / "docs"
    docs.mkdir()
    make_pdf("lease.pdf", "The lease costs 82,400 crowns a year.", None).rename(docs / "lease.pdf")
    (docs / "notes.md").write_text("# Ferry\n\nTickets are sold at the kiosk.\n\n" + "The ferry leaves at noon.\n" * 90)
    (docs / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    return docs


@pytest.fixture(scope="module")
def cluster():
    """Ray, for the tests of this file."""
    options = RayOptions("local", workers=1)
    with ray_cluster(options):
        yield options


def contents(index):
    with connect(index) as connection:
        return {
            about.name: load_document(connection, number, about, 384)[0]
            for number, about in list_documents(connection).items()
        }


def test_ray_that_is_started_here_is_found_from_here_only(cluster):
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]


def test_the_index_is_the_one_that_is_made_without_ray(cluster, folder, tmp_path, embedding):
    expected = add_documents(tmp_path / "here", [folder], lambda: embedding, embedding_name="embedded", workers=0)
    report = add_documents(tmp_path / "ray", [folder], load_embedding, embedding_name="embedded", ray=cluster)
    assert (report.added, report.failed, report.empty_pages) == (expected.added, expected.failed, expected.empty_pages)
    assert (report.n_pages, report.n_passages, report.revision) == (expected.n_pages, expected.n_passages, 1)
    assert list(report.failed) == [str(folder / "torn.pdf")]
    assert report.empty_pages == {"lease": ["2"]}
    here, there = contents(tmp_path / "here"), contents(tmp_path / "ray")
    assert here.keys() == there.keys() == {"lease", "notes"}
    for name, document in there.items():
        assert document.pages == here[name].pages
        assert document.passages == here[name].passages
        assert np.abs(document.vectors - here[name].vectors).max() < 1e-5
    assert check_index(tmp_path / "ray").problems == ()
