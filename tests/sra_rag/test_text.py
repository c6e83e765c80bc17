import pytest

from sra_rag.generation.text import TextAssembler


def assemble(tokenizer, text, stop=()):
    assembler = TextAssembler(tokenizer, stop)
    deltas = [assembler.add(token) for token in tokenizer(text, add_special_tokens=False).input_ids]
    return assembler, [*deltas, assembler.finish()]


@pytest.mark.parametrize(
    "text", ["The fee is £1,250.50 a month.", "日本語 and 🙂 emoji 👩‍👩‍👧", " two  spaces\n\n\ttab"]
)
def test_pieces_make_the_text_and_none_is_broken(tiny, text):
    assembler, deltas = assemble(tiny.tokenizer, text)
    assert "".join(deltas) == assembler.text == text
    assert not any("\ufffd" in delta for delta in deltas)


@pytest.mark.parametrize("stop", ["Observation:", "tion:", "\n\nObs", "O"])
def test_a_stop_text_ends_it_and_is_never_shown(tiny, stop):
    text = "Thought: look it up\n\nObservation: forty-two"
    assembler, deltas = assemble(tiny.tokenizer, text, (stop,))
    assert assembler.stopped
    assert "".join(deltas) == assembler.text == text[: text.index(stop)]


def test_the_first_of_several_stop_texts_counts(tiny):
    assembler, _ = assemble(tiny.tokenizer, "one two three", ("three", "two"))
    assert assembler.text == "one "


def test_what_only_begins_like_a_stop_text_is_shown_in_the_end(tiny):
    assembler, deltas = assemble(tiny.tokenizer, "it ends with Observ", ("Observation:",))
    assert "".join(deltas) == "it ends with Observ"
    assert not assembler.stopped


def test_special_tokens_are_left_out(tiny):
    assembler = TextAssembler(tiny.tokenizer)
    assert assembler.add(tiny.tokenizer.convert_tokens_to_ids("<|im_start|>")) == ""
