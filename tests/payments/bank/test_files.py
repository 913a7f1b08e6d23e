"""Golden files of banks, both ways, and what the official structures and another reader say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from xsdata.formats.dataclass.parsers import XmlParser

from onecard.payments.bank import pain001, table
from onecard.payments.bank.files import Format, read_report, write_file
from onecard.payments.bank.model import (
    BankAccount,
    BankStatement,
    Booked,
    Debtor,
    OrderState,
    OrderStatus,
    Payee,
    PaymentFile,
    PaymentOrder,
    StatusReport,
)
from onecard.values.money import Currency, Money, minor_unit_micros

FILES = Path(__file__).parent / "files"
CAD, EUR = Currency("CAD"), Currency("EUR")
CANADIAN = BankAccount("1234567", is_iban=False, clearing_system="CACPA", clearing_member="000300002")
TREMBLAY = Payee("Zoë Tremblay & fils <Québec>", BankAccount("7654321", False, "CACPA", "081530001"))
LI = Payee("李小雨", BankAccount("GB29NWBK60161331926819", is_iban=True, bic="NWBKGB2L"))
FIRST = PaymentOrder("oc-r-1", Money(12_340_000, CAD), TREMBLAY, "Refund of your prepaid balance")
SECOND = PaymentOrder("oc-r-2", Money(50_000, CAD), LI, "退还余额")
DEBTOR = Debtor("Maple Mobile Inc.", CANADIAN)
MADE_AT = datetime(2022, 1, 5, 15, tzinfo=UTC)
PAYOUT = PaymentFile("oc-payout-7", MADE_AT, DEBTOR, date(2022, 1, 6), 2, Money(12_390_000, CAD))
READERS = {Format.PAIN_001: pain001.read_payment_file, Format.CSV: table.read_payment_file}


@pytest.fixture(scope="module")
def structure() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(resources.files("sepaxml") / "schemas" / "pain.001.001.09.xsd"))


@pytest.mark.parametrize(
    ("to", "name"), [(Format.PAIN_001, "payout.pain.001.xml"), (Format.CSV, "payout.csv")]
)
def test_a_payout_is_written_as_in_the_golden_file_and_read_back(to: Format, name: str) -> None:
    golden = (FILES / name).read_bytes()
    assert b"".join(write_file(to, PAYOUT, [FIRST, SECOND])) == golden
    assert READERS[to]([golden]) == (PAYOUT, [FIRST, SECOND])


def test_the_golden_payout_fits_the_official_structure(structure: xmlschema.XMLSchema) -> None:
    structure.validate(FILES / "payout.pain.001.xml")


def _cad(cents: int) -> Money:
    return Money(cents * 10_000, CAD)


REPORTS: dict[str, StatusReport | tuple[BankStatement, ...]] = {
    "status.csv": StatusReport(
        message_id="bank-77",
        original_message_id="oc-payout-7",
        whole=None,
        whole_reason=None,
        statuses=(
            OrderStatus("oc-r-1", OrderState.SETTLED),
            OrderStatus("oc-r-2", OrderState.REJECTED, "AC04"),
        ),
    ),
    "status.pain.002.001.10.xml": StatusReport(
        message_id="BANK-20220106-1",
        original_message_id="oc-payout-7",
        whole=None,
        whole_reason=None,
        statuses=(
            OrderStatus("oc-r-1", OrderState.SETTLED),
            OrderStatus("oc-r-2", OrderState.REJECTED, "AC04"),
            OrderStatus("oc-r-3", OrderState.PENDING, "XYZW"),
        ),
    ),
    "refused.pain.002.001.03.xml": StatusReport(
        message_id="BANK-20220106-2",
        original_message_id="oc-payout-8",
        whole=OrderState.REJECTED,
        whole_reason="DUPL",
        statuses=(),
    ),
    "statement.camt.053.001.08.xml": (
        BankStatement(
            id="2022-007",
            account="1234567",
            booked=(
                Booked("T-1", "oc-r-1", _cad(1234), False, False, date(2022, 1, 7)),
                Booked("B-100/2", "oc-r-2", _cad(5), False, False, date(2022, 1, 7)),
                Booked("B-100/rest", None, _cad(50), False, False, date(2022, 1, 7)),
                Booked("2022-007/2", "oc-r-2", _cad(5), True, False, date(2022, 1, 7), "AC04"),
                Booked("2022-007/entry 3", None, _cad(10), False, False, date(2022, 1, 7)),
            ),
            opening=_cad(10_000),
            closing=_cad(8_706),
            closing_on=date(2022, 1, 7),
        ),
    ),
    "statement.camt.053.001.02.xml": (
        BankStatement(
            id="2022-008",
            account="DE89370400440532013000",
            booked=(Booked("R-5", "oc-r-9", Money(5_000_000, EUR), True, True, date(2022, 1, 8)),),
            opening=Money(-10_000_000, EUR),
            closing=Money(-5_000_000, EUR),
            closing_on=date(2022, 1, 8),
        ),
    ),
}
REPORTS["sum.camt.053.001.08.xml"] = (
    BankStatement(
        id="2022-009",
        account="1234567",
        booked=(
            Booked("B-300", None, _cad(1239), False, False, date(2022, 1, 9), message_id="oc-payout-7"),
            Booked("B-301", None, _cad(300), False, False, date(2022, 1, 9), message_id="oc-payout-8"),
        ),
        opening=None,
        closing=_cad(100),
        closing_on=date(2022, 1, 9),
    ),
)
NOTIFICATION = BankStatement(
    id="N-1",
    account="1234567",
    booked=(
        Booked("B-200", "oc-r-1", _cad(1234), False, False, date(2022, 1, 7)),
        Booked("B-200#2", None, _cad(6), False, False, date(2022, 1, 7)),
        Booked("B-200/rest", None, _cad(10), False, False, date(2022, 1, 7)),
    ),
    opening=None,
    closing=None,
    closing_on=None,
)
REPORTS["notification.camt.054.001.02.xml"] = (NOTIFICATION,)
REPORTS["notification.camt.054.001.08.xml"] = (NOTIFICATION,)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("chunk_bytes", [7, 1 << 16])
def test_a_report_of_a_bank_is_read_whole_however_it_comes(name: str, chunk_bytes: int) -> None:
    assert read_report(_chunks((FILES / name).read_bytes(), chunk_bytes)) == REPORTS[name]


def test_a_report_in_utf_16_is_read_too() -> None:
    text = (FILES / "refused.pain.002.001.03.xml").read_text(encoding="utf-8")
    told = text.replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")
    assert read_report([told]) == REPORTS["refused.pain.002.001.03.xml"]


def _chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[first : first + size] for first in range(0, len(content), size))


@pytest.mark.parametrize("path", sorted(FILES.glob("*.xml")), ids=lambda path: path.name)
def test_the_golden_files_have_the_structure_that_another_reader_knows(path: Path) -> None:
    document = _read_elsewhere(path.read_bytes())
    if path.name == "payout.pain.001.xml":
        orders = document.cstmr_cdt_trf_initn.pmt_inf[0].cdt_trf_tx_inf
        assert [str(order.amt.instd_amt.value) for order in orders] == ["12.34", "0.05"]


def _read_elsewhere(content: bytes) -> Any:
    name = content.split(b"tech:xsd:")[1].split(b'"')[0].decode()
    module = import_module(f"pyiso20022.{name.split('.')[0]}.{name.replace('.', '_')}")
    return XmlParser().from_bytes(content, module.Document)  # unknown elements are errors


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=150).map(lambda words: f"a{words}"[:140])
IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=35)
ACCOUNTS = st.one_of(
    st.builds(lambda digits: BankAccount(digits, False), st.text("0123456789", min_size=1, max_size=34)),
    st.builds(
        lambda digits, member: BankAccount(digits, False, "CACPA", f"0{member}"),
        st.text("0123456789", min_size=7, max_size=12),
        st.text("0123456789", min_size=8, max_size=8),
    ),
    st.builds(
        lambda bic: BankAccount("GB29NWBK60161331926819", True, bic=bic), st.sampled_from([None, "NWBKGB2L"])
    ),
    st.just(BankAccount("6222021234567890123", False, "CNAPS", "102100099996", "ICBKCNBJ")),
)


@st.composite
def payouts(draw: Callable[[Any], Any]) -> tuple[PaymentFile, list[PaymentOrder]]:
    currency = Currency(draw(st.sampled_from(["CAD", "CNY", "HKD", "JPY", "USD"])))
    units = draw(st.lists(st.integers(1, 10**9), min_size=1, max_size=5))
    amounts = [Money(unit * minor_unit_micros(currency), currency) for unit in units]
    orders = [
        PaymentOrder(draw(IDS), amount, Payee(draw(WORDS), draw(ACCOUNTS)), draw(WORDS)) for amount in amounts
    ]
    total = Money(sum(amount.micros for amount in amounts), currency)
    debtor = Debtor(draw(WORDS), draw(ACCOUNTS))
    return PaymentFile(draw(IDS), MADE_AT, debtor, date(2022, 1, 6), len(orders), total), orders


@given(payout=payouts())
def test_whoever_is_paid_the_file_fits_the_official_structure(
    structure: xmlschema.XMLSchema, payout: tuple[PaymentFile, list[PaymentOrder]]
) -> None:
    file, orders = payout
    written = b"".join(write_file(Format.PAIN_001, file, orders))
    structure.validate(written)
    read, orders_read = pain001.read_payment_file([written])
    assert (read.count, read.total) == (file.count, file.total)
    assert [(one.end_to_end_id, one.amount, one.payee.account) for one in orders_read] == [
        (one.end_to_end_id, one.amount, one.payee.account) for one in orders
    ]


@given(payout=payouts())
def test_a_payout_as_csv_is_read_back_as_it_was(payout: tuple[PaymentFile, list[PaymentOrder]]) -> None:
    file, orders = payout
    if "\0" not in "".join([file.debtor.name, *(one.payee.name + one.remittance for one in orders)]):
        assert table.read_payment_file(write_file(Format.CSV, file, orders)) == (file, orders)


def test_a_status_file_is_written_as_in_the_golden_file() -> None:
    report = REPORTS["status.csv"]
    assert isinstance(report, StatusReport)
    amounts = {"oc-r-1": FIRST.amount, "oc-r-2": SECOND.amount}
    assert b"".join(table.write_status_report(report, amounts)) == (FILES / "status.csv").read_bytes()
