"""The documents as tools of the Model Context Protocol, called by the client of its official SDK."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page, add_documents
from sra_pipelines.server import ServerSettings, create_app
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.tools.document_tools import DocumentTools

from sra_rag.errors import ConfigError

KEY = "0123456789abcdef-test"
QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"


@pytest.fixture(scope="module")
def address(lease_qa, serving):
    settings = ServerSettings(api_keys=(KEY,), max_new_tokens=6, queue_length=0, max_body_bytes=100_000)
    with serving(create_app(lease_qa, settings, mcp=True)) as address:
        yield address


@asynccontextmanager
async def connected(address):
    """A client of the server. No fixture: the SDK must be left in the task in which it was entered."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
    ):
        yield client


async def call(address, tool, **arguments):
    async with connected(address) as client:
        return await client.call_tool(tool, arguments)


def text_of(result):
    return "".join(part.text for part in result.content)


async def test_the_tools_are_described(address):
    async with connected(address) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "ask", "read_page"}
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools.values())
    assert tools["search"].input_schema["required"] == ["question"]


async def test_what_was_found_can_be_read(address):
    async with connected(address) as client:
        hits = (await client.call_tool("search", {"question": QUESTION, "limit": 1})).structured_content["result"]
        assert [(passage["document"], passage["page"]) for passage in hits] == [("lease", "2")]
        page = (await client.call_tool("read_page", {"document": "lease", "page": "2"})).structured_content
        rest = (await client.call_tool("read_page", {"document": "lease", "page": "2", "start": 71})).structured_content
    assert page["text"] == "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March."
    assert page["next_start"] is None
    assert rest["text"] == page["text"][71:]


async def test_a_long_page_is_read_in_parts(tiny_engine, word_embedding):
    text = "\n".join(f"Item {number} costs {number} crowns." for number in range(2000))
    index = DocumentIndex([Document(Path("list.txt"), (Page(0, "1", text),))], word_embedding)
    tools = DocumentTools(Completions(DocumentQA(index, tiny_engine), ServerSettings()))
    parts, start = [], 0
    while start is not None:
        part = await tools.read_page("list", "1", start)
        parts.append(part.text)
        start = part.next_start
    assert len(parts) == 3
    assert "".join(parts).split() == text.split()


async def test_an_answer_is_that_of_the_pipeline(address, lease_qa):
    answer = (await call(address, "ask", question=QUESTION)).structured_content
    expected = lease_qa.ask(QUESTION, max_new_tokens=6)
    assert answer["answer"] == expected.text
    assert answer["abstained"] == expected.abstained
    cited = [(citation.document, citation.page_label, citation.quote) for citation in expected.citations]
    assert [(source["document"], source["page"], source["quote"]) for source in answer["sources"]] == cited


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {"question": " "}, "The question is empty"),
        ("search", {"question": "x", "limit": 99}, "less than or equal to 20"),
        ("ask", {"question": ""}, "The question is empty"),
        ("ask", {"question": "long " * 9000}, "The question leaves no room for passages"),
        ("read_page", {"document": "other", "page": "1"}, "There is no document 'other'. The documents are: 'lease'."),
        ("read_page", {"document": "lease", "page": "3"}, "no page '3' with text. The 2 pages are '1' to '2'."),
        ("read_page", {"document": "lease", "page": "1", "start": 999}, "the page has 67 characters"),
    ],
)
async def test_what_is_wrong_is_said(address, tool, arguments, said):
    result = await call(address, tool, **arguments)
    assert result.is_error
    assert said in text_of(result)


def test_a_document_of_one_page_is_not_said_to_have_several(embedding, tiny_engine):
    index = DocumentIndex([Document(Path("memo.txt"), (Page(0, "1", "The archive is in building 7."),))], embedding)
    completions = Completions(DocumentQA(index, tiny_engine), ServerSettings())
    with pytest.raises(ConfigError, match=r"no page '9' with text\. Its only page is '1'\."):
        asyncio.run(DocumentTools(completions).read_page("memo", "9", 0))


async def test_an_unexpected_error_says_nothing_of_the_server(address, lease_qa, monkeypatch):
    def broken(*args, **arguments):
        raise KeyError("/srv/secret")

    monkeypatch.setattr(lease_qa, "retrieve", broken)
    result = await call(address, "ask", question=QUESTION)
    assert result.is_error
    assert "secret" not in text_of(result)


async def test_the_limits_of_the_server_hold(address, slow_steps):
    async with connected(address) as client:
        first = asyncio.create_task(client.call_tool("ask", {"question": QUESTION}))
        await asyncio.sleep(0.05)
        second = await client.call_tool("ask", {"question": QUESTION})  # no request may wait
        assert second.is_error
        assert "Try again in" in text_of(second)
        assert not (await first).is_error


def test_keys_sizes_and_origins_are_those_of_the_server(address, lease_qa):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    with httpx2.Client(base_url=address) as http:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            response = http.post("/mcp", json=call, headers=accept | headers)
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "invalid_api_key"
        key = {"Authorization": f"Bearer {KEY}"}
        assert http.post("/mcp", content=b" " * 200_000, headers=accept | key).status_code == 413
    with pytest.raises(ConfigError, match="API keys are required"):
        ServerSettings(host="0.0.0.0")  # noqa: S104 - what is refused here


def test_without_keys_only_this_machine_is_served(lease_qa, serving):
    with serving(create_app(lease_qa, ServerSettings(), mcp=True)) as address, httpx2.Client() as http:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            response = http.post(f"{address}/mcp", json={}, headers=headers)
            assert response.status_code == 403
            assert response.json()["error"]["code"] == "foreign_origin"


@pytest.mark.slow
async def test_the_command_serves_over_stdio(tmp_path, make_pdf, embedding):
    index = tmp_path / "lease.index"
    pdf = make_pdf("lease.pdf", "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year.")
    add_documents(index, [pdf], lambda: embedding, workers=0)
    command = ["-c", "from sra_rag.cli import main; main()", "mcp", str(index), "--max-new-tokens", "24"]
    server = StdioServerParameters(command=sys.executable, args=command)
    async with Client(stdio_client(server)) as client:
        hits = (await client.call_tool("search", {"question": QUESTION})).structured_content["result"]
        assert "82,400" in hits[0]["text"]
        answer = (await client.call_tool("ask", {"question": QUESTION})).structured_content
        assert "Orrin Quay" in answer["answer"]
        missing = await client.call_tool("read_page", {"document": "x", "page": "1"})
        assert missing.is_error
        assert str(tmp_path) not in text_of(missing)
