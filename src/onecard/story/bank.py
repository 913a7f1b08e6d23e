"""The operator's bank, as far as the story needs one: it pays what a file orders, and says so in a statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree

ACCOUNT = "7654321"
"""The operator's, as its configuration has it."""
CURRENCY = "CAD"
PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"


class Bank:
    """Keeps the operator's account. Each statement goes on where the one before ended."""

    def __init__(self, balance: str) -> None:
        self._balance = Decimal(balance)
        self._statements = 0
        self._entries = 0

    def pay(self, pain: bytes) -> bytes:
        """Pay the orders of a pain.001 file; returns the statement of the day on which it was to be done."""
        file = ElementTree.fromstring(pain)  # noqa: S314  # onecard's own, written a moment ago
        orders = [
            (_text(order, "PmtId/EndToEndId"), Decimal(_text(order, "Amt/InstdAmt")))
            for order in file.iterfind(f".//{PAIN}CdtTrfTxInf")
        ]
        return self.write_statement(_text(file, ".//ReqdExctnDt/Dt"), orders)

    def write_statement(self, day: date | str, paid: Sequence[tuple[str, Decimal]] = ()) -> bytes:
        """The statement of a day (camt.053), with what was paid on it: end-to-end ids and amounts."""
        opening = self._balance
        self._balance -= sum(amount for _, amount in paid)
        self._statements += 1
        balances = _balance("OPBD", opening, day) + _balance("CLBD", self._balance, day)
        entries = "".join(self._book(reference, amount, day) for reference, amount in paid)
        return (
            f'<Document xmlns="{CAMT}"><BkToCstmrStmt><GrpHdr><MsgId>S-{self._statements}</MsgId>'
            f"<CreDtTm>{day}T20:00:00</CreDtTm></GrpHdr><Stmt><Id>S-{self._statements}</Id>"
            f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>{CURRENCY}</Ccy></Acct>{balances}{entries}"
            "</Stmt></BkToCstmrStmt></Document>"
        ).encode()

    def _book(self, reference: str, amount: Decimal, day: date | str) -> str:
        self._entries += 1
        return (
            f'<Ntry><Amt Ccy="{CURRENCY}">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
            f"<BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>B-{self._entries}</AcctSvcrRef><NtryDtls><TxDtls>"
            f"<Refs><EndToEndId>{reference}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"
        )


def _balance(kind: str, amount: Decimal, day: date | str) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{CURRENCY}">{amount}</Amt>'
        f"<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _text(element: ElementTree.Element, path: str) -> str:
    """What stands at a path of names without their namespace."""
    names = [name if name in ("", ".") else f"{PAIN}{name}" for name in path.split("/")]
    text = element.findtext("/".join(names))
    assert text is not None, path
    return text
