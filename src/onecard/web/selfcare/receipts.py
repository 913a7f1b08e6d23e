"""Receipts as PDF, in the language of who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from litestar import Response
from reportlab.lib.pagesizes import A5  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from onecard.values.language import Language
from onecard.values.money import Money
from onecard.web.site import Site
from onecard.web.visit import Visit
from onecard.web.words import say
from onecard.web.writing import Writing

CHINESE_FONTS = {
    Language.CHINESE_SIMPLIFIED: "STSong-Light",
    Language.CHINESE_TRADITIONAL: "MSung-Light",
}
"""Fonts that every reader of PDF brings, so that none is in the file."""
PLAIN, BOLD = "Helvetica", "Helvetica-Bold"
MARGIN = 16 * mm
LEADING = 9 * mm


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came in, or was paid out."""

    operator: str
    number: str
    at: datetime
    kind: str
    """The key of its word below `entry`."""
    amount: Money
    memo: str | None = None


def answer_receipt(receipt: Receipt, visit: Visit, site: Site) -> Response[bytes]:
    """A receipt to keep: a browser that showed it would do so under the policy of our pages."""
    return Response(
        draw_receipt(receipt, Writing(visit.language, site.operator.zone)),
        media_type="application/pdf",
        headers={
            "content-disposition": f'attachment; filename="receipt-{receipt.number}.pdf"',
            "cache-control": "no-store",
        },
    )


def draw_receipt(receipt: Receipt, writing: Writing) -> bytes:
    """One page."""
    out = BytesIO()
    canvas = Canvas(out, pagesize=A5, invariant=1)
    title = say("receipt.title", writing.language)
    canvas.setTitle(title)
    canvas.setAuthor(receipt.operator)
    height = A5[1] - MARGIN
    _write(canvas, writing, MARGIN, height, receipt.operator, 11)
    _write(canvas, writing, MARGIN, height - 2 * LEADING, title, 18, is_bold=True)
    _write_rows(canvas, writing, height - 4 * LEADING, _rows(receipt, writing))
    canvas.save()
    return out.getvalue()


def _rows(receipt: Receipt, writing: Writing) -> Sequence[tuple[str, str]]:
    language = writing.language
    rows = [
        (say("receipt.date", language), writing.moment(receipt.at)),
        (say("receipt.what", language), say(f"entry.{receipt.kind}", language)),
        (say("receipt.amount", language), writing.money(receipt.amount)),
        (say("receipt.number", language), receipt.number),
    ]
    return [*rows, (say("receipt.memo", language), receipt.memo)] if receipt.memo else rows


def _write_rows(canvas: Canvas, writing: Writing, height: float, rows: Sequence[tuple[str, str]]) -> None:
    for place, (label, value) in enumerate(rows):
        line = height - place * LEADING
        _write(canvas, writing, MARGIN, line, label, 9)
        _write(canvas, writing, MARGIN + 34 * mm, line, value, 9, is_bold=True)


def _write(
    canvas: Canvas,
    writing: Writing,
    left: float,
    height: float,
    words: str,
    size: int,
    *,
    is_bold: bool = False,
) -> None:
    canvas.setFont(_font(writing.language, words, is_bold=is_bold), size)
    canvas.drawString(left, height, words.replace("\u202f", "\u00a0"))


def _font(language: Language, words: str, *, is_bold: bool) -> str:
    """A font that has these signs: names of operators may be Chinese in any language."""
    if words.isascii() or not any(sign > "\u2fff" for sign in words):
        return BOLD if is_bold else PLAIN
    name = CHINESE_FONTS.get(language, "STSong-Light")
    if name not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return name
