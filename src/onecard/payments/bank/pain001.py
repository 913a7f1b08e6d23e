"""Payment orders to a bank as ISO 20022 pain.001.001.09, CustomerCreditTransferInitiation.

Pure: the bytes depend on the values alone. A file is written in pieces, so that 100,000 orders need no memory:
`begin_file`, `write_order` for each, `end_file`. All its orders are one PaymentInformation, of one debtor and day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from xml.sax.saxutils import escape

from onecard.payments.bank.markup import Element, read_pieces
from onecard.payments.bank.model import (
    BadBankFile,
    BankAccount,
    Debtor,
    Payee,
    PaymentFile,
    PaymentOrder,
)
from onecard.payments.bank.terms import (
    NOT_PROVIDED,
    WORDS_MOST,
    parse_amount,
    parse_count,
    parse_instant,
    read_account,
    read_amount,
    read_day,
    read_id,
)
from onecard.values.money import Money, format_minor

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
BEARER = "DEBT"
"""Who pays the charges (ChargeBearerType1Code): the operator, so that the payee has the full amount."""

_NOT_XML = re.compile("[^\\x20-\\uD7FF\\uE000-\\uFFFD\\U00010000-\\U0010FFFF]")


def begin_file(file: PaymentFile) -> bytes:
    """What stands before the orders. Each is to be booked alone (BtchBookg), so that the statement names it."""
    sums = _element("NbOfTxs", str(file.count)) + _element("CtrlSum", format_minor(file.total))
    made_at = file.made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    debtor = file.debtor
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Document xmlns="{NAMESPACE}"><CstmrCdtTrfInitn>',
        f"<GrpHdr>{_element('MsgId', file.message_id)}{_element('CreDtTm', made_at)}{sums}"
        f"<InitgPty>{_write_name(debtor.name)}</InitgPty></GrpHdr>",
        f"<PmtInf>{_element('PmtInfId', file.message_id)}<PmtMtd>TRF</PmtMtd><BtchBookg>false</BtchBookg>{sums}",
        f"<ReqdExctnDt>{_element('Dt', file.execution_on.isoformat())}</ReqdExctnDt>",
        f"<Dbtr>{_write_name(debtor.name)}</Dbtr>"
        f"<DbtrAcct>{_write_number(debtor.account)}{_element('Ccy', file.total.currency)}</DbtrAcct>"
        f"<DbtrAgt>{_write_bank(debtor.account) or _UNKNOWN_BANK}</DbtrAgt>{_element('ChrgBr', BEARER)}",
    )
    return ("\n".join(lines) + "\n").encode()


def write_order(order: PaymentOrder) -> bytes:
    """One CreditTransferTransactionInformation."""
    account = order.payee.account
    bank = _write_bank(account)
    currency = order.amount.currency
    return (
        f"<CdtTrfTxInf><PmtId>{_element('EndToEndId', order.end_to_end_id)}</PmtId>"
        f'<Amt><InstdAmt Ccy="{currency}">{format_minor(order.amount)}</InstdAmt></Amt>'
        f"{f'<CdtrAgt>{bank}</CdtrAgt>' if bank else ''}<Cdtr>{_write_name(order.payee.name)}</Cdtr>"
        f"<CdtrAcct>{_write_number(account)}</CdtrAcct>"
        f"<RmtInf>{_element('Ustrd', order.remittance)}</RmtInf></CdtTrfTxInf>\n"
    ).encode()


def end_file(_: PaymentFile) -> bytes:
    """What stands after the orders."""
    return b"</PmtInf></CstmrCdtTrfInitn></Document>\n"


_UNKNOWN_BANK = f"<FinInstnId><Othr><Id>{NOT_PROVIDED}</Id></Othr></FinInstnId>"


def _write_name(name: str) -> str:
    return _element("Nm", name[:WORDS_MOST])


def _write_number(account: BankAccount) -> str:
    number = _element("IBAN" if account.is_iban else "Id", account.number)
    return f"<Id>{number}</Id>" if account.is_iban else f"<Id><Othr>{number}</Othr></Id>"


def _write_bank(account: BankAccount) -> str:
    """The bank of an account (FinancialInstitutionIdentification18); nothing where the number says it all."""
    bic = _element("BICFI", account.bic) if account.bic else ""
    if not account.clearing_member:
        return f"<FinInstnId>{bic}</FinInstnId>" if bic else ""
    system = account.clearing_system
    listed = f"<ClrSysId>{_element('Cd', system)}</ClrSysId>" if system else ""
    member = f"<ClrSysMmbId>{listed}{_element('MmbId', account.clearing_member)}</ClrSysMmbId>"
    return f"<FinInstnId>{bic}{member}</FinInstnId>"


def _element(name: str, text: str) -> str:
    """Characters that XML cannot carry are left as blanks: a name is not a reason to pay nobody."""
    written = _NOT_XML.sub(" ", text).strip()
    assert written, f"{name} is empty"
    return f"<{name}>{escape(written)}</{name}>"


def read_payment_file(chunks: Iterable[bytes]) -> tuple[PaymentFile, list[PaymentOrder]]:
    """Read such a file back, and prove its control sums; raises `BadBankFile`."""
    orders: list[PaymentOrder] = []
    header: Element | None = None
    payments: list[Element] = []
    pieces = frozenset({"GrpHdr", "CdtTrfTxInf", "PmtInf"})
    for piece in read_pieces(chunks, messages=("pain.001",), pieces=pieces):
        if piece.name == "CdtTrfTxInf":
            orders.append(_read_order(piece))
        elif piece.name == "GrpHdr":
            header = piece
        else:
            payments.append(piece)
    if header is None or len(payments) != 1:
        raise BadBankFile(1, "not one GrpHdr and one PmtInf")
    return _read_file(header, payments[0], orders), orders


def _read_order(element: Element) -> PaymentOrder:
    payee = Payee(
        read_id(element, "Cdtr/Nm", most=WORDS_MOST),
        read_account(element.get("CdtrAcct"), element.find("CdtrAgt")),
    )
    return PaymentOrder(
        end_to_end_id=read_id(element, "PmtId/EndToEndId"),
        amount=read_amount(element.get("Amt/InstdAmt")),
        payee=payee,
        remittance=read_id(element, "RmtInf/Ustrd", most=WORDS_MOST),
    )


def _read_file(header: Element, payment: Element, orders: list[PaymentOrder]) -> PaymentFile:
    currencies = {order.amount.currency for order in orders}
    if len(currencies) != 1:
        raise BadBankFile(payment.line, f"the orders are in {len(currencies)} currencies, not in one")
    total = Money(sum(order.amount.micros for order in orders), currencies.pop())
    for element in (header, payment):
        _prove_sums(element, len(orders), total)
    return PaymentFile(
        message_id=read_id(header, "MsgId"),
        made_at=parse_instant(header.get_text("CreDtTm"), header.line),
        debtor=Debtor(
            read_id(payment, "Dbtr/Nm", most=WORDS_MOST),
            read_account(payment.get("DbtrAcct"), payment.find("DbtrAgt")),
        ),
        execution_on=read_day(payment.get("ReqdExctnDt")),
        count=len(orders),
        total=total,
    )


def _prove_sums(element: Element, count: int, total: Money) -> None:
    written = element.get_text("NbOfTxs")
    if parse_count(written, element.line) != count:
        raise BadBankFile(element.line, f"{element.name} counts {written} orders; there are {count}")
    written = element.get_text("CtrlSum")
    if parse_amount(written, total.currency, element.line) != total:
        raise BadBankFile(
            element.line, f"{element.name} sums to {written}; the orders to {format_minor(total)}"
        )
