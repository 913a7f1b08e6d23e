"""What each room of the console shows and does: in a shop with one card that was sold, or in a sample of a life."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

import shop
from onecard.audit import list_records
from onecard.cards.model import Card
from onecard.database.pool import Database, connection
from onecard.ledger import find_account, top_up
from onecard.lines.actions import apply_for_line
from onecard.lines.model import Application, LineLimits
from onecard.lines.store import list_lines
from onecard.payments.bank.model import Debtor
from onecard.payments.payees import parse_canadian_account
from onecard.staff.model import Role
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.money import Money
from onecard.web.site import PayoutTerms
from web.console.clerk import Clerk, at_console, strip_tags, text_of
from web.pages import make_site

ZONE_NAME = "America/Vancouver"
DEBTOR = Debtor("Maple Bridge", parse_canadian_account("003-00001-7654321"))
RATES = "usage,line_country,prefix,price,per\ntext,CA,+1,0.05,segment\ntext,CN,*,0.12,segment\n"


@pytest.fixture
async def card(database: Database) -> Card:
    """A card with 12.50 on its account."""
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card = await shop.sell(borrowed)
        await top_up(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            part=card.part,
            account_id=card.account_id,
            amount=Money(12_500_000, shop.CAD),
            event="R1",
        )
    return card


@pytest.fixture
async def clerk(database: Database, card: Card) -> AsyncIterator[Clerk]:
    """Somebody with all roles, where a test is not about rights."""
    async with at_console(database, "bob", *Role) as clerk:
        yield clerk


async def apply(database: Database, card: Card) -> Application:
    site = make_site(database)
    async with connection(database.pool) as borrowed:
        application = await apply_for_line(
            borrowed,
            shop.AT,
            actor=shop.STAFF,
            gates=NO_ORDER,
            part=card.part,
            card_id=card.id,
            country=shop.CN,
            limits=LineLimits(),
            operator_time_zone=site.operator.zone,
        )
    assert isinstance(application, Application), application
    return application


async def acts_of(database: Database, actor: str) -> list[tuple[str, str]]:
    async with connection(database.pool) as borrowed:
        rows = await borrowed.fetch("SELECT action, subject FROM audit WHERE actor = $1 ORDER BY id", actor)
    return [(row["action"], row["subject"]) for row in rows]


# Subscribers


@pytest.mark.parametrize("how", ["id", "card", "number", "bare number", "iccid", "imsi", "name", "words"])
async def test_a_subscriber_is_found(clerk: Clerk, card: Card, how: str) -> None:
    asked = {
        "id": str(card.subscriber_id),
        "card": f"card:{card.id}",
        "number": "+1 604 555 0100",
        "bare number": "16045550100",
        "iccid": card.iccid,
        "imsi": card.imsi,
        "name": "Wang Fang",
        "words": "fang",
    }[how]
    found = await clerk.browser.get("/console/subscribers", params={"q": asked})
    assert found.headers["location"] == f"/console/subscribers/{card.subscriber_id}"


@pytest.mark.parametrize("asked", ["+16045550199", "999999999", "Nobody", "%%%", "0", "9" * 30, "::", "+"])
async def test_what_names_nobody_finds_nobody(clerk: Clerk, asked: str) -> None:
    found = await clerk.browser.get("/console/subscribers", params={"q": asked})
    assert "Nobody is found by this" in found.text


async def test_only_who_may_read_contact_details_finds_by_name(database: Database, card: Card) -> None:
    async with at_console(database, "sue", Role.SALES) as sales:
        assert "Nobody is found" in await sales.see("/console/subscribers?q=Wang")
        assert "or a name" not in await sales.see("/console/subscribers")


async def test_contact_details_are_shown_with_a_reason_only_and_it_is_recorded(
    database: Database, clerk: Clerk, card: Card
) -> None:
    path = f"/console/subscribers/{card.subscriber_id}"
    assert "Wang Fang" not in await clerk.see(path)
    refused = await clerk.send(f"{path}/contact", reason="  ")
    assert "Say what you need them for" in refused.text
    assert "wang.fang@example.com" not in refused.text
    shown = await clerk.send(f"{path}/contact", reason="refund 17")
    assert shown.status_code == 200
    assert "wang.fang@example.com" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    async with connection(database.pool) as borrowed:
        [latest, *_] = await list_records(borrowed, f"subscriber:{card.subscriber_id}")
    assert (latest.actor, latest.action, latest.detail) == (
        "staff:bob",
        "read_contact",
        {"reason": "refund 17"},
    )
    assert "Wang" not in strip_tags(await clerk.see("/console/audit"))


async def test_care_switches_a_line_and_the_subscriber_page_says_so(
    database: Database, clerk: Clerk, card: Card
) -> None:
    async with connection(database.pool) as borrowed:
        [line] = await list_lines(borrowed, card.part, card.id)
    path = f"/console/subscribers/{card.subscriber_id}"
    page = await clerk.do(f"{path}/lines/{line.id}/switch", on="no")
    assert "is switched off" in page
    assert "Switch on" in page
    assert ("switch_off", f"line:{line.id}") in await acts_of(database, "staff:bob")
    assert "no such line" in await clerk.do(f"{path}/lines/999999/switch", on="no")


async def test_a_line_is_not_switched_through_another_subscribers_page(
    database: Database, clerk: Clerk, card: Card
) -> None:
    async with connection(database.pool) as borrowed:
        other = await shop.sell(borrowed)
        [line] = await list_lines(borrowed, card.part, card.id)
    page = await clerk.do(f"/console/subscribers/{other.subscriber_id}/lines/{line.id}/switch", on="no")
    assert "no such line" in page
    async with connection(database.pool) as borrowed:
        [same] = await list_lines(borrowed, card.part, card.id)
    assert same.switched_on


# Applications


async def test_an_application_is_approved_once(database: Database, clerk: Clerk, card: Card) -> None:
    application = await apply(database, card)
    page = await clerk.see("/console/applications")
    assert "+86 138 0013 8000" in page
    path = f"/console/applications/{application.id}/decide"
    assert "is approved" in await clerk.do(path, outcome="match")
    assert "before you" in await clerk.do(path, outcome="mismatch")
    assert "Nothing waits" in await clerk.see("/console/applications")
    decided = strip_tags(await clerk.see("/console/applications?state=decided"))
    assert "approved by staff:bob" in decided
    assert (await clerk.send(path, outcome="nonsense")).headers["location"] == "/console/applications"


async def test_a_closed_gate_is_told_with_its_stage_and_date(database: Database, card: Card) -> None:
    application = await apply(database, card)
    site = make_site(database)
    closed = Closed(Capability.SECONDARY_LINES, "service ends", shop.AT)
    object.__setattr__(site, "gates_at", lambda _: Gates({Capability.SECONDARY_LINES: closed}))
    async with at_console(database, "bob", Role.CARE, site=site) as clerk:
        page = await clerk.do(f"/console/applications/{application.id}/decide", outcome="match")
    assert "by its stage service ends, since 2026-03-10 05:00" in page


# Stock


async def test_sims_and_numbers_are_imported_from_files_all_or_none(database: Database, clerk: Clerk) -> None:
    sims = "".join(shop.stock(3, first=100))
    page = await clerk.do("/console/stock/sims/import", files={"file": ("sims.csv", sims, "text/csv")})
    assert "3 SIMs were added" in page
    again = await clerk.send("/console/stock/sims/import", files={"file": ("sims.csv", sims, "text/csv")})
    assert again.status_code == 422
    assert "Nothing was added" in again.text
    assert "line 2" in again.text
    numbers = "msisdn,country\n+85261000001,HK\n"
    page = await clerk.do("/console/stock/numbers/import", files={"file": ("n.csv", numbers, "text/csv")})
    assert "1 numbers were added" in page
    assert "Hong Kong" in page
    assert "+852 6100 0001" in await clerk.see("/console/stock/numbers?country=HK&state=free")
    for wrong in (None, {"file": ("x.csv", b"\xff\xfe\x00", "text/csv")}):
        assert (await clerk.send("/console/stock/numbers/import", files=wrong)).status_code == 422


# Prices


async def test_a_price_book_is_looked_at_before_it_is_imported_and_then_tells_prices(clerk: Clerk) -> None:
    files = {"file": ("rates.csv", RATES, "text/csv")}
    fields: dict[str, Any] = {"name": "Spring", "currency": "CAD", "effective_from": "2026-03-11T00:00"}
    looked = await clerk.send("/console/prices/check", files=files, **fields)
    assert "2 differences" in looked.text
    assert "There is no price book yet" in await clerk.see("/console/prices")
    page = await clerk.do("/console/prices/import", text=RATES, **fields)
    assert "Spring is imported" in page
    assert "to come" in page
    quoted = await clerk.browser.get(
        "/console/prices",
        params={
            "usage": "text",
            "line": "+16045550100",
            "far": "6045550199",
            "units": "2",
            "at": "2026-03-12T00:00",
        },
    )
    assert "CA$0.10" in quoted.text
    assert "2 segments at 0.05 per segment" in quoted.text
    assert "text from CN" in await clerk.see("/console/prices/1?q=from cn")
    assert "from an instant" not in page
    again = await clerk.do("/console/prices/import", text=RATES, **fields)
    assert "choose a later one" in again
    assert "0 differences" in await clerk.see("/console/prices/diff?old=1&new=1")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"usage": "text", "line": "+16045550100", "far": "6045550199"}, "No rate covers this"),
        ({"usage": "data", "line": "+16045550100", "far": "6045550199"}, "data has none"),
        ({"usage": "smoke", "line": "+16045550100", "far": "1"}, "cannot be read"),
        ({"usage": "text", "line": "12", "far": "6045550199"}, "not a phone number"),
        ({"usage": "text", "line": "+16045550100", "far": "1", "units": "9" * 30}, "not less than none"),
    ],
)
async def test_a_question_for_a_price_that_makes_no_sense_is_told_so(
    clerk: Clerk, asked: dict[str, str], said: str
) -> None:
    assert said in text_of(await clerk.browser.get("/console/prices", params=asked))


async def test_a_price_book_that_is_wrong_is_told_line_by_line(clerk: Clerk) -> None:
    files = {"file": ("rates.csv", RATES + "smoke,CA,+1,1,segment\n", "text/csv")}
    wrong = await clerk.send(
        "/console/prices/check", files=files, name="x", currency="CAD", effective_from="2027-01-01"
    )
    assert wrong.status_code == 422
    assert "line 4" in wrong.text


# Staff


async def test_who_manages_staff_adds_and_changes_others_but_not_themselves(
    database: Database, clerk: Clerk
) -> None:
    added = await clerk.send("/console/staff", login="carol", name="Carol", roles=["care", "sales"])
    assert "One-time password" in added.text
    assert "has other roles now" in await clerk.do("/console/staff/carol/roles", roles="auditor")
    assert "One-time password" in (await clerk.send("/console/staff/carol/reset")).text
    assert "is deactivated" in await clerk.do("/console/staff/carol/deactivate")
    for act in ("roles", "deactivate", "reset"):
        answer = await clerk.send(f"/console/staff/bob/{act}", roles="care")
        assert "another person must" in await clerk.see(answer.headers["location"]), act
    acts = [action for action, subject in await acts_of(database, "staff:bob") if subject == "staff:carol"]
    assert acts == ["add_staff", "change_roles", "reset_staff", "deactivate_staff"]


# Refunds: four eyes


async def test_a_refund_takes_two_people_however_many_roles_one_has(database: Database, card: Card) -> None:
    site = make_site(database)
    object.__setattr__(site, "gates_at", lambda _: Gates({}))
    async with at_console(database, "bob", *Role, site=site) as bob:
        page = await bob.do(
            f"/console/subscribers/{card.subscriber_id}/refund", name="Wang Fang", account="004-12345-1234567"
        )
        assert "is requested" in page
        assert "It takes another person" not in page
        assert "is verified" in await bob.do("/console/refunds/1/verify", how="claim code")
        assert "It takes another person" in await bob.do("/console/refunds/1/approve")
        async with at_console(database, "alice", Role.FINANCE, site=site) as alice:
            assert "…567" in await alice.see("/console/refunds/1")
            assert "Wang" not in await alice.see("/console/refunds/1")
            shown = await alice.send("/console/refunds/1/payee", reason="call back")
            assert "Wang Fang" in shown.text
            assert "is approved" in await alice.do("/console/refunds/1/approve")
            limit = str(site.payouts.amount_most_micros // 10**6 + 1)
            too_much = await alice.do(
                "/console/payouts", currency="CAD", limit=limit, on="2026-03-11", route="bank"
            )
            assert "within the limit of a run" in too_much
            made = await alice.do(
                "/console/payouts", currency="CAD", limit="100", on="2026-03-11", route="bank"
            )
            assert "1 payments, 12.50 CAD" in made
            assert "does not name the account" in await alice.do("/console/payouts/1/release")
            object.__setattr__(site, "payouts", PayoutTerms(DEBTOR))
            assert "another person than" in await alice.do("/console/payouts/1/release")
            assert "is released" in await bob.do("/console/payouts/1/release")
            assert "is withdrawn" in await alice.do("/console/payouts/1/withdraw")
        assert "moved on" in await bob.do("/console/refunds/1/verify", how="again")
    async with connection(database.pool) as borrowed:
        account = await find_account(borrowed, card.part, card.account_id)
        reasons = await list_records(borrowed, "refund:1")
    assert account is not None
    assert (account.available_micros, account.held_micros) == (0, 12_500_000)
    assert any(record.detail.get("reason") == "call back" for record in reasons)


async def test_a_refund_that_no_stage_has_opened_is_refused_with_the_reason(clerk: Clerk, card: Card) -> None:
    page = await clerk.do(f"/console/subscribers/{card.subscriber_id}/refund", name="", account="")
    assert "The order has closed this (refund)" in page
    page = await clerk.do(f"/console/subscribers/{card.subscriber_id}/refund", name="X", account="12")
    assert "The payee cannot be used" in page


# Exports


async def test_exports_are_csv_of_whole_tables_and_are_recorded(
    database: Database, clerk: Clerk, card: Card
) -> None:
    numbers = await clerk.browser.get("/console/exports/numbers.csv")
    rows = list(csv.DictReader(io.StringIO(numbers.text)))
    assert len(rows) == 15
    assert [row["card_id"] for row in rows if row["state"] == "assigned"] == [str(card.id)]
    assert numbers.headers["content-disposition"] == 'attachment; filename="numbers-20260310.csv"'
    balances = await clerk.browser.get("/console/exports/balances.csv")
    assert "12500000" in balances.text
    usage = await clerk.browser.get("/console/exports/usage.csv?from=2026-03-01&until=2026-04-01")
    assert usage.text.startswith("id,card,served_msisdn")
    wrong = await clerk.browser.get("/console/exports/usage.csv?from=2026-03-01&until=2026-03-01")
    assert wrong.headers["location"] == "/console/exports?problem=span"
    assert (await clerk.browser.get("/console/exports/passwords.csv")).status_code == 404
    acts = [one for one in await acts_of(database, "staff:bob") if one[0] == "export"]
    assert acts == [("export", f"export:{name}") for name in ("numbers", "balances", "usage")]


# Traces


@pytest.mark.parametrize("asked", ["1", "+16045550199", "no;such;session", "9" * 30, "\x00"])
async def test_what_is_not_there_has_no_trace(clerk: Clerk, asked: str) -> None:
    answer = await clerk.browser.get("/console/traces", params={"q": asked})
    assert answer.status_code == 200


async def test_odd_keys_of_pages_do_no_harm(clerk: Clerk) -> None:
    for path in (
        "/console/audit?after=x&order=sideways",
        "/console/audit?after=" + "9" * 40,
        "/console/audit?by=nothing&value=x",
        "/console/applications?after=1-1",
        "/console/applications?after=nan-0",
        "/console/applications?after=" + "9" * 30 + "-1",
        "/console/subscribers?after=-5&order=up",
        "/console/stock/sims?after=%00",
        "/console/stock/numbers?state=nowhere&country=CA",
        "/console/refunds?state=nowhere",
        "/console/prices?line=x",
    ):
        await clerk.see(path)


@pytest.mark.parametrize("language", ["fr", "zh-Hans", "zh-Hant"])
async def test_navigation_and_overview_speak_the_language_that_is_chosen(clerk: Clerk, language: str) -> None:
    words: dict[str, Any] = {"fr": "Abonnés", "zh-Hans": "应付用户余额", "zh-Hant": "應付用戶餘額"}
    assert words[language] in await clerk.see(f"/console?lang={language}")


async def test_the_overview_tells_what_is_owed_and_refreshes_a_part(clerk: Clerk) -> None:
    page = await clerk.see("/console")
    assert "CA$12.50" in page
    part = await clerk.see("/console/figures")
    assert "CA$12.50" in part
    assert "<html" not in part
    chart = await clerk.browser.get("/console/charts/traffic.svg")
    assert chart.headers["content-type"].startswith("image/svg+xml")
    assert "<script" not in chart.text
    assert "unsafe" not in chart.headers["content-security-policy"]
    assert "href" not in chart.text.replace("xmlns:xlink", "")
    assert "url(" not in chart.text


async def test_figures_are_read_once_for_all_who_look_within_seconds(
    database: Database, clerk: Clerk
) -> None:
    await clerk.see("/console")
    async with connection(database.pool) as borrowed:
        await borrowed.execute(
            "INSERT INTO link_status VALUES ('new', 'n', 1, 0, 0, 0, 0, 0, 0, 0, '', $1)", shop.AT
        )
    assert ">new<" not in await clerk.see("/console/figures")
    clerk.site.clock.move(timedelta(seconds=10))  # type: ignore[attr-defined]
    assert ">new" in await clerk.see("/console/figures")


async def test_an_export_holds_nothing_that_a_spreadsheet_runs(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await borrowed.execute(
            "INSERT INTO audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)",
            shop.AT,
            "staff:x",
            "=1+1",
            "+16045550100",
            {},
        )
    async with at_console(database, "ann", Role.AUDITOR) as clerk:
        rows = (await clerk.browser.get("/console/exports/audit.csv")).text
    assert ",'=1+1,+16045550100," in rows
