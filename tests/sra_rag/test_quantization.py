"""Weights in 4 and 8 bits: they take less memory, say nearly the same, and are sharpened as any others."""

import pytest
import torch

from sra_rag import Engine, SamplingOptions, load_model, reattend

pytest.importorskip("bitsandbytes", reason="needs pip install 'sra-rag[quantization]'")

pytestmark = pytest.mark.slow
PROMPT = [{"role": "user", "content": "The rent is 82,400 crowns a year.\n\nWhat is the rent?"}]


@pytest.mark.parametrize(("bits", "least"), [("4bit", 0.7), ("8bit", 0.97)])
def test_quantized_weights(embedded, bits, least):
    quantized = load_model("embedded", quantization=bits, dtype="float32")
    assert quantized.model.get_memory_footprint() < embedded.model.get_memory_footprint() / 2
    ids = embedded.tokenizer.apply_chat_template(PROMPT, return_tensors="pt", return_dict=True)["input_ids"]
    alike, said = [], []
    with torch.no_grad():
        for sra in (None, 0.4):
            with reattend(embedded.model, sra), reattend(quantized.model, sra):
                whole, few = embedded.model(ids).logits[0], quantized.model(ids.to(quantized.device)).logits[0].cpu()
            alike.append(torch.cosine_similarity(whole, few).mean().item())
            said.append(few)
    off, on = alike
    assert off > least
    assert on == pytest.approx(off, abs=0.05)  # with reattention as without
    assert not torch.equal(*said)
    engine = Engine(quantized, options=SamplingOptions(max_new_tokens=12))
    assert "82,400 crowns" in engine.generate(PROMPT, sra=0.4).text
