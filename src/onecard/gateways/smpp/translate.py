"""Between the words of SMPP and our own: texts, receipts, refusals. Pure.

Each table here is exhaustive: a new refusal without its status fails the type check or the tests, not a peer.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from onecard.gateways.smpp.constants import (
    ESM_TYPE_DELIVERY_ACKNOWLEDGEMENT,
    ESM_TYPE_MASK,
    ESM_TYPE_RECEIPT,
    ESM_UDH,
    REGISTERED_FAILURE_RECEIPT,
    REGISTERED_RECEIPT,
    REGISTERED_RECEIPT_MASK,
    CommandId,
    CommandStatus,
    MessageState,
)
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.gateways.smpp.receipts import Receipt as SmppReceipt
from onecard.gateways.smpp.receipts import build_receipt
from onecard.gateways.smpp.times import format_relative_time, parse_time
from onecard.messages.model import (
    Arrival,
    CancelRefusal,
    Content,
    Envelope,
    Receipt,
    ReceiptWish,
    TextState,
)
from onecard.switching.model import TextRefusal

Status = CommandStatus

STATUS_OF_REFUSAL: dict[TextRefusal, CommandStatus] = {
    TextRefusal.UNKNOWN_SENDER: Status.ESME_RINVSRCADR,
    TextRefusal.UNKNOWN_LINE: Status.ESME_RINVDSTADR,
    TextRefusal.NOT_YOUR_NUMBER: Status.ESME_RINVDSTADR,
    TextRefusal.BAD_DESTINATION: Status.ESME_RINVDSTADR,
    TextRefusal.NO_LINE_IN_SLOT: Status.ESME_RINVDSTADR,
    TextRefusal.LINE_OFF: Status.ESME_RX_P_APPN,
    TextRefusal.TEXTS_BARRED: Status.ESME_RX_P_APPN,
    TextRefusal.SENDER_BLOCKED: Status.ESME_RX_P_APPN,
    TextRefusal.OUTSIDE_SCHEDULE: Status.ESME_RX_P_APPN,
    TextRefusal.CARD_VOID: Status.ESME_RX_P_APPN,
    TextRefusal.TEXTS_ENDED: Status.ESME_RX_P_APPN,
    TextRefusal.SECONDARY_LINES_ENDED: Status.ESME_RX_P_APPN,
    TextRefusal.SUPPORT_ENDED: Status.ESME_RX_P_APPN,
    TextRefusal.NO_RATE: Status.ESME_RINVDSTADR,
    TextRefusal.NO_ROUTE: Status.ESME_RSUBMITFAIL,
    TextRefusal.CREDIT_EXHAUSTED: Status.ESME_RSUBMITFAIL,
    TextRefusal.QUEUE_FULL: Status.ESME_RMSGQFUL,
    TextRefusal.UNAVAILABLE: Status.ESME_RSYSERR,
}

STATUS_OF_CANCEL_REFUSAL: dict[CancelRefusal, CommandStatus] = {
    CancelRefusal.UNKNOWN_TEXT: Status.ESME_RINVMSGID,
    CancelRefusal.UNDER_WAY: Status.ESME_RCANCELFAIL,
    CancelRefusal.OVER: Status.ESME_RCANCELFAIL,
    CancelRefusal.OTHER_LENGTH: Status.ESME_RCANCELFAIL,
}

STATUS_OF_REPLACE_REFUSAL: dict[CancelRefusal, CommandStatus] = {
    CancelRefusal.UNKNOWN_TEXT: Status.ESME_RINVMSGID,
    CancelRefusal.UNDER_WAY: Status.ESME_RREPLACEFAIL,
    CancelRefusal.OVER: Status.ESME_RREPLACEFAIL,
    CancelRefusal.OTHER_LENGTH: Status.ESME_RREPLACEFAIL,
}

SMPP_STATE: dict[TextState, MessageState] = {
    TextState.WAITING: MessageState.ENROUTE,
    TextState.HANDED_OVER: MessageState.ENROUTE,
    TextState.DELIVERED: MessageState.DELIVERED,
    TextState.FAILED: MessageState.UNDELIVERABLE,
    TextState.EXPIRED: MessageState.EXPIRED,
    TextState.CANCELLED: MessageState.DELETED,
    TextState.UNKNOWN: MessageState.UNKNOWN,
}

FINAL_STATE: dict[MessageState, TextState] = {
    MessageState.DELIVERED: TextState.DELIVERED,
    MessageState.EXPIRED: TextState.EXPIRED,
    MessageState.DELETED: TextState.FAILED,
    MessageState.UNDELIVERABLE: TextState.FAILED,
    MessageState.REJECTED: TextState.FAILED,
    MessageState.UNKNOWN: TextState.UNKNOWN,
}
"""What a next hop's receipt says, in our words. ENROUTE and ACCEPTED are missing: they end nothing."""


