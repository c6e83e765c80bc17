"""How settings reach the model, and when the model is loaded."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_sra import ChatSRAHuggingFace, SRAHuggingFaceLLM
from langchain_sra.engines import Engines, ModelSource
from pydantic import ValidationError

from sra_rag import Engine, SRAConfig
from sra_rag.errors import ConfigError, ModelLoadError

AFTER = SRAConfig(alpha=0.3, rows="after_context")


@pytest.fixture
def chat(tiny_engine):
    return ChatSRAHuggingFace(engine=tiny_engine, max_tokens=1)


def alpha(message):
    settings = message.response_metadata["sra"]
    return None if settings is None else settings["alpha"]


def test_sra_from_the_constructor_a_call_or_bind(tiny_engine):
    chat = ChatSRAHuggingFace(engine=tiny_engine, max_tokens=1, sra=0.1)
    assert alpha(chat.invoke("Hi")) == 0.1
    assert alpha(chat.invoke("Hi", sra=0.2)) == 0.2
    assert alpha(chat.invoke("Hi", sra=None)) is None
    assert alpha(chat.bind(sra={"alpha": 0.3}).invoke("Hi")) == 0.3


async def test_sra_from_the_config_without_a_declared_field(chat):
    config = {"configurable": {"sra": 0.2}}
    assert alpha(chat.invoke("Hi", config)) == 0.2
    assert alpha(await chat.ainvoke("Hi", config)) == 0.2
    assert alpha(list(chat.stream("Hi", config))[-1]) == 0.2
    assert alpha([chunk async for chunk in chat.astream("Hi", config)][-1]) == 0.2
    assert [alpha(m) for m in chat.batch(["Hi", "Hey"], [config, {"configurable": {"sra": 0.3}}])] == [0.2, 0.3]
    assert [alpha(m) for m in await chat.abatch(["Hi", "Hey"], config)] == [0.2, 0.2]
    assert alpha(chat.stream_events("Hi", config, version="v3").output) == 0.2
    assert alpha(await (await chat.astream_events("Hi", config, version="v3")).output) == 0.2
    assert alpha(chat.with_config(configurable={"sra": 0.4}).invoke("Hi")) == 0.4
    assert alpha(chat.bind(sra=0.5).invoke("Hi", config)) == 0.5  # settings of the call take precedence


def test_sra_from_the_config_of_a_whole_chain(chat):
    chain = RunnableLambda(lambda text: [HumanMessage(text)]) | RunnableLambda(lambda messages: chat.invoke(messages))
    assert alpha(chain.invoke("Hi", {"configurable": {"sra": 0.2}})) == 0.2
    assert alpha(chain.invoke("Hi")) is None


def test_configurable_fields_share_the_model(chat):
    fields = {name: ConfigurableField(id=name) for name in ("sra", "max_tokens", "temperature")}
    switched = chat.configurable_fields(**fields)
    answer = switched.with_config(configurable={"sra": 0.2, "max_tokens": 2}).invoke("Hi")
    assert (alpha(answer), answer.usage_metadata["output_tokens"]) == (0.2, 2)
    assert alpha(switched.invoke("Hi", {"configurable": {"sra": None}})) is None
    assert list(switched.with_config(configurable={"sra": 0.2}).stream("Hi"))
    assert switched.config_schema().model_json_schema()
    assert chat.model_copy(update={"temperature": 1.0}).engine is chat.engine
    assert copy.deepcopy(chat).engine is chat.engine


def test_sra_of_a_shared_model_is_the_default(tiny):
    import dataclasses

    chat = ChatSRAHuggingFace(engine=dataclasses.replace(tiny, sra=AFTER), max_tokens=1)
    assert alpha(chat.invoke("Hi")) == 0.3
    assert alpha(chat.invoke("Hi", sra=None)) is None


def test_the_constructor_loads_nothing_and_threads_load_the_model_once(monkeypatch, tiny):
    loads = []

    def load(source):
        loads.append(source)
        return Engine(tiny)

    monkeypatch.setattr(ModelSource, "load", load)
    chat = ChatSRAHuggingFace(max_tokens=1)
    copies = [chat, chat.model_copy(), *(ChatSRAHuggingFace(**dict(chat.__dict__)) for _ in range(2))]
    assert loads == []
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda model: model.engine, copies))
    assert len(loads) == 1
    assert all(engine is engines[0] for engine in engines)
    chat.invoke("Hi", model="another")
    assert [source.name for source in loads] == ["embedded", "another"]


def test_a_model_is_pickled_by_its_name():
    chat = pickle.loads(pickle.dumps(ChatSRAHuggingFace(model="embedded", sra=0.2)))  # noqa: S301 - pickled on the same line
    assert (chat.model, chat.sra) == ("embedded", SRAConfig(alpha=0.2))
    assert isinstance(chat.engines, Engines)


def test_a_shared_engine_cannot_be_pickled(tiny_engine):
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(ChatSRAHuggingFace(engine=tiny_engine))


def test_a_missing_model_is_reported_at_the_first_call(tmp_path):
    chat = ChatSRAHuggingFace(model=str(tmp_path / "nowhere"))
    for _ in range(2):
        with pytest.raises(ModelLoadError, match="nowhere"):
            chat.invoke("Hi")


def test_aliases_of_arguments(tiny_engine):
    chat = ChatSRAHuggingFace(
        model_name="embedded", max_new_tokens=3, stop_sequences=["END"], request_timeout=9, api_key="", max_retries=1
    )
    assert (chat.model, chat.max_tokens, chat.stop, chat.timeout) == ("embedded", 3, ["END"], 9)
    llm = SRAHuggingFaceLLM(engine=tiny_engine, max_tokens=9)
    for name in ("max_tokens", "max_new_tokens", "max_completion_tokens"):
        assert llm.get_num_tokens(llm.invoke("Once", **{name: 2})) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temprature": 1}, "Unknown argument temprature"),
        ({"sra": "none.json"}, "neither a valid setting nor the path of a file"),
        ({"sra": {"alpha": -1}}, "alpha"),
        ({"engine": "embedded"}, "Pass a sra_rag.Engine"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_invalid_arguments_are_rejected_by_the_constructor(arguments, message):
    with pytest.raises(ValidationError, match=message):
        ChatSRAHuggingFace(**arguments)


def test_a_model_name_and_another_engine_are_rejected(tiny_engine):
    with pytest.raises(ValidationError, match="Give one of the two"):
        ChatSRAHuggingFace(model="other", engine=tiny_engine)


@pytest.mark.parametrize(
    "arguments", [{"temperature": -1}, {"top_q": 3}, {"num_beams": 4}, {"sra": {"rows": "some"}}, {"max_tokens": 0}]
)
def test_invalid_arguments_of_a_call_are_rejected(chat, arguments):
    with pytest.raises(ConfigError):
        chat.invoke("Hi", **arguments)


def test_options_reach_the_engine(chat):
    options = chat._prepare(["END"], {"top_k": 3, "seed": 7, "min_p": 0.1, "no_repeat_ngram_size": 2, "top_p": None})[1]
    assert options["options"].stop == ("END",)
    assert (options["options"].top_k, options["options"].seed, options["options"].min_p) == (3, 7, 0.1)
    assert options["options"].extra == {"no_repeat_ngram_size": 2}


def test_timeouts_and_seeds(chat):
    with pytest.raises(TimeoutError, match="timeout=0.001"):
        chat.invoke("Hi", timeout=0.001)
    sampled = [chat.invoke("Hi", temperature=2.0, seed=seed, max_tokens=4).content for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1] != sampled[2]


def test_a_call_can_be_cancelled_by_an_event(chat):
    cancel = threading.Event()
    cancel.set()
    assert chat.invoke("Hi", cancel=cancel).response_metadata["finish_reason"] == "cancelled"


def test_token_counts(chat, tiny_engine):
    assert chat.get_num_tokens("The rent is") == len(chat.get_token_ids("The rent is")) == 3
    messages = [HumanMessage("Hi")]
    assert chat.get_num_tokens_from_messages(messages) == chat.invoke(messages).usage_metadata["input_tokens"]
    tools = [{"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}]
    with_tools = chat.bind_tools(tools).invoke(messages).usage_metadata["input_tokens"]
    assert chat.get_num_tokens_from_messages(messages, tools=tools) == with_tools
    assert chat.get_num_tokens_from_messages([]) == 0


def test_the_model_profile(chat):
    assert chat.profile["tool_calling"]
    assert chat.profile["max_input_tokens"] == 8192
