"""What moved on an account: ISO 20022 camt.053 (statement) and camt.054 (notification), of any version. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from msgspec.structs import replace

from onecard.payments.bank.markup import Element, read_pieces
from onecard.payments.bank.model import BadBankFile, BankStatement, Booked
from onecard.payments.bank.terms import find_id, find_reason, read_account, read_amount, read_day, read_id
from onecard.values.money import Money

STATEMENTS = frozenset({"Stmt", "Ntfctn"})
BOOKED = "BOOK"
"""Entries of any other status did not move yet, or never will."""
WITHIN = "/"
"""What a reference begins with that only means something within its statement."""
OPENING = ("OPBD", "PRCD")
"""BalanceType: before the first movement, or after the last of the statement before."""
CLOSING = ("CLBD",)
RETURNS = frozenset({"RRTN", "RPCR"})
"""ExternalBankTransactionSubFamily1Code: a payment that came back, where no reason is given."""


def read_statements(chunks: Iterable[bytes]) -> Iterator[BankStatement]:
    """Read the statements of a file one by one; raises `BadBankFile`, at the latest at the end of the file."""
    entries = _Entries()
    pieces = STATEMENTS | {"Ntry", "TxDtls", "GrpHdr"}
    for piece in read_pieces(chunks, messages=("camt.053", "camt.054"), pieces=pieces):
        if piece.name == "TxDtls":
            entries.add_detail(piece)
        elif piece.name == "Ntry":
            entries.add_entry(piece)
        elif piece.name in STATEMENTS:
            yield _read_statement(piece, entries)
            entries = _Entries()


@dataclass(frozen=True, slots=True)
class _Detail:
    """One order within an entry; what it does not say is the entry's."""

    reference: str | None
    end_to_end_id: str | None
    message_id: str | None
    amounts: tuple[Money, ...]
    is_credit: bool | None
    reason: str | None


class _Entries:
    """The movements of a statement so far."""

    def __init__(self) -> None:
        self.count = 0
        self.movements: list[Booked] = []
        self._details: list[_Detail] = []

    def add_detail(self, element: Element) -> None:
        self._details.append(_read_detail(element))

    def add_entry(self, element: Element) -> None:
        """Add an entry, whose details came before its end."""
        self.count += 1
        details, self._details = self._details, []
        status = element.get("Sts")
        if (status.find_text("Cd") or status.text.strip()) == BOOKED:
            self.movements += _split(_read_entry(element, self.count), details)


def _read_statement(element: Element, entries: _Entries) -> BankStatement:
    counted = element.find_text("TxsSummry/TtlNtries/NbOfNtries")
    if counted is not None and counted != str(entries.count):
        raise BadBankFile(
            element.line, f"{element.name} counts {counted[:35]} entries; there are {entries.count}"
        )
    balances = [
        (balance.find_text("Tp/CdOrPrtry/Cd"), _read_signed(balance), read_day(balance.get("Dt")))
        for balance in element.all_of("Bal")
    ]
    opening = next((money for code, money, _ in balances if code in OPENING), None)
    closing, closing_on = next(
        ((money, day) for code, money, day in balances if code in CLOSING), (None, None)
    )
    statement = BankStatement(
        id=read_id(element, "Id"),
        account=read_account(element.get("Acct"), None).number,
        booked=_tell_apart(read_id(element, "Id"), entries.movements),
        opening=opening,
        closing=closing,
        closing_on=closing_on,
    )
    _prove_one_currency(element, statement)
    return statement


def _prove_one_currency(element: Element, statement: BankStatement) -> None:
    amounts = [booked.amount for booked in statement.booked]
    amounts += [money for money in (statement.opening, statement.closing) if money is not None]
    if len({money.currency for money in amounts}) > 1:
        raise BadBankFile(element.line, f"{element.name} is in more than one currency")


def _read_entry(element: Element, place: int) -> Booked:
    reference = find_id(element, "AcctSvcrRef")
    return Booked(
        reference=reference or f"{WITHIN}{find_id(element, 'NtryRef') or f'entry {place}'}",
        end_to_end_id=None,
        amount=read_amount(element.get("Amt")),
        is_credit=_is_credit(element),
        is_reversal=element.find_text("RvslInd") in ("true", "1"),
        booked_on=_read_booking(element),
        reason=_find_return(element),
        message_id=find_id(element, "NtryDtls/Btch/PmtInfId") or find_id(element, "NtryDtls/Btch/MsgId"),
    )


