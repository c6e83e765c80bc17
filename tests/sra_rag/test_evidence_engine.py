"""Evidence through the engine: found, weighed, reported, the same in each way of asking, and off where it should be."""

import dataclasses
import math

import pytest
import torch

from sra_rag import Engine, LoadedModel, SamplingOptions, SRAConfig
from sra_rag.attention.evidence import Evidence
from sra_rag.attention.reattend import reattend
from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ConfigError, PromptError
from sra_rag.evidence.choice import choose_evidence
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.generation.likelihood import answer_likelihood
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.heads.known import UNMEASURED, fitted_settings
from sra_rag.heads.probes import probe_groups
from tests.sra_rag.tiny_models import tiny_model

PASSAGES = [
    "The lease of the mill runs for nine years.\nIts rent is 61 crowns a month.",
    "The lease of the boathouse runs for four years.\nIts rent is 18 crowns a month.",
    "The lease of the granary runs for two years.\nIts rent is 75 crowns a month.",
]
CONTEXT = "\n\n".join(PASSAGES)
QUESTIONS = ["How long does the lease of the boathouse run?", "What is the rent of the granary?"]
HEADS = ((0, 1), (2, 3), (1, 5))
STRONG = {"evidence": {"weight": 30.0, "heads": "all", "look": HEADS, "words": False}}
FEWER = {"evidence": STRONG["evidence"] | {"weight": 1.0, "others": 1000.0}}  # keys of other passages count less


def messages(question):
    return [{"role": "user", "content": f"Answer from the passages.\n\n{CONTEXT}\n\n{question}"}]


@pytest.fixture(scope="module")
def tiny(embedded):
    """A small random model that reads text, so that what evidence changes is plain to see."""
    model = tiny_model("llama", vocabulary=len(embedded.tokenizer))
    return LoadedModel(model, embedded.tokenizer, "tiny")


@pytest.fixture
def small(tiny):
    return Engine(tiny, options=SamplingOptions(max_new_tokens=8))


def ask(engine, question=QUESTIONS[0], **arguments):
    return engine.generate(messages(question), context=CONTEXT, passages=PASSAGES, **arguments)


def test_what_was_looked_at_is_reported(small):
    evidence = ask(small, sra=STRONG).evidence
    assert sum(evidence.shares) == pytest.approx(1)
    assert len(evidence.shares) == len(evidence.best_lines) == len(PASSAGES)
    [best] = evidence.chosen
    assert evidence.shares[best] == max(evidence.shares)
    prompt = small.encode(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES)
    assert evidence.spans == (prompt.passages[best],)
    [(first, last)] = evidence.spans
    assert small.loaded.tokenizer.decode(prompt.token_ids[first:last]).strip() == PASSAGES[best]


def test_the_passage_that_the_search_found_first_decides_between_two(small):
    """One at a time, streamed and in a batch. The likelihood is that of what is weighed."""
    asked, weighed = (
        messages("Warum?"),
        SRAConfig(alpha=0.0, evidence={"weight": 50.0, "gate": "agree", "retrieval": True}),
    )
    plain = small.generate(asked, context=CONTEXT, passages=PASSAGES, sra=weighed)
    assert plain.evidence.chosen == ()  # no word is shared, and attention does not stand out
    best = plain.evidence.shares.index(max(plain.evidence.shares))
    scores = [float(number == best) for number in range(len(PASSAGES))]
    arguments = {"context": CONTEXT, "passages": PASSAGES, "sra": weighed}
    found = small.generate(asked, passage_scores=scores, **arguments)
    assert found.evidence.chosen == (best,)
    *_, last = small.stream(asked, passage_scores=scores, **arguments)
    assert last.generation.evidence.chosen == (best,)
    of_batch = small.generate_batch(
        [asked] * 2, contexts=[CONTEXT] * 2, passage_lists=[PASSAGES] * 2, score_lists=[None, scores], sra=weighed
    )
    assert [one.evidence.chosen for one in of_batch] == [(), (best,)]
    likelihoods = [
        small.answer_likelihood(asked, "a stone", passage_scores=s, **arguments).nats for s in (None, scores)
    ]
    assert likelihoods[0] != likelihoods[1]
    assert likelihoods[0] == small.answer_likelihood(asked, "a stone", context=CONTEXT, sra=None).nats


