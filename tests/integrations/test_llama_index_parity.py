"""Whatever the installed `HuggingFaceLLM` takes and offers is here too; what a new release adds fails until it is."""

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

from sra_rag.models.embedded import embedded_model_folder

PROMPT = "Once upon a time"
SHORT = {"max_new_tokens": 6, "generate_kwargs": {"do_sample": False}}


class Fruit(BaseModel):
    name: str


def complete(embedded, cls=SRAHuggingFaceLLM, **arguments):
    return cls(model=embedded.model, tokenizer=embedded.tokenizer, **{**SHORT, **arguments}).complete(PROMPT)


def both(embedded, **arguments):
    """What the two classes answer, given the same arguments."""
    return [complete(embedded, cls, **arguments).text for cls in (SRAHuggingFaceLLM, HuggingFaceLLM)]


def same(embedded, **arguments):
    ours, theirs = both(embedded, **arguments)
    assert ours == theirs
    return ours


def check_context_window(embedded):
    for cls in (SRAHuggingFaceLLM, HuggingFaceLLM):
        llm = cls(model=embedded.model, tokenizer=embedded.tokenizer, context_window=128, **SHORT)
        assert llm.metadata.context_window == 128


def check_max_new_tokens(embedded):
    assert len(same(embedded, max_new_tokens=9)) > len(same(embedded, max_new_tokens=2))


def check_query_wrapper_prompt(embedded):
    wrapper = "Say it in French: {query_str}\n"
    assert same(embedded, query_wrapper_prompt=wrapper) == same(embedded, query_wrapper_prompt=PromptTemplate(wrapper))
    assert same(embedded, query_wrapper_prompt=wrapper) != same(embedded)


def check_tokenizer_name(embedded):
    folder = str(embedded_model_folder())
    llm = SRAHuggingFaceLLM(model=embedded.model, tokenizer_name=folder, model_name=folder, **SHORT)
    assert llm.complete(PROMPT).text == same(embedded)


def check_model_name(embedded):
    folder = str(embedded_model_folder())
    arguments = {"model_name": folder, "tokenizer_name": folder, **SHORT, "model_kwargs": {"dtype": "float32"}}
    assert SRAHuggingFaceLLM(**arguments).complete(PROMPT).text == HuggingFaceLLM(**arguments).complete(PROMPT).text


def check_model(embedded):
    same(embedded)


def check_tokenizer(embedded):
    same(embedded)


def check_device_map(embedded):
    folder = str(embedded_model_folder())
    llm = SRAHuggingFaceLLM(model_name=folder, tokenizer_name=folder, device_map="cpu", **SHORT)
    assert llm.engine.loaded.device == torch.device("cpu")


def check_stopping_ids(embedded):
    [second] = embedded.tokenizer(same(embedded)).input_ids[1:2]
    ours, theirs = both(embedded, stopping_ids=[second])
    assert theirs.startswith(ours)
    assert len(ours) < len(same(embedded))


def check_tokenizer_kwargs(embedded):
    folder = str(embedded_model_folder())
    arguments = {"tokenizer_name": folder, "model_name": folder, "tokenizer_kwargs": {"eos_token": "\n"}, **SHORT}
    llm = SRAHuggingFaceLLM(model=embedded.model, **arguments)
    assert llm.engine.loaded.tokenizer.eos_token == "\n"


def check_tokenizer_outputs_to_remove(embedded):
    same(embedded, tokenizer_outputs_to_remove=["token_type_ids"])


def check_model_kwargs(embedded):
    folder = str(embedded_model_folder())
    kwargs = {"torch_dtype": torch.bfloat16}
    llm = SRAHuggingFaceLLM(model_name=folder, tokenizer_name=folder, model_kwargs=kwargs, **SHORT)
    assert llm.engine.loaded.model.dtype == torch.bfloat16


