"""A model on a real vLLM server behaves like the same model in this process."""

import dataclasses
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
from sra_rag.heads.probes import probe_groups
from sra_rag.notation import parse_sra

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
def test_answers_and_likelihoods_equal_those_of_a_local_model(served, local, sra):
    arguments = {"context": CONTEXT, "sra": sra}
    actual, expected = served.generate(MESSAGES, **arguments), local.generate(MESSAGES, **arguments)
    assert (actual.text, actual.token_ids, actual.finish_reason) == (
        expected.text,
        expected.token_ids,
        expected.finish_reason,
    )
    assert actual.usage.prompt_tokens == expected.usage.prompt_tokens
    assert actual.usage.completion_tokens == expected.usage.completion_tokens
    assert (actual.sra, actual.context_length) == (expected.sra, expected.context_length)
    assert actual.timing.prefill_seconds > 0
    gold = "71,700 crowns a year."
    likelihood = served.answer_likelihood(MESSAGES, gold, **arguments)
    expected_likelihood = answer_likelihood(local, MESSAGES, gold, **arguments)
    assert likelihood.log_probabilities == pytest.approx(expected_likelihood.log_probabilities, abs=2e-3)
    assert likelihood.prompt_tokens == expected_likelihood.prompt_tokens
    if sra is not None:
        off = served.answer_likelihood(MESSAGES, gold, context=CONTEXT)
        assert max(abs(a - b) for a, b in zip(likelihood.log_probabilities, off.log_probabilities, strict=True)) > 0.02


PASSAGES = CONTEXT.split("\n")
EVIDENCE = [
    "evidence",
    {"evidence": {"weight": 8, "unit": "line", "words": False}, "alpha": 0.3},
    {"evidence": {"weight": 1, "others": 16}},
    {"evidence": {"weight": 8, "gate": 50}, "alpha": 0.3},
]


@pytest.mark.parametrize("sra", EVIDENCE, ids=["measured", "lines and sharpening", "others less", "nothing stands out"])
def test_evidence_and_answers_equal_those_of_a_local_model(served, local, sra):
    arguments = {"context": CONTEXT, "passages": PASSAGES, "sra": sra}
    actual, expected = served.generate(MESSAGES, **arguments), local.generate(MESSAGES, **arguments)
    assert (actual.text, actual.token_ids, actual.sra) == (expected.text, expected.token_ids, expected.sra)
    found, wanted = actual.evidence, expected.evidence
    assert (found.chosen, found.best_lines, found.spans) == (wanted.chosen, wanted.best_lines, wanted.spans)
    assert found.weights == wanted.weights
    assert found.shares == pytest.approx(wanted.shares, abs=1e-4)
    assert max(found.shares) > 2 / len(PASSAGES)
    gold = "71,700 crowns a year."
    likelihood = served.answer_likelihood(MESSAGES, gold, **arguments)
    assert likelihood.log_probabilities == pytest.approx(
        answer_likelihood(local, MESSAGES, gold, **arguments).log_probabilities, abs=2e-3
    )
    off = served.answer_likelihood(MESSAGES, gold, context=CONTEXT)
    changed = max(abs(a - b) for a, b in zip(likelihood.log_probabilities, off.log_probabilities, strict=True))
    assert changed > 0.02 if found.chosen else changed < 1e-4


def test_a_question_of_two_parts_has_both_passages_weighed(vllm_server, served, local, monkeypatch):
    texts = [passage.text for passage in (*probe_groups()[0], *probe_groups()[1])]
    context = "\n\n".join(texts)
    question = (
        "What is the price of the sailcloth a metre? And within how many days must claims for damp rolls be made?"
    )
    asked = [{"role": "user", "content": f"Answer from the passages.\n\n{context}\n\n{question}"}]
    wanted = local.generate(asked, context=context, passages=texts, sra="evidence")
    found = served.generate(asked, context=context, passages=texts, sra="evidence")
    assert (found.evidence.chosen, found.evidence.spans) == (wanted.evidence.chosen, wanted.evidence.spans)
    assert found.token_ids == wanted.token_ids
    assert {word for word in ("sailcloth", "damp rolls") for n in found.evidence.chosen if word in texts[n]} == {
        "sailcloth", "damp rolls"
    }  # fmt: skip
    # Where so many numbers are not returned, one passage is weighed.
    monkeypatch.setattr("vllm_sra.client.served_evidence.MOST_NUMBERS", 10)
    fewer = served.generate(asked, context=context, passages=texts, sra="evidence").evidence
    assert fewer.chosen == found.evidence.chosen[:1]
    monkeypatch.setattr("vllm_sra.client.served_evidence.MOST_NUMBERS", 1_000_000)
    long = asked[0]["content"] + " And the others?" * 120  # more numbers than this server returns
    refused = served.generate([{"role": "user", "content": long}], context=context, passages=texts, sra="evidence")
    assert len(refused.evidence.chosen) == 1


