"""Print letters: one PDF for a printer's job, each on pages of its own. Pure: the same letters, the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from html import escape
from io import BytesIO

from reportlab.lib.enums import TA_RIGHT  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import LETTER  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.platypus import (  # type: ignore[import-untyped]
    Flowable,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
)

from onecard.values.language import Language
from onecard.winddown.notices.letters import Letter
from onecard.winddown.notices.model import Sender

LATIN = "Helvetica"
CHINESE = {Language.CHINESE_SIMPLIFIED: "STSong-Light", Language.CHINESE_TRADITIONAL: "MSung-Light"}
"""Fonts that readers of PDF and printers bring (Adobe-GB1, Adobe-CNS1): none is in the file."""
MARGIN = 25 * mm
ADDRESS_HEIGHT = 30 * mm
"""The window of an envelope shows what is above it."""
SIZE, LEADING = 10.5, 15
_OTHER = re.compile(
    r"[^\x20-\x7e\xa0-\xffŒœŠšŸŽžƒ–—‘’‚“”„†‡•…‰‹›€™]+"
)  # what Helvetica, in WinAnsi, has no glyphs for


def print_letters(letters: Sequence[Letter], sender: Sender, on: date) -> bytes:
    """The letters in their order, as a PDF."""
    for font in CHINESE.values():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=LETTER,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=sender.name,
        author=sender.name,
        invariant=1,
    )
    document.build([part for letter in letters for part in _lay_out(letter, sender, on)])
    return out.getvalue()


def _lay_out(letter: Letter, sender: Sender, on: date) -> Iterator[Flowable]:
    style = _style(letter.language)
    yield Paragraph(_mark(sender.name, style), _style(letter.language, size=13))
    yield Spacer(1, 8 * mm)
    assert letter.contact.postal_address is not None  # who has none gets no letter
    for line in (letter.contact.name, *letter.contact.postal_address.splitlines()):
        yield Paragraph(_mark(line, style), style)
    yield Spacer(1, ADDRESS_HEIGHT / 2)
    right = ParagraphStyle("right", parent=style, alignment=TA_RIGHT)
    yield Paragraph(_mark(f"{on.isoformat()} | {letter.reference}", style), right)
    yield Spacer(1, 6 * mm)
    heading = _style(letter.language, size=13)
    yield Paragraph(_mark(letter.words.subject, heading), heading)
    for paragraph in letter.words.body.split("\n\n"):
        yield Spacer(1, LEADING / 2)
        for line in paragraph.split("\n"):
            yield Paragraph(_mark(line, style), style)
    yield PageBreak()


def _style(language: Language, size: float = SIZE) -> ParagraphStyle:
    chinese = CHINESE.get(language)
    return ParagraphStyle(
        "plain",
        fontName=chinese or LATIN,
        fontSize=size,
        leading=size * LEADING / SIZE,
        wordWrap="CJK" if chinese else None,
    )


def _mark(words: str, style: ParagraphStyle) -> str:
    """Words of another script than the letter's, as a name in Chinese, in a font that has it."""
    if style.fontName != LATIN:
        return escape(words)
    font = CHINESE[Language.CHINESE_SIMPLIFIED]
    pieces = re.split(f"({_OTHER.pattern})", words)
    return "".join(
        f'<font name="{font}">{escape(piece)}</font>' if number % 2 else escape(piece)
        for number, piece in enumerate(pieces)
    )
