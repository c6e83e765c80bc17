"""How evidence is found in a context and how much more weight it gets: a frozen, validated value of `SRAConfig`."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from sra_rag.errors import ConfigError

__all__ = ["EvidenceConfig", "Gate", "HeadChoice", "PassageCount", "Unit", "parse_heads"]

HeadChoice: TypeAlias = Literal["all"] | int | tuple[tuple[int, int], ...]
PassageCount: TypeAlias = int | Literal["named"]
Unit: TypeAlias = Literal["passage", "line"]
Gate: TypeAlias = float | Literal["agree"]


@dataclasses.dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Weight on the passage that answers the question.

    While the question is read, a few heads of the model that look for the answer (its *evidence heads*, see
    `sra_rag.find_evidence_heads`) are observed. The keys of the passage that they look at then count `weight` times in
    the softmax, in the rows after the context only.

    Parameters
    ----------
    weight
        ``w`` > 1: how many times a key of the evidence counts; 1, which is no change, only with `others`. Fewer times
        where less than 16 tokens of the context are beside it, see `sra_rag.evidence.choice`. None takes all of these
        settings, apart from those that are given here with another value than their default, and alpha where none is
        given, from what was measured on the model (see `sra_rag.heads.known`).
    heads
        Which query heads weigh the evidence: ``"all"``, the number of the model's best evidence heads, or pairs
        ``(layer, head)``.
    look
        Which query heads choose it: the number of the model's best evidence heads, or pairs ``(layer, head)``.
    passages
        How many passages are weighed; in a context with a single passage, how many of its lines. ``"named"``: one, and
        each further one that the question names, as a question of two parts does: at least two of its words,
        which the passage has and not most others, give it more than half of their attention to the passages.
    unit
        ``"passage"``, or ``"line"`` for only the best line of each chosen passage: a row of a table, an item of a list
        or a sentence.
    line_weight
        Where the unit is the passage: how many times more a key of its best line counts than the rest of the passage;
        1 is no more.
    new_words
        Whether the words of the best line that the question holds already are left as they are, so that the weight is
        on the value and not on the key, on the amounts of a row and not on its label.
    words
        Whether the words that a line shares with the question count as much as the attention of the heads.
    retrieval
        Whether the first passage of the search, where its scores are given (`passage_scores`), is one that is named.
        None: what was measured on the model, and no for a model that was not measured.
    gate
        Nothing is weighed unless the best passage gets at least `gate` times the attention of the others' mean. 0 is no
        gate. ``"agree"``: nothing is weighed unless two of these name the same passage: attention, the words of
        passages, the best line, the search (for the first passage, words or the search must be among them); or, where
        no word is shared, it gets 2.25 times the attention of the others' mean.
    tokens
        The number of tokens beside the chosen passages that the weights are meant for. Where a longer context has more,
        weights are as many times larger, so that evidence keeps the share of attention that it has in a context of this
        length. With `others`, it is that number that grows. None: the weights are the same in every context.
    others
        How many times fewer a key of the other passages counts, >= 1. Weight on the evidence also takes attention from
        the instructions, the question and the answer so far; less weight on the other passages does not. None: what was
        measured on the model, and 1, which is no change, for a model that was not measured.

    Raises
    ------
    ConfigError
        If a value is not allowed; the message names the allowed values.
    """

    weight: float | None = None
    heads: HeadChoice = "all"
    look: HeadChoice = 10
    passages: PassageCount = "named"
    unit: Unit = "passage"
    line_weight: float = 1.0
    new_words: bool = False
    words: bool = True
    retrieval: bool | None = None
    gate: Gate = 0.0
    tokens: int | None = None
    others: float | None = None

    def __post_init__(self) -> None:
        # A frozen value can only be normalised (JSON has no tuples) past its own guard.
        if self.others is not None:
            object.__setattr__(self, "others", _number("others", self.others, "a finite number >= 1", least=1))
        if self.weight is not None:
            allowed = "a finite number above 1, or 1 with others above 1"
            alone = (self.others or 1.0) == 1
            weight = _number("weight", self.weight, allowed, least=1, above=1 if alone else -math.inf)
            object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "heads", _heads("heads", self.heads))
        object.__setattr__(self, "look", _heads("look", self.look))
        object.__setattr__(
            self, "line_weight", _number("line_weight", self.line_weight, "a finite number >= 1", least=1)
        )
        if self.gate != "agree":
            allowed = 'a finite number >= 0 (0 is no gate), or "agree"'
            object.__setattr__(self, "gate", _number("gate", self.gate, allowed, least=0))
        for name in ("words", "new_words", "retrieval"):
            if not isinstance(given := getattr(self, name), bool) and (name, given) != ("retrieval", None):
                raise ConfigError(f"evidence {name}={given!r} is not allowed. Give true or false.")
        if self.gate == "agree" and not self.words:
            raise ConfigError('evidence gate="agree" is not allowed without words. Give words=True, or a number.')
        for name, count, left_out, also in (
            ("passages", self.passages, "named", ' or "named"'),
            ("tokens", self.tokens, None, ""),
        ):
            if count != left_out and (type(count) is not int or count < 1):
                raise ConfigError(f"evidence {name}={count!r} is not allowed. Give a whole number >= 1{also}.")
        if self.unit not in get_args(Unit):
            raise ConfigError(f"evidence unit={self.unit!r} is not allowed. Use one of: {', '.join(get_args(Unit))}.")

    @property
    def automatic(self) -> bool:
        """Whether the settings are those that were measured on the model."""
        return self.weight is None

    @property
    def most_heads(self) -> int:
        """Number of evidence heads of the model that must be known; 0 if the heads are given or all."""
        return max(count for count in (self.heads, self.look, 0) if isinstance(count, int))

    def replace(self, **changes: Any) -> EvidenceConfig:
        """Return a copy with some fields changed, validated again."""
        _reject_unknown(changes)
        return dataclasses.replace(self, **changes)

    @classmethod
    def coerce(cls, value: Any) -> EvidenceConfig | None:
        """Make settings from a mapping, a weight, True for what suits the model, or None for no evidence.

        Raises
        ------
        ConfigError
            If the value is of another kind, or not allowed.
        """
        if value is None or isinstance(value, cls):
            return value
        if value is True:
            return cls()
        if value is False:
            return None
        if isinstance(value, int | float):
            return cls(weight=value)
        if isinstance(value, Mapping):
            _reject_unknown(value)
            return cls(**value)
        raise ConfigError(
            f"evidence={value!r} is a {type(value).__name__}. Give an EvidenceConfig, a dict, a weight above 1, True "
            "for what suits the model, or None."
        )