class Answer(Enum):
    """What the answer of a next hop means for the text."""

    TAKEN = "taken"
    LATER = "later"
    NEVER = "never"


_LATER = frozenset(
    {
        Status.ESME_RSYSERR,
        Status.ESME_RINVBNDSTS,
        Status.ESME_RMSGQFUL,
        Status.ESME_RTHROTTLED,
        Status.ESME_RX_T_APPN,
    }
)
BUSY = frozenset({Status.ESME_RMSGQFUL, Status.ESME_RTHROTTLED})
"""Statuses that are about the link rather than the text: it is to be spared a moment."""


def read_answer(status: int) -> Answer:
    """Whether the next hop took the text, may take it later, or never will."""
    if status == Status.ESME_ROK:
        return Answer.TAKEN
    return Answer.LATER if status in _LATER else Answer.NEVER


class BadTimes(Exception):
    """A text asks for what is not offered: scheduled delivery, or a validity that is none."""

    def __init__(self, status: CommandStatus) -> None:
        super().__init__(status.name)
        self.status = status


def is_receipt(message: ShortMessage) -> bool:
    """Whether a deliver_sm, or a submit_sm of a peer that binds to us, reports on a text it took."""
    return message.esm_class & ESM_TYPE_MASK in (ESM_TYPE_RECEIPT, ESM_TYPE_DELIVERY_ACKNOWLEDGEMENT)


def read_arrival(link: str, message: ShortMessage, now: datetime) -> Arrival:
    """A received text in our words; raises BadTimes."""
    if message.schedule:
        raise BadTimes(Status.ESME_RINVSCHED)
    return Arrival(
        link,
        message.source,
        message.destination,
        read_content(message),
        _read_wish(message.registered_delivery),
        _read_expiry(message.validity, now),
    )


def read_content(message: ShortMessage) -> Content:
    """The octets of a text and all that says how to read them."""
    return Content(
        message.body,
        message.data_coding,
        message.protocol_id,
        message.has_udh,
        message.default_message_id,
        message.body_in_payload,
        message.tlvs,
    )


def _read_wish(registered_delivery: int) -> ReceiptWish:
    wanted = registered_delivery & REGISTERED_RECEIPT_MASK
    if wanted == REGISTERED_RECEIPT:
        return ReceiptWish.ALWAYS
    return ReceiptWish.ON_FAILURE if wanted == REGISTERED_FAILURE_RECEIPT else ReceiptWish.NEVER


def _read_expiry(validity: str, now: datetime) -> datetime | None:
    try:
        expires_at = parse_time(validity, now)
    except ValueError:
        raise BadTimes(Status.ESME_RINVEXPIRY) from None
    if expires_at is not None and expires_at <= now:
        raise BadTimes(Status.ESME_RINVEXPIRY)
    return expires_at


def write_text(
    envelope: Envelope, operation: CommandId, *, valid_seconds: int, wants_receipt: bool
) -> ShortMessage:
    """A text for its next hop: submit_sm to a message centre, deliver_sm to a peer that is bound to us.

    The validity is relative, so that it holds whatever the peer's clock says.
    """
    content = envelope.content
    to_centre = operation is CommandId.SUBMIT_SM
    return ShortMessage(
        operation,
        envelope.source,
        envelope.destination,
        content.body,
        esm_class=ESM_UDH if content.has_udh else 0,
        protocol_id=content.protocol_id,
        validity=format_relative_time(max(valid_seconds, 1)) if to_centre else "",
        registered_delivery=REGISTERED_RECEIPT if wants_receipt else 0,
        data_coding=content.data_coding,
        default_message_id=content.default_message_id if to_centre else 0,
        body_in_payload=content.in_payload,
        tlvs=content.tlvs,
    )


def write_receipt(receipt: Receipt, operation: CommandId) -> ShortMessage:
    """A receipt for the link that brought the text: the addresses change places (Appendix B)."""
    body, tlvs = build_receipt(
        SmppReceipt(
            str(receipt.id),
            SMPP_STATE[receipt.state],
            receipt.accepted_at,
            receipt.done_at,
            error=f"{min(receipt.error, 999):03}",
        )
    )
    esm_class = ESM_TYPE_RECEIPT if operation is CommandId.DELIVER_SM else ESM_TYPE_DELIVERY_ACKNOWLEDGEMENT
    return ShortMessage(
        operation,
        receipt.submitted.destination,
        receipt.submitted.source,
        body,
        esm_class=esm_class,
        tlvs=tlvs,
    )


def read_error(error: str) -> int:
    """The `err` field of a receipt as a number; 0 when it is none, or longer than any code."""
    return int(error) if error.isascii() and error.isdigit() and len(error) <= 9 else 0
