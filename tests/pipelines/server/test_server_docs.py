"""The code in the documents about the server and its tools runs, against a server over one lease."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from agents import ModelSettings, OpenAIChatCompletionsModel, set_tracing_disabled
from openai import AsyncOpenAI
from sra_pipelines.server import ServerSettings, create_app

DOCS = Path(__file__).parents[3] / "docs"
ADDRESS = "http://127.0.0.1:8000"
KEY = "0123456789abcdef-test"
QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"  # instead of those of the documents


def snippets(name):
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def address(lease_qa, quoting, serving):
    settings = ServerSettings(api_keys=(KEY,), max_new_tokens=16)
    with serving(create_app(lease_qa, settings, mcp=True)) as address:
        yield address


def test_the_code_of_the_clients_runs(address):
    chat, responses, _ = snippets("server.md")  # the last is run by tests/vllm_sra/test_served_documents.py
    names = {}
    code = (chat + responses).replace(ADDRESS, address).replace('api_key="none"', f"api_key={KEY!r}")
    assert code.count("When does the agreement end?") == 2
    code = code.replace("When does the agreement end?", QUESTION)
    exec(compile(code, "server.md", "exec"), names)  # noqa: S102 - our own document
    assert "82,400" in names["answer"].choices[0].message.content
    assert "82,400" in names["answer"].citations[0]["quote"]
    assert "82,400" in names["response"].output_text
    assert names["response"].output[0].content[0].annotations


async def test_the_code_of_the_agent_runs(address):
    set_tracing_disabled(True)
    [code] = snippets("mcp.md")
    client = AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    model = OpenAIChatCompletionsModel("sra-rag", client)  # the document leaves the model of the agent to the reader
    # The model of the server calls no tools, so the agent is given none of them after it was connected.
    assert code.count("When does the lease end?") == 1
    code = (
        code.replace("When does the lease end?", QUESTION)
        .replace(ADDRESS, address)
        .replace(
            "mcp_servers=[contracts])",
            "model=model, model_settings=settings)\n    tools = await contracts.list_tools()",
        )
    )
    code = code.replace("await Runner.run(", "result = await Runner.run(")
    names = {"key": KEY, "model": model, "settings": ModelSettings(max_tokens=6)}
    run = eval(compile(code, "mcp.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - ours
    assert inspect.iscoroutine(run)
    await run
    assert {tool.name for tool in names["tools"]} == {"search", "ask", "read_page"}
    assert "82,400" in names["result"].final_output
