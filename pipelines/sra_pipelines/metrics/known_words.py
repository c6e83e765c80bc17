"""Words that do not change what a question asks for, in English, German and French."""

from __future__ import annotations

from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.languages import language_of

__all__ = ["is_known"]

_ENGLISH = (  # other forms of them are known too. "Unit" and "US" can change it: "US revenue"
    "a about amount an analyst and any are as ask at attribute balance be been between by can clearly company "
    "compute consolidated did do does during end equal figure financial fiscal following for firm from fy had has "
    "have how if in inc indicate information is it its many metric much of on one or our over overall per percent "
    "percentage period please profile question ratio relative report respectively result round s sheet show shown "
    "state statement such tell than that the their there this to usd usdm useful value versus vs was we were what "
    "when which whole with year billion decimal dollar million place thousand against annual better change "
    "compare comparison decline decrease differ difference drop evolve fall fallen fell grew grow grown growth "
    "higher improve increase lower rise risen rose shrank shrink trend worse yoy"
)
_OTHERS = {
    "german": (
        "am an auf aus bei betrug betrugen beträgt das dem den der des die ein eine eines einem einer ende es euro für "
        "geschäftsjahr geschäftsjahres geschäftsjahren gegenüber geändert gesellschaft gesunken gestiegen gewachsen "
        "haben hat hoch höhe hohe im in ist jahr jahre jahren jahres konzern konzerns lag lagen mio millionen mrd nach "
        "oder prozent sank sich sind stark stieg um und unternehmen unternehmens veränderte verändert veränderung "
        "verbessert vergleich vergleiche vom von vorjahr vorjahres war waren was welche welchen welcher welches wert "
        "wie wieviel wieviele wuchs zu zum zur zurückgegangen zwischen beim entwickelt entwickelte bitte laut"
    ),
    "french": (
        "a à ai ainsi comment au aux augmenté augmentation baissé baisse bilan cela ce combien comparé comparaison "
        "consolidé d "
        "dans de des diminué diminution du elle elles en entre entreprise est et été étaient était étaient euro euros "
        "évolué évolution exercice fin groupe hausse il ils l la le les millions montant niveau ont ou par pour "
        "pourcentage précédent progressé progression qu quel quelle quelles quels qui rapport recul reculé s se selon "
        "société son sont sur t un une valeur varié variation année années était-il améliorée amélioré ses sa"
    ),
}
_KNOWN = frozenset(keywords([_ENGLISH])[0]) | frozenset(_ENGLISH.split())
_KNOWN_IN = {language: frozenset(words.split()) for language, words in _OTHERS.items()}


def is_known(question: str, word: str) -> bool:
    """Return whether a word of a question does not change what it asks for.

    Parameters
    ----------
    question
        The question; its function words show its language.
    word
        One of its words.
    """
    stems = keywords([word])[0]
    lower = word.lower()
    if word.isdigit() or lower in _KNOWN or (stems and stems[0] in _KNOWN):
        return True
    return lower in _KNOWN_IN.get(language_of(question, among=("english", *_OTHERS)) or "", ())
