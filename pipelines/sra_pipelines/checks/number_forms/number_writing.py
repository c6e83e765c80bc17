"""How scales, percentages, fractions and signs of numbers are written, for `sra_pipelines.checks.amounts`."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from sra_pipelines.checks.number_forms.units import EXTENT

__all__ = [
    "FRACTIONS", "PERCENTAGES", "PERCENT_SIGNS", "SCALES", "fraction_value", "is_negated", "is_scale_word",
    "loss_spans", "percent_power", "plain_signs", "scale_power",
]  # fmt: skip

# Full-width and Arabic signs, dashes and apostrophes, each for the sign that patterns know. All are single characters,
# so that spans stay valid.
_SIGNS = str.maketrans(
    {
        "\u066b": ".", "\u066c": ",", "\uff0c": ",", "\uff0e": ".", "\u066a": "%", "\uff05": "%", "\uff0d": "-",
        "\u2013": "-", "\uff04": "$", "\uffe5": "\u00a5", "\uffe1": "\u00a3", "\u2018": "'", "\u02bc": "'",
        "\u00b4": "'", "\uff08": "(", "\uff09": ")",
    }
)  # fmt: skip

_POWERS = {
    "thousand": 3, "k": 3, "tsd": 3, "tausend": 3, "mille": 3, "tis": 3, "tys": 3, "tusen": 3,
    "t": 3, "\u0442\u044b\u0441": 3,
    "lakh": 5, "lac": 5,
    "million": 6, "millionen": 6, "millones": 6, "milione": 6, "milioni": 6, "milh\u00f5es": 6, "miljoen": 6,
    "miljoner": 6, "millioner": 6,
    "mil\u00edon": 6, "mill\u00f3n": 6, "milion\u016f": 6, "mn": 6, "mln": 6, "m": 6, "mio": 6,
    "\u043c\u043b\u043d": 6,
    "crore": 7, "cr": 7,
    "billion": 9, "bn": 9, "b": 9, "mrd": 9, "md": 9, "mld": 9, "mil millones": 9, "miljard": 9, "miljarder": 9,
    "bilh\u00f5es": 9, "milliard": 9, "milliarden": 9, "miliardo": 9, "miliardi": 9,
    "\u043c\u043b\u0440\u0434": 9,
    "trillion": 12, "tn": 12, "billionen": 12, "billones": 12,
    "\u4e07": 4, "\u842c": 4, "\ub9cc": 4, "\u5104": 8, "\u4ebf": 8, "\uc5b5": 8, "\u5146": 12,
}  # fmt: skip
_SHORT = frozenset({"bn", "mn", "tn", "cr", "k", "m", "md", "b"})
_BEFORE_CURRENCY = r"(?=\u20ac|(?:EUR|CHF)\b)"  # as in "500 T\u20ac" and "5 MEUR"
_WITHOUT_SPACES = frozenset({"\u4e07", "\u842c", "\ub9cc", "\u5104", "\u4ebf", "\uc5b5", "\u5146"})
_LONG = sorted(_POWERS.keys() - _SHORT - _WITHOUT_SPACES - {"t"}, key=len, reverse=True)

SCALES = (
    rf"(?:\s?(?P<scale>(?:{'|'.join(_LONG)})s?)\b"
    rf"|\s?(?P<short>(?!m{EXTENT})(?:{'|'.join(sorted(_SHORT, key=len, reverse=True))})(?:\b|{_BEFORE_CURRENCY})"
    rf"|t{_BEFORE_CURRENCY})"
    rf"|\s?(?P<ideograph>[{''.join(sorted(_WITHOUT_SPACES))}]))"
)
"""Pattern of a scale after a number, such as " million", "bn" or " lakhs"."""

_PERCENT = (
    r"%(?:[\s-]?points?\b)?|percent(?:age)?(?:[\s-]points?\b|\b)|per\s?cent[oi]?\b|pct\b|procent\b|Prozent(?:punkten?)?\b"
    r"|points?\s+de\s+pourcentage\b|puntos\s+porcentuales\b|pour\s?cent\b|por\s?c(?:iento|ento)\b|pp\b|p\.p\.|ppts?\b"
    r"|v\.\s?H\.|\u30d1\u30fc\u30bb\u30f3\u30c8|\ud37c\uc13c\ud2b8"
)
_PERMILLE = r"\u2030|per\s?mill?e\b|Promille\b"
_BASIS_POINTS = r"basis[\s-]+points?\b|Basispunkten?\b|points?\s+de\s+base\b|bps?\b"

PERCENTAGES = rf"(?:\s?(?P<percent>{_PERCENT})|\s?(?P<permille>{_PERMILLE})|\s?(?P<basis>{_BASIS_POINTS}))"
"""Pattern of what makes a number a percentage: per cent, per mille or basis points."""

PERCENT_SIGNS = rf"(?:{_PERCENT}|{_PERMILLE}|{_BASIS_POINTS})"
"""Pattern of the same without a number."""

FRACTIONS = r"(?P<fraction>\s?[\u00bc-\u00be\u2150-\u215e]|[ \u00a0-](?P<above>[1-9])/(?P<below>[2-9]|1[026])(?![\d/]))"
"""Pattern of a fraction after a whole number, such as "4\u00bd" or "4 1/2"."""

_NEGATIVE = re.compile(r"(?<![\d)%]\s)\b(?:minus|negative)\s{1,2}[^\w\s]?$", re.IGNORECASE)
_LOSS = re.compile(
    r"(?<![(/])\b(?:loss(?:es)?|deficits?|shortfalls?|outflows?|Verlust|Fehlbetrag|perte|d\u00e9ficit|p\u00e9rdida)\b"
    r"(?:\s*\([^)\n]{0,30}\))?"
    r"(?:\s+(?:of|was|were|is|von|de|amounted\s+to|totall?ed))?[\s:]*(?:[A-Z]{2,3}\b)?[^A-Za-z\n]*",
    re.IGNORECASE,
)


def plain_signs(text: str) -> str:
    """Return a text of the same length in which full-width and Arabic signs of numbers are the usual ones."""
    return text.translate(_SIGNS)


def scale_power(word: str) -> int:
    """Return the power of ten of a scale, such as 6 for "millions"; 0 for an empty text."""
    lowered = word.lower()
    return _POWERS.get(lowered) or _POWERS.get(lowered.removesuffix("s"), 0)


def is_scale_word(word: str) -> bool:
    """Return whether a word is a scale, such as "million" or "bn"."""
    return scale_power(word) > 0


def percent_power(permille: bool, basis_points: bool) -> int:
    """Return the power of ten that turns a number into per cent."""
    return -2 if basis_points else -1 if permille else 0


def fraction_value(fraction: str, above: str | None, below: str | None) -> Decimal:
    """Return the value of a fraction as found by `FRACTIONS`."""
    if above and below:
        return Decimal(above) / Decimal(below)
    return Decimal(str(unicodedata.numeric(fraction.strip())))


def is_negated(text: str, start: int) -> bool:
    """Return whether "minus" or "negative" is before a number that starts at `start`, but not as a subtraction."""
    return bool(_NEGATIVE.search(text, max(0, start - 14), start))


def loss_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans in which numbers without a sign are losses, such as " 500  600" after "net loss"."""
    return [match.span() for match in _LOSS.finditer(text)]
