"""``vllm serve`` with the plugin, through OpenAI's client: settings per request, rejected requests, equal answers."""

import re
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

import openai
from vllm_sra.client import VLLMServerError, context_length

from sra_rag import Engine
from sra_rag.errors import ConfigError

CONTEXT = "\n".join(f"The rent of house {n} is {n}1,{n}00 crowns a year." for n in range(1, 40))
MESSAGES = [{"role": "user", "content": f"Answer from the text.\n\n{CONTEXT}\n\nWhat is the rent of house 7?"}]
DOCUMENT = Path(__file__).parents[2] / "docs" / "vllm.md"


@pytest.fixture(scope="module")
def server(vllm_server):
    return vllm_server.address.removesuffix("/v1")


@pytest.fixture
def client(vllm_server):
    return openai.OpenAI(base_url=vllm_server.address, api_key=vllm_server.api_key, max_retries=0)


def ask(client, **xargs):
    completion = client.chat.completions.create(
        model="embedded", messages=MESSAGES, max_tokens=12, temperature=0, logprobs=True,
        extra_body={"vllm_xargs": xargs} if xargs else None,
    )  # fmt: skip
    [choice] = completion.choices
    return choice.message.content, [token.logprob for token in choice.logprobs.content]


@pytest.mark.parametrize("sra", [None, "alpha=0.3", "alpha=0.4,rows=after_context"])
@pytest.mark.timeout(600)
def test_answers_equal_those_of_transformers(server, client, embedded, sra):
    engine = Engine(embedded)
    length = context_length(server, MESSAGES, CONTEXT)
    assert length == engine.encode(MESSAGES, context=CONTEXT).context_length
    xargs = {} if sra is None else {"sra": sra, "sra_context_length": length}
    text, logprobs = ask(client, **xargs)
    settings = None if sra is None else dict(part.split("=") for part in sra.split(","))
    if settings:
        settings["alpha"] = float(settings["alpha"])
    expected = engine.generate(MESSAGES, context=CONTEXT, sra=settings, max_new_tokens=12, temperature=0.0)
    assert text.strip() == expected.text.strip()
    if sra is not None:
        assert max(abs(a - b) for a, b in zip(logprobs, ask(client)[1], strict=False)) > 0.01


def test_a_rejected_request_is_answered_with_the_reason(client):
    for xargs, message in (
        ({"sra": "strong"}, "is not a valid setting"),
        ({"sra": "rows=after_context"}, "sra_context_length"),
    ):
        with pytest.raises(openai.BadRequestError, match=message):
            ask(client, **xargs)
    assert ask(client)[0]


def test_a_missing_context_or_server_is_reported(server):
    with pytest.raises(ConfigError, match="No message contains"):
        context_length(server, MESSAGES, "no such text")
    with pytest.raises(VLLMServerError, match="cannot be reached"):
        context_length("http://127.0.0.1:9", MESSAGES, CONTEXT)
    with pytest.raises(ConfigError, match="not a valid server address"):
        context_length("localhost:8000", MESSAGES, CONTEXT)
    with pytest.raises(VLLMServerError, match="404"):
        context_length(f"{server}/v1", MESSAGES, CONTEXT, model="another")


def test_the_code_in_the_documentation_runs(vllm_server, server):
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names = {}
    for block in blocks:  # the second one continues the first
        code = block.replace("http://localhost:8000", server).replace('"MODEL"', '"embedded"')
        code = code.replace('api_key="none"', f'api_key="{vllm_server.api_key}"')
        exec(compile(code, DOCUMENT.name, "exec"), names)  # noqa: S102 - code of this repository
        assert "82,400" in names.pop("answer").choices[0].message.content
