"""Which language a page speaks. Pure."""

from __future__ import annotations

from onecard.values.language import Language

HEADER_LENGTH_MOST = 500
TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")
OWN_NAMES = {
    Language.ENGLISH: "English",
    Language.FRENCH: "Français",
    Language.CHINESE_SIMPLIFIED: "简体中文",
    Language.CHINESE_TRADITIONAL: "繁體中文",
}
"""What each is called by those who speak it."""


def find_language(tag: str | None) -> Language | None:
    """The language of a BCP 47 tag, whatever its region; None: it is not spoken here."""
    spoken = (tag or "").strip().lower()
    if spoken.startswith(TRADITIONAL):
        return Language.CHINESE_TRADITIONAL
    by_primary = {
        "en": Language.ENGLISH,
        "fr": Language.FRENCH,
        "zh": Language.CHINESE_SIMPLIFIED,
    }
    return by_primary.get(spoken.split("-")[0])


def choose_language(asked: str | None, kept: str | None, accepted: str | None) -> Language:
    """What the address asks for, else what the cookie keeps, else what the browser would like best.

    `accepted` is the header Accept-Language (RFC 9110 section 12.5.4).
    """
    return find_language(asked) or find_language(kept) or _best_of(accepted or "") or Language.ENGLISH


def _best_of(accepted: str) -> Language | None:
    wishes = []
    for item in accepted[:HEADER_LENGTH_MOST].split(","):
        tag, _, parameter = item.partition(";")
        language = find_language(tag)
        if language is not None:
            wishes.append((_weight(parameter), language))
    liked = [wish for wish in wishes if wish[0] > 0]
    return max(liked, key=lambda wish: wish[0])[1] if liked else None


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
