"""Every argument and method of the installed `HuggingFaceLLM` is supported; additions of a new release fail here."""

import inspect

import pytest
import torch
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import BaseComponent
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.huggingface import HuggingFaceLLM
from llama_index.llms.sra import SRAHuggingFaceLLM
from pydantic import BaseModel
from transformers import AutoTokenizer

from sra_rag.errors import ModelLoadError
from sra_rag.models.embedded import embedded_model_folder

PROMPT = "Once upon a time"
SHORT = {"max_new_tokens": 6, "generate_kwargs": {"do_sample": False}}


class Fruit(BaseModel):
    name: str


def complete(tiny, cls=SRAHuggingFaceLLM, **arguments):
    return cls(model=tiny.model, tokenizer=tiny.tokenizer, **{**SHORT, **arguments}).complete(PROMPT)


def both(tiny, **arguments):
    """Return the answers of the two classes for the same arguments."""
    return [complete(tiny, cls, **arguments).text for cls in (SRAHuggingFaceLLM, HuggingFaceLLM)]


def same(tiny, **arguments):
    ours, theirs = both(tiny, **arguments)
    assert ours == theirs
    return ours


def check_context_window(tiny):
    for cls in (SRAHuggingFaceLLM, HuggingFaceLLM):
        llm = cls(model=tiny.model, tokenizer=tiny.tokenizer, context_window=128, **SHORT)
        assert llm.metadata.context_window == 128


def check_max_new_tokens(tiny):
    assert len(same(tiny, max_new_tokens=9)) > len(same(tiny, max_new_tokens=2))


def check_query_wrapper_prompt(tiny):
    wrapper = "Say it in French: {query_str}\n"
    assert same(tiny, query_wrapper_prompt=wrapper) == same(tiny, query_wrapper_prompt=PromptTemplate(wrapper))
    assert same(tiny, query_wrapper_prompt=wrapper) != same(tiny)


def check_tokenizer_name(tiny):
    folder = str(embedded_model_folder())
    for name in (folder, "embedded"):
        llm = SRAHuggingFaceLLM(model=tiny.model, tokenizer_name=name, model_name=folder, **SHORT)
        assert llm.complete(PROMPT).text == same(tiny)
    # Both names are given, as in the README, and the wrong one is named.
    with pytest.raises(ModelLoadError, match="The tokenizer of '/no/such' could not be loaded"):
        SRAHuggingFaceLLM(model_name="embedded", tokenizer_name="/no/such")


def check_model_name(tiny):
    folder = str(embedded_model_folder())
    arguments = {"model_name": folder, "tokenizer_name": folder, **SHORT, "model_kwargs": {"dtype": "float32"}}
    assert SRAHuggingFaceLLM(**arguments).complete(PROMPT).text == HuggingFaceLLM(**arguments).complete(PROMPT).text


def check_model(tiny):
    same(tiny)


def check_tokenizer(tiny):
    same(tiny)


def check_device_map(tiny):
    folder = str(embedded_model_folder())
    llm = SRAHuggingFaceLLM(model_name=folder, tokenizer_name=folder, device_map="cpu", **SHORT)
    assert llm.engine.loaded.device == torch.device("cpu")


def check_stopping_ids(tiny):
    raw = complete(tiny).raw
    second = raw["model_output"][0][raw["usage"]["prompt_tokens"] + 1]
    ours, theirs = both(tiny, stopping_ids=[second])
    assert theirs.startswith(ours)
    assert len(ours) < len(same(tiny))


def check_tokenizer_kwargs(tiny):
    folder = str(embedded_model_folder())
    arguments = {"tokenizer_name": folder, "model_name": folder, "tokenizer_kwargs": {"eos_token": "\n"}, **SHORT}
    llm = SRAHuggingFaceLLM(model=tiny.model, **arguments)
    assert llm.engine.loaded.tokenizer.eos_token == "\n"


def check_tokenizer_outputs_to_remove(tiny):
    same(tiny, tokenizer_outputs_to_remove=["token_type_ids"])


def check_model_kwargs(tiny):
    folder = str(embedded_model_folder())
    kwargs = {"torch_dtype": torch.bfloat16}
    llm = SRAHuggingFaceLLM(model_name=folder, tokenizer_name=folder, model_kwargs=kwargs, **SHORT)
    assert llm.engine.loaded.model.dtype == torch.bfloat16


def check_generate_kwargs(tiny):
    greedy = {"do_sample": False}
    longer = {"max_new_tokens": 30}
    assert same(tiny, generate_kwargs={**greedy, "repetition_penalty": 0.1}, **longer) != same(tiny, **longer)
    same(tiny, generate_kwargs={**greedy, "no_repeat_ngram_size": 1}, max_new_tokens=20)


