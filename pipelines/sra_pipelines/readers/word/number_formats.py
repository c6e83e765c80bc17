"""Numbers as Word writes them: ``iv``, ``bb``, ``03``, ``3rd``, ``Twenty-one``."""

from __future__ import annotations

__all__ = ["format_number"]

_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_MOST_ROMAN = 4_999
_LETTERS = 780  # up to thirty times z, after which Word starts again
_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip
_MARKS = "*†‡§"
_MOST_MARKS = 100
_WIDEST = 9


def format_number(number: int, kind: str) -> str:
    """Return a number in a number format of WordprocessingML.

    Parameters
    ----------
    number
        Number of the paragraph or note. If the format cannot represent it, such as 0 as a letter, it is written in
        decimal.
    kind
        Name of the format, such as ``"lowerRoman"``, or the first number of a custom format, such as ``"0001"``.
        Unknown formats are written in decimal; ``"none"`` and ``"bullet"`` return an empty text.
    """
    if kind in ("none", "bullet"):
        return ""
    if kind in ("lowerRoman", "upperRoman") and 0 < number <= _MOST_ROMAN:
        return _cased(_roman(number), kind)
    if kind in ("lowerLetter", "upperLetter") and number > 0:
        times, letter = divmod((number - 1) % _LETTERS, 26)
        return _cased(chr(ord("a") + letter) * (times + 1), kind)
    if kind == "chicago" and 0 < number <= _MOST_MARKS:
        times, mark = divmod(number - 1, len(_MARKS))
        return _MARKS[mark] * (times + 1)
    if kind in ("cardinalText", "ordinalText") and 0 <= number < 100:
        return _words(number, ordinal=kind == "ordinalText")
    if kind in ("ordinal", "ordinalText"):
        return f"{number}{_ordinal_ending(number)}"
    if kind == "decimalZero":
        return f"{number:02}"
    if kind.isdecimal() and len(kind) <= _WIDEST:
        return f"{number:0{len(kind)}}"
    return str(number)


def _cased(text: str, kind: str) -> str:
    return text.upper() if kind.startswith("upper") else text


def _roman(number: int) -> str:
    parts = []
    for value, letters in _ROMAN:
        times, number = divmod(number, value)
        parts.append(letters * times)
    return "".join(parts)


def _words(number: int, *, ordinal: bool) -> str:
    tens, units = divmod(number, 10)
    words = [_UNITS[number]] if number < 20 else [_TENS[tens], *([_UNITS[units]] if units else [])]
    if ordinal:
        last = words[-1]
        words[-1] = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return "-".join(words).capitalize()


def _ordinal_ending(number: int) -> str:
    if abs(number) % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(abs(number) % 10, "th")