def parse_heads(name: str, text: str) -> HeadChoice:
    """Read ``all``, a number, or heads such as ``18.7+12.0`` (layer.head).

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if text == "all":
        return "all"
    if text.isdecimal():
        return int(text)
    if re.fullmatch(r"\d+\.\d+(\+\d+\.\d+)*", text):
        return tuple((int(layer), int(head)) for layer, head in (pair.split(".") for pair in text.split("+")))
    raise ConfigError(f"evidence {name}={text!r} is not allowed. Use all, a number, or layer.head+layer.head.")


def _number(name: str, value: Any, allowed: str, *, above: float = -math.inf, least: float = -math.inf) -> float:
    given = isinstance(value, int | float) and not isinstance(value, bool)
    if not given or not abs(value) <= sys.float_info.max or value <= above or value < least:  # an int may be larger
        raise ConfigError(f"evidence {name}={value!r} is not allowed. Give {allowed}.")
    return float(value)


def _heads(name: str, value: Any) -> HeadChoice:
    if value == "all":
        return "all"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        pairs = [tuple(pair) if isinstance(pair, Sequence) and not isinstance(pair, str) else () for pair in value]
        whole = all(len(pair) == 2 and all(type(index) is int and index >= 0 for index in pair) for pair in pairs)
        if whole and len(set(pairs)) == len(pairs):
            return tuple((layer, head) for layer, head in pairs)
    raise ConfigError(
        f'evidence {name}={value!r} is not allowed. Give "all", a number of heads >= 1, or different pairs '
        "(layer, head)."
    )


def _reject_unknown(settings: Mapping[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(EvidenceConfig)]
    unknown = sorted(str(key) for key in settings if key not in known)
    if unknown:
        raise ConfigError(f"Unknown evidence setting {', '.join(unknown)}. Known are: {', '.join(known)}.")