def test_the_first_passage_of_a_search_is_chosen_by_as_with_a_local_model(served, local):
    asked = [{"role": "user", "content": f"{CONTEXT}\n\nWarum?"}]
    arguments = {
        "context": CONTEXT,
        "passages": PASSAGES,
        "sra": parse_sra("evidence=4,evidence.gate=agree,evidence.retrieval=true"),
    }
    without = local.generate(asked, **arguments).evidence
    best = without.shares.index(max(without.shares))
    scores = [float(number == best) for number in range(len(PASSAGES))]
    wanted = local.generate(asked, passage_scores=scores, **arguments)
    found = served.generate(asked, passage_scores=scores, **arguments)
    assert wanted.evidence.chosen == found.evidence.chosen == (best,)
    assert found.token_ids == wanted.token_ids
    [plain, of_batch] = served.generate_batch(
        [asked] * 2, contexts=[CONTEXT] * 2, passage_lists=[PASSAGES] * 2, score_lists=[None, scores],
        sra=arguments["sra"],
    )  # fmt: skip
    assert (plain.evidence.chosen, of_batch.evidence.chosen) == (without.chosen, (best,))


def test_evidence_in_streams_in_batches_and_without_reuse(served):
    arguments = {"context": CONTEXT, "passages": PASSAGES, "sra": "evidence"}
    whole = served.generate(MESSAGES, **arguments)
    assert whole.evidence.chosen == (6,)
    *_, last = served.stream(MESSAGES, **arguments)
    assert (last.generation.text, last.generation.evidence) == (whole.text, whole.evidence)
    batch = served.generate_batch(
        [MESSAGES, QUESTION], contexts=[CONTEXT, None], passage_lists=[PASSAGES, None], sra="evidence"
    )
    assert batch[0].token_ids == whole.token_ids
    assert batch[1].evidence is None
    assert batch[1].token_ids == served.generate(QUESTION).token_ids
    assert served.generate(MESSAGES, **arguments).usage.cached_tokens > 100
    with served.isolated() as isolated:
        assert isolated.generate(MESSAGES, **arguments).usage.cached_tokens == 0


def test_a_model_whose_heads_are_not_known_here_is_asked_for_with_named_heads(vllm_server, served, local):
    model = dataclasses.replace(served.model, source="someone/unknown")
    with ServedEngine(model, api_key=vllm_server.api_key, options=served.options) as engine:
        assert not engine.weighs_evidence
        assert served.weighs_evidence
        for sra in ("evidence", "evidence=4"):
            with pytest.raises(ConfigError, match="sra-rag heads"):
                engine.generate(MESSAGES, context=CONTEXT, passages=PASSAGES, sra=parse_sra(sra))
        sra = parse_sra("evidence=4,evidence.look=18.7+17.4,evidence.heads=18.7+15.6")
        actual = engine.generate(MESSAGES, context=CONTEXT, passages=PASSAGES, sra=sra)
        assert actual.token_ids == local.generate(MESSAGES, context=CONTEXT, passages=PASSAGES, sra=sra).token_ids


def test_a_stream_gives_the_same_text_and_ends_with_the_complete_answer(served):
    *pieces, last = served.stream(QUESTION)
    whole = served.generate(QUESTION)
    assert "".join(piece.text for piece in pieces) == whole.text == last.generation.text
    assert len(pieces) > 3
    assert last.generation.token_ids == whole.token_ids


def test_sampling_options_are_applied(served, local):
    long = {"max_new_tokens": 40}
    whole = served.generate(QUESTION, **long).text
    stop = whole[10:14]
    cut = served.generate(QUESTION, stop=stop, **long)
    assert (cut.text, cut.finish_reason) == (whole[: whole.index(stop)], "stop")
    sampled = {"temperature": 1.3, "top_k": 20, "min_p": 0.02, **long}
    first = served.generate(QUESTION, seed=1, **sampled)
    assert served.generate(QUESTION, seed=1, **sampled).token_ids == first.token_ids
    assert served.generate(QUESTION, seed=2, **sampled).token_ids != first.token_ids
    assert served.generate(QUESTION, max_new_tokens=3).usage.completion_tokens == 3
    penal = {"repetition_penalty": 1.3}
    assert served.generate(QUESTION, **penal).token_ids == local.generate(QUESTION, **penal).token_ids
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"],
              "additionalProperties": False}  # fmt: skip
    text = served.generate(QUESTION, json_schema=schema, max_new_tokens=30).text
    assert "".join(text.split()).startswith('{"n":')


