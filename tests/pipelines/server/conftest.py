"""A server over one lease, with the tiny model and an embedding that counts words: quick to start and to ask."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.server import ServerSettings, create_app

from sra_rag import Engine, SamplingOptions
from sra_rag.generation.result import Generation, TextDelta, Timing, Usage


@pytest.fixture(scope="module")
def lease_qa(tiny, word_embedding):
    """Questions about a lease of two pages."""
    pages = (
        "This agreement is made between Harl Shipping and the Port of Orrin.",
        "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.",
    )
    document = Document(Path("lease.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(pages)))
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=16))
    return DocumentQA(DocumentIndex([document], word_embedding), engine, context_tokens=200)


@pytest.fixture(scope="module")
def lease_app(lease_qa):
    return create_app(lease_qa, ServerSettings(max_new_tokens=40))


@pytest.fixture(scope="module")
def lease_client(lease_app):
    """A client that receives errors of the server as responses, as over a socket."""
    return TestClient(lease_app, base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture
def lease_server(lease_app, serving):
    """The address of the server, for clients that need a socket."""
    with serving(lease_app) as address:
        yield address


@pytest.fixture
def quoting(lease_qa, monkeypatch):
    """The model's answer is a sentence of the lease, so that there is something to cite, and it ends by itself."""
    text = "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year"

    def stream(messages, **arguments):
        yield TextDelta(text[:20])
        yield TextDelta(text[20:])
        yield TextDelta("", Generation(text, "stop", Usage(9, 5), Timing(0.1, 0.1), (), None, 0))

    monkeypatch.setattr(lease_qa.engine, "stream", stream)
