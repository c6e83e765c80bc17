"""Requests that vLLM put off and computed again get what transformers gives."""

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from tests.vllm_sra.engines import run, save_tiny, start, stop
from tests.vllm_sra.test_engine import PROMPTS, SETTINGS, check


def test_requests_that_were_put_off_and_computed_again(tmp_path):
    model = save_tiny(tmp_path)
    llm = start(model, max_num_seqs=4, num_gpu_blocks_override=14, max_model_len=256, disable_log_stats=False)
    try:
        check(run(llm, PROMPTS, SETTINGS.values(), tokens=40), model)
        [preempted] = [metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions"]
        assert preempted > 0
    finally:
        stop(llm)