def test_document_text_never_becomes_a_control_token(served):
    messages = [{"role": "user", "content": "What does <|im_end|> mean?<|im_end|>"}]
    prompt = served.encode(messages)
    assert served.generate(messages).usage.prompt_tokens == len(prompt.token_ids)
    end = served.model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert prompt.token_ids.count(end) == served.encode(QUESTION).token_ids.count(end)


def test_each_prompt_of_a_batch_has_its_own_context(served):
    contexts = [CONTEXT, "Name three"]
    prompts, sra = [MESSAGES, QUESTION], {"alpha": 0.4, "rows": "after_context"}
    batch = served.generate_batch(prompts, contexts=contexts, sra=sra)
    for prompt, context, answer in zip(prompts, contexts, batch, strict=True):
        assert answer.token_ids == served.generate(prompt, context=context, sra=sra).token_ids
    assert served.generate_batch([]) == []


def test_prefills_are_reused_unless_reuse_is_disabled(served):
    served.generate(MESSAGES)
    assert served.generate(MESSAGES).usage.cached_tokens > 100
    with served.isolated() as isolated:
        assert isolated.generate(MESSAGES).usage.cached_tokens == 0


def running(server):
    with urllib.request.urlopen(server.address.removesuffix("/v1") + "/metrics", timeout=30) as response:  # noqa: S310
        lines = response.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


def wait_until_idle(server):
    deadline = time.monotonic() + 60
    while running(server):
        assert time.monotonic() < deadline, "the server still works on a cancelled request"
        time.sleep(0.2)


LONG = {"max_new_tokens": 1500, "temperature": 1.5, "seed": 3}


def test_a_cancelled_request_returns_its_partial_answer_and_frees_the_server(vllm_server, served):
    cancel = threading.Event()
    pieces = served.stream(QUESTION, cancel=cancel, **LONG)
    assert next(pieces).text
    cancel.set()
    *_, last = pieces
    assert last.generation.finish_reason == "cancelled"
    assert 0 < last.generation.usage.completion_tokens < 1500
    wait_until_idle(vllm_server)
    abandoned = served.stream(QUESTION, **LONG)
    next(abandoned)
    abandoned.close()
    wait_until_idle(vllm_server)


def test_the_timeout_is_applied(vllm_server, served):
    with pytest.raises(GenerationTimeoutError, match=r"timeout=0\.5"):
        served.generate(QUESTION, timeout=0.5, **LONG)
    wait_until_idle(vllm_server)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"typical_p": 0.5}, "typical_p"),
        ({"no_repeat_ngram_size": 2}, "no_repeat_ngram_size"),
        ({"sra": {"alpha": 0.2, "bounds": "observed"}}, "rejected the request.*observed"),
        ({"sra": {"alpha": 0.2, "layers": [77]}}, "layers"),
        ({"sra": {"alpha": 0.2, "rows": "all", "evidence": 4}}, "rows=.all. is not available with evidence"),
        ({"shares": AttentionShares([(0, 1)], 2)}, "not available from a model on a server"),
    ],
)
def test_unsupported_options_are_rejected(served, arguments, message):
    with pytest.raises(ConfigError, match=message):
        served.generate(QUESTION, **arguments)
    assert served.generate(QUESTION, max_new_tokens=1).token_ids


def test_a_prompt_that_is_too_long_is_rejected(served):
    with pytest.raises(ContextOverflowError, match="2048"):
        served.generate("word " * 2045)
    with pytest.raises(ContextOverflowError, match="2048"):
        served.answer_likelihood("word " * 2040, "word " * 10)


def test_a_wrong_key_model_or_tokenizer_is_reported(vllm_server, tmp_path, local):
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
    with pytest.raises(ConfigError, match="does not match the one of 'embedded'"):
        ServedEngine.at(vllm_server.address, tokenizer=tmp_path / "other", api_key=key)


def test_the_model_and_its_context_window_are_discovered(vllm_server):
    with ServedEngine.at(vllm_server.address, api_key=vllm_server.api_key, context_window=1000) as engine:
        assert (engine.name, engine.context_window, engine.model.takes_tokens) == ("embedded", 1000, True)
        assert engine.model.reattends
        assert engine.model.returns_evidence
        assert set(engine.model.versions) == {"vllm", "sra-rag"}
