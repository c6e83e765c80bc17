"""Evidence inside vLLM: weighed spans and returned attention are those of transformers, however requests are run."""

import itertools
import math

import pytest
import torch

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from transformers import DynamicCache
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.v1.sample.sampler import Sampler
from vllm_sra.cpu import block_sums
from vllm_sra.plugin.returned import return_attention

from sra_rag import SRAConfig
from sra_rag.evidence.choice import look_at_context
from sra_rag.generation.prompts import EncodedPrompt
from tests.vllm_sra.engines import Reference, prompt, run, save_tiny, start, stop, tokens_and_logprobs

CONTEXT = 57
HEADS = [[0, 1], [1, 0], [1, 3], [2, 2]]
FIRST, SECOND = [[10, 30, 8.0]], [[3, 9, 4.0], [40, 57, 16.0]]
ALL_BUT = [[0, 10, 16.0], [31, 33, 16.0], [50, None, 16.0]]  # other passages count less
LINES = [[0, 10], [10, 31], [33, 34], [40, 57]]
SETTINGS = [
    ("off", None),
    (SRAConfig(alpha=0.0, evidence={"weight": 4}), FIRST),
    (SRAConfig(alpha=0.5, rows="after_context"), None),
    (SRAConfig(alpha=0.0, evidence={"weight": 4, "heads": HEADS}), SECOND),
    (SRAConfig(alpha=0.5, evidence={"weight": 4, "heads": HEADS}), FIRST),
    (SRAConfig(alpha=0.8, rows="generated", evidence={"weight": 4}), SECOND),
    (SRAConfig(alpha=0.4, rows="all", evidence={"weight": 4}), FIRST),
    (SRAConfig(alpha=0.0, evidence={"weight": 1, "others": 16}), ALL_BUT),
]
PROMPTS = [prompt(n, 65 + 13 * n) for n in range(len(SETTINGS))]


def extra(sra, evidence, context=CONTEXT):
    if sra == "off":
        return None
    arguments = {"sra": sra.to_dict(), "sra_context_length": context}
    return arguments if evidence is None else arguments | {"sra_evidence": evidence}


# Prompts are read in chunks, and requests are put off and computed again, as there is little memory.
@pytest.fixture(scope="module", params=["llama", "mistral"])
def served(request, tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp(request.param), request.param)
    llm = start(
        folder, max_num_seqs=4, max_num_batched_tokens=64, max_model_len=256, num_gpu_blocks_override=15,
        max_logprobs=64, disable_log_stats=False,
    )  # fmt: skip
    yield llm, Reference(folder)
    stop(llm)


def check(outputs, reference, settings, prompts):
    for output, ids, (sra, evidence) in zip(outputs, prompts, settings, strict=True):
        tokens, actual = tokens_and_logprobs(output)
        sra = None if sra == "off" else sra
        expected = reference.logprobs(ids + tokens, len(ids), sra, CONTEXT, evidence)
        assert actual == pytest.approx(expected, abs=5e-5), (sra, evidence)
        if evidence is not None:  # otherwise agreement would be meaningless
            without = reference.logprobs(ids + tokens, len(ids), sra.replace(evidence=None), CONTEXT)
            assert max(abs(a - b) for a, b in zip(actual, without, strict=True)) > 1e-2


def is_windowed(reference):
    return getattr(reference.model.config, "sliding_window", None) is not None