def _read_booking(element: Element) -> date:
    """The day on which it was booked; some banks give only that from which it counts."""
    day = element.find("BookgDt")
    return read_day(element.get("ValDt") if day is None else day)


def _read_detail(element: Element) -> _Detail:
    paths = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/CntrValAmt/Amt", "AmtDtls/InstdAmt/Amt")
    found = (element.find(path) for path in paths)
    given_back = element.find("RtrInf")
    reason = find_reason(given_back) if given_back else None
    return _Detail(
        reference=find_id(element, "Refs/AcctSvcrRef"),
        end_to_end_id=find_id(element, "Refs/EndToEndId"),
        message_id=find_id(element, "Refs/PmtInfId") or find_id(element, "Refs/MsgId"),
        amounts=tuple(read_amount(one) for one in found if one is not None),
        is_credit=_is_credit(element) if element.find("CdtDbtInd") else None,
        reason=reason or _find_return(element),
    )


def _split(entry: Booked, details: list[_Detail]) -> list[Booked]:
    """The movements of an entry: one each for its orders, and one for what they leave of it, charges say.

    Orders of a batch without ids or amounts of their own cannot be told apart, and stay one movement of their file.
    """
    if len(details) == 1:
        (only,) = details
        return _if_moved(
            replace(
                entry,
                end_to_end_id=only.end_to_end_id,
                reason=only.reason or entry.reason,
                message_id=None if only.end_to_end_id else only.message_id or entry.message_id,
            )
        )
    currency = entry.amount.currency
    amounts = [next((m for m in one.amounts if m.currency == currency), None) for one in details]
    if not any(one.end_to_end_id for one in details) or None in amounts:
        return _if_moved(entry)
    entry = replace(entry, message_id=None)
    movements = [
        replace(
            entry,
            reference=detail.reference or f"{entry.reference}/{place}",
            end_to_end_id=detail.end_to_end_id,
            amount=amount,
            is_credit=entry.is_credit if detail.is_credit is None else detail.is_credit,
            reason=detail.reason or entry.reason,
        )
        for place, (detail, amount) in enumerate(zip(details, amounts, strict=True), 1)
        if amount  # one of nothing moves nothing
    ]
    rest = _signed(entry) - sum((_signed(one) for one in movements), start=0)
    rest_of = replace(
        entry, reference=f"{entry.reference}/rest", amount=Money(abs(rest), currency), is_credit=rest > 0
    )
    return [*movements, *_if_moved(rest_of)]


def _if_moved(booked: Booked) -> list[Booked]:
    return [booked] if booked.amount else []


def _signed(booked: Booked) -> int:
    return booked.amount.micros if booked.is_credit else -booked.amount.micros


def _tell_apart(statement_id: str, movements: list[Booked]) -> tuple[Booked, ...]:
    """Give each movement a reference of its own on the account.

    The statement stands before one that only means something within it. Some banks repeat that of an entry in all its
    orders.
    """
    seen: dict[str, int] = {}
    apart = []
    for booked in movements:
        is_within = booked.reference.startswith(WITHIN)
        reference = f"{statement_id}{booked.reference}" if is_within else booked.reference
        nth = seen[reference] = seen.get(reference, 0) + 1
        apart.append(replace(booked, reference=reference if nth == 1 else f"{reference}#{nth}"))
    return tuple(apart)


def _find_return(element: Element) -> str | None:
    code = element.find_text("BkTxCd/Domn/Fmly/SubFmlyCd")
    return code if code in RETURNS else None


def _read_signed(element: Element) -> Money:
    amount = read_amount(element.get("Amt"))
    return amount if _is_credit(element) else -amount


def _is_credit(element: Element) -> bool:
    found = element.get("CdtDbtInd")
    if found.text.strip() not in ("CRDT", "DBIT"):
        raise BadBankFile(found.line, f"{found.text[:35]!r} is neither CRDT nor DBIT")
    return found.text.strip() == "CRDT"
