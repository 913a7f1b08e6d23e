"""Print a closing statement (PDF). Everything on it is from the signed document, and it says how to prove that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from reportlab.lib.enums import TA_RIGHT  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle  # type: ignore[import-untyped]

from onecard.sealing.signing import SignedDocument, canonical
from onecard.values.money import format_micros

MARGIN = 18 * mm
CHINESE = "STSong-Light"
"""Comes with every PDF reader; has Latin letters, too."""
PAGE_FOOT = 10 * mm
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=12)
RIGHT = ParagraphStyle("right", BODY, alignment=TA_RIGHT)
HEAD = ParagraphStyle("head", BODY, fontName="Helvetica-Bold")
RIGHT_HEAD = ParagraphStyle("right head", HEAD, alignment=TA_RIGHT)
CODE = ParagraphStyle("code", fontName="Courier", fontSize=7.5, leading=10, wordWrap="CJK")
TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=16, leading=22)
HEADING = ParagraphStyle("heading", fontName="Helvetica-Bold", fontSize=11, leading=15, spaceBefore=8)
GRID = TableStyle(
    [
        ("LINEBELOW", (0, 0), (-1, 0), 0.6, "black"),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]
)


def print_statement(signed: SignedDocument) -> bytes:
    """The statement as PDF; the same bytes for the same document."""
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
    out = BytesIO()
    document = signed.document
    paper = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=f"Closing statement of {document['operator']}",
        author=document["operator"],
        invariant=True,
    )
    story = [*_open(document), *_tell_money(document), *_tell_rest(document), *_prove(signed)]
    paper.build(story, onFirstPage=_number_page, onLaterPages=_number_page)
    return out.getvalue()


def _number_page(canvas: Any, paper: Any) -> None:
    canvas.setFont(BODY.fontName, BODY.fontSize)
    canvas.drawRightString(A4[0] - MARGIN, PAGE_FOOT, str(paper.page))


def _open(document: Mapping[str, Any]) -> Iterator[Flowable]:
    order = document["order"]
    zone = ZoneInfo(order["time_zone"])
    yield _say("Closing statement", TITLE)
    yield _say(
        f"of {document['operator']}, made at {_time(document['made_at'], zone)} by {document['made_by']}"
    )
    yield _say("The order", HEADING)
    yield _draw(
        ("what", "which"),
        [
            ("issued by", order["issuer"]),
            ("legal basis", order["legal_basis"]),
            ("received", order["received"]),
            ("SHA-256 of the document", order["document_sha256"] or "not entered"),
            ("plan", f"{order['plan']}, version {order['plan_version']}"),
            ("SHA-256 of the plan", order["plan_sha256"]),
            ("approved by", ", ".join(order["approved_by"])),
        ],
    )
    yield _say("Stages", HEADING)
    yield _draw(
        ("at", "stage", "has come"),
        [
            (_time(one["at"], zone), one["name"], "yes" if one["has_come"] else "no")
            for one in document["stages"]
        ],
    )
    yield _say(f"Balances at the gate, {_time(document['gate']['as_of'], zone)}", HEADING)
    yield _draw(
        ("value", "how many", "worth", "owed", "paid back"),
        [
            (
                one["value"],
                one["count"],
                _money(one["value_micros"], one["currency"]),
                _money(one["owed_micros"], one["currency"]),
                document["gate"]["policies"].get(one["value"], ""),
            )
            for one in document["gate"]["balances"]
        ],
    )


def _tell_money(document: Mapping[str, Any]) -> Iterator[Flowable]:
    for money in document["money"]:
        currency = money["currency"]
        yield _say(f"Money in {currency}", HEADING)
        yield _draw(
            ("on subscribers' accounts", "moved"),
            [(kind, _money(micros, currency)) for kind, micros in sorted(money["moved_micros"].items())]
            + [("remaining", _money(money["remaining_micros"], currency))],
        )
        yield Spacer(0, 6)
        yield _draw(
            ("what is left", "why", "how many", "amount"),
            [
                (one["value"], one["state"], one["count"], _money(one["micros"], currency))
                for one in money["residue"]
            ]
            + [("vouchers", "not used", "", _money(money["vouchers_not_used_micros"], currency))],
        )
        yield Spacer(0, 6)
        yield _draw(
            ("cover", "amount"),
            [
                ("owed", _money(money["owed_micros"], currency)),
                (
                    f"in hand on {money.get('in_hand_on', '')}",
                    _money(money.get("in_hand_micros", 0), currency),
                ),
                ("spare", _money(money.get("spare_micros", 0), currency)),
            ],
        )


def _tell_rest(document: Mapping[str, Any]) -> Iterator[Flowable]:
    books, ledger = document["reconciliation"], document["ledger"]
    yield _say("Refunds", HEADING)
    yield _draw(
        ("value", "state", "how many", "amount"),
        [
            (one["value"], one["state"], one["count"], _money(one["micros"], one["currency"]))
            for one in document["refunds"]
        ],
    )
    yield _say("Payout files", HEADING)
    yield _draw(
        ("run", "state", "paid on", "how many", "amount"),
        [
            (
                one["run"],
                one["state"],
                one["execution_on"],
                one["count"],
                _money(one["micros"], one["currency"]),
            )
            for one in document["payouts"]
        ],
    )
    yield _say("Proof", HEADING)
    yield _say(
        f"Payout files, ledger and bank statements agree on every payment (payments: {books['payments']}, "
        f"statements: {books['statements']}). All entries of the ledger sum to zero (entries: {ledger['entries']}, "
        f"accounts: {ledger['accounts']})."
    )
    numbers = document["numbers"]
    yield _say("Numbers", HEADING)
    yield _say(
        f"Imported: {numbers['imported']}; at their end: {numbers['at_their_end']}; "
        f"to go back: {numbers['to_go_back']}."
    )
    yield _draw(
        ("country", "state", "how many"),
        [
            (country, state, count)
            for country, states in sorted(document["numbers"]["by_country"].items())
            for state, count in sorted(states.items())
        ],
    )


def _prove(signed: SignedDocument) -> Iterator[Flowable]:
    yield _say("Signature", HEADING)
    yield _say(
        f"{signed.signature.algorithm} over the canonical JSON of this statement. The file of it is proved with "
        "`onecard winddown verify`, or with any program that knows Ed25519."
    )
    digest = sha256(canonical(signed.document)).hexdigest()
    for name, value in (
        ("SHA-256", digest),
        ("public key", signed.signature.public_key),
        ("signature", signed.signature.value),
    ):
        yield _say(f"{name} {value}", CODE)


QUANTITIES = frozenset({"how many", "worth", "owed", "moved", "amount", "run"})
"""Columns that are read from the right."""


def _draw(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Flowable:
    head = [_say(title, RIGHT_HEAD if title in QUANTITIES else HEAD) for title in titles]
    styles = [RIGHT if title in QUANTITIES else BODY for title in titles]
    body = [[_say(str(cell), style) for cell, style in zip(row, styles, strict=True)] for row in rows]
    return LongTable([head, *body], repeatRows=1, style=GRID, hAlign="LEFT")


def _say(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    written = escape(text)
    return Paragraph(written if _is_latin(text) else f'<font name="{CHINESE}">{written}</font>', style)


def _is_latin(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _time(instant: str, zone: ZoneInfo) -> str:
    """An instant as the clock of the order shows it."""
    return (
        datetime.fromisoformat(instant).astimezone(zone).isoformat(" ", "seconds") if instant else "no date"
    )


def _money(micros: int, currency: str) -> str:
    return f"{format_micros(micros)} {currency}"
