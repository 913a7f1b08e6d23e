"""All formats of files in one place: which there are to write orders in, and which a file that came is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from onecard.payments.bank import pain001, table
from onecard.payments.bank.camt import read_statements
from onecard.payments.bank.model import (
    BadBankFile,
    BankStatement,
    PaymentFile,
    PaymentOrder,
    StatusReport,
)
from onecard.payments.bank.pain002 import read_status_report
from onecard.values.money import Money


class Format(StrEnum):
    """What orders are written in."""

    PAIN_001 = "pain.001"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Writer:
    """A format's three pieces of a file, so that its orders can come from anywhere, a page at a time."""

    begin_file: Callable[[PaymentFile], bytes]
    write_order: Callable[[PaymentOrder], bytes]
    end_file: Callable[[PaymentFile], bytes]


WRITERS = {
    Format.PAIN_001: Writer(pain001.begin_file, pain001.write_order, pain001.end_file),
    Format.CSV: Writer(table.begin_file, table.write_order, table.end_file),
}


def write_file(to: Format, file: PaymentFile, orders: Iterable[PaymentOrder]) -> Iterator[bytes]:
    """Write a whole file; the orders have to be as many, and sum to as much, as the file says."""
    writer = WRITERS[to]
    count, total = 0, Money(0, file.total.currency)
    yield writer.begin_file(file)
    for order in orders:
        count, total = count + 1, total + order.amount
        yield writer.write_order(order)
    assert (count, total) == (file.count, file.total), "the orders are not those of the file"
    yield writer.end_file(file)


HEAD_BYTES = 4096
Report = StatusReport | tuple[BankStatement, ...]


def read_report(chunks: Iterable[bytes]) -> Report:
    """Read what a bank sent, whichever format it is in; raises `BadBankFile`."""
    iterator = iter(chunks)
    head = b""
    while len(head) < HEAD_BYTES and (chunk := next(iterator, b"")):
        head += chunk
    whole = chain([head], iterator)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip(b'"').startswith(table.STATUS.encode()):
        return table.read_status_report(whole)
    if b"pain.002" in head[:HEAD_BYTES].replace(b"\0", b""):  # UTF-16, too
        return read_status_report(whole)
    statements = tuple(read_statements(whole))
    if not statements:
        raise BadBankFile(1, "there is no statement in the file")
    return statements
