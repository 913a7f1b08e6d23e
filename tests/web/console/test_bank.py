"""Finance at the console: the payout file and the bank's answer, the funding check, the closing statements."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO

import pytest
from pypdf import PdfReader

import shop
from onecard.audit import list_records
from onecard.database.pool import Database, connection
from onecard.payments.bank.model import OrderState, OrderStatus, PaymentOrder, StatusReport
from onecard.payments.bank.table import read_payment_file, write_status_report
from onecard.payments.payouts import actions as payouts
from onecard.payments.payouts.model import PayoutRun
from onecard.sealing.signing import verify_document
from onecard.staff.model import Role
from onecard.web.site import PayoutTerms
from onecard.winddown.closing.model import Issued
from payments.treasury import BOB, DEBTOR, cents, debit
from web.console.clerk import Clerk, at_console, strip_tags, text_of
from web.pages import make_site
from winddown.closing.end import CLOSED_DOWN, KEY, End


@pytest.fixture
async def end(database: Database) -> AsyncIterator[End]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        yield End(database, borrowed)


@pytest.fixture
async def carol(database: Database, end: End) -> AsyncIterator[Clerk]:
    site = make_site(database, clock=end.clock)
    object.__setattr__(site, "payouts", PayoutTerms(DEBTOR))
    async with at_console(database, "carol", Role.FINANCE, site=site) as clerk:
        yield clerk


async def release(end: End) -> PayoutRun:
    """A run of two payments that may go to the bank."""
    for amount in (12_340_000, 5_000_000):
        await end.approve(await end.earn(amount), str(amount))
    run = await end.make_run()
    released = await payouts.release_run(
        end.borrowed, end.clock.now(), actor=BOB, run_id=run.id, debtor=DEBTOR
    )
    assert isinstance(released, PayoutRun)
    return released


async def take_orders(carol: Clerk, run: PayoutRun) -> list[PaymentOrder]:
    taken = await carol.send(f"/console/payouts/{run.id}/file", format="csv")
    assert taken.status_code == 200, taken.text
    _, orders = read_payment_file([taken.content])
    return orders


async def test_the_file_of_a_run_is_taken_the_same_each_time_and_each_time_it_is_recorded(
    end: End, carol: Clerk
) -> None:
    for amount in (12_340_000, 5_000_000):
        await end.approve(await end.earn(amount), str(amount))
    run = await end.make_run()
    path = f"/console/payouts/{run.id}"
    assert "moved on" in await carol.do(f"{path}/file")
    assert "Take the file" not in await carol.see(path)
    assert "is released" in await carol.do(f"{path}/release")
    taken = [await carol.send(f"{path}/file") for _ in range(2)]
    assert taken[0].status_code == 200
    assert taken[0].content == taken[1].content
    assert "Wang Fang" in taken[0].text
    assert taken[0].headers["content-disposition"] == f'attachment; filename="{run.message_id}.xml"'
    assert taken[0].headers["cache-control"] == "no-store"
    assert len(await take_orders(carol, run)) == 2
    assert "Told to the bank" in await carol.see(path)
    assert "no such run" in await carol.do("/console/payouts/99/file")
    records = await list_records(end.borrowed, f"payout_run:{run.id}")
    assert [one.action for one in reversed(records)] == [
        "make_payout_run",
        "release_payout_run",
        "submit_payout_run",
        "take_payout_file",
        "take_payout_file",
        "take_payout_file",
    ]
    assert [one.detail["format"] for one in records[:3]] == ["csv", "pain.001", "pain.001"]


async def test_no_file_is_begun_whose_payee_can_be_opened_no_more(end: End, carol: Clerk) -> None:
    run = await release(end)
    await end.borrowed.execute("DELETE FROM subscriber_key")
    assert "payee of the run was erased" in await carol.do(f"/console/payouts/{run.id}/file")


async def test_what_the_bank_answered_is_taken_in_once_and_what_fits_nothing_is_resolved(
    end: End, carol: Clerk
) -> None:
    run = await release(end)
    orders = await take_orders(carol, run)
    amounts = {order.end_to_end_id: order.amount for order in orders} | {"NOT-OURS": cents(1)}
    said = tuple(OrderStatus(id_, OrderState.SETTLED, None) for id_ in amounts)
    report = StatusReport("bank-1", run.message_id, None, None, said)
    written = b"".join(write_status_report(report, amounts))

    answers = []
    for _ in range(2):
        answer = await carol.send(
            "/console/payouts/answers", files={"file": ("status.csv", written, "text/csv")}
        )
        assert answer.status_code == 200, answer.text
        answers.append(strip_tags(text_of(answer)))
    assert "bank-1 2 0 0 0 1" in answers[0]
    assert "bank-1 came before 0 0 0 2 1" in answers[1]
    page = await carol.see("/console/payouts")
    assert "NOT-OURS" in page
    assert "is resolved" in await carol.do("/console/payouts/lines/1/resolve", resolution="another client's")


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\xff\xfe\x00",
        b"<Document>",
        b"onecard-status 1,a,b,,,2,1.00,CAD\n",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    ],
)
async def test_a_file_that_is_no_answer_of_a_bank_changes_nothing(carol: Clerk, written: bytes) -> None:
    page = await carol.do("/console/payouts/answers", files={"file": ("x.xml", written, "text/xml")})
    assert "The file cannot be used, and nothing was changed" in page
    assert "Choose a file" in await carol.do("/console/payouts/answers")


async def test_the_books_say_whether_what_is_owed_is_covered_and_what_differs(end: End, carol: Clerk) -> None:
    assert "were not reconciled yet" in await carol.see("/console/books")
    await end.earn(11_000_000)
    await end.state_bank(cents(1_000))
    found = strip_tags(text_of(await carol.send("/console/books/reconcile")))
    assert "All books agree: 0 payments, 1 statements" in found
    assert "not covered" in found
    assert "by staff:carol" in found
    end.clock.move(timedelta(days=1))
    await end.state_bank(cents(2_000))
    async with at_console(end.database, "dave", Role.AUDITOR, site=carol.site) as dave:
        assert "not covered" not in await dave.see("/console/books")


async def test_what_stands_against_closing_is_said_and_statements_are_given_as_they_were_signed(
    end: End, carol: Clerk
) -> None:
    assert "no order is in force" in text_of(await carol.send("/console/books/closing"))
    await end.order()
    await end.approve(await end.earn(20_000_000))
    orders = await end.pay_out()
    against = strip_tags(text_of(await carol.send("/console/books/closing")))
    assert "stages to come" in against
    assert "None was issued yet" in against
    end.clock.move_to(CLOSED_DOWN)
    await end.snapshot()
    await end.state_bank(cents(7_300), *map(debit, orders))
    await end.name()
    async with at_console(end.database, "dave", Role.AUDITOR, site=carol.site) as dave:
        assert "Nothing stands against it" in text_of(await dave.send("/console/books/closing"))
        issued = await end.issue()
        assert isinstance(issued, Issued)
        assert "/console/books/statements/1.pdf" in await dave.see("/console/books")
        signed = await dave.browser.get("/console/books/statements/1.json")
        printed = await dave.browser.get("/console/books/statements/1.pdf")
        for unknown in ("2.json", "1.xml", "1", "x.json", "²"):
            assert (await dave.browser.get(f"/console/books/statements/{unknown}")).status_code == 404
    assert signed.content == issued.signed
    assert verify_document(signed.content, KEY.public_key) == json.loads(signed.content)["document"]
    assert KEY.public_key[:8] in "".join(
        page.extract_text() for page in PdfReader(BytesIO(printed.content)).pages
    )
    assert [one.detail for one in await list_records(end.borrowed, "closing_statement:1")] == [
        {"format": "pdf"},
        {"format": "json"},
    ]