def check_is_chat_model(tiny):
    for cls in (SRAHuggingFaceLLM, HuggingFaceLLM):
        for is_chat in (True, False):
            llm = cls(model=tiny.model, tokenizer=tiny.tokenizer, is_chat_model=is_chat)
            assert llm.metadata.is_chat_model is is_chat


def check_callback_manager(tiny):
    counter = TokenCountingHandler(tokenizer=lambda text: tiny.tokenizer(text).input_ids)
    complete(tiny, callback_manager=CallbackManager([counter]))
    assert counter.total_llm_token_count > 0


def check_system_prompt(tiny):
    arguments = {"model": tiny.model, "tokenizer": tiny.tokenizer, "system_prompt": "Il y avait", **SHORT}
    *_, theirs = HuggingFaceLLM(**arguments).stream_complete(PROMPT)  # its `complete` ignores the system prompt
    ours = SRAHuggingFaceLLM(**arguments)
    assert ours.complete(PROMPT).text == theirs.text
    assert list(ours.stream_complete(PROMPT))[-1].text == theirs.text
    assert theirs.text != same(tiny)


def check_messages_to_prompt(tiny):
    arguments = {"messages_to_prompt": lambda messages: f"{messages[0].content}, there was", **SHORT}
    answers = [
        cls(model=tiny.model, tokenizer=tiny.tokenizer, **arguments).chat([ChatMessage(content=PROMPT)])
        for cls in (SRAHuggingFaceLLM, HuggingFaceLLM)
    ]
    assert answers[0].message.content == answers[1].message.content


def check_completion_to_prompt(tiny):
    assert same(tiny, completion_to_prompt=lambda text: f"{text}, there was") != same(tiny)


def check_pydantic_program_mode(tiny):
    llm = SRAHuggingFaceLLM(
        model=tiny, pydantic_program_mode=PydanticProgramMode.LLM, max_new_tokens=4, generate_kwargs={}
    )
    with pytest.raises(ValueError, match="(?i)json"):  # LlamaIndex's own program fails with this model
        llm.structured_predict(Fruit, PromptTemplate("Hello!"))


def check_output_parser(tiny):
    parser = PydanticOutputParser(Fruit)
    formatted = SRAHuggingFaceLLM(model=tiny, output_parser=parser, **SHORT)
    with pytest.raises(ValueError, match="(?i)json"):
        formatted.predict(PromptTemplate("Hello!"))


CHECKS = {name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")}

METHODS = {
    "chat", "complete", "stream_chat", "stream_complete", "achat", "acomplete", "astream_chat", "astream_complete",
    "predict", "apredict", "stream", "astream", "predict_and_call", "apredict_and_call",
    "structured_predict", "astructured_predict", "stream_structured_predict", "astream_structured_predict",
    "as_structured_llm", "convert_chat_messages", "to_payload",
    "check_callback_manager", "check_prompts", "set_messages_to_prompt", "set_completion_to_prompt",
}  # fmt: skip


def test_every_argument_has_a_check():
    theirs = list(inspect.signature(HuggingFaceLLM.__init__).parameters)
    ours = list(inspect.signature(SRAHuggingFaceLLM.__init__).parameters)
    assert theirs == ours[: len(theirs)]
    assert set(theirs) - {"self"} == set(CHECKS), "a new release changed the arguments: add or remove their checks here"
    assert issubclass(SRAHuggingFaceLLM, HuggingFaceLLM)


@pytest.mark.parametrize("argument", CHECKS)
def test_the_argument_has_the_same_effect(argument, tiny):
    CHECKS[argument](tiny)


def test_the_methods_have_not_changed():
    theirs = {
        name
        for name, value in inspect.getmembers(HuggingFaceLLM, callable)
        if not name.startswith("_") and not hasattr(BaseComponent, name)
    }
    assert theirs == METHODS, "a new release changed the methods: check that they work, then change this list"


def test_the_description_has_the_same_fields(tiny):
    llm = SRAHuggingFaceLLM(model=tiny, sra=0.2)
    assert "sra=SRAConfig(alpha=0.2" in repr(llm)
    described = llm.to_dict()
    assert described["class_name"] == "SRAHuggingFaceLLM"
    assert described["sra"]["alpha"] == 0.2
    theirs = HuggingFaceLLM(model=tiny.model, tokenizer=AutoTokenizer.from_pretrained(embedded_model_folder()))
    assert set(theirs.to_dict()) <= set(described)
