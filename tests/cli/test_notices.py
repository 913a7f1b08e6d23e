"""Notices of a wind-down at the command line: tried before, shown, counted, proved, printed."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from cli.terminal import Terminal
from onecard.audit import list_records
from onecard.database.pool import Database, connection
from onecard.switching.model import TextRefusal
from onecard.winddown.model import Disconnection
from onecard.winddown.reading import PlanFile
from onecard.winddown.writing import write_plan
from winddown.notices.post import ANNOUNCEMENT, PAGE, Post, local, make_plan, open_post

CONFIG = f"""
[operator]
name = "Maple Bridge"
home_country = "CA"
currency = "CAD"
time_zone = "America/Vancouver"

[notices]
page = "{PAGE}"
phone = "1-800-555-0100"
"""


@dataclass
class Office:
    """A post, and a terminal on its database with its clock."""

    post: Post
    terminal: Terminal

    async def tell(self, *words: str) -> str:
        return await asyncio.to_thread(self.terminal.tell, *words)

    async def ask(self, *words: str) -> Any:
        return await asyncio.to_thread(self.terminal.ask, *words)

    async def fail(self, *words: str) -> str:
        return await asyncio.to_thread(self.terminal.fail, *words)

    async def announce(self) -> None:
        """Announce to two cards that have no text; one has no e-mail either."""
        self.post.refusal = TextRefusal.NO_ROUTE
        await self.post.start(make_plan(ANNOUNCEMENT))
        await self.post.move_to("2026-05-01T13:00")


@pytest.fixture
async def office(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    key = base64.b64encode(bytes(range(32))).decode()
    monkeypatch.setenv("ONECARD_MASTER_KEY", key)
    monkeypatch.setenv("ONECARD_DATABASE_URL", database.dsn)
    monkeypatch.delenv("ONECARD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    async with open_post(database) as post:
        terminal = Terminal(tmp_path, post.clock)
        terminal.write("onecard.toml", CONFIG)
        yield Office(post, terminal)


def write(office: Office, **changes: Any) -> str:
    text = write_plan(PlanFile(make_plan(ANNOUNCEMENT, **changes), ()))
    return office.terminal.write("plan.toml", text)


async def test_every_notice_of_a_plan_is_tried_in_every_language(office: Office) -> None:
    checked = await office.ask("notice", "check", write(office))
    assert (checked["good"], checked["problems"]) == (True, [])
    segments = {(one["kind"], one["language"]): one["segments"] for one in checked["notices"]}
    assert len(segments) == 5 * 4  # the announcement, and what may have to be told one day
    assert segments["announcement", "en"] == 2
    assert segments["announcement", "zh-Hans"] == 2
    shown = await office.tell("notice", "check", "plan.toml", "--words")
    assert "every notice can be told" in shown
    assert f"All dates: {PAGE}" in shown


async def test_what_keeps_notices_from_being_told_is_named(office: Office) -> None:
    office.terminal.write("onecard.toml", CONFIG.replace(f'page = "{PAGE}"', ""))
    result = await asyncio.to_thread(office.terminal.run, "notice", "check", write(office))
    assert result.exit_code == 1
    assert "announcement in fr: there is nothing to put in the place of {page}" in result.stdout


async def test_a_disconnection_of_which_nobody_is_told_in_time_is_named(office: Office) -> None:
    cut = Disconnection(local("2026-05-05").date(), local("2026-04-20").date())
    result = await asyncio.to_thread(office.terminal.run, "notice", "check", write(office, disconnection=cut))
    said = "disconnection: no notice tells of it by 2026-04-28, the last day to tell subscribers"
    assert (result.exit_code, said in result.stdout) == (1, True)


async def test_without_a_plan_in_force_one_must_be_named(office: Office) -> None:
    assert "no order is in force" in await office.fail("notice", "check")


async def test_notices_are_listed_and_shown_with_the_hashes_of_their_words(office: Office) -> None:
    assert await office.tell("notice", "list") == "no notice was made\n"
    await office.announce()
    [row] = (await office.ask("notice", "list"))["notices"]
    assert (row["kind"], row["recipients"], row["reached"], row["unreached"]) == ("announcement", 2, 2, 0)
    shown = await office.ask("notice", "show", "1", "--language", "fr")
    assert len(shown["words"]) == 2
    for one in shown["words"]:
        assert one["sha256"] == sha256(one["words"].encode()).hexdigest()
    assert shown["dates"] == {"sales end": "2026-06-01T00:00:00", "service ends": "2026-09-01T00:00:00"}
    assert "there is no such notice" in await office.fail("notice", "show", "2")


async def test_everyone_who_was_not_reached_is_named(office: Office) -> None:
    office.post.mail.answers["wang.fang@example.com"] = "550 no"
    await office.announce()
    covered = await office.ask("notice", "coverage", "1", "--most", "1")
    assert (covered["recipients"], covered["reached"]) == (2, 0)
    [first] = covered["not_reached"]
    assert (first["state"], first["channel"], first["attempts"]) == ("waiting", "letter", 2)
    following = await office.ask("notice", "coverage", "1", "--after", str(covered["next"]))
    assert [one["subscriber"] > first["subscriber"] for one in following["not_reached"]] == [True]
    assert "0 of 2 were reached" in await office.tell("notice", "coverage", "1")


async def test_names_are_shown_for_a_reason_that_is_written_down(office: Office) -> None:
    office.post.mail.answers["wang.fang@example.com"] = "550 no"
    await office.announce()
    covered = await office.ask("notice", "coverage", "1", "--names", "calling them")
    assert {one["name"] for one in covered["not_reached"]} == {"Wang Fang"}
    async with connection(office.post.database.pool) as borrowed:
        reasons = [one.detail.get("reason") for one in await list_records(borrowed, "notice:1")]
    assert "calling them" in reasons


async def test_who_was_told_of_a_disconnection_in_time_is_counted(office: Office) -> None:
    cut = Disconnection(local("2026-05-08").date(), local("2026-05-01").date())
    office.post.refusal = TextRefusal.NO_ROUTE
    await office.post.start(make_plan(ANNOUNCEMENT, disconnection=cut))
    await office.post.move_to("2026-05-01T13:00")
    covered = await office.ask("notice", "coverage", "1")
    assert (covered["deadline"], covered["in_time"]) == ("2026-05-03T21:00:00-07:00", 2)


async def test_the_evidence_is_written_as_csv_and_as_json(office: Office) -> None:
    await office.announce()
    rows = list(csv.DictReader(io.StringIO(await office.tell("notice", "evidence", "1"))))
    assert [(row["channel"], row["result"]) for row in rows] == [
        ("text", "refused"),
        ("email", "accepted"),
    ] * 2
    assert [len(row["sha256"]) for row in rows] == [0, 64, 0, 64]
    attempts = json.loads(await office.tell("notice", "evidence", "1", "--json"))["attempts"]
    assert [one["sha256"] or "" for one in attempts] == [row["sha256"] for row in rows]


async def test_bounces_are_entered_one_by_one_or_from_a_file(office: Office) -> None:
    await office.announce()
    references = [
        mail["Message-ID"][len("<notice.") :].partition("@")[0] for mail in office.post.mail.received
    ]
    said = await office.tell("notice", "bounce", references[0], "--reason", "550 5.1.1")
    assert said == f"{references[0]} came back: waiting, letter\n"
    lines = f"reference,reason\n{references[0]},\n{references[1]},mailbox full\nx,\n"
    office.terminal.write("bounces.csv", lines)
    result = await asyncio.to_thread(
        office.terminal.run, "notice", "bounce", "--file", "bounces.csv", "--json"
    )
    entered = json.loads(result.stdout)
    assert (result.exit_code, entered["entered"]) == (1, 1)
    assert [one["why"] for one in entered["refused"]] == ["not_reached_by_it", "unknown_attempt"]
    assert await office.post.states(1) == [("waiting", "letter")] * 2


def read(name: str) -> bytes:
    return Path(name).read_bytes()


def mode_of(name: str) -> int:
    return Path(name).stat().st_mode & 0o777


def is_there(name: str) -> bool:
    return Path(name).exists()


async def test_letters_are_written_printed_again_and_posted(office: Office) -> None:
    office.post.mail.answers["wang.fang@example.com"] = "550 no"
    await office.announce()
    written = await office.ask("notice", "letters", "1", "--pdf", "a.pdf", "--addresses", "a.csv")
    assert (written["letters"], written["count"], written["without_address"]) == (1, 2, 0)
    rows = list(csv.DictReader(io.StringIO(read("a.csv").decode(), newline="")))
    assert {row["postal_address"] for row in rows} == {"1 Main Street\nVancouver"}
    pages = PdfReader("a.pdf").pages
    assert len(pages) == 2
    assert all(row["reference"] in page.extract_text() for row, page in zip(rows, pages, strict=True))
    assert mode_of("a.pdf") == 0o600
    await office.tell("notice", "reprint", "1", "--pdf", "b.pdf", "--addresses", "b.csv")
    assert read("b.pdf") == read("a.pdf")
    assert read("b.csv") == read("a.csv")
    assert await office.post.states(1) == [("sent", "letter")] * 2
    assert await office.tell("notice", "posted", "1") == "2 letters are in the post\n"
    assert await office.post.states(1) == [("reached", "letter")] * 2
    assert "said before" in await office.fail("notice", "posted", "1")
    assert "nobody's turn" in await office.fail(
        "notice", "letters", "1", "--pdf", "c.pdf", "--addresses", "c.csv"
    )
    assert not is_there("c.pdf")
    [listed] = (await office.ask("notice", "letters", "1"))["letters"]
    assert (listed["count"], listed["posted_by"]) == (2, listed["made_by"])
    came_back = await office.ask("notice", "bounce", rows[0]["reference"], "--reason", "moved")
    assert (came_back["state"], came_back["channel"]) == ("unreached", "letter")


async def test_who_has_no_postal_address_gets_no_letter_and_is_named(office: Office) -> None:
    office.post.mail.answers["wang.fang@example.com"] = "550 no"
    await office.post.fetch("UPDATE subscriber SET sealed_contact = NULL, erased_at = created_at")
    await office.post.fetch("DELETE FROM subscriber_key")
    await office.announce()
    assert "nobody's turn" in await office.fail(
        "notice", "letters", "1", "--pdf", "c.pdf", "--addresses", "c.csv"
    )
    covered = await office.ask("notice", "coverage", "1")
    assert [one["state"] for one in covered["not_reached"]] == ["unreached"] * 2
