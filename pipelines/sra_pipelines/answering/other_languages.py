"""Decide whether a question in another language than English can be understood without the conversation before it."""

from __future__ import annotations

import re

from sra_pipelines.retrieval.languages import language_of

__all__ = ["is_complete_in_its_language"]

# Of each language: words with which a question begins, and words that point back.
_LANGUAGES = {
    "german": (
        r"wer|wem|wen|wessen|was|wann|wo|wohin|woher|wie|wieviel|wof\u00fcr|womit|welche[rsnm]?|warum|ist|sind|war|waren|hat|"
        r"haben|gibt|kann|darf|muss|wird|werden|soll|nenne|liste|beschreibe",
        r"er|sie|(?<!gibt )es|ihm|ihn|ihnen|ihre?[nmrs]?|seine?[nmrs]?|diese?[rnms]?|jene[rnms]?|dort|davon|dazu|"
        r"was ist mit|daf\u00fcr|danach|davor|damit|dabei|derselbe|dieselbe|anderen?|letztere[rnms]?|vorher|nachher",
    ),
    "french": (
        r"qui|que|quoi|quel(?:le)?s?|quand|o\u00f9|comment|combien|pourquoi|qu['\u2019]est|est|sont|peut|doit|faut|y",
        r"(?<!-t-)(?:il|elle)s?|lui|leurs?|son|sa|ses|celui|celle|ceux|cela|\u00e7a|ci|l\u00e0|cet|cette|ces|autres?",
    ),
    "spanish": (
        r"qui\u00e9n(?:es)?|qu\u00e9|cu\u00e1l(?:es)?|cu\u00e1ndo|d\u00f3nde|c\u00f3mo|cu\u00e1nt[oa]s?|por|es|son|hay|puede|debe|a|de|en",
        r"\u00e9l|ellas?|ellos|sus?|est[eao]s?|es[eao]s?(?=\s|\W*$)|aquel(?:la)?|lo|les?|ah\u00ed|all\u00ed|otr[oa]s?|mism[oa]s?",
    ),
    "dutch": (
        r"wie|wat|wanneer|waar|hoe|hoeveel|welke?|waarom|is|zijn|was|heeft|kan|mag|moet|wordt",
        r"hij|zij|ze|het(?=\W*$)|hem|haar|hun|(?<=is )zijn|zijn(?=\s+\w+\W*$)|deze|dit|die|dat|daar|"
        r"ervan|erna|ander[es]?|laatste",
    ),
    "portuguese": (
        r"quem|que|qual|quais|quando|onde|como|quant[oa]s?|por|\u00e9|s\u00e3o|h\u00e1|pode|deve|a|de|em",
        r"el[ea]s?|seus?|suas?|dele|dela|est[ea]s?|ess[ea]s?|isto|isso|aquel[ea]|l\u00e1|outr[oa]s?|mesm[oa]s?",
    ),
    "italian": (
        r"chi|che|cosa|quale?|quali|quando|dove|come|quant[oaie]|perch\u00e9|\u00e8|sono|pu\u00f2|deve|a|di|in",
        r"lui|lei|loro|esso|essa|suo|sua|suoi|sue|quest[oaie]|quell[oaie]|l\u00ec|l\u00e0|altr[oaie]|stess[oaie]",
    ),
}  # fmt: skip
_OPENING = re.compile(
    r"^\W*(?:(?:und|aber|also|et|mais|donc|y|pero|e|ma|mas|en|maar)\b(?=\s+(?:\w+\s+){3})[\s,]*)?", re.IGNORECASE
)
_LEAST_WORDS = 4


def is_complete_in_its_language(question: str) -> bool | None:
    """Return whether a question has words that begin one in its language, and none that points back.

    None if it is English, or its language is not known.
    """
    words = _LANGUAGES.get(language_of(question) or "")
    if words is None:
        return None
    begins, points_back = words
    text = _OPENING.sub("", question)
    if len(re.findall(r"\w+", text)) < _LEAST_WORDS or not re.match(rf"(?:{begins})(?!\w)", text, re.IGNORECASE):
        return False
    return re.search(rf"(?<!\w)(?:{points_back})(?!\w)", text, re.IGNORECASE) is None