def preemptions(llm):
    return next(metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions")


def test_requests_with_and_without_evidence_in_one_batch(served):
    llm, reference = served
    before = preemptions(llm)
    check(run(llm, PROMPTS, [extra(*one) for one in SETTINGS], tokens=40), reference, SETTINGS, PROMPTS)
    assert preemptions(llm) > before or is_windowed(reference)  # a window frees blocks


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled kernels", "no compiler"])
def test_requests_that_decode_together_with_evidence(served, compiled, monkeypatch):
    llm, reference = served
    if not compiled:
        monkeypatch.setattr(block_sums, "compiled_kernels", lambda: None)
    settings = [SETTINGS[1], SETTINGS[4], SETTINGS[1]]
    check(run(llm, PROMPTS[:3], [extra(*one) for one in settings], tokens=12), reference, settings, PROMPTS[:3])


def test_the_context_is_shared_whatever_is_weighed(served):
    llm, reference = served
    if is_windowed(reference):
        pytest.skip("a sliding window keeps fewer blocks")
    ids, sra = prompt(31, 150), SRAConfig(alpha=0.0, evidence={"weight": 4})
    assert llm.reset_prefix_cache()
    for evidence, cached in ((None, 0), (FIRST, 32), (SECOND, 32), (FIRST, 128), (None, 128)):
        one = ("off", None) if evidence is None else (sra, evidence)
        outputs = run(llm, [ids], [extra(*one)])
        assert outputs[0].num_cached_tokens == cached
        check(outputs, reference, [one], [ids])


def look(llm, ids, spans=LINES, heads=HEADS, context=CONTEXT, **options):
    arguments = {"sra_return_evidence": {"spans": spans, "heads": heads}, "sra_context_length": context}
    return run_look(llm, [ids], [arguments], len(spans), **options)[0]


def run_look(llm, prompts, extras, spans, **options):
    defaults = {"max_tokens": 1, "logprobs": spans, "temperature": 0, "detokenize": False}
    params = [SamplingParams(**defaults | options, extra_args=arguments) for arguments in extras]
    return llm.generate([{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False)


def shares(output, spans=LINES):
    [of_token] = output.outputs[0].logprobs
    assert sum(math.exp(entry.logprob) for entry in of_token.values()) == pytest.approx(1, abs=1e-5)
    return [math.exp(of_token[index].logprob) for index in range(len(spans))]


@torch.inference_mode()
def expected_shares(reference, ids, spans=LINES, heads=HEADS, context=CONTEXT):
    cache = DynamicCache()
    reference.model(torch.tensor([ids[:context]]), past_key_values=cache)
    found = look_at_context(reference.model, cache, EncodedPrompt(tuple(ids), context), heads, spans).shares()
    return (found / found.sum(1, keepdim=True)).mean(0).tolist()


def test_attention_is_returned(served):
    llm, reference = served
    if is_windowed(reference):
        pytest.skip("transformers forgets the keys before a sliding window")
    ids = prompt(41, 150)
    assert llm.reset_prefix_cache()
    expected = expected_shares(reference, ids)
    for cached in (0, 32, 32):  # the rows after the context are always computed
        output = look(llm, ids)
        assert output.num_cached_tokens == cached
        assert shares(output) == pytest.approx(expected, abs=1e-5)
    assert max(expected) > 2 * min(expected)
    every = list(itertools.product(range(3), range(4)))
    assert shares(look(llm, ids, heads="all")) == pytest.approx(expected_shares(reference, ids, heads=every), abs=1e-5)


@torch.inference_mode()
def test_the_shares_of_passages_in_each_row_are_returned_behind_the_others(served):
    llm, reference = served
    passages, ids = [1, len(LINES) - 1], prompt(43, CONTEXT + 25)
    asked = {"spans": LINES, "heads": HEADS, "passages": passages}
    arguments = {"sra_return_evidence": asked, "sra_context_length": CONTEXT}
    [output] = run_look(llm, [ids], [arguments], len(LINES) + 2 * 25)
    [of_token] = output.outputs[0].logprobs
    returned = torch.tensor([of_token[index].logprob for index in range(len(LINES) + 2 * 25)]).exp() * 26

    close = {"atol": 1e-4, "rtol": 1e-4}
    rows = returned[len(LINES) :].view(25, 2)
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(25), **close)
    torch.testing.assert_close(returned[: len(LINES)].sum(), torch.tensor(1.0), **close)
    if not is_windowed(reference):  # transformers forgets the keys before a sliding window
        cache = DynamicCache()
        reference.model(torch.tensor([ids[:CONTEXT]]), past_key_values=cache)
        found = look_at_context(reference.model, cache, EncodedPrompt(tuple(ids), CONTEXT), HEADS, LINES, by_row=True)
        torch.testing.assert_close(returned[: len(LINES)], torch.tensor(expected_shares(reference, ids)), **close)
        torch.testing.assert_close(rows, found.row_shares(passages), **close)
        assert rows.max(dim=0).values.min() > 2 * rows.min()

    with pytest.raises(VLLMValidationError, match="logprobs=4, the number of spans, and for each row .* 2, the number"):
        run_look(llm, [ids], [arguments], len(LINES) + 3)
    for wrong in ([1, 1], [0, len(LINES)], "all"):
        with pytest.raises(VLLMValidationError, match="how many of the 4 spans each passage has"):
            run_look(llm, [ids], [arguments | {"sra_return_evidence": asked | {"passages": wrong}}], 64)


def test_the_only_span_gets_all_of_the_attention(served):
    llm, _ = served
    ids = PROMPTS[0]
    for context in (len(ids) - 1, 1):  # the first is the question of the client: does this server return attention?
        [of_token] = look(llm, ids, [[0, 1]], [[0, 0]], context).outputs[0].logprobs
        assert of_token[0].logprob == 0


def test_a_prompt_without_rows_after_its_context_has_no_shares(served):
    llm, _ = served
    output = look(llm, PROMPTS[0][:CONTEXT])
    [of_token] = output.outputs[0].logprobs
    assert of_token.pop(len(LINES)).logprob == 0
    assert {entry.logprob for entry in of_token.values()} == {-math.inf}


def test_requests_that_return_attention_do_not_change_others(served):
    llm, reference = served
    asked = {"sra_return_evidence": {"spans": LINES, "heads": HEADS}, "sra_context_length": CONTEXT}
    others = [{"sra_return_evidence": {"spans": LINES[1:]}, "sra_context_length": CONTEXT}, extra(*SETTINGS[1])]
    alone = [shares(run_look(llm, [PROMPTS[n]], [asked], 4)[0]) for n in (0, 1)]
    looks = [asked, asked, *others]
    params = [
        SamplingParams(max_tokens=1 if "sra_return_evidence" in one else 12, temperature=0, detokenize=False,
                       ignore_eos=True, extra_args=one, logprobs=count)
        for one, count in zip(looks, (4, 4, 3, 1), strict=True)
    ]  # fmt: skip
    outputs = llm.generate([{"prompt_token_ids": ids} for ids in PROMPTS[:4]], params, use_tqdm=False)
    for one, together in zip(alone, outputs, strict=False):
        assert shares(together) == pytest.approx(one, abs=1e-5)
    check(outputs[3:], reference, [SETTINGS[1]], PROMPTS[3:4])


def test_what_cannot_be_weighed_or_returned_is_rejected_and_the_engine_works_on(served):
    llm, reference = served
    weighed = extra(*SETTINGS[1])
    for wrong, message in (
        (weighed | {"sra_evidence": [[10, 300, 4.0]]}, "10, 300"),
        (weighed | {"sra_evidence": [[10, None, 4.0], [40, 50, 4.0]]}, "10, None"),
        (weighed | {"sra": {"evidence": {"weight": 4, "heads": [[3, 0]]}}}, "head 3.0"),
        (weighed | {"sra": {"evidence": {"weight": 4, "heads": 5}}}, "evidence.heads=5"),
    ):
        with pytest.raises(VLLMValidationError, match=message):
            run(llm, PROMPTS[:1], [wrong])
    for options, message in (({"max_tokens": 2}, "max_tokens=1"), ({"logprobs": 3}, "logprobs=4")):
        with pytest.raises(VLLMValidationError, match=message):
            look(llm, PROMPTS[0], **options)
    many = [[position, position + 1] for position in range(65)]
    with pytest.raises(VLLMValidationError, match="logprobs of 65.*max allowed: 64"):  # the client adds --max-logprobs
        look(llm, prompt(1, 100), spans=many, context=70)
    check(run(llm, PROMPTS[:1], [weighed]), reference, SETTINGS[1:2], PROMPTS[:1])


def test_the_patched_sampler_of_vllm_still_exists():
    plain = Sampler.forward
    return_attention()
    assert Sampler.forward is plain  # already patched by the plugin
    assert list(plain.__wrapped__.__annotations__)[:2] == ["logits", "sampling_metadata"]
