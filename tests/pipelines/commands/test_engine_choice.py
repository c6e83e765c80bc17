"""Models on servers: this project's own, one that only looks like vLLM, and ones that are broken."""

import json
import threading

import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.answering.chat import Chat
from sra_pipelines.commands.engine_choice import EngineChoice, open_engine
from sra_pipelines.server import ServerSettings, create_app
from sra_pipelines.server.page.turns import answer_turn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.routing import Route
from typer.testing import CliRunner
from vllm_sra.client.address import base_url
from vllm_sra.client.prompt_context import VLLMServerError
from vllm_sra.client.served_engine import ServedEngine
from vllm_sra.plugin import handshake

from sra_rag import Engine, SamplingOptions, SRAConfig
from sra_rag.attention.shares import AttentionShares
from sra_rag.cli import make_app
from sra_rag.errors import ConfigError, MissingExtraError, PromptError
from sra_rag.generation.engine_protocol import EngineProtocol
from tests.pipelines.server.test_server import lease_index

__all__ = ["lease_index"]

QUESTION = "What is the yearly rent of the warehouse?"
KEY = "0123456789abcdef-test"
ASK = [{"role": "user", "content": "Name three rivers."}]


@pytest.fixture(scope="module")
def local(tiny, lease_index):
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=12))
    return DocumentQA(lease_index, engine, context_tokens=200)


@pytest.fixture(scope="module")
def own_server(local, serving):
    """This project's server, whose own settings are far from off."""
    settings = ServerSettings(api_keys=(KEY,), sra=SRAConfig(alpha=2.0), concurrency=2)
    with serving(create_app(local, settings)) as address:
        yield address


@pytest.fixture(scope="module")
def served(own_server):
    options = SamplingOptions(max_new_tokens=12)
    with ServedEngine.at(
        own_server, model="tiny", tokenizer="embedded", context_window=2048, api_key=KEY, options=options
    ) as engine:
        yield engine


def test_documents_are_asked_with_a_model_on_a_server(local, served):
    qa = DocumentQA(local.index, served, context_tokens=200)
    answer, wanted = qa.ask(QUESTION), local.ask(QUESTION)
    assert (answer.text, answer.citations, answer.passages) == (wanted.text, wanted.citations, wanted.passages)
    assert answer.generation.usage.prompt_tokens == wanted.generation.usage.prompt_tokens
    assert [a.text for a in qa.batch([QUESTION, QUESTION])] == [wanted.text] * 2
    assert Chat(qa, history=[(QUESTION, wanted.text)]).standalone("Until when?")


def test_a_server_that_takes_messages_only_has_nothing_of_ours(served, local):
    assert not served.model.takes_tokens
    assert served.generate(ASK).text == local.engine.generate(ASK).text
    for arguments, said in (
        ({"sra": 0.2}, "does not support Scaled ReAttention"),
        ({"top_k": 5, "repetition_penalty": 1.2}, "does not support repetition_penalty, top_k"),
    ):
        with pytest.raises(ConfigError, match=said):
            served.generate(ASK, **arguments)
    with pytest.raises(ConfigError, match="likelihoods"):
        served.answer_likelihood(ASK, "The Nile")
    with pytest.raises(PromptError, match="only messages"):
        served.generate("Three rivers are")
    with pytest.raises(ConfigError, match="--attention"):
        DocumentQA(local.index, served, context_tokens=200).ask(QUESTION, attention=True)


def test_a_server_has_every_capability_or_says_that_it_lacks_it(served):
    assert [name for name in vars(EngineProtocol) if name[0] != "_" and not hasattr(served, name)] == []
    assert (served.loaded, served.sees_attention, served.measures_likelihood) == (None, False, False)
    description = served.describe()
    assert (description["name"], description["server"]) == ("tiny", served.where)
    assert (description["weights_sha256"], KEY in json.dumps(description)) == ("unknown", False)
    with pytest.raises(ConfigError, match="does not report attention weights"):
        served.answer_likelihood(ASK, "The Nile", shares=AttentionShares([(0, 1)], 4))
    with served.isolated() as isolated, served.room_for(3):
        assert isolated.generate(ASK).text == served.generate(ASK).text


