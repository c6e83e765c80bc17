"""Tiny models written as GGUF files, as llama.cpp's converter writes them."""

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize
from transformers.convert_slow_tokenizer import bytes_to_unicode

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_HIDDEN, _FEED_FORWARD, _HEADS = 64, 128, 4


def write_qwen2(path, *, quantization="Q8_0", eos="<|im_end|>", template=CHATML, without=(), seed=0, **metadata):
    """Write a Qwen2 of two layers with a tokenizer of bytes; `without` names tensors to leave out."""
    tokens = [*bytes_to_unicode().values(), "he", *SPECIAL]
    types = [TokenType.NORMAL] * 257 + [TokenType.CONTROL] * 3
    writer = _writer(path, "qwen2", metadata)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["h e"])
    writer.add_eos_token_id(tokens.index(eos))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    if template:
        writer.add_chat_template(template)
    layer = {
        "attn_norm.weight": (_HIDDEN,), "ffn_norm.weight": (_HIDDEN,),
        "attn_q.weight": (_HIDDEN, _HIDDEN), "attn_q.bias": (_HIDDEN,),
        "attn_k.weight": (_HIDDEN // 2, _HIDDEN), "attn_k.bias": (_HIDDEN // 2,),
        "attn_v.weight": (_HIDDEN // 2, _HIDDEN), "attn_v.bias": (_HIDDEN // 2,),
        "attn_output.weight": (_HIDDEN, _HIDDEN),
    }  # fmt: skip
    return _write(writer, layer, {"output.weight": (len(tokens), _HIDDEN)}, len(tokens), quantization, without, seed)


def write_gemma3(path, *, quantization="Q8_0", seed=0, **metadata):
    """Write a Gemma 3 of two layers, pretrained: a sentencepiece tokenizer and no chat template."""
    pieces = [("<pad>", TokenType.CONTROL), ("<eos>", TokenType.CONTROL), ("<bos>", TokenType.CONTROL)]
    pieces += [("<unk>", TokenType.UNKNOWN), *((f"<0x{n:02X}>", TokenType.BYTE) for n in range(256))]
    pieces += [(piece, TokenType.NORMAL) for piece in ["▁", *"abcdefghijklmnopqrstuvwxyz", "he", "▁he"]]
    writer = _writer(path, "gemma3", metadata)
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_sliding_window(16)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece for piece, _ in pieces])
    writer.add_token_scores([-float(n) for n in range(len(pieces))])
    writer.add_token_types([kind for _, kind in pieces])
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    norms = ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm")
    layer = {f"{norm}.weight": (_HIDDEN,) for norm in norms} | {
        "attn_q_norm.weight": (32,), "attn_k_norm.weight": (32,),
        "attn_q.weight": (_HEADS * 32, _HIDDEN), "attn_k.weight": (64, _HIDDEN), "attn_v.weight": (64, _HIDDEN),
        "attn_output.weight": (_HIDDEN, _HEADS * 32),
    }  # fmt: skip
    return _write(writer, layer, {}, len(pieces), quantization, (), seed)


def write_llama(path, model, *, template, quantization="F32"):
    """Write a `LlamaForCausalLM` with a sentencepiece tokenizer, as Llama 2 and Mistral have one."""
    pieces = [("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL)]
    pieces += [(f"<0x{n:02X}>", TokenType.BYTE) for n in range(256)]
    pieces += [(piece, TokenType.NORMAL) for piece in ["▁", *"abcdefghijklmnopqrstuvwxyz", "he", "▁he"]]
    writer = _writer(path, "llama", {})
    writer.add_vocab_size(len(pieces))
    writer.add_rope_dimension_count(_HIDDEN // _HEADS)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece for piece, _ in pieces])
    writer.add_token_scores([-float(n) for n in range(len(pieces))])
    writer.add_token_types([kind for _, kind in pieces])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template(template)
    kind = GGMLQuantizationType[quantization]
    for name, values in _llama_tensors(model):
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    return _finish(writer)


LLAMA = {"hidden_size": _HIDDEN, "intermediate_size": _FEED_FORWARD, "num_hidden_layers": 2, "vocab_size": 288,
         "num_attention_heads": _HEADS, "num_key_value_heads": 2, "max_position_embeddings": 256}  # fmt: skip
"""Settings of a model that `write_llama` writes."""

_LLAMA_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def _llama_tensors(model):
    weights = {name: value.detach().float().numpy() for name, value in model.state_dict().items()}
    yield "token_embd.weight", weights["model.embed_tokens.weight"]
    yield "output_norm.weight", weights["model.norm.weight"]
    yield "output.weight", weights["lm_head.weight"]
    for layer in range(LLAMA["num_hidden_layers"]):
        for name, short in _LLAMA_NAMES.items():
            values = weights[f"model.layers.{layer}.{name}.weight"]
            heads = {"attn_q": _HEADS, "attn_k": 2}.get(short)
            if heads is not None:  # llama.cpp rotates neighbours, transformers the two halves of a head
                shape = values.shape
                values = values.reshape(heads, 2, shape[0] // heads // 2, shape[1]).swapaxes(1, 2).reshape(shape)
            yield f"blk.{layer}.{short}.weight", np.ascontiguousarray(values)


def write_unknown(path, architecture):
    """Write a file of an architecture that nobody can read."""
    writer = _writer(path, architecture, {})
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    return _finish(writer)


def _writer(path, architecture, metadata):
    writer = GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_block_count(2)
    writer.add_context_length(256)
    writer.add_embedding_length(_HIDDEN)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    for key, value in metadata.items():
        writer.add_uint16(key.replace("__", "."), value)
    return writer


def _write(writer, layer, others, vocabulary, quantization, without, seed):
    feed_forward = {
        "ffn_gate.weight": (_FEED_FORWARD, _HIDDEN),
        "ffn_up.weight": (_FEED_FORWARD, _HIDDEN),
        "ffn_down.weight": (_HIDDEN, _FEED_FORWARD),
    }
    shapes = {"token_embd.weight": (vocabulary, _HIDDEN), "output_norm.weight": (_HIDDEN,)} | others
    shapes |= {f"blk.{n}.{name}": shape for n in range(2) for name, shape in (layer | feed_forward).items()}
    random = np.random.default_rng(seed)
    kind = GGMLQuantizationType[quantization]
    for name, shape in shapes.items():
        values = (random.standard_normal(shape) * 0.1 + (len(shape) == 1)).astype(np.float32)
        if name in without:
            continue
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    return _finish(writer)


def _finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return writer.path if hasattr(writer, "path") and writer.path else None
