"""LangChain's standard tests for chat models, adapted to the completion model: there is no suite for `BaseLLM`."""

import time

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseLLM
from langchain_core.outputs import LLMResult
from langchain_sra import SRAHuggingFaceLLM

from sra_rag import Engine
from sra_rag.errors import ContextOverflowError
from sra_rag.models.embedded import embedded_model_folder

pytestmark = pytest.mark.slow

STANDARD = {"temperature": 0, "max_tokens": 100, "timeout": 60, "stop": [], "max_retries": 2, "api_key": "test"}


class Recorder(BaseCallbackHandler):
    def __init__(self):
        self.tokens, self.results, self.errors, self.started = [], [], [], []

    def on_llm_start(self, serialized, prompts, **kwargs):
        self.started += prompts

    def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)

    def on_llm_end(self, response, **kwargs):
        self.results.append(response)

    def on_llm_error(self, error, **kwargs):
        self.errors.append(error)


@pytest.fixture
def llm(tiny):
    return SRAHuggingFaceLLM(engine=Engine(tiny), max_tokens=4)


class TestUnit:
    def test_init(self):
        assert isinstance(SRAHuggingFaceLLM(**STANDARD), BaseLLM)

    def test_init_streaming(self):
        assert SRAHuggingFaceLLM(**STANDARD, streaming=True).streaming is True

    def test_init_time(self):
        start = time.perf_counter()
        SRAHuggingFaceLLM()
        assert time.perf_counter() - start < 0.5

    def test_standard_params(self):
        params = SRAHuggingFaceLLM(max_tokens=10, stop=["test"], temperature=0)._get_ls_params()
        assert params["ls_model_name"] == "embedded"
        assert (params["ls_model_type"], params["ls_provider"]) == ("llm", "sra")
        assert (params["ls_max_tokens"], params["ls_stop"], params["ls_temperature"]) == (10, ["test"], 0)

    def test_standard_params_model_override(self):
        assert SRAHuggingFaceLLM()._get_ls_params(model="other")["ls_model_name"] == "other"


class TestIntegration:
    def test_invoke_and_stream(self, llm):
        recorder = Recorder()
        whole = llm.invoke("Once upon a", config={"callbacks": [recorder]})
        assert whole
        assert isinstance(whole, str)
        pieces = list(llm.stream("Once upon a", config={"callbacks": [recorder]}))
        assert len(pieces) > 1
        assert "".join(pieces) == whole == "".join(recorder.tokens)
        assert len(recorder.results) == 2

    async def test_ainvoke_and_astream(self, llm):
        whole = await llm.ainvoke("Once upon a")
        pieces = [piece async for piece in llm.astream("Once upon a")]
        assert len(pieces) > 1
        assert "".join(pieces) == whole == llm.invoke("Once upon a")

    async def test_astream_events(self, llm):
        events = [event async for event in llm.astream_events("Once upon a", version="v2")]
        assert [events[0]["event"], events[-1]["event"]] == ["on_llm_start", "on_llm_end"]
        assert sum(event["event"] == "on_llm_stream" for event in events) > 1

    def test_streaming_within_invoke(self, tiny):
        recorder = Recorder()
        llm = SRAHuggingFaceLLM(engine=tiny, max_tokens=4, streaming=True)
        whole = llm.invoke("Once upon a", config={"callbacks": [recorder]})
        assert len(recorder.tokens) > 1
        assert "".join(recorder.tokens) == whole

    def test_batch(self, llm):
        prompts = ["Once upon a", "The rent is"]
        assert llm.batch(prompts) == [llm.invoke(prompt) for prompt in prompts]

    async def test_abatch(self, llm):
        prompts = ["Once upon a", "The rent is"]
        assert await llm.abatch(prompts) == llm.batch(prompts)

    def test_an_invalid_input_of_a_batch_does_not_affect_the_others(self, llm):
        good, bad = llm.batch(["Once upon a", "word " * 9000], return_exceptions=True)
        assert good == llm.invoke("Once upon a")
        assert isinstance(bad, ContextOverflowError)

    async def test_generate_is_one_batch(self, llm):
        result = llm.generate(["Once upon a", "The rent is"])
        assert isinstance(result, LLMResult)
        first, second = (generations[0] for generations in result.generations)
        assert first.generation_info["timing"] == second.generation_info["timing"]  # the timing of the whole batch
        assert result.llm_output["token_usage"]["completion_tokens"] == 8
        assert (await llm.agenerate(["Once upon a", "The rent is"])).generations[0][0].text == first.text

    def test_usage_metadata(self, llm):
        recorder = Recorder()
        llm.invoke("Once upon a", config={"callbacks": [recorder]})
        list(llm.stream("Once upon a", config={"callbacks": [recorder]}))
        blocking, streamed = (result.generations[0][0].generation_info for result in recorder.results)
        assert blocking["usage_metadata"]["input_tokens"] == llm.get_num_tokens("Once upon a")
        assert blocking["usage_metadata"]["output_tokens"] == 4
        assert streamed["usage_metadata"]["input_token_details"]["cache_read"] > 0
        assert streamed["finish_reason"] == blocking["finish_reason"] == "length"

    @pytest.mark.parametrize("by", ["call", "field"])
    def test_stop_sequence(self, llm, by):
        whole = llm.invoke("Once upon a", max_tokens=8)
        stop = [whole.split()[1]]
        if by == "call":
            stopped = llm.invoke("Once upon a", stop=stop, max_tokens=8)
        else:
            stopped = SRAHuggingFaceLLM(engine=llm.engine, stop=stop, max_tokens=8).invoke("Once upon a")
        assert stopped == whole[: whole.index(stop[0])]

    def test_model_override(self, llm):
        recorder = Recorder()
        llm.invoke("Once", model=str(embedded_model_folder()), max_tokens=1, config={"callbacks": [recorder]})
        information = recorder.results[0].generations[0][0].generation_info
        assert information["model_name"] == str(embedded_model_folder())

    def test_an_error_reaches_the_callbacks_and_the_caller(self, failing):
        recorder = Recorder()
        llm = SRAHuggingFaceLLM(engine=failing, max_tokens=8)
        with pytest.raises(MemoryError, match="ran out of memory"):
            llm.invoke("Once", config={"callbacks": [recorder]})
        assert len(recorder.errors) == 1
        with pytest.raises(MemoryError, match="ran out of memory"):
            list(llm.stream("Once"))

    def test_the_prompt_is_not_changed(self, llm, tiny_engine):
        expected = tiny_engine.generate("Once upon a", max_new_tokens=4).text
        assert llm.invoke("Once upon a") == expected
        assert llm.get_num_tokens("<|im_start|>") > 1  # text, not the control token