def test_the_search_is_asked_about_the_passages_that_evidence_is_chosen_from(small):
    """The first passage of the search is none of them, so that of the others counts."""
    weighed = SRAConfig(alpha=0.0, evidence={"weight": 50.0, "gate": "agree", "retrieval": True})
    prompt = small.encode(messages("Warum?"), context=CONTEXT, passages=PASSAGES, passage_scores=[5, 1, 1])
    among = dataclasses.replace(prompt, candidates=(1, 2))
    shares = small.generate(among, sra=weighed).evidence.shares
    best = max((1, 2), key=shares.__getitem__)
    for first in (1, 2):
        scored = dataclasses.replace(among, scores=(5.0, float(first == 1), float(first == 2)))
        assert small.generate(scored, sra=weighed).evidence.chosen == ((best,) if first == best else ())
    alone = small.generate(messages("Warum?"), context=CONTEXT, passages=[CONTEXT], passage_scores=[1], sra=weighed)
    assert alone.evidence.shares == (1.0,)


def test_lines_are_chosen_within_the_passage(small):
    evidence = ask(small, sra={"evidence": STRONG["evidence"] | {"unit": "line"}}).evidence
    prompt = small.encode(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES)
    [best] = evidence.chosen
    [(first, last)] = evidence.spans
    assert small.loaded.tokenizer.decode(prompt.token_ids[first:last]).strip() in PASSAGES[best].splitlines()


def test_the_words_of_the_question_are_left_without_weight(small):
    settings = {"evidence": STRONG["evidence"] | {"words": True, "new_words": True, "unit": "line"}}
    evidence = ask(small, sra=settings).evidence
    prompt = small.encode(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES)
    weighed = [small.loaded.tokenizer.decode(prompt.token_ids[first:last]) for first, last in evidence.spans]
    [best] = evidence.chosen
    line = PASSAGES[best].splitlines()[evidence.best_lines[best]]
    known = {"how", "long", "does", "the", "lease", "of", "boathouse", "run"}
    assert "".join(weighed).split() == [word for word in line.split() if word.lower() not in known]


def test_several_passages(small):
    evidence = ask(small, sra={"evidence": STRONG["evidence"] | {"passages": 2}}).evidence
    assert len(set(evidence.chosen)) == 2
    assert list(evidence.chosen) == sorted(range(3), key=lambda number: -evidence.shares[number])[:2]
    assert evidence.spans == tuple(sorted(evidence.spans))


def test_words_of_the_question_choose_together_with_attention(small):
    differ = 0
    for question in [*QUESTIONS, "How long is the lease of the mill?", "Crowns a month?"]:
        alone = ask(small, question, sra={"evidence": STRONG["evidence"] | {"unit": "line"}}).evidence
        both = ask(small, question, sra={"evidence": STRONG["evidence"] | {"unit": "line", "words": True}}).evidence
        assert both.shares == pytest.approx(alone.shares)
        prompt = small.encode(messages(question), context=CONTEXT, passages=PASSAGES)
        [best] = both.chosen
        assert both.spans == (prompt.lines[best][both.best_lines[best]],)
        differ += both.spans != alone.spans
    assert differ


@torch.inference_mode()
def test_the_answer_is_that_of_the_weights_spelled_out(small):
    found = ask(small, sra=STRONG)
    prompt = small.encode(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES)
    ids, model = [*prompt.token_ids, *found.token_ids], small.loaded.model
    with reattend(model, SRAConfig(alpha=0.0, evidence=30.0), context_length=prompt.context_length) as session:
        session.evidence = Evidence(
            [found.evidence.spans], [prompt.context_length], weight=30.0, heads=None, n_layers=3, n_heads=6
        )
        logits = model(torch.tensor([ids])).logits[0, len(prompt.token_ids) - 1 : -1]
    assert logits.argmax(-1).tolist() == list(found.token_ids)
    assert found.token_ids != ask(small).token_ids


@torch.inference_mode()
def test_less_weight_on_other_passages_spelled_out(small):
    """While the question is read and with each token that is added, only keys of other passages count less."""
    found = ask(small, sra=FEWER)
    prompt = small.encode(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES)
    ids = [*prompt.token_ids, *found.token_ids]
    fewer = torch.zeros(len(ids), len(ids))
    for number, (first, last) in enumerate(prompt.passages):
        if number not in found.evidence.chosen:
            fewer[prompt.context_length :, first:last] = -math.log(1000)
    causal = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    model = small.loaded.model
    model.set_attn_implementation("eager")
    try:
        logits = model(torch.tensor([ids]), attention_mask=(causal + fewer)[None, None]).logits[0]
    finally:
        model.set_attn_implementation("sra")
    assert logits[len(prompt.token_ids) - 1 : -1].argmax(-1).tolist() == list(found.token_ids)
    assert found.token_ids != ask(small).token_ids


