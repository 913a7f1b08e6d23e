"""Texts, receipts and rows of batches as tests make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from onecard.messages.model import (
    Acceptance,
    Content,
    Direction,
    Envelope,
    Progress,
    Receipt,
    ReceiptWish,
    Submitted,
    Text,
    TextState,
)
from onecard.values.address import international, unknown

AT = datetime(2026, 3, 11, 4, tzinfo=UTC)
LATER = AT + timedelta(hours=48)
FROM, TO = unknown("95588"), international("+8613800138000")


def make_text(message_id: int, **changes: Any) -> Text:
    """A text that waits for the host."""
    text = Text(
        1,
        message_id,
        "cn-home",
        "host",
        application=False,
        receipt_wanted=ReceiptWish.ALWAYS,
        accepted_at=AT,
        expires_at=LATER,
        envelope=Envelope(FROM, TO, Content(b"hello")),
        submitted=Submitted(FROM, TO),
    )
    return msgspec.structs.replace(text, **changes)


def make_receipt(message_id: int) -> Receipt:
    """The receipt of a text that was delivered."""
    return Receipt(1, message_id, "host", Submitted(FROM, TO), TextState.DELIVERED, 0, AT, AT)


def make_acceptance(message_id: int, account_id: int = 0, **changes: Any) -> Acceptance:
    """A row of the batch that accepts texts: free, and parked."""
    row = Acceptance(
        message_id,
        account_id,
        card_id=1,
        line_id=1,
        direction=Direction.FROM_CARD,
        application=False,
        source_link="host",
        next_link="cn-home",
        node=None,
        far="+86139********",
        segments=1,
        price_micros=0,
        rate="Spring of 2026-04-01: text from CN to +86: 1 segment at 0.10 per segment: 0.10 CAD",
        receipt_wanted=ReceiptWish.NEVER,
        accepted_at=AT,
        expires_at=LATER,
        sealed_body=b"sealed",
        sealed_addresses=None,
    )
    return msgspec.structs.replace(row, **changes)


def make_step(message_id: int, state: TextState, **changes: Any) -> Progress:
    """A step of a text."""
    return msgspec.structs.replace(Progress(message_id, state, AT, 1), **changes)
