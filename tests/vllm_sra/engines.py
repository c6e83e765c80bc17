"""vLLM engines for the tests, with tiny random models whose attention is not uniform, and a transformers reference."""

import gc

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig
from vllm import LLM, SamplingParams

from sra_rag import SRAConfig
from sra_rag.attention.evidence import TO_END, Evidence
from sra_rag.attention.reattend import reattend

VOCABULARY = 128
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CONFIGS = {
    "llama": LlamaConfig(**SHAPE),
    "mistral": MistralConfig(**SHAPE, sliding_window=48),
    # For Triton's interpreter: two layers, and a window smaller than short prompts.
    "shallow": LlamaConfig(**SHAPE | {"num_hidden_layers": 2}),
    "narrow": MistralConfig(**SHAPE | {"num_hidden_layers": 2}, sliding_window=9),
}


def save_tiny(folder, name="llama"):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[name], dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)
    model.save_pretrained(folder)
    return folder


ON_GPU = torch.cuda.is_available()
# Use only a part of a GPU, so that several engines fit.
_GPU_LIMITS = {"kv_cache_memory_bytes": 2**28, "gpu_memory_utilization": 0.1} if ON_GPU else {}


def start(folder, **options):
    """Start an engine in this process; float32, so that results differ only by rounding errors."""
    defaults = {
        "skip_tokenizer_init": True, "enforce_eager": True, "dtype": "float32", "max_model_len": 512,
        "max_num_seqs": 8, "block_size": 32, "seed": 0,
    }  # fmt: skip
    return LLM(str(folder), **(defaults | _GPU_LIMITS | options))


def stop(llm):
    llm.llm_engine.engine_core.shutdown()
    gc.collect()
    if ON_GPU:
        torch.cuda.empty_cache()


def prompt(seed, length):
    return torch.randint(3, VOCABULARY, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def run(llm, prompts, extras, tokens=6, prompt_logprobs=None):
    """Generate greedily without early stopping."""
    params = [
        SamplingParams(
            max_tokens=tokens, temperature=0, logprobs=1, prompt_logprobs=prompt_logprobs, detokenize=False,
            ignore_eos=True, extra_args=extra,
        )
        for extra in extras
    ]  # fmt: skip
    return llm.generate([{"prompt_token_ids": p} for p in prompts], params, use_tqdm=False)


def tokens_and_logprobs(output):
    """Return the generated tokens and their log-probabilities."""
    completion = output.outputs[0]
    tokens = list(completion.token_ids)
    return tokens, [step[token].logprob for token, step in zip(tokens, completion.logprobs, strict=True)]


class Reference:
    """The same model in transformers."""

    def __init__(self, folder, dtype=torch.float32):
        self.model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sra", dtype=dtype).eval()

    def logprobs(self, tokens, prompt_length, sra=None, context_length=None, evidence=None):
        """Return the log-probability of each token after the prompt, given the preceding tokens.

        `evidence` are the weighed spans: a list of ``[start, end, weight]``; the last end may be None.
        """
        sra = SRAConfig(alpha=0) if sra is None else sra
        with torch.no_grad(), reattend(
            self.model, sra, context_length=context_length, prompt_length=prompt_length
        ) as session:  # fmt: skip
            if evidence is not None:
                spans = [(first, TO_END if last is None else last) for first, last, _ in evidence]
                weights = [part[2] for part in evidence]
                heads = None if sra.evidence.heads == "all" else sra.evidence.heads
                session.evidence = Evidence(
                    [spans], [context_length], weight=[weights], heads=heads,
                    n_layers=SHAPE["num_hidden_layers"], n_heads=SHAPE["num_attention_heads"],
                )  # fmt: skip
            logits = self.model(torch.tensor([tokens])).logits[0]
        logprobs = logits.float().log_softmax(-1)
        return [logprobs[i - 1, tokens[i]].item() for i in range(prompt_length, len(tokens))]
