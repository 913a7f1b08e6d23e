"""What a subscriber is told when something is refused: a word for each refusal, and for a gate that is closed."""

from __future__ import annotations

from enum import Enum

from onecard.lines.model import LineRefusal
from onecard.payments.model import VoucherRefusal
from onecard.payments.refunds.model import RefundRefusal
from onecard.portability.model import PortRefusal
from onecard.subscribers.model import ClaimRefusal, SubscriberRefusal
from onecard.switching.model import TextRefusal
from onecard.values.gate import Closed
from onecard.web.layout import Layout, Page
from onecard.web.selfcare.ending import say_stopped
from onecard.web.visit import Visit
from onecard.web.writing import Writing

GROUPS: dict[type[Enum], str] = {
    LineRefusal: "line",
    VoucherRefusal: "voucher",
    ClaimRefusal: "claim",
    SubscriberRefusal: "subscriber",
    RefundRefusal: "refund",
    PortRefusal: "port",
}
"""The tables of `words.toml`, below `refusal`, that say why."""


def word_of(refusal: Enum) -> str:
    """The key of the word for a refusal. Why a text of ours could not be sent is our affair."""
    if isinstance(refusal, TextRefusal):
        return "refusal.text.not_sent"
    return f"refusal.{GROUPS[type(refusal)]}.{refusal.value}"


def go_refused(layout: Layout, visit: Visit, path: str, refusal: Enum | Closed) -> Page:
    """Back to a page, which says why it was not done."""
    if isinstance(refusal, Enum):
        return layout.go(path, refused=word_of(refusal))
    if refusal.opens_at is not None:
        day = Writing(visit.language, layout.site.operator.zone).day(refusal.opens_at)
        return layout.go(path, refused="closed.until", day=day)
    return layout.go(
        path, refused="closed.now", what=say_stopped(visit.language, refusal.capability, layout.site)
    )