def check_generate_kwargs(embedded):
    greedy = {"do_sample": False}
    longer = {"max_new_tokens": 30}
    assert same(embedded, generate_kwargs={**greedy, "repetition_penalty": 5.0}, **longer) != same(embedded, **longer)
    same(embedded, generate_kwargs={**greedy, "no_repeat_ngram_size": 1}, max_new_tokens=20)


def check_is_chat_model(embedded):
    for cls in (SRAHuggingFaceLLM, HuggingFaceLLM):
        for is_chat in (True, False):
            llm = cls(model=embedded.model, tokenizer=embedded.tokenizer, is_chat_model=is_chat)
            assert llm.metadata.is_chat_model is is_chat


def check_callback_manager(embedded):
    counter = TokenCountingHandler(tokenizer=lambda text: embedded.tokenizer(text).input_ids)
    complete(embedded, callback_manager=CallbackManager([counter]))
    assert counter.total_llm_token_count > 0


def check_system_prompt(embedded):
    arguments = {"model": embedded.model, "tokenizer": embedded.tokenizer, "system_prompt": "Il y avait", **SHORT}
    *_, theirs = HuggingFaceLLM(**arguments).stream_complete(PROMPT)  # its `complete` leaves the system prompt out
    ours = SRAHuggingFaceLLM(**arguments)
    assert ours.complete(PROMPT).text == theirs.text
    assert list(ours.stream_complete(PROMPT))[-1].text == theirs.text
    assert theirs.text != same(embedded)


def check_messages_to_prompt(embedded):
    arguments = {"messages_to_prompt": lambda messages: f"{messages[0].content}, there was", **SHORT}
    answers = [
        cls(model=embedded.model, tokenizer=embedded.tokenizer, **arguments).chat([ChatMessage(content=PROMPT)])
        for cls in (SRAHuggingFaceLLM, HuggingFaceLLM)
    ]
    assert answers[0].message.content == answers[1].message.content


def check_completion_to_prompt(embedded):
    assert same(embedded, completion_to_prompt=lambda text: f"{text}, there was") != same(embedded)


def check_pydantic_program_mode(embedded):
    llm = SRAHuggingFaceLLM(
        model=embedded, pydantic_program_mode=PydanticProgramMode.LLM, max_new_tokens=4, generate_kwargs={}
    )
    with pytest.raises(ValueError, match="(?i)json"):  # LlamaIndex's own program, to which this model writes no JSON
        llm.structured_predict(Fruit, PromptTemplate("Hello!"))


def check_output_parser(embedded):
    parser = PydanticOutputParser(Fruit)
    formatted = SRAHuggingFaceLLM(model=embedded, output_parser=parser, **SHORT)
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


def test_no_argument_is_missing():
    theirs = list(inspect.signature(HuggingFaceLLM.__init__).parameters)
    ours = list(inspect.signature(SRAHuggingFaceLLM.__init__).parameters)
    assert theirs == ours[: len(theirs)]
    assert set(theirs) - {"self"} == set(CHECKS), "a release changed the arguments: add or remove their checks here"
    assert issubclass(SRAHuggingFaceLLM, HuggingFaceLLM)


@pytest.mark.parametrize("argument", CHECKS)
def test_the_argument_does_what_it_does_there(argument, embedded):
    CHECKS[argument](embedded)


def test_no_method_is_new():
    theirs = {
        name
        for name, value in inspect.getmembers(HuggingFaceLLM, callable)
        if not name.startswith("_") and not hasattr(BaseComponent, name)
    }
    assert theirs == METHODS, "a release changed the methods: see that they work here, then change this list"


def test_it_is_described_as_theirs_is(embedded):
    llm = SRAHuggingFaceLLM(model=embedded, sra=0.2)
    assert "sra=SRAConfig(alpha=0.2" in repr(llm)
    described = llm.to_dict()
    assert described["class_name"] == "SRAHuggingFaceLLM"
    assert described["sra"]["alpha"] == 0.2
    theirs = HuggingFaceLLM(model=embedded.model, tokenizer=AutoTokenizer.from_pretrained(embedded_model_folder()))
    assert set(theirs.to_dict()) <= set(described)
