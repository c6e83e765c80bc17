"""Characters of symbol fonts, such as Wingdings, as Unicode."""

from __future__ import annotations

__all__ = ["UNKNOWN", "is_symbol_font", "symbol"]

UNKNOWN = "\ufffd"
_PRIVATE = 0xF000  # Word stores the characters of symbol fonts in the private use area
_SYMBOL = (
    # fmt: off
    {
        0x21 + i: c
        for i, c in enumerate(
            "!∀#∃%&∋()\u2217+,\u2212./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}\u223c"
        )
    }
    | {0xA0 + i: c for i, c in enumerate("€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑")}  # noqa: RUF001
    | {0xF1: "⟩", 0xF2: "∫"}
    # fmt: on
)
_WINGDINGS = (
    {0x28: "☎", 0x29: "✆", 0x2A: "✉", 0x43: "👍", 0x44: "👎", 0x46: "☞", 0x4A: "☺", 0x4C: "☹", 0x51: "✈"}
    | {0x6C: "●", 0x6E: "■", 0x6F: "☐", 0x70: "☐", 0x71: "☐", 0x72: "☐", 0x75: "◆", 0x76: "❖", 0x78: "☒"}
    | {0x80 + i: c for i, c in enumerate("⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿")}
    | {0x9E: "·", 0x9F: "•", 0xA1: "○", 0xA7: "▪", 0xA8: "☐", 0xAB: "★", 0xD8: "➢"}
    | {0xDF + i: c for i, c in enumerate("←→↑↓↖↗↙↘←→↑↓")}
    | {0xEF: "⇦", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☒"}
)
_WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☒", 0x53: "☒", 0x54: "☒", 0x97: "•", 0xA3: "☐"}
_WINGDINGS_3 = {0x66: "←", 0x67: "→", 0x68: "↑", 0x69: "↓", 0x7D: "▶", 0x7E: "◀"}
_WEBDINGS = {0x61: "✓", 0x63: "☐", 0x67: "■", 0x6E: "●", 0x72: "✗", 0xFC: "✓"}
_FONTS = {
    "symbol": _SYMBOL,
    "wingdings": _WINGDINGS,
    "wingdings 2": _WINGDINGS_2,
    "wingdings 3": _WINGDINGS_3,
    "webdings": _WEBDINGS,
}


def is_symbol_font(name: str | None) -> bool:
    """Return whether a font has symbols in the places of letters."""
    return (name or "").lower() in _FONTS


def symbol(font: str | None, code: int) -> str:
    """Return a character of a font as Unicode.

    Parameters
    ----------
    font
        Name of the font.
    code
        Code of the character; those of the private use area have the same meaning as the ones below 256.

    Returns
    -------
    str
        The character; U+FFFD for a symbol that has no known meaning.
    """
    low = code - _PRIVATE if _PRIVATE <= code < _PRIVATE + 256 else code
    table = _FONTS.get((font or "").lower())
    if table is None:
        return chr(low) if 0x20 <= low < 0xD800 else UNKNOWN
    if low in (0x20, 0xA0):
        return table.get(low, " ")
    return table.get(low, UNKNOWN) if low < 256 else chr(low)
