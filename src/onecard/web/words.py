"""The catalogue of everything that pages say, in every language.

A word is a key of a `words.toml` and a list of its sentences, one a language in the order of `Language`; braces hold
what is filled in. A key that is missing anywhere is found by a test, not by a visitor.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from onecard.values.language import Language

Catalogue = Mapping[str, tuple[str, ...]]
LANGUAGES = tuple(Language)


class BadWords(ValueError):
    """A catalogue that does not say everything in every language, or says a thing twice."""


def load_words(source: Traversable) -> Catalogue:
    """All words below a package: every `words.toml`, in one table; raises `BadWords`."""
    catalogue: dict[str, tuple[str, ...]] = {}
    for file in _find_files(source):
        for key, sentences in _read_words(tomllib.loads(file.read_text(encoding="utf-8"))):
            if len(sentences) != len(LANGUAGES) or key in catalogue:
                raise BadWords(f"{key}: said twice, or not in every language")
            catalogue[key] = sentences
    return catalogue


def _find_files(source: Traversable) -> Iterator[Traversable]:
    for item in source.iterdir():
        if item.is_dir():
            yield from _find_files(item)
        elif item.name == "words.toml":
            yield item


def _read_words(table: Mapping[str, object], above: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _read_words(value, f"{above}{name}.")
        elif isinstance(value, list) and all(isinstance(sentence, str) for sentence in value):
            yield f"{above}{name}", tuple(value)
        else:
            raise BadWords(f"{above}{name}: not a list of sentences")


WORDS = load_words(files("onecard.web"))


def say(key: str, language: Language, /, **values: object) -> str:
    """What a key says in a language, filled in. A key that is not there is a bug: KeyError."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)
