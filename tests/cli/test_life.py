"""A card's whole life at the command line, each step in the form for programs and some in the one for people."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from cli.terminal import CANADIAN, CHINESE, SUBSCRIBER, Terminal
from onecard.database.pool import Database, open_pool
from shop import make_iccid, numbers, stock


def execute(database: Database, sql: str, *values: Any) -> list[Any]:
    """Run SQL on the terminal's database, on a loop of its own: the commands have theirs."""

    async def run() -> list[Any]:
        async with open_pool(database.dsn, connections_most=1) as pool:
            return [tuple(row) for row in await pool.fetch(sql, *values)]

    return asyncio.run(run())


# Cards


def test_stock_is_imported_and_listed_a_page_at_a_time(bare_terminal: Terminal) -> None:
    bare_terminal.tell("db", "init")
    file = bare_terminal.write("stock.csv", "".join(stock(3)))
    assert bare_terminal.ask("card", "import", file) == {"imported": 3, "in_stock": 3}
    first = bare_terminal.ask("card", "list", "--stock", "--most", "2")
    rest = bare_terminal.ask("card", "list", "--stock", "--most", "2", "--after", first["next"])
    assert [row["iccid"] for row in (*first["stock"], *rest["stock"])] == [make_iccid(n) for n in range(3)]
    assert rest["next"] is None


def test_a_card_is_sold_and_found_by_each_of_its_names(terminal: Terminal) -> None:
    sold = terminal.sell()
    assert (sold["state"], sold["numbers"], sold["iccid"]) == ("sold", [CANADIAN], make_iccid(0))
    assert (sold["currency"], sold["language"]) == ("CAD", "zh-Hans")
    for name in (
        CANADIAN,
        "16045550100",
        "+1 604-555-0100",
        make_iccid(0),
        f"{sold['card']}",
        f"card:{sold['card']}",
    ):
        assert terminal.ask("line", "list", name)["lines"][0]["card"] == sold["card"]


def test_a_given_number_and_sim_are_sold_to_a_known_subscriber(terminal: Terminal) -> None:
    first = terminal.sell()
    wishes = ("--number", "+16045550103", "--iccid", make_iccid(4), "--country", "ca")
    second = terminal.ask("card", "sell", "--subscriber", str(first["subscriber"]), *wishes)
    assert (second["numbers"], second["iccid"]) == (["+16045550103"], make_iccid(4))
    assert (second["account"], second["subscriber"]) == (first["account"], first["subscriber"])


def test_a_card_is_activated_gets_another_sim_and_ends(terminal: Terminal) -> None:
    terminal.sell()
    assert terminal.ask("card", "activate", CANADIAN)["state"] == "active"
    assert terminal.ask("card", "replace", CANADIAN, "--iccid", make_iccid(2))["iccid"] == make_iccid(2)
    ended = terminal.ask("card", "end", CANADIAN, "--yes")
    assert (ended["state"], ended["numbers"]) == ("ended", [])
    (listed,) = terminal.ask("card", "list")["cards"]
    assert listed["state"] == "ended"
    assert terminal.ask("line", "list")["lines"] == []


def test_cards_and_their_lines_are_listed_a_page_at_a_time(terminal: Terminal) -> None:
    ids = {terminal.sell()["card"] for _ in range(3)}
    for group, rows in (("card", "cards"), ("line", "lines")):
        first = terminal.ask(group, "list", "--most", "2")
        rest = terminal.ask(group, "list", "--most", "2", "--after", str(first["next"]))
        assert {row["card"] for row in (*first[rows], *rest[rows])} == ids
        assert rest["next"] is None


# Numbers and lines


def test_numbers_are_imported_and_listed_by_country_and_state(bare_terminal: Terminal) -> None:
    bare_terminal.tell("db", "init")
    file = bare_terminal.write("numbers.csv", "".join(numbers(canadian=3, chinese=2)))
    assert bare_terminal.ask("number", "import", file) == {"imported": 5}
    listed = bare_terminal.ask("number", "list", "--country", "CA", "--state", "free", "--most", "2")
    assert [row["number"] for row in listed["numbers"]] == [CANADIAN, "+16045550101"]
    rest = bare_terminal.ask("number", "list", "--country", "CA", "--after", listed["next"])
    assert [row["number"] for row in rest["numbers"]] == ["+16045550102"]


def test_an_application_is_approved_and_becomes_a_line(terminal: Terminal) -> None:
    terminal.sell()
    applied = terminal.ask("line", "apply", CANADIAN, "--country", "CN", "--number", "+8613800138003")
    assert terminal.ask("line", "applications")["applications"] == [applied]
    approved = terminal.ask("line", "approve", str(applied["application"]), "--actor", "staff:alice")
    assert (approved["state"], approved["decided_by"]) == ("approved", "staff:alice")
    assert (approved["line"]["number"], approved["line"]["slot"]) == ("+8613800138003", 1)
    assert terminal.ask("line", "applications")["applications"] == []
    (of_card,) = terminal.ask("line", "applications", "--card", CANADIAN)["applications"]
    assert of_card["state"] == "approved"


