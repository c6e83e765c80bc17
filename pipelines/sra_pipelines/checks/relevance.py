"""Find answers that the documents probably do not contain: their quotes have little to do with the question.

A model that is asked for something that the documents do not contain answers with an amount or a name of another
matter, which is on the page that it cites. What shows it is measured without the model:

- `near`: how many of the question's words, weighted by how rare they are, are in the lines around a quote;
- `closest`: the cosine of the question and the passage closest in meaning, of the whole index;
- `quoted`: the cosine of the question and the closest quote, as a passage of several matters is close to none of them.

The larger of the two cosines and a part of `near` are one signal; docs/measurements.md has what it refuses, and how its
numbers were found. Questions of one or two words ("Rent?") have lower thresholds: so are their cosines, and a line that
answers them mostly has all of their words.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.checks.amounts import find_amounts
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.number_forms.counted import is_before_currency
from sra_pipelines.index.embedding_identity import unit_vectors
from sra_pipelines.index.query_vectors import query_vector
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.languages import ENGLISH, language_of
from sra_pipelines.values import Passage

__all__ = ["Relevance", "has_measured_cosines", "measure_relevance"]

_QUESTION_WORDS = frozenset(
    keywords(
        [
            "who whom whose what which when where why how much many often long do does did done has have had can could "
            "may might must shall should will would were been give given say tell state according mean"
        ]
    )[0]
)
_FUNCTION_WORDS = 3  # of a passage; a table may have none
_LINES = 2  # before and after a quote
_MANY_WORDS = 3  # of a question; from here on one threshold
_NEAR_WEIGHT = 0.3
_QUOTED_MORE = 0.05  # what is added to the cosine of a quote, which is short and often has pronouns for names
_LEAST_SCORE = 0.63
_LEAST_SCORES_SHORT = {1: 0.45, 2: 0.5}  # of questions of so many words
# English words of tables, which may have no function words, that other languages do not have.
_TABLE_WORDS = frozenset(
    keywords(
        [
            "amount price quantity year month week customer supplier sales revenue cost country city address phone "
            "employee department salary due pay paid invoice payment balance account number item weight height size "
            "day hour labour labor order delivery quarter"
        ]
    )[0]
)
_LEAST_TABLE_WORDS = 2
_PRICE_WORDS = frozenset(keywords(["price cost charge pay paid"])[0])
_MEASURED = "allminilml6v2"  # cosines of other embedding models have another scale


@dataclasses.dataclass(frozen=True, slots=True)
class Relevance:
    """How much the quotes of an answer have to do with the question.

    Parameters
    ----------
    near
        Share of the question's words that are in the lines around a quote, or in the headings of its passage, in
        [0, 1]; rare words weigh more. Of the best quote.
    closest
        Cosine of the question and the closest passage of the index; None if it is not known, or if the cosines of the
        embedding model were not measured.
    quoted
        Cosine of the question and the closest quote; None if it was not measured, as `near` and `closest` were enough.
    n_words
        Number of words of the question that are compared; 3 stands for more too.
    """

    near: float
    closest: float | None = None
    quoted: float | None = None
    n_words: int = _MANY_WORDS

    @property
    def too_low(self) -> bool:
        """Whether the documents probably do not contain an answer; never without `closest`, as words alone mislead."""
        if self.closest is None:
            return False
        meaning = self.closest if self.quoted is None else max(self.closest, self.quoted + _QUOTED_MORE)
        return meaning + _NEAR_WEIGHT * self.near < _LEAST_SCORES_SHORT.get(self.n_words, _LEAST_SCORE)


def measure_relevance(
    question: str,
    passages: Sequence[Passage],
    citations: Sequence[Citation],
    weights: Mapping[str, float],
    *,
    also: Sequence[str] = (),
    closest: float | None = None,
    embedding: BaseEmbedding | None = None,
) -> Relevance | None:
    """Measure how much the quotes of an answer have to do with the question.

    Parameters
    ----------
    question
        The question.
    passages
        The passages in the prompt.
    citations
        The pages that support the answer.
    weights
        Weight of each word of the question, see `KeywordIndex.weights`.
    also
        Other phrases for what is asked; lines that contain one have all words of the question.
    closest
        Cosine of the question and the closest passage, if it is known.
    embedding
        The model of that cosine. It is asked for the cosines of the quotes if the answer would be refused without them.

    Returns
    -------
    relevance
        None if there are no citations, if the question has no words to compare, or if the question or the passages are
        in another language than English: then their words say nothing.
    """
    asked = set(keywords([question])[0]) - _QUESTION_WORDS
    # A question without function words ("Notice period?") does not tell its language: it is that of the passages.
    if not citations or not asked or language_of(question) not in (ENGLISH, None) or not question.isascii():
        return None
    if not _are_english([passage.text for passage in passages]):
        return None
    n_words = min(len(asked), _MANY_WORDS)
    if n_words < _MANY_WORDS:
        # "When does the lease end?" names the document "lease", which says nothing about its lines.
        asked = asked.difference(*keywords([citation.document for citation in citations])) or asked
    total = sum(weights[word] for word in asked)
    phrases = [set(words) for words in keywords(list(also))] if also else []
    best = 0.0
    for citation in citations:
        there = set(keywords([_around(citation, passages)])[0])
        if any(phrase and phrase <= there for phrase in phrases):
            best = 1.0
        best = max(best, sum(weights[word] for word in asked & there) / total)
        if asked <= _PRICE_WORDS and _has_money(citation.quote):
            best = 1.0  # "What does it cost?" is answered by "Each child pays 12 euros."
    relevance = Relevance(best, closest, n_words=n_words)
    if embedding is not None and relevance.too_low:
        vector = query_vector(embedding, question)
        quotes = unit_vectors(embedding.get_text_embedding_batch([citation.quote for citation in citations]))
        relevance = dataclasses.replace(relevance, quoted=float((quotes @ vector).max()))
    return relevance


def has_measured_cosines(embedding_name: str | None) -> bool:
    """Return whether the threshold was found with an embedding model, given its name or path."""
    return embedding_name is not None and _MEASURED in re.sub(r"[^a-z0-9]", "", embedding_name.lower())


def _has_money(text: str) -> bool:
    return any(amount.currency >= 0 or is_before_currency(text, amount.end) for amount in find_amounts(text))


def _are_english(texts: Sequence[str]) -> bool:
    """Return whether a text is in English, or if none tells its language, looks like an English table."""
    languages = {language_of(text, least=_FUNCTION_WORDS) for text in texts} - {None}
    if languages:
        return ENGLISH in languages
    words = set().union(*keywords(texts)) if texts else set()
    return len(words & _TABLE_WORDS) >= _LEAST_TABLE_WORDS or any(language_of(text) == ENGLISH for text in texts)


def _around(citation: Citation, passages: Sequence[Passage]) -> str:
    """Return a quote with the lines around it in its passage, and the headings of the passage."""
    for passage in passages:
        place = passage.text.find(citation.quote)
        if (passage.document, passage.page_index) != (citation.document, citation.page_index) or place < 0:
            continue
        lines = passage.text.split("\n")
        first = passage.text[:place].count("\n")
        last = first + citation.quote.count("\n")
        near = lines[max(0, first - _LINES) : last + _LINES + 1]
        return "\n".join([passage.document, passage.section, *near])
    return f"{citation.document}\n{citation.quote}"
