"""What a bank says of a file of orders: ISO 20022 pain.002, CustomerPaymentStatusReport, of any version. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from onecard.payments.bank.markup import Element, read_pieces
from onecard.payments.bank.model import BadBankFile, OrderState, OrderStatus, StatusReport
from onecard.payments.bank.terms import find_id, find_reason, read_id

STATES = {
    "RCVD": OrderState.PENDING,
    "PDNG": OrderState.PENDING,
    "PATC": OrderState.PENDING,
    "PRES": OrderState.PENDING,
    "BLCK": OrderState.PENDING,  # neither paid nor given back: a person asks the bank
    "ACTC": OrderState.ACCEPTED,
    "ACCP": OrderState.ACCEPTED,
    "ACSP": OrderState.ACCEPTED,
    "ACWC": OrderState.ACCEPTED,
    "ACWP": OrderState.ACCEPTED,
    "ACFC": OrderState.ACCEPTED,
    "ACIS": OrderState.ACCEPTED,
    "ACPD": OrderState.ACCEPTED,
    "ACSC": OrderState.SETTLED,
    "ACCC": OrderState.SETTLED,
    "RJCT": OrderState.REJECTED,
    "CANC": OrderState.REJECTED,
}
"""Of ExternalPaymentTransactionStatus1Code and ExternalPaymentGroupStatus1Code; any other is pending, and its own
reason."""
PARTLY = "PART"
"""Of a whole: only what is said of each order counts."""


def read_status_report(chunks: Iterable[bytes]) -> StatusReport:
    """Read a report on one file; raises `BadBankFile`."""
    statuses: list[OrderStatus] = []
    found: dict[str, Element] = {}
    pieces = frozenset({"GrpHdr", "OrgnlGrpInfAndSts", "OrgnlPmtInfAndSts", "TxInfAndSts"})
    for piece in read_pieces(chunks, messages=("pain.002",), pieces=pieces):
        if piece.name == "TxInfAndSts":
            statuses += _read_status(piece)
        elif piece.name in found:
            raise BadBankFile(piece.line, f"a second {piece.name}: the file had one")
        else:
            found[piece.name] = piece
    if "GrpHdr" not in found or "OrgnlGrpInfAndSts" not in found:
        raise BadBankFile(1, "there is no GrpHdr or no OrgnlGrpInfAndSts")
    return _make_report(found, tuple(statuses))


def _make_report(found: dict[str, Element], statuses: tuple[OrderStatus, ...]) -> StatusReport:
    """All orders of a file are in one PaymentInformation: what is said of that is said of the whole."""
    group, payment = found["OrgnlGrpInfAndSts"], found.get("OrgnlPmtInfAndSts")
    narrow = payment.find_text("PmtInfSts") if payment else None
    element, code = (payment, narrow) if payment and narrow else (group, group.find_text("GrpSts"))
    state, reason = _judge(element, code) if code and code != PARTLY else (None, None)
    return StatusReport(
        message_id=read_id(found["GrpHdr"], "MsgId"),
        original_message_id=read_id(group, "OrgnlMsgId"),
        whole=state,
        whole_reason=reason,
        statuses=statuses,
    )


def _read_status(element: Element) -> list[OrderStatus]:
    """What is said of one order; nothing, where it is only named."""
    code = element.find_text("TxSts")
    if code is None:
        return []
    end_to_end_id = find_id(element, "OrgnlEndToEndId")
    if end_to_end_id is None:
        raise BadBankFile(element.line, "TxInfAndSts does not say which order: it has no OrgnlEndToEndId")
    return [OrderStatus(end_to_end_id, *_judge(element, code))]


def _judge(element: Element, code: str) -> tuple[OrderState, str | None]:
    said = element.find("StsRsnInf")
    reason = find_reason(said) if said else None
    if code not in STATES:
        return OrderState.PENDING, reason or code[:35]
    return STATES[code], reason
