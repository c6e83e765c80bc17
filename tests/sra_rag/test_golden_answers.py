"""What the embedded model answers: the text itself, with and without sharpening, and JSON by a schema.

The other tests of this folder use tiny random models, whose text means nothing.
"""

import json

import pytest

from sra_rag import Engine, SamplingOptions, SRAConfig
from sra_rag.generation.tools import call_schema, parse_tool_calls

PASSAGE = "The lease of the warehouse at Orrin Quay began on 4 May 2016. The yearly rent is 82,400 crowns."
QUESTION = [{"role": "user", "content": f"{PASSAGE}\n\nQuestion: What is the yearly rent?"}]
OTHER = [{"role": "user", "content": f"{PASSAGE * 3}\n\nQuestion: When did the lease begin?"}]
AFTER = SRAConfig(alpha=0.4, rows="after_context")
ANSWER = "The yearly rent is 82,400 crowns.\n\nThe answer is: 82,400"


@pytest.fixture(scope="module")
def engine(embedded):
    return Engine(embedded, options=SamplingOptions(max_new_tokens=40))


@pytest.mark.parametrize("sra", [None, 0.4, AFTER], ids=["off", "all", "after_context"])
def test_an_answer_its_stream_and_its_place_in_a_batch(engine, sra):
    answer = engine.generate(QUESTION, context=PASSAGE, sra=sra)
    assert answer.text == ANSWER
    assert answer.finish_reason == "stop"
    assert "".join(delta.text for delta in engine.stream(QUESTION, context=PASSAGE, sra=sra)) == answer.text
    batch = engine.generate_batch([QUESTION, OTHER], contexts=[PASSAGE, PASSAGE * 3], sra=sra)
    assert batch[0].text == answer.text
    assert batch[1].token_ids == engine.generate(OTHER, context=PASSAGE * 3, sra=sra).token_ids


def test_an_answer_ends_before_a_stop_text(engine):
    assert engine.generate(QUESTION, stop="82,400").text == ANSWER[: ANSWER.index("82,400")]


def test_json_and_calls_of_tools(engine):
    schema = {
        "type": "object", "properties": {"yearly_rent": {"type": "integer"}}, "required": ["yearly_rent"],
        "additionalProperties": False,
    }  # fmt: skip
    written = json.loads(engine.generate(QUESTION, json_schema=schema).text)
    assert isinstance(written["yearly_rent"], int)
    parameters = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    tools = [{"type": "function", "function": {"name": "double", "parameters": parameters}}]
    asked = [{"role": "user", "content": "What is the double of 21?"}]
    [call] = parse_tool_calls(engine.generate(asked, json_schema=call_schema(tools)).text, ["double"])[1]
    assert (call.name, call.arguments) == ("double", {"x": 21})
