"""Payment orders and their states as CSV (RFC 4180, UTF-8), for banks and people without ISO 20022.

Pure. The first record says what the file is, how many orders it has and what they sum to; the last says it again, so
that a file that was cut off, or changed by hand, is refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC

from onecard.payments.bank.markup import FILE_MOST_BYTES
from onecard.payments.bank.model import (
    BadBankFile,
    BankAccount,
    Debtor,
    OrderState,
    OrderStatus,
    Payee,
    PaymentFile,
    PaymentOrder,
    StatusReport,
)
from onecard.payments.bank.terms import (
    WORDS_MOST,
    parse_amount,
    parse_code,
    parse_count,
    parse_day,
    parse_id,
    parse_instant,
)
from onecard.values.money import Currency, Money, format_minor

PAYOUT = "onecard-payout 1"
STATUS = "onecard-status 1"
"""What the first cell of a file says: what it is, and the version of its columns."""
ORDER, END = "order", "end"
LINE_MOST = 8192
ACCOUNT_COLUMNS = 5


def begin_file(file: PaymentFile) -> bytes:
    """The first record: the file, who pays, when, and the control sums."""
    made_at = file.made_at.astimezone(UTC).isoformat()
    cells = (PAYOUT, file.message_id, made_at, file.execution_on.isoformat(), file.debtor.name)
    return _write(*cells, *_write_account(file.debtor.account), *_write_sums(file))


def write_order(order: PaymentOrder) -> bytes:
    """A record of one order."""
    amount, payee = order.amount, order.payee
    return _write(
        ORDER,
        order.end_to_end_id,
        format_minor(amount),
        amount.currency,
        payee.name,
        *_write_account(payee.account),
        order.remittance,
    )


def end_file(file: PaymentFile) -> bytes:
    """The last record: the control sums again."""
    return _write(END, *_write_sums(file))


def _write_sums(file: PaymentFile) -> tuple[str, ...]:
    return str(file.count), format_minor(file.total), file.total.currency


def _write_account(account: BankAccount) -> tuple[str, ...]:
    kind = "IBAN" if account.is_iban else "number"
    return (
        kind,
        account.number,
        account.clearing_system or "",
        account.clearing_member or "",
        account.bic or "",
    )


def _write(*cells: str) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def read_payment_file(chunks: Iterable[bytes]) -> tuple[PaymentFile, list[PaymentOrder]]:
    """Read a payout file back, and prove its control sums; raises `BadBankFile`."""
    records = _Records(chunks, PAYOUT)
    first = records.take_first(5 + ACCOUNT_COLUMNS + 3)
    currency = parse_code(first[-1], records.line)
    file = PaymentFile(
        message_id=parse_id(first[1], records.line),
        made_at=parse_instant(first[2], records.line),
        debtor=Debtor(first[4], _read_account(first[5:10], records.line)),
        execution_on=parse_day(first[3], records.line),
        count=parse_count(first[10], records.line),
        total=parse_amount(first[11], currency, records.line),
    )
    orders = [_read_order(cells, records.line) for cells in records.take_orders(6 + ACCOUNT_COLUMNS)]
    amounts = [order.amount for order in orders]
    records.prove(first[10:12], amounts, currency)
    return file, orders


def _read_order(cells: list[str], line: int) -> PaymentOrder:
    return PaymentOrder(
        end_to_end_id=parse_id(cells[1], line),
        amount=parse_amount(cells[2], parse_code(cells[3], line), line),
        payee=Payee(parse_id(cells[4], line, most=WORDS_MOST), _read_account(cells[5:10], line)),
        remittance=parse_id(cells[10], line, most=WORDS_MOST),
    )


def _read_account(cells: list[str], line: int) -> BankAccount:
    kind, number, system, member, bic = cells
    if kind not in ("IBAN", "number"):
        raise BadBankFile(line, f"an account is an IBAN or a number, not {kind[:35]!r}")
    return BankAccount(parse_id(number, line), kind == "IBAN", system or None, member or None, bic or None)


def write_status_report(report: StatusReport, amounts: dict[str, Money]) -> Iterator[bytes]:
    """Write what a bank says; `amounts` are those of the orders that are named, by end-to-end id."""
    total = sum((amounts[one.end_to_end_id].micros for one in report.statuses), start=0)
    currency = next(iter(amounts.values())).currency
    sums = (str(len(report.statuses)), format_minor(Money(total, currency)), currency)
    whole = (report.whole or "", report.whole_reason or "")
    yield _write(STATUS, report.message_id, report.original_message_id, *whole, *sums)
    for one in report.statuses:
        amount = format_minor(amounts[one.end_to_end_id])
        yield _write(ORDER, one.end_to_end_id, one.state, one.reason or "", amount)
    yield _write(END, *sums)


def read_status_report(chunks: Iterable[bytes]) -> StatusReport:
    """Read what a bank says of a file, and prove the control sums; raises `BadBankFile`."""
    records = _Records(chunks, STATUS)
    first = records.take_first(8)
    currency = parse_code(first[7], records.line)
    whole = _parse_state(first[3], records.line) if first[3] else None
    head = parse_id(first[1], records.line), parse_id(first[2], records.line)
    statuses, amounts = [], []
    for cells in records.take_orders(5):
        state = _parse_state(cells[2], records.line)
        reason = cells[3][:WORDS_MOST] or None
        statuses.append(OrderStatus(parse_id(cells[1], records.line), state, reason))
        amounts.append(parse_amount(cells[4], currency, records.line))
    records.prove(first[5:7], amounts, currency)
    return StatusReport(*head, whole, first[4][:WORDS_MOST] or None, tuple(statuses))


class _Records:
    """The records of a file, and the line of the last that was taken."""

    def __init__(self, chunks: Iterable[bytes], kind: str) -> None:
        self._kind = kind
        self._reader = csv.reader(_split_lines(chunks), strict=True)
        self._last: list[str] | None = None

    @property
    def line(self) -> int:
        return max(self._reader.line_num, 1)

    def take_first(self, columns: int) -> list[str]:
        """The first record; raises `BadBankFile` if the file is another."""
        first = self._take()
        if first is None or first[0] != self._kind:
            raise BadBankFile(self.line, f"the first cell has to be {self._kind!r}")
        return self._check(first, columns)

    def take_orders(self, columns: int) -> Iterator[list[str]]:
        """The records of orders; what ends them is kept for `prove`."""
        while (cells := self._take()) is not None and cells[0] == ORDER:
            yield self._check(cells, columns)
        self._last = cells

    def prove(self, written: list[str], amounts: list[Money], currency: Currency) -> None:
        """Raises `BadBankFile` unless the first and the last record say of the orders what is so."""
        if self._last is None or self._last[0] != END:
            raise BadBankFile(self.line, f"the file is cut off: the last record has to be {END!r}")
        if any(amount.currency != currency for amount in amounts):
            raise BadBankFile(self.line, f"not all orders are in {currency}")
        end = self._check(self._last, 4)
        total = Money(sum(amount.micros for amount in amounts), currency)
        for count, amount in ((written[0], written[1]), (end[1], end[2])):
            self._prove(parse_count(count, self.line), len(amounts))
            self._prove(parse_amount(amount, currency, self.line), total)
        if self._take() is not None:
            raise BadBankFile(self.line, "there is more after the last record")

    def _prove(self, written: int | Money, found: int | Money) -> None:
        if written != found:
            raise BadBankFile(self.line, f"the file says {written}; its orders are {found}")

    def _check(self, cells: list[str], columns: int) -> list[str]:
        if len(cells) != columns:
            raise BadBankFile(self.line, f"a record of {columns} cells has {len(cells)}")
        return cells

    def _take(self) -> list[str] | None:
        try:
            return next((cells for cells in self._reader if cells), None)
        except csv.Error as error:
            raise BadBankFile(self.line, f"cannot be read: {error}") from None


def _split_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of UTF-8 with their ends; of a spreadsheet's byte order mark nothing is left."""
    rest, size, number = b"", 0, 0
    for chunk in chunks:
        size += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_MOST or size > FILE_MOST_BYTES:
            raise BadBankFile(number + 1, "the line or the file is too long")
        for line in lines:
            number += 1
            yield _decode(line + b"\n", number)
    if rest:
        yield _decode(rest, number + 1)


def _decode(line: bytes, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise BadBankFile(number, "not UTF-8") from None
    if "\0" in text or len(text) > LINE_MOST:
        raise BadBankFile(number, "the line is too long, or has a character that no text has")
    return text


def _parse_state(text: str, line: int) -> OrderState:
    try:
        return OrderState(text)
    except ValueError:
        raise BadBankFile(line, f"{text[:35]!r} is none of {', '.join(OrderState)}") from None