def test_answers_end_when_they_are_cancelled(served):
    cancel = threading.Event()
    pieces = served.stream(ASK, cancel=cancel, max_new_tokens=500, temperature=1.5, seed=1)
    next(pieces)
    cancel.set()
    *_, last = pieces
    assert last.generation.finish_reason == "cancelled"


async def test_the_web_page_answers_without_attention_where_it_is_not_known(served, local):
    qa = DocumentQA(local.index, served, context_tokens=200)
    completions = create_app(qa, ServerSettings(max_new_tokens=8)).state.completions
    *_, turn = [turn async for turn in answer_turn(completions, qa, QUESTION, [None], (), "a client")]
    assert (turn.phase, turn.error) == ("done", "")
    assert turn.columns[0].answer.attention is None


def test_the_key_is_asked_for_and_shown_nowhere(own_server, served):
    with pytest.raises(VLLMServerError, match="SRA_RAG_ENGINE_KEY") as caught:
        ServedEngine.at(own_server, model="tiny", tokenizer="embedded", api_key="secret-" + KEY)
    assert KEY not in f"{caught.value}{served.model}{vars(served)}{EngineChoice('http://a', key=KEY)}"


def test_what_a_server_does_not_tell_has_to_be_given(own_server):
    with pytest.raises(ConfigError, match=r"2 models.*--model.*'tiny'"):
        ServedEngine.at(own_server, api_key=KEY)
    with pytest.raises(ConfigError, match="--tokenizer"):
        ServedEngine.at(own_server, model="tiny", api_key=KEY)
    with pytest.raises(ConfigError, match="--window"):
        ServedEngine.at(own_server, model="tiny", tokenizer="embedded", api_key=KEY)


def stream_of(*chunks):
    async def events():
        for chunk in chunks:
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


def lookalike(reply):
    """A server that takes tokens as vLLM does, without the plugin: it ignores settings."""

    async def models(_):
        card = {"id": "m", "object": "model", "created": 1, "owned_by": "x", "root": "embedded", "max_model_len": 512}
        return JSONResponse({"object": "list", "data": [card]})

    async def complete(request):
        asked = await request.json()
        if asked.get("stream"):
            return reply(asked)
        choice = {"index": 0, "text": "x", "finish_reason": "length", "prompt_token_ids": asked["prompt"]}
        return JSONResponse({"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]})

    routes = [Route("/v1/models", models), Route("/v1/completions", complete, methods=["POST"])]
    return Starlette(routes=routes)


def piece(text, reason=None):
    choice = {"index": 0, "text": text, "finish_reason": reason, "token_ids": [5]}
    return {"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}


def test_settings_never_go_to_a_server_that_ignores_them(serving):
    asked = []

    def reply(body):
        asked.append(body)
        return stream_of(piece("Nile"), piece(".", "stop"))

    with serving(lookalike(reply)) as address, ServedEngine.at(address) as engine:
        assert (engine.name, engine.context_window, engine.model.takes_tokens) == ("m", 512, True)
        with pytest.raises(ConfigError, match="does not support Scaled ReAttention"):
            engine.generate(ASK, sra=0.2)
        assert asked == []
        said = engine.generate(ASK, sra={"alpha": 0})
        assert (said.text, said.finish_reason, said.token_ids) == ("Nile.", "stop", (5, 5))
        assert said.usage.completion_tokens == 2
    [body] = asked
    assert body["prompt"] == list(engine.encode(ASK).token_ids)
    assert "vllm_xargs" not in body


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda _: stream_of(piece("Ni")), "stopped the answer after 2 characters"),
        (lambda _: stream_of(piece("Ni"), {"error": {"message": "out of luck", "code": 500}}), "out of luck"),
        (lambda _: JSONResponse({"error": {"message": "no such adapter"}}, 404), "status 404.*no such adapter"),
    ],
)
def test_an_answer_that_breaks_off_is_no_answer(serving, reply, said):
    with (
        serving(lookalike(reply)) as address,
        ServedEngine.at(address) as engine,
        pytest.raises(VLLMServerError, match=said),
    ):
        engine.generate(ASK)


