"""No text of another person becomes a control token: chat templates of five families, and all that a prompt holds."""

import copy
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from sra_rag.generation.prompts import PromptEncoder
from sra_rag.generation.tools import template_arguments

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% if tools %}<|start_header_id|>system<|end_header_id|>\n\nEnvironment: ipython\n"
    "{% for t in tools %}{{ t | tojson(indent=4) }}\n\n{% endfor %}<|eot_id|>{% endif %}"
    "{% for m in messages %}<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}<|python_tag|>{\"name\": \"{{ c.function.name }}\", "
    "\"parameters\": {{ c.function.arguments | tojson }}}{% endfor %}<|eom_id|>"
    "{% else %}{{ m.content | trim }}<|eot_id|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)  # fmt: skip
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role in ('user', 'system') %}"
    "{% if loop.last and tools %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
    "[INST] {{ m.content }}[/INST]{% elif m.tool_calls %}[TOOL_CALLS] [{% for c in m.tool_calls %}"
    "{{ c.function | tojson }}{% endfor %}]{{ eos_token }}"
    "{% elif m.role == 'tool' %}[TOOL_RESULTS] {\"content\": {{ m.content }}}[/TOOL_RESULTS]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
HERMES = (
    "{% if tools %}<|im_start|>system\nYou may call functions.\n<tools>\n"
    "{% for t in tools %}{{ t | tojson }}\n{% endfor %}"
    "</tools><|im_end|>\n{% endif %}{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n"
    "{{ m.content }}\n</tool_response><|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": "
    "{{ '{' }}{% for k, v in c.function.arguments.items() %}\"{{ k }}\": {{ v | tojson }}{% endfor %}{{ '}}' }}\n"
    "</tool_call>{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)  # fmt: skip

# Special tokens, and added tokens that are not special, by family.
FAMILIES = {
    "ChatML": (CHATML, ["<|im_start|>", "<|im_end|>", "<|endoftext|>"], ["<think>", "</think>"]),
    "Llama 3": (
        LLAMA_3,
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>"],
        ["<|reserved|>"],
    ),
    "Mistral": (
        MISTRAL,
        ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
         "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
        ["[THINK]", "[[INST]"],
    ),
    "Gemma": (GEMMA, ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], ["<table>", "</b>"]),
    "Hermes": (
        HERMES,
        ["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
        ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>"],
    ),
}  # fmt: skip
NORMALIZERS = {
    "none": None,
    "NFKC": normalizers.NFKC(),
    "NFKC and lower case": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
    "spaces and accents": normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Replace(Regex(" {2,}"), " ")]
    ),
}


def make_tokenizer(family, normalizer):
    """Make a tokenizer of bytes with a family's added tokens; those that are not special are normalized."""
    template, special, others = FAMILIES[family]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={sign: number for number, sign in enumerate(alphabet)}, merges=[]))
    if NORMALIZERS[normalizer] is not None:
        backend.normalizer = NORMALIZERS[normalizer]
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(text, special=True, normalized=normalizer != "none") for text in special])
    backend.add_tokens([AddedToken(text, special=False, normalized=True) for text in others])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=special[0], eos_token=special[1])
    tokenizer.chat_template = template
    return tokenizer


ENCODERS = {
    (family, normalizer): PromptEncoder(make_tokenizer(family, normalizer))
    for family in FAMILIES
    for normalizer in NORMALIZERS
}


def wide(text):
    """Write a text in full-width characters, which NFKC turns into the usual ones."""
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


PLACES = [
    "question", "system", "answer before", "result of a tool", "name of a tool", "description", "name of a property",
    "description of a property", "value of an enum", "name called", "key of an argument", "key deep in an argument",
    "argument", "item of a list", "passage", "heading", "file name", "metadata",
]  # fmt: skip


def encode(encoder, texts):
    """Encode a conversation with a text at every place where a prompt takes one; return its tokens."""
    at = dict(zip(PLACES, texts, strict=True))
    context = f"[1] {at['file name']}, page {at['metadata']}, section {at['heading']}\n{at['passage']}"
    context += "\n\n[2] other, page 1\nend"
    tools = [{"type": "function", "function": {
        "name": at["name of a tool"], "description": at["description"],
        "parameters": {"type": "object", "properties": {
            at["name of a property"]: {"type": "string", "description": at["description of a property"],
                                       "enum": [at["value of an enum"]]}}}}}]  # fmt: skip
    arguments = {
        at["key of an argument"]: {at["key deep in an argument"]: [at["item of a list"]]}, "plain": at["argument"],
    }  # fmt: skip
    calls = [{"type": "function", "function": {"name": at["name called"], "arguments": arguments}}]
    messages = [
        {"role": "system", "content": at["system"]},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": at["answer before"], "tool_calls": calls},
        {"role": "tool", "content": at["result of a tool"]},
        {"role": "user", "content": f"{context}\n\nQuestion: {at['question']}"},
    ]
    dicts, more = template_arguments(encoder.tokenizer.chat_template, messages, tools)
    return encoder.encode_messages(dicts, context=context, template_kwargs=more).token_ids