def test_a_refused_application_frees_the_number(terminal: Terminal) -> None:
    terminal.sell()
    applied = terminal.ask("line", "apply", CANADIAN, "--country", "CN")
    refused = terminal.ask("line", "refuse", str(applied["application"]), "--because", "five_number_limit")
    assert (refused["state"], refused["reason"]) == ("refused", "five_number_limit")
    assert terminal.ask("number", "list", "--country", "CN", "--state", "reserved")["numbers"] == []


def test_an_approval_that_comes_too_late_refuses_and_fails(terminal: Terminal, database: Database) -> None:
    terminal.sell()
    applied = terminal.ask("line", "apply", CANADIAN, "--country", "CN")
    execute(database, "UPDATE application SET expires_at = applied_at")
    result = terminal.run("line", "approve", str(applied["application"]))
    assert result.exit_code == 1
    assert "too late" in result.stdout


def test_what_a_subscriber_sets_for_a_line_is_set_and_shown(terminal: Terminal) -> None:
    terminal.sell()
    terminal.add_line()
    assert terminal.ask("line", "off", CHINESE)["on"] is False
    assert terminal.ask("line", "on", CHINESE)["on"] is True
    assert terminal.ask("line", "bar", CHINESE, "--texts", "on", "--calls", "on")["bars"] == [
        "texts",
        "calls",
    ]
    assert terminal.ask("line", "bar", CHINESE, "--texts", "off")["bars"] == ["calls"]
    assert terminal.ask("line", "block", CHINESE, "BadBank")["blocked"] == ["badbank"]
    assert terminal.ask("line", "block", CHINESE, "BadBank", "--remove")["blocked"] == []
    assert terminal.ask("line", "allow", CHINESE, "+8610*")["allowed"] == ["+8610*"]
    assert terminal.ask("line", "allow", CHINESE, "+8610*", "--remove")["allowed"] == []
    windows = "mon-fri 08:00-22:00 texts"
    assert terminal.ask("line", "schedule", CHINESE, windows)["schedule"] == windows
    assert terminal.ask("line", "schedule", CHINESE, "always")["schedule"] == "always"


def test_the_end_of_a_line_is_asked_for_and_confirmed(terminal: Terminal) -> None:
    terminal.sell()
    terminal.add_line()
    assert "first run `onecard line end`" in terminal.fail("line", "end", CHINESE, "--confirm")
    assert terminal.ask("line", "end", CHINESE)["ending_until"] is not None
    assert terminal.ask("line", "end", CHINESE, "--confirm")["ended"] is True
    assert "no card has the number" in terminal.fail("line", "on", CHINESE)
    (quarantined,) = terminal.ask("number", "list", "--state", "quarantined")["numbers"]
    assert quarantined["number"] == CHINESE


def test_an_end_that_is_confirmed_too_late_is_refused(terminal: Terminal, database: Database) -> None:
    terminal.sell()
    terminal.add_line()
    terminal.tell("line", "end", CHINESE)
    execute(database, "UPDATE line SET ending_until = ending_until - $1::interval", timedelta(minutes=31))
    assert "the time to confirm is over" in terminal.fail("line", "end", CHINESE, "--confirm")


# Accounts


def test_the_same_reference_tops_up_once_and_says_so(terminal: Terminal) -> None:
    account = terminal.sell()["account"]
    first = terminal.ask("account", "topup", CANADIAN, "12.50", "--reference", "R1")
    again = terminal.ask("account", "topup", f"account:{account}", "12.50", "--reference", "R1")
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again["available"] == {"amount": "12.50", "currency": "CAD"}
    assert "nothing was added" in terminal.tell("account", "topup", CANADIAN, "12.5", "--reference", "R1")
    assert "another amount" in terminal.fail("account", "topup", CANADIAN, "13", "--reference", "R1")


def test_an_account_is_shown_by_each_of_its_names(terminal: Terminal) -> None:
    sold = terminal.sell()
    terminal.tell("account", "topup", CANADIAN, "20", "--reference", "R1")
    for name in (
        CANADIAN,
        make_iccid(0),
        f"card:{sold['card']}",
        f"{sold['account']}",
        f"account:{sold['account']}",
    ):
        assert terminal.ask("account", "show", name)["account"] == sold["account"]
    assert terminal.tell("account", "show", CANADIAN) == (
        f"account {sold['account']}: 20.00 CAD available, 0.00 CAD held\n"
    )


