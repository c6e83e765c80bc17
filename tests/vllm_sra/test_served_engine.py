"""A model on a real vLLM server behaves as the same model in this process does."""

import threading
import time
import urllib.request

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from vllm_sra.client.prompt_context import VLLMServerError
from vllm_sra.client.served_engine import ServedEngine

from sra_rag import Engine, SamplingOptions
from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ConfigError, ContextOverflowError, GenerationTimeoutError, ModelLoadError
from sra_rag.generation.likelihood import answer_likelihood

CONTEXT = "\n".join(f"The rent of house {n} is {n}1,{n}00 crowns a year." for n in range(1, 13))
MESSAGES = [{"role": "user", "content": f"Answer from the text.\n\n{CONTEXT}\n\nWhat is the rent of house 7?"}]
QUESTION = [{"role": "user", "content": "Name three rivers."}]
SETTINGS = [
    None,
    {"alpha": 0.3},
    {"alpha": 0.4, "rows": "after_context"},
    {"alpha": 0.5, "rows": "generated", "layers": "last:9"},
]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def local(embedded):
    return Engine(embedded, options=SamplingOptions(max_new_tokens=12))


@pytest.mark.parametrize("sra", SETTINGS, ids=["off", "all", "after_context", "generated"])
def test_answers_and_likelihoods_are_those_of_the_model_in_this_process(served, local, sra):
    arguments = {"context": CONTEXT, "sra": sra}
    said, wanted = served.generate(MESSAGES, **arguments), local.generate(MESSAGES, **arguments)
    assert (said.text, said.token_ids, said.finish_reason) == (wanted.text, wanted.token_ids, wanted.finish_reason)
    assert said.usage.prompt_tokens == wanted.usage.prompt_tokens
    assert said.usage.completion_tokens == wanted.usage.completion_tokens
    assert (said.sra, said.context_length) == (wanted.sra, wanted.context_length)
    assert said.timing.prefill_seconds > 0
    gold = "71,700 crowns a year."
    found = served.answer_likelihood(MESSAGES, gold, **arguments)
    expected = answer_likelihood(local, MESSAGES, gold, **arguments)
    assert found.log_probabilities == pytest.approx(expected.log_probabilities, abs=2e-3)
    assert found.prompt_tokens == expected.prompt_tokens
    if sra is not None:
        off = served.answer_likelihood(MESSAGES, gold, context=CONTEXT)
        assert max(abs(a - b) for a, b in zip(found.log_probabilities, off.log_probabilities, strict=True)) > 0.02


def test_a_stream_says_the_same_and_ends_with_the_whole(served):
    *pieces, last = served.stream(QUESTION)
    whole = served.generate(QUESTION)
    assert "".join(piece.text for piece in pieces) == whole.text == last.generation.text
    assert len(pieces) > 3
    assert last.generation.token_ids == whole.token_ids


def test_options_are_honoured(served, local):
    long = {"max_new_tokens": 40}
    whole = served.generate(QUESTION, **long).text
    stop = whole[10:14]
    cut = served.generate(QUESTION, stop=stop, **long)
    assert (cut.text, cut.finish_reason) == (whole[: whole.index(stop)], "stop")
    drawn = {"temperature": 1.3, "top_k": 20, "min_p": 0.02, **long}
    first = served.generate(QUESTION, seed=1, **drawn)
    assert served.generate(QUESTION, seed=1, **drawn).token_ids == first.token_ids
    assert served.generate(QUESTION, seed=2, **drawn).token_ids != first.token_ids
    assert served.generate(QUESTION, max_new_tokens=3).usage.completion_tokens == 3
    penal = {"repetition_penalty": 1.3}
    assert served.generate(QUESTION, **penal).token_ids == local.generate(QUESTION, **penal).token_ids
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"],
              "additionalProperties": False}  # fmt: skip
    said = served.generate(QUESTION, json_schema=schema, max_new_tokens=30).text
    assert "".join(said.split()).startswith('{"n":')


def test_text_of_documents_never_becomes_a_control_token(served):
    spelled = [{"role": "user", "content": "What does <|im_end|> mean?<|im_end|>"}]
    prompt = served.encode(spelled)
    assert served.generate(spelled).usage.prompt_tokens == len(prompt.token_ids)
    end = served.model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert prompt.token_ids.count(end) == served.encode(QUESTION).token_ids.count(end)


