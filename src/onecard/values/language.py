"""The languages a subscriber is spoken to in (BCP 47 tags)."""

from enum import Enum


class Language(Enum):
    """A language of every text, page and notice we send."""

    ENGLISH = "en"
    FRENCH = "fr"
    CHINESE_SIMPLIFIED = "zh-Hans"
    CHINESE_TRADITIONAL = "zh-Hant"
