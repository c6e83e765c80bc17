"""Whether a model of natural language inference finds an answer's sentences entailed by the passages.

The best passage counts, and of a passage that is longer than the model's window the best part of it, as in SummaC's
zero-shot score (Laban et al., arXiv 2111.09525).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from sentence_transformers import CrossEncoder
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.support import check_support

from sra_evaluations.examples import Example
from sra_rag.errors import ConfigError, ModelLoadError, first_line

__all__ = ["EntailmentScorer"]

_LEAST = 0.5  # of the probability: entailed is likelier than everything else together
_STATES_NOTHING = 5  # an answer of so few words has a meaning only together with its question
_PREMISE_LEAST = 16  # tokens of a passage that must fit together with the sentence


class EntailmentScorer:
    """The share of an answer's sentences that a cross-encoder finds entailed: a `sra_evaluations.runs.run_task.Scorer`.

    An answer of up to five words, such as a name, is judged after its question. Answers that state that the documents
    do not contain the answer are not scored.

    Parameters
    ----------
    model
        A name on the hub, such as ``"cross-encoder/nli-deberta-v3-base"``, or a folder. One of the labels in its
        configuration (``id2label``) has to begin with "entail".
    batch_size
        Pairs of passage and sentence rated at once.

    Raises
    ------
    ModelLoadError
        If there is no such model, its labels do not show which one is entailment, or its tokenizer is not a fast one.
    """

    def __init__(self, model: str, *, batch_size: int = 16) -> None:
        self.name = model
        try:
            self.model = CrossEncoder(model)
        except (OSError, ValueError) as error:
            raise ModelLoadError(
                f"The NLI model {model!r} could not be loaded: {first_line(error)}. "
                "Give a name on the hub (online, or in the local cache) or a folder."
            ) from error
        labels = {int(index): str(label) for index, label in self.model.config.id2label.items()}
        entailed = [index for index, label in labels.items() if label.casefold().startswith("entail")]
        if len(entailed) != 1 or len(labels) < 2:
            raise ModelLoadError(
                f"The labels of {model!r} are {', '.join(labels.values())}; one of two or more has to begin with "
                "'entail'. Give a model trained for natural language inference, such as "
                "cross-encoder/nli-deberta-v3-base, or name its labels in id2label of config.json."
            )
        if not getattr(self.model.tokenizer, "is_fast", False):
            raise ModelLoadError(
                f"{model!r} has no fast tokenizer, which long passages need. Give a model with a tokenizer.json."
            )
        self.label = entailed[0]
        self.batch_size = batch_size
        self.window = self._read_window()

    def __call__(self, said: str, example: Example) -> dict[str, float]:
        """Score an answer.

        Returns
        -------
        dict
            ``entailed``: the share of sentences whose entailment is given a probability of one half or more, in [0, 1].
            Empty where the answer has no sentence, refuses, or there is nothing that could entail it.
        """
        support = check_support(said, example.question, example.passages)
        texts = [passage.text for passage in example.passages] or [example.context]
        texts = [text for text in texts if text.strip()]
        if not texts or not support.sentences or abstains(said, support) == "model says so":
            return {}
        sentences = [sentence.text for sentence in support.sentences]
        if len(said.split()) <= _STATES_NOTHING:
            sentences = [f"{example.question.removeprefix('Question: ')} {said.strip()}"]
        found = self.probabilities(sentences, texts)
        return {"entailed": sum(probability >= _LEAST for probability in found) / len(found)}

    def probabilities(self, sentences: list[str], passages: list[str]) -> list[float]:
        """Return for each sentence the probability, in [0, 1], that the best part of a passage entails it.

        Raises
        ------
        ConfigError
            If a sentence leaves no room for passages in the model's window.
        """
        pairs = [
            (number, (part, sentence))
            for number, sentence in enumerate(sentences)
            for passage in passages
            for part in self._parts(passage, sentence)
        ]
        rated = self.model.predict(
            [pair for _, pair in pairs],
            batch_size=self.batch_size,
            show_progress_bar=False,
            activation_fn=torch.nn.Identity(),  # a model may have its own; the softmax is applied after it
            apply_softmax=True,
        )
        best = [0.0] * len(sentences)
        for (number, _), row in zip(pairs, rated, strict=True):
            best[number] = max(best[number], float(row[self.label]))
        return best

    def _parts(self, passage: str, sentence: str) -> Iterator[str]:
        """Cut a passage into parts that fit together with the sentence, each overlapping half of the part before it."""
        tokenizer = self.model.tokenizer
        taken = len(tokenizer(sentence, add_special_tokens=False)["input_ids"])
        room = self.window - taken - tokenizer.num_special_tokens_to_add(pair=True)
        if room < _PREMISE_LEAST:
            raise ConfigError(
                f"A sentence of {taken} tokens leaves no room for a passage in the {self.window} tokens that "
                f"{self.name!r} reads. Give a model with a larger window, or lower max_new_tokens."
            )
        places = tokenizer(passage, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = places["offset_mapping"]
        for first in range(0, max(1, len(offsets) - room // 2), max(1, room // 2)):
            last = min(first + room, len(offsets)) - 1
            if first == 0 and last == len(offsets) - 1:
                yield passage
            elif last >= first:
                yield passage[offsets[first][0] : offsets[last][1]]

    def _read_window(self) -> int:
        config = self.model.config
        positions = getattr(config, "max_position_embeddings", 0) or 0
        if "roberta" in config.model_type and positions:
            positions -= config.pad_token_id + 1  # they are counted from the index after the padding's
        known = [size for size in (self.model.max_seq_length, positions) if size]
        if not known:
            raise ModelLoadError(
                f"{self.name!r} does not define its maximum length. Set model_max_length in tokenizer_config.json."
            )
        return min(known)