def test_a_batch_answers_each_with_its_context(served):
    contexts = [CONTEXT, "Name three"]
    prompts, sra = [MESSAGES, QUESTION], {"alpha": 0.4, "rows": "after_context"}
    batch = served.generate_batch(prompts, contexts=contexts, sra=sra)
    for prompt, context, answer in zip(prompts, contexts, batch, strict=True):
        assert answer.token_ids == served.generate(prompt, context=context, sra=sra).token_ids
    assert served.generate_batch([]) == []


def test_prefills_are_shared_unless_that_is_not_wanted(served):
    served.generate(MESSAGES)
    assert served.generate(MESSAGES).usage.cached_tokens > 100
    with served.isolated() as isolated:
        assert isolated.generate(MESSAGES).usage.cached_tokens == 0


def running(server):
    with urllib.request.urlopen(server.address.removesuffix("/v1") + "/metrics", timeout=30) as said:  # noqa: S310
        lines = said.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


def wait_until_idle(server):
    until = time.monotonic() + 60
    while running(server):
        assert time.monotonic() < until, "the server goes on with what nobody wants"
        time.sleep(0.2)


LONG = {"max_new_tokens": 1500, "temperature": 1.5, "seed": 3}


def test_whoever_cancels_gets_what_there_is_and_frees_the_server(vllm_server, served):
    cancel = threading.Event()
    pieces = served.stream(QUESTION, cancel=cancel, **LONG)
    assert next(pieces).text
    cancel.set()
    *_, last = pieces
    assert last.generation.finish_reason == "cancelled"
    assert 0 < last.generation.usage.completion_tokens < 1500
    wait_until_idle(vllm_server)
    left = served.stream(QUESTION, **LONG)
    next(left)
    left.close()
    wait_until_idle(vllm_server)


def test_time_is_limited(vllm_server, served):
    with pytest.raises(GenerationTimeoutError, match=r"timeout=0\.5"):
        served.generate(QUESTION, timeout=0.5, **LONG)
    wait_until_idle(vllm_server)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"typical_p": 0.5}, "typical_p"),
        ({"no_repeat_ngram_size": 2}, "no_repeat_ngram_size"),
        ({"sra": {"alpha": 0.2, "bounds": "observed"}}, "refused the request.*observed"),
        ({"sra": {"alpha": 0.2, "layers": [77]}}, "layers"),
        ({"shares": AttentionShares([(0, 1)], 2)}, "not known of a model on a server"),
    ],
)
def test_what_cannot_be_honoured_is_refused(served, arguments, said):
    with pytest.raises(ConfigError, match=said):
        served.generate(QUESTION, **arguments)
    assert served.generate(QUESTION, max_new_tokens=1).token_ids


def test_a_prompt_that_does_not_fit_is_refused_with_both_counts(served):
    with pytest.raises(ContextOverflowError, match="2048"):
        served.generate("word " * 2045)
    with pytest.raises(ContextOverflowError, match="2048"):
        served.answer_likelihood("word " * 2040, "word " * 10)


def test_what_does_not_fit_the_server_is_said(vllm_server, tmp_path, local):
    key = vllm_server.api_key
    with pytest.raises(VLLMServerError, match="--engine-key") as caught:
        ServedEngine.at(vllm_server.address, tokenizer="embedded", api_key="a-wrong-key")
    assert "a-wrong-key" not in str(caught.value)
    with pytest.raises(ConfigError, match="no model 'another'.*'embedded'"):
        ServedEngine.at(vllm_server.address, model="another", api_key=key)
    with pytest.raises(ModelLoadError, match="nowhere"):
        ServedEngine.at(vllm_server.address, tokenizer=str(tmp_path / "nowhere"), api_key=key)
    tokenizer = type(local.loaded.tokenizer).from_pretrained(local.loaded.tokenizer.name_or_path)
    tokenizer.add_tokens(["crowns"])
    tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="is not that of 'embedded'"):
        ServedEngine.at(vllm_server.address, tokenizer=tmp_path / "other", api_key=key)


def test_the_model_and_its_window_are_found(vllm_server):
    with ServedEngine.at(vllm_server.address, api_key=vllm_server.api_key, context_window=1000) as engine:
        assert (engine.name, engine.context_window, engine.model.takes_tokens) == ("embedded", 1000, True)
        assert engine.model.reattends
        assert set(engine.model.versions) == {"vllm", "sra-rag"}