def test_what_is_no_server_of_models_is_said(serving):
    async def page(_):
        return HTMLResponse("<h1>Welcome</h1>")

    with (
        serving(Starlette(routes=[Route("/{path:path}", page)])) as address,
        pytest.raises(ConfigError, match="serves 0 models"),
    ):
        ServedEngine.at(address)
    with pytest.raises(VLLMServerError, match="cannot be reached"):
        ServedEngine.at("http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("https://models.example/llm/v1/", "https://models.example/llm/v1"),
    ],
)
def test_addresses(given, base):
    assert base_url(given) == base


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host/v1", "http://", "http://host:x/v1"])
def test_what_is_no_address(address):
    with pytest.raises(ConfigError, match="not a valid server address"):
        base_url(address)


@pytest.mark.parametrize("address", ["http://ada:hunter2@host/v1", "http://host/v1?key=hunter2"])
def test_secrets_in_an_address_are_refused_and_not_repeated(address):
    with pytest.raises(ConfigError) as caught:
        base_url(address)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"where": "there"}, "--engine 'there' is not allowed"),
        ({"where": "here", "tokenizer": "embedded"}, "--tokenizer cannot be used with --engine here"),
        ({"where": "here", "window": 100}, "--window cannot be used with --engine here"),
        ({"where": "http://host/v1", "dtype": "float32"}, "already loaded"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(options, said):
    with pytest.raises(ConfigError, match=said):
        EngineChoice(**options)


def test_a_missing_package_names_the_command(monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "vllm" else found(name, *a))
    with pytest.raises(MissingExtraError, match=r"pip install 'sra-rag\[vllm\]'"):
        EngineChoice("vllm")


def test_the_command_asks_a_server(serving, tmp_path):
    (tmp_path / "lease.txt").write_text("The lease of the warehouse costs 82,400 crowns a year.")
    question = ["ask", "What does the lease cost?", str(tmp_path / "lease.txt"), "--context-tokens", "100"]

    def reply(_):
        return stream_of(piece("82,400 crowns a year.", "stop"))

    with serving(lookalike(reply)) as address:
        refused = CliRunner().invoke(make_app(), [*question, "--engine", address])
        assert isinstance(refused.exception, ConfigError)
        assert "--sra off" in str(refused.exception)
        asked = [*question, "--engine", address, "--sra", "off", "--max-new-tokens", "20"]
        said = CliRunner().invoke(make_app(), asked, catch_exceptions=False)
    assert said.exit_code == 0
    assert "82,400 crowns a year." in said.stdout
    assert "sources: lease" in said.stdout


def test_the_handshake_cannot_be_mistaken():
    with pytest.raises(ConfigError) as caught:
        handshake.answer(handshake.QUESTION)
    assert handshake.version_in(f"400: {caught.value} (sra)") == handshake.version_in(str(caught.value)) != ""
    for text in (f"{handshake.QUESTION}", "no setting", "sra-rag reattends here."):
        assert handshake.version_in(text) is None
    for extra in (None, {}, {"sra": "off"}, {"sra": 0.2}):
        handshake.answer(extra)


def test_what_was_opened_is_closed(serving):
    def loops():
        return {thread for thread in threading.enumerate() if thread.name == "sra-rag-loop"}

    before = loops()
    with serving(lookalike(lambda _: None)) as address:
        with open_engine(EngineChoice(address), start=lambda _: lambda *_: None) as engine:
            assert engine.in_flight == 16
            assert loops() > before
        assert loops() == before