@pytest.mark.parametrize("sra", [STRONG, FEWER])
def test_streams_batches_and_repeats_answer_alike(small, sra):
    alone = [ask(Engine(small.loaded, options=small.options), question, sra=sra) for question in QUESTIONS]
    *_, last = small.stream(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES, sra=sra)
    assert last.generation.token_ids == alone[0].token_ids
    batch = small.generate_batch(
        [messages(question) for question in QUESTIONS],
        contexts=[CONTEXT] * 2,
        passage_lists=[PASSAGES] * 2,
        sra=sra,
    )
    for one, other in zip(batch, alone, strict=True):
        assert one.token_ids == other.token_ids
        assert one.evidence.chosen == other.evidence.chosen
        assert one.evidence.shares == pytest.approx(other.evidence.shares, abs=1e-4)
    assert ask(small, sra=sra).token_ids == alone[0].token_ids


async def test_asking_without_blocking_is_the_same(small):
    answer = await small.agenerate(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES, sra=STRONG)
    assert answer.token_ids == ask(small, sra=STRONG).token_ids


def test_long_prompts_of_a_batch_are_read_one_by_one(small):
    long = [f"{CONTEXT}\n\nAppendix {n}. {'The weather of that year was mild. ' * (8 * n)}" for n in (2, 3)]
    prompts = [[{"role": "user", "content": f"{context}\n\n{QUESTIONS[0]}"}] for context in long]
    assert min(len(small.encode(prompt).token_ids) for prompt in prompts) < 256
    prompts = [[{"role": "user", "content": f"{context * 3}\n\n{QUESTIONS[0]}"}] for context in long]
    contexts = [context * 3 for context in long]
    alone = [small.generate(p, context=c, sra=STRONG) for p, c in zip(prompts, contexts, strict=True)]
    batch = Engine(small.loaded, options=small.options).generate_batch(prompts, contexts=contexts, sra=STRONG)
    assert [answer.token_ids for answer in batch] == [answer.token_ids for answer in alone]


def test_the_context_is_shared_by_all_settings_and_questions(small):
    length = ask(small).context_length
    for question in QUESTIONS:
        for sra in (None, STRONG, STRONG | {"alpha": 0.4}, {"alpha": 0.4, "rows": "after_context"}):
            assert ask(small, question, sra=sra).usage.cached_tokens >= length


def test_off_bit_for_bit_without_a_context_and_behind_the_gate(small):
    off = ask(small)
    gated = {"evidence": STRONG["evidence"] | {"gate": 3.0}}
    answer = ask(small, sra=gated)
    assert answer.evidence.chosen == answer.evidence.spans == ()
    assert answer.token_ids == off.token_ids

    def nats(context=CONTEXT, passages=PASSAGES, **settings):
        fresh = Engine(small.loaded)
        prompt = messages(QUESTIONS[0])
        return answer_likelihood(fresh, prompt, "four years", context=context, passages=passages, **settings)

    assert nats(sra=gated).log_probabilities == nats().log_probabilities
    assert nats(sra=STRONG).log_probabilities != nats().log_probabilities
    nothing = {"context": None, "passages": None}
    assert nats(sra=STRONG, **nothing).log_probabilities == nats(**nothing).log_probabilities
    assert small.generate(messages(QUESTIONS[0]), sra=STRONG).evidence is None


@pytest.mark.parametrize(("gate", "weighed"), [(0.0, True), (1.0, True), (1.9, True), (2.1, False)])
def test_the_gate_compares_the_best_passage_with_the_others(gate, weighed):
    spans = ((0, 10), (10, 20), (20, 30))
    prompt = EncodedPrompt(tuple(range(40)), 30, spans, tuple((span,) for span in spans))
    look = torch.tensor([[0.1, 0.2, 0.1], [0.02, 0.04, 0.02]])  # shares 1/4, 1/2, 1/4
    found = choose_evidence(prompt, look, EvidenceConfig(weight=2.0, gate=gate))
    assert found.shares == pytest.approx((0.25, 0.5, 0.25))
    assert found.chosen == ((1,) if weighed else ())
    assert found.spans == (((10, 20),) if weighed else ())