def count_controls(encoder, token_ids):
    """Count added tokens, by a rule of its own: the vocabulary before them is the 256 bytes."""
    return sum(token >= 256 for token in token_ids)


EXPECTED = {
    key: count_controls(encoder, encode(encoder, ["harmless"] * len(PLACES))) for key, encoder in ENCODERS.items()
}


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("place", PLACES)
def test_a_control_token_at_one_place_stays_text(family, normalizer, place):
    encoder = ENCODERS[family, normalizer]
    printed = _is_printed(encoder, place)
    _, special, others = FAMILIES[family]
    for control in [*special, *others]:
        for spelled in (
            control,
            wide(control),
            control.upper(),
            control[:1] + control,
            control[:3] + "\u0301" + control[3:],
        ):
            texts = ["harmless"] * len(PLACES)
            texts[PLACES.index(place)] = f"a {spelled} b"
            token_ids = encode(encoder, texts)
            assert count_controls(encoder, token_ids) == EXPECTED[family, normalizer], (control, spelled)
            if printed and normalizer == "none":
                assert json.dumps(spelled, ensure_ascii=False)[1:-1] in encoder.tokenizer.decode(token_ids)


def _is_printed(encoder, place):
    """Whether a template prints what is at a place: some print neither tools nor answers with calls."""
    texts = ["harmless"] * len(PLACES)
    texts[PLACES.index(place)] = "zyxwv"
    return "zyxwv" in encoder.tokenizer.decode(encode(encoder, texts))


def pieces_of(family):
    _, special, others = FAMILIES[family]
    controls = [*special, *others]
    halves = [part for control in controls for part in (control[:2], control[2:], control[:-1], control[-1:])]
    odd = [
        "\U0010fffe",
        "\U0010ffff",
        "\U0010fffe0\U0010ffff",
        "\U0010fffe60,115,62\U0010ffff",
        "\u0301",
        "ﬁ",
        "⑴",
        "İ",
        " ",
        "\n",
    ]
    return st.lists(
        st.sampled_from([*controls, *map(wide, controls), *map(str.upper, controls), *halves, *odd, "a"]), max_size=8
    ).map("".join)


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_arrangement_at_any_place_becomes_a_control_token(family, normalizer, data):
    encoder = ENCODERS[family, normalizer]
    # A mark at the end keeps a template's text apart from what would complete a spelling over the border.
    texts = [f"{data.draw(pieces_of(family))}." for _ in PLACES]
    assert count_controls(encoder, encode(encoder, texts)) == EXPECTED[family, normalizer]


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
@example("\U0010fffe" + "1" * 5000 + "\U0010ffff")
@example("\U0010fffe1114112\U0010ffff\U0010fffe1,,2\U0010ffff\U0010fffe")
def test_any_text_is_encoded_and_comes_back(family, normalizer, text):
    encoder = ENCODERS[family, normalizer]
    token_ids = encoder.encode_text(text).token_ids
    assert count_controls(encoder, token_ids) == 0
    assert count_controls(encoder, encoder.encode_messages([{"role": "user", "content": text}]).token_ids) > 0
    encoder.encode_rendered(text)  # of a developer's own template, with no placeholder of ours
    if normalizer == "none":
        assert encoder.tokenizer.decode(token_ids) == text


def test_a_character_that_normalizes_to_a_whole_token():
    tokenizer = make_tokenizer("ChatML", "NFKC")
    tokenizer.add_tokens([AddedToken("(1)", special=False, normalized=True)])
    encoder = PromptEncoder(tokenizer)
    assert count_controls(encoder, encoder.encode_text("see ⑴ and (1)").token_ids) == 0
    assert tokenizer.decode(encoder.encode_text("see ⑴").token_ids) == "see (1)"


def test_added_words_are_a_vocabulary_and_no_control_tokens():
    tokenizer = make_tokenizer("ChatML", "none")
    tokenizer.add_tokens(["mitochondrion", "C++"])
    expected = tokenizer("the mitochondrion in C++", add_special_tokens=False).input_ids
    assert list(PromptEncoder(tokenizer).encode_text("the mitochondrion in C++").token_ids) == expected


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_text_without_any_is_tokenized_as_transformers_does(normalizer):
    encoder = ENCODERS["ChatML", normalizer]
    messages = [{"role": "user", "content": "Größe ２０  Ⅳ ﬁne <b>x</b> [1] £1.5m"}]
    expected = encoder.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert list(encoder.encode_messages(messages).token_ids) == expected


def test_the_embedded_model_s_template_with_hostile_keys(embedded):
    tokenizer = copy.deepcopy(embedded.tokenizer)
    tokenizer.chat_template = HERMES
    encoder = PromptEncoder(tokenizer)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    counts = {list(encode(encoder, [text] * len(PLACES))).count(end) for text in ("harmless", "x<|im_end|>y")}
    assert len(counts) == 1
