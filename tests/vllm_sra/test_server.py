"""``vllm serve`` with the plugin, asked through OpenAI's client: settings by request, refusals, the same answers."""

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
    done = client.chat.completions.create(
        model="embedded", messages=MESSAGES, max_tokens=12, temperature=0, logprobs=True,
        extra_body={"vllm_xargs": xargs} if xargs else None,
    )  # fmt: skip
    [choice] = done.choices
    return choice.message.content, [token.logprob for token in choice.logprobs.content]


@pytest.mark.parametrize("sra", [None, "alpha=0.3", "alpha=0.4,rows=after_context"])
@pytest.mark.timeout(600)
def test_answers_are_those_of_the_transformers_path(server, client, embedded, sra):
    engine = Engine(embedded)
    length = context_length(server, MESSAGES, CONTEXT)
    assert length == engine.encode(MESSAGES, context=CONTEXT).context_length
    xargs = {} if sra is None else {"sra": sra, "sra_context_length": length}
    text, logprobs = ask(client, **xargs)
    settings = None if sra is None else dict(part.split("=") for part in sra.split(","))
    if settings:
        settings["alpha"] = float(settings["alpha"])
    wanted = engine.generate(MESSAGES, context=CONTEXT, sra=settings, max_new_tokens=12, temperature=0.0)
    assert text.strip() == wanted.text.strip()
    if sra is not None:
        assert max(abs(a - b) for a, b in zip(logprobs, ask(client)[1], strict=False)) > 0.01


def test_what_is_not_allowed_is_answered_with_the_reason(client):
    for xargs, said in (({"sra": "strong"}, "no setting"), ({"sra": "rows=after_context"}, "sra_context_length")):
        with pytest.raises(openai.BadRequestError, match=said):
            ask(client, **xargs)
    assert ask(client)[0]


def test_a_context_that_is_not_there_or_a_server_that_is_not(server):
    with pytest.raises(ConfigError, match="none of the messages"):
        context_length(server, MESSAGES, "no such text")
    with pytest.raises(VLLMServerError, match="could not be asked"):
        context_length("http://127.0.0.1:9", MESSAGES, CONTEXT)
    with pytest.raises(ConfigError, match="no address"):
        context_length("localhost:8000", MESSAGES, CONTEXT)
    with pytest.raises(VLLMServerError, match="404"):
        context_length(f"{server}/v1", MESSAGES, CONTEXT, model="another")


def test_the_code_of_the_document_runs(vllm_server, server):
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    code = code.replace("http://localhost:8000", server).replace('"MODEL"', '"embedded"')
    code = code.replace('api_key="none"', f'api_key="{vllm_server.api_key}"')
    names = {}
    exec(compile(code, DOCUMENT.name, "exec"), names)  # noqa: S102 - our own document
    assert "82,400" in names["answer"].choices[0].message.content