def test_sharpening_is_the_partner_of_evidence_and_is_off_without_it(small):
    def answers(**settings):
        fresh = Engine(small.loaded)
        prompt = messages(QUESTIONS[0])
        likelihood = answer_likelihood(fresh, prompt, "four years", context=CONTEXT, passages=PASSAGES, **settings)
        return likelihood.log_probabilities, ask(small, **settings).token_ids

    sharp = {"alpha": 0.6, "rows": "after_context"}
    gated = {"evidence": STRONG["evidence"] | {"gate": 1000.0}}
    assert answers(sra=gated | sharp) == answers()
    assert answers(sra=sharp)[0] != answers()[0]
    assert answers(sra=STRONG | sharp)[0] != answers(sra=STRONG)[0]
    plain = [{"role": "user", "content": "Who?"}]
    assert small.generate(plain, sra=STRONG | sharp).token_ids == small.generate(plain).token_ids
    batch = small.generate_batch([messages(QUESTIONS[0]), plain], contexts=[CONTEXT, None], sra=STRONG | sharp)
    alone = Engine(small.loaded, options=small.options)
    assert batch[0].token_ids == ask(alone, sra=STRONG | sharp).token_ids
    assert batch[1].token_ids == alone.generate(plain).token_ids


@pytest.mark.parametrize("sra", [STRONG, {"evidence": {**STRONG["evidence"], "passages": 2}}])
def test_the_only_passage_is_weighed_at_its_best_line(small, sra):
    lines = [line for passage in PASSAGES for line in passage.split("\n")]
    alone = small.generate(messages(QUESTIONS[0]), context=CONTEXT, passages=[CONTEXT], sra=sra)
    each = small.generate(messages(QUESTIONS[0]), context=CONTEXT, passages=lines, sra=sra)
    assert alone.token_ids == each.token_ids
    assert alone.token_ids != small.generate(messages(QUESTIONS[0]), context=CONTEXT).token_ids
    assert (alone.evidence.spans, alone.evidence.weights) == (each.evidence.spans, each.evidence.weights)
    assert (alone.evidence.shares, alone.evidence.chosen) == ((1.0,), (0,))
    assert alone.evidence.best_lines == each.evidence.chosen[:1]


def test_a_heading_is_never_the_best_line(small):
    """It has the words of the question, and the answer is below it."""
    first = "Term of the lease of the mill\nIt runs for 9 years.\nDeposit\nTwo rents are left with the council."
    second = "Opening hours\nThe hall is open on 3 days.\nParking\nCars stay outside."
    asked = [{"role": "user", "content": f"{first}\n\n{second}\n\nWhat is the term of the lease of the mill?"}]
    two = small.generate(asked, context=f"{first}\n\n{second}", passages=[first, second], sra=STRONG)
    assert two.evidence.chosen == (0,)
    assert set(two.evidence.best_lines) <= {1, 3}
    asked = [{"role": "user", "content": f"{first}\n\nWhat is the term of the lease of the mill?"}]
    page = small.generate(asked, context=first, passages=[first], sra=STRONG).evidence
    assert page.chosen == (0,)
    assert page.best_lines[0] in (1, 3)


def test_of_the_only_passage_nothing_is_weighed_where_no_line_stands_out(small):
    gate = {"evidence": {**STRONG["evidence"], "gate": 1e9}}
    answer = small.generate(messages(QUESTIONS[0]), context=CONTEXT, passages=[CONTEXT], sra=gate)
    assert (answer.evidence.chosen, answer.evidence.spans, answer.evidence.shares) == ((), (), (1.0,))
    assert answer.token_ids == small.generate(messages(QUESTIONS[0]), context=CONTEXT).token_ids


def test_the_weights_of_the_embedded_model_grow_with_the_context_and_those_of_others_do_not(tiny, embedded):
    assert fitted_settings(SRAConfig(evidence=True), embedded).evidence.tokens == 1500
    assert fitted_settings(SRAConfig(evidence=True), tiny).evidence.tokens is None


def test_a_passage_of_one_line_has_nothing_to_choose_from(small):
    line = PASSAGES[0].split("\n")[0]
    answer = small.generate([{"role": "user", "content": f"{line}\n\nHow long?"}], context=line, sra=STRONG)
    assert answer.evidence is None


def test_the_paragraphs_are_the_passages_where_none_are_given(small):
    given = ask(small, sra=STRONG)
    found = small.generate(messages(QUESTIONS[0]), context=CONTEXT, sra=STRONG)
    assert (found.token_ids, found.evidence) == (given.token_ids, given.evidence)