def test_entries_come_newest_first_with_the_balance_that_each_left(terminal: Terminal) -> None:
    terminal.sell()
    for number in range(1, 4):
        terminal.tell("account", "topup", CANADIAN, str(number), "--reference", f"R{number}")
    first = terminal.ask("account", "entries", CANADIAN, "--most", "2")
    rest = terminal.ask("account", "entries", CANADIAN, "--most", "2", "--before", first["next"])
    entries = [*first["entries"], *rest["entries"]]
    assert [entry["memo"] for entry in entries] == ["R3", "R2", "R1"]
    assert [entry["available"]["amount"] for entry in entries] == ["6.00", "3.00", "1.00"]
    assert rest["next"] is None


# Links, texts, tariffs


def test_links_are_listed_and_each_node_says_how_they_are(terminal: Terminal, database: Database) -> None:
    (link,) = terminal.ask("link", "list")["links"]
    assert (link["link"], link["role"], link["numbers"]) == ("host", "host", ["+1"])
    assert terminal.ask("link", "status") == {"links": []}
    execute(
        database,
        "INSERT INTO link_status VALUES ('host', 'node-1', 2, 7, 10, 1, 20, 2, 3, 4, '', '2026-03-10 12:00Z')",
    )
    (status,) = terminal.ask("link", "status")["links"]
    assert (status["bound_sessions"], status["waiting"], status["texts_failed"]) == (2, 7, 2)
    assert status["at"] == "2026-03-10T05:00:00-07:00"


def test_the_trace_of_a_text_is_shown_by_id_and_by_number(terminal: Terminal, database: Database) -> None:
    sold = terminal.sell()
    execute(
        database,
        """INSERT INTO message (part, id, account_id, card_id, line_id, direction, application, source_link, next_link,
            far, segments, price_micros, rate, state, attempts, last_status, accepted_at, handed_over_at, done_at)
            SELECT c.part, t, c.account_id, c.id, l.id, 2, false, 'host', 'ca', '+16045*******', 2,
        100000, 'CA +1', 3, 1, 0, '2026-03-10 12:00Z', '2026-03-10 12:00:01Z', '2026-03-10 12:00:02Z'
        FROM card c JOIN line l ON l.part = c.part AND l.card_id = c.id, generate_series(71, 73) t""",
    )
    one = terminal.ask("text", "trace", "72")
    assert (one["card"], one["line"], one["far"]) == (sold["card"], CANADIAN, "+16045*******")
    assert (one["state"], one["price"]["amount"], one["last_status"]) == ("delivered", "0.10", "0x00000000")
    assert one["done_at"] == "2026-03-10T05:00:02-07:00"
    latest = terminal.ask("text", "trace", "--number", CANADIAN, "--most", "2")
    assert [row["text"] for row in latest["texts"]] == [73, 72]
    rest = terminal.ask("text", "trace", "--number", CANADIAN, "--before", str(latest["next"]))
    assert [row["text"] for row in rest["texts"]] == [71]
    assert "2026-03-10 05:00:02-07:00" in terminal.tell("text", "trace", "72")


TOML_BOOK = """name = "Spring"
currency = "CAD"
effective_from = 2099-01-01T00:00:00Z
[[rate]]
usage = "text"
line_country = "CA"
prefix = "+1"
price = 0.04
per = "segment"
"""


def test_price_books_are_imported_from_both_forms_and_listed(terminal: Terminal) -> None:
    book = terminal.ask("tariff", "import", terminal.write("spring.toml", TOML_BOOK))
    assert (book["name"], book["rates"], book["in_effect"]) == ("Spring", 1, False)
    early = terminal.ask("tariff", "import", "spring.toml", "--effective-from", "now")
    assert early["in_effect"] is True
    books = terminal.ask("tariff", "list")["books"]
    assert [(one["name"], one["in_effect"]) for one in books] == [
        ("Spring", False),
        ("Spring", True),
        ("rates", False),
    ]


# What is written down


def test_who_acted_is_written_down_and_contact_details_are_not(
    terminal: Terminal, database: Database
) -> None:
    terminal.tell("card", "sell", *SUBSCRIBER, "--actor", "staff:alice")
    record = execute(
        database, "SELECT actor, action, subject, detail::text FROM audit ORDER BY id DESC LIMIT 2"
    )
    assert {(actor, action) for actor, action, _, _ in record} == {
        ("staff:alice", "sell_card"),
        ("staff:alice", "create_subscriber"),
    }
    assert "wang" not in str(record).lower()


def test_a_table_that_is_piped_breaks_no_line(terminal: Terminal) -> None:
    terminal.sell()
    terminal.add_line()
    for group in ("card", "line", "number", "tariff"):
        lines = terminal.tell(group, "list").splitlines()
        (rows,) = (value for value in terminal.ask(group, "list").values() if isinstance(value, list))
        assert len(lines) == 1 + len(rows)
