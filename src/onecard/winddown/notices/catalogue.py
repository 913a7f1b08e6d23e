"""The words of notices in every language: gettext catalogues, read as they are written, and checked whole.

No notice goes while a word or a placeholder is missing in any language. An operator may put other words in the place of
some of ours, by catalogues of the same keys in a directory of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.values.table import BadTable, Problem
from onecard.winddown.model import NoticeKind, RefundPolicy, ValueKind, Void

OURS = Path(__file__).parent / "catalogues"

STOPPED = tuple(
    one
    for one in Capability
    if one not in (Capability.RENEWAL_FEE, Capability.CHARGING, Capability.NUMBER_RETURN, Capability.PURGE)
)
"""Capabilities that a subscriber misses when their gate closes, in the order in which they are told."""
CLOSED_TO_THE_GOOD = (Capability.RENEWAL_FEE, Capability.CHARGING)
"""Where money is no longer taken."""
OPENED = (Capability.REFUND, Capability.NUMBER_RETURN, Capability.PURGE)

_OF_KIND: Mapping[NoticeKind, tuple[str, str, str]] = {
    NoticeKind.ANNOUNCEMENT: (
        "operator",
        "operator end facts page",
        "operator issuer legal_basis zone timetable facts phone page",
    ),
    NoticeKind.STAGE: ("operator date", "operator date what page", "operator date zone what next phone page"),
    NoticeKind.PORT_OUT: ("operator", "operator day page", "day phone page"),
    NoticeKind.REFUND: ("operator", "operator date page", "date zone phone page"),
    NoticeKind.REMINDER: (
        "operator days_left",
        "operator days_left date what page",
        "days_left date zone what next phone page",
    ),
    NoticeKind.CORRECTION: ("operator", "operator changes page", "changes zone phone page"),
    NoticeKind.HOST_CUT: ("operator", "operator date list page", "operator date zone list phone page"),
    NoticeKind.REFUND_PAID: ("operator", "operator amount page", "amount phone page"),
    NoticeKind.REFUND_RETURNED: ("operator", "operator amount page", "amount phone page"),
}
"""What must be filled in: in the subject, in a text, and in the body of an e-mail or letter."""
_PHRASES = {
    "moment": "date time",
    "item.dated": "date what",
    "item.undated": "what",
    "next": "",
    "fact.port_out": "day",
    "fact.refund": "date",
    "change.moved": "was date what",
    "change.suspended": "was what",
    "change.resumed": "date what",
    "stops": "list",
    "statement.intro": "operator issuer legal_basis",
    "statement.dates": "",
    "statement.zone": "zone",
    "statement.stayed": "",
    "statement.number": "",
    "statement.port_out": "day",
    "statement.port_out_open": "",
    "statement.balance": "",
    "statement.refund": "date",
    "statement.refund_undated": "",
    "statement.refund_until": "day",
    "statement.value": "value policy",
    "statement.contact": "",
    "statement.phone": "phone",
}
PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    key: frozenset(names.split())
    for key, names in (
        *(
            (f"{kind}.{part}", names)
            for kind, parts in _OF_KIND.items()
            for part, names in zip(("subject", "text", "body"), parts, strict=True)
        ),
        *_PHRASES.items(),
        *((f"stops.{one}", "") for one in STOPPED),
        *((f"closes.{one}", "") for one in CLOSED_TO_THE_GOOD),
        *((f"opens.{one}", "") for one in OPENED),
        *((f"voids.{one}", "") for one in Void),
        *((f"value.{one}", "") for one in ValueKind),
        *((f"policy.{one}", "") for one in RefundPolicy),
    )
}
"""Every key, and the placeholders that its words must have, each language's."""
COUNTED = {"days_left": "days"}
"""Keys whose words depend on a count, and its placeholder, which the words for one may leave out."""


class Catalogue:
    """The words of every language, whole."""

    def __init__(self, translations: Mapping[Language, GNUTranslations]) -> None:
        self._translations = translations

    def say(self, language: Language, key: str, values: Mapping[str, str]) -> str:
        """Fill words in."""
        return self._translations[language].gettext(key).format_map(values)

    def count(self, language: Language, key: str, number: int) -> str:
        """Words with a count in them."""
        words = self._translations[language].ngettext(key, key, number)
        return words.format_map({COUNTED[key]: number})


@cache
def load_catalogue(directory: Path | None = None) -> Catalogue:
    """Our words, under those of an operator's directory; raises `BadTable`, which names all that is missing."""
    problems: list[Problem] = []
    catalogues = {language: _read(language, directory, problems) for language in Language}
    for language, catalogue in catalogues.items():
        problems += check_catalogue(language, catalogue)
    if problems:
        raise BadTable(problems)
    return Catalogue({language: _compile(catalogue) for language, catalogue in catalogues.items()})


def _read(language: Language, directory: Path | None, problems: list[Problem]) -> Catalog:
    name = f"{language.value.replace('-', '_')}.po"
    catalogue = _read_file(OURS / name)
    theirs = directory / name if directory else None
    if theirs is None or not theirs.exists():
        return catalogue
    try:
        for message in _read_file(theirs):
            if message.id:
                catalogue.delete(message.id)  # or it would be merged into ours
                catalogue[message.id] = message
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        problems.append(Problem(str(theirs), f"is no catalogue of gettext: {error}"))
    return catalogue


def _read_file(file: Path) -> Catalog:
    with file.open("rb") as opened:
        return read_po(opened, abort_invalid=True)


def _compile(catalogue: Catalog) -> GNUTranslations:
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def check_catalogue(language: Language, catalogue: Catalog) -> Iterator[Problem]:
    """All that is missing in a language, and every placeholder that is lacking or not known."""
    for key, wanted in PLACEHOLDERS.items():
        yield from _check(f"{key} in {language.value}", _words_of(catalogue, key), wanted, frozenset())
    for key, count in COUNTED.items():
        forms = _words_of(catalogue, key)
        place = f"{key} in {language.value}"
        yield from _check(place, forms[-1:], frozenset({count}), frozenset())
        yield from _check(place, forms[:-1] or forms, frozenset(), frozenset({count}))
    for message in catalogue:
        known = message.id in PLACEHOLDERS or (message.id and message.id[0] in COUNTED)
        if message.id and not known:
            yield Problem(f"{message.id} in {language.value}", "nothing is said by this key")


def _words_of(catalogue: Catalog, key: str) -> Sequence[str]:
    """The words of a key, in every plural form; none where they are missing, or marked as doubtful."""
    message = catalogue.get(key)
    if message is None or message.fuzzy or message.string is None:
        return []
    return [message.string] if isinstance(message.string, str) else list(message.string)


def _check(
    place: str, forms: Sequence[str], wanted: frozenset[str], may: frozenset[str]
) -> Iterator[Problem]:
    if not forms or not all(forms):
        yield Problem(place, "the words are missing")
        return
    for words in forms:
        try:
            found = {name for _, name, _, _ in Formatter().parse(words) if name is not None}
        except ValueError as error:
            yield Problem(place, f"a brace is not closed: {error}")
            continue
        for name in sorted(wanted - found):
            yield Problem(place, f"the placeholder {{{name}}} is missing")
        for name in sorted(found - wanted - may):
            yield Problem(place, f"the placeholder {{{name}}} is not known here")