def test_the_answer_gives_more_of_its_attention_to_the_evidence(small):
    prompt = small.encode(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES)
    means = []
    for sra in (None, STRONG):
        shares = AttentionShares(prompt.passages, len(prompt.token_ids))
        answer = ask(small, sra=sra, shares=shares)
        means.append(shares.mean())
    [best] = answer.evidence.chosen
    assert means[1][best] > means[0][best] + 0.1


def test_the_likelihood_is_that_of_the_answer(small):
    found = ask(small, sra=STRONG)
    text = small.loaded.tokenizer.decode(found.token_ids)
    fresh = Engine(small.loaded)
    prompt = messages(QUESTIONS[0])
    strong, plain = (
        answer_likelihood(fresh, prompt, text, context=CONTEXT, passages=PASSAGES, sra=sra).nats
        for sra in (STRONG, None)
    )
    assert strong < plain


def test_a_passage_that_is_not_in_the_context_is_refused(small):
    with pytest.raises(PromptError, match="Passage 2 .* is not in the context"):
        small.generate(messages(QUESTIONS[0]), context=CONTEXT, passages=[PASSAGES[0], "Nothing of the kind."])
    with pytest.raises(PromptError, match="Passage 2 .* in its order"):
        small.generate(messages(QUESTIONS[0]), context=CONTEXT, passages=PASSAGES[1::-1])


def test_heads_that_the_model_does_not_have(small):
    with pytest.raises(ConfigError, match="names head 7.0, but the model has 3 layers of 6 heads"):
        ask(small, sra={"evidence": {"weight": 2.0, "look": [(7, 0)]}})


SAILCLOTH, ROLLS = "What does the sailcloth cost a metre?", "Within how many days must claims for damp rolls be made?"


@pytest.mark.parametrize(("question", "gold"), [(SAILCLOTH, {0}), (f"{SAILCLOTH} And {ROLLS.lower()}", {0, 1})])
def test_a_question_of_two_parts_has_both_passages_weighed(embedded, question, gold):
    """The heads of the embedded model look at one passage with the words of one part, at another with the others."""
    engine = Engine(embedded, options=SamplingOptions(max_new_tokens=1))
    texts = [passage.text for passage in (*probe_groups()[0], *probe_groups()[1])]
    wanted = [next(number for number, text in enumerate(texts) if word in text) for word in ("sailcloth", "damp rolls")]
    context = "\n\n".join(texts)
    asked = [{"role": "user", "content": f"Answer from the passages.\n\n{context}\n\n{question}"}]
    evidence = engine.generate(asked, context=context, passages=texts, sra="evidence").evidence
    assert {*evidence.chosen} == {wanted[number] for number in gold}

    lines = ["The sailcloth costs 61 crowns a metre.", "Claims for damp rolls are made in ten days."]
    page = "\n".join(
        [*lines, "The chapel is cleaned on Fridays.", "No dogs in the orchard.", "The mill is let until May."]
    )
    asked = [{"role": "user", "content": f"Answer from the page.\n\n{page}\n\n{question}"}]
    spans = engine.generate(asked, context=page, sra="evidence").evidence.spans
    [told] = engine.encode(asked, context=page).lines
    weighed = {number for number, (first, last) in enumerate(told) for span in spans if first <= span[0] < last}
    assert weighed == gold


def test_the_name_alone_takes_what_suits_the_model(small, embedded):
    named = SRAConfig.coerce("evidence")
    assert fitted_settings(named, small.loaded) == UNMEASURED
    assert fitted_settings(named.replace(alpha=0.3), small.loaded) == UNMEASURED.replace(alpha=0.3)
    measured = fitted_settings(named, embedded)
    assert not measured.evidence.automatic
    # What is given beside the name is kept, here as the README advises for answers from two passages.
    two = fitted_settings(SRAConfig.coerce({"evidence": {"passages": 2}}), embedded)
    assert two == measured.replace(evidence=measured.evidence.replace(passages=2))
    assert ask(small, sra={"evidence": {"passages": 2}}).sra == UNMEASURED.replace(
        evidence=UNMEASURED.evidence.replace(passages=2)
    )
    by_attention = fitted_settings(SRAConfig.coerce({"evidence": {"words": False}}), embedded)
    assert (by_attention.evidence.words, by_attention.evidence.gate) == (False, 0)
    assert fitted_settings(SRAConfig(alpha=0.3), embedded) == SRAConfig(alpha=0.3)
    assert fitted_settings(None, embedded) is None
