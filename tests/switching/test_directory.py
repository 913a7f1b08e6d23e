"""The directory of lines in memory: read through once, bounded, and never older than the last change."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from onecard.switching.directory import Directory, Key
from onecard.switching.model import CardEntry
from onecard.values.phone import E164
from switching.entries import make_entry, msisdn_of


class Book:
    """What a database would answer: entries that can be changed, and a gate that answers wait at."""

    def __init__(self, *entries: CardEntry) -> None:
        self.entries = {entry.card.id: entry for entry in entries}
        self.read: Counter[Key] = Counter()
        self.open = asyncio.Event()
        self.open.set()
        self.fails: Exception | None = None

    async def load(self, key: Key) -> CardEntry | None:
        self.read[key] += 1
        if self.fails:
            raise self.fails
        found = next(
            (entry for entry in self.entries.values() if any(line.msisdn == key for line in entry.lines)),
            None,
        )
        await self.open.wait()
        return found


async def test_a_card_is_read_once_and_found_by_each_of_its_numbers() -> None:
    entry = make_entry(1, secondaries=2)
    book = Book(entry)
    directory = Directory(book.load)
    for line in entry.lines:
        assert await directory.find(line.msisdn) is entry
        assert directory.peek(line.msisdn) is entry
    assert book.read.total() == 1
    assert len(directory) == 1


async def test_a_number_of_no_card_is_not_kept() -> None:
    directory = Directory(Book().load)
    assert await directory.find(E164("+16045550199")) is None
    assert directory.peek(E164("+16045550199")) is None
    assert len(directory) == 0


async def test_many_who_ask_at_once_cause_one_read() -> None:
    entry = make_entry(1)
    book = Book(entry)
    book.open.clear()
    directory = Directory(book.load)
    asking = [asyncio.ensure_future(directory.find(entry.primary.msisdn)) for _ in range(50)]
    await asyncio.sleep(0)
    book.open.set()
    assert await asyncio.gather(*asking) == [entry] * 50
    assert book.read.total() == 1


async def test_one_who_gives_up_does_not_disturb_the_others() -> None:
    entry = make_entry(1)
    book = Book(entry)
    book.open.clear()
    directory = Directory(book.load)
    first, second = (asyncio.ensure_future(directory.find(entry.primary.msisdn)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    book.open.set()
    assert await second is entry


async def test_a_read_that_failed_is_tried_again_by_the_next_who_asks() -> None:
    entry = make_entry(1)
    book = Book(entry)
    book.fails = ConnectionResetError()
    directory = Directory(book.load)
    with pytest.raises(ConnectionResetError):
        await directory.find(entry.primary.msisdn)
    book.fails = None
    assert await directory.find(entry.primary.msisdn) is entry


async def test_the_longest_unused_card_goes_first_and_goes_whole() -> None:
    entries = [make_entry(number, secondaries=3) for number in range(1, 4)]
    directory = Directory(Book(*entries).load, cards_most=2)
    await directory.find(entries[0].primary.msisdn)
    await directory.find(entries[1].primary.msisdn)
    directory.peek(entries[0].lines[2].msisdn)
    await directory.find(entries[2].primary.msisdn)
    assert len(directory) == 2
    assert all(directory.peek(line.msisdn) is None for line in entries[1].lines)
    for kept in (entries[0], entries[2]):
        assert all(directory.peek(line.msisdn) is kept for line in kept.lines)


async def test_the_bound_holds_whatever_is_read() -> None:
    entries = [make_entry(number, secondaries=1) for number in range(1, 41)]
    directory = Directory(Book(*entries).load, cards_most=7)
    for entry in [*entries, *reversed(entries)]:
        assert await directory.find(entry.lines[1].msisdn) is entry
        assert len(directory) <= 7


async def test_a_changed_card_is_read_again() -> None:
    entry = make_entry(1, secondaries=1)
    book = Book(entry)
    directory = Directory(book.load)
    await directory.find(entry.primary.msisdn)
    off = replace(entry, lines=(entry.primary, replace(entry.lines[1], switched_on=False)))
    book.entries[1] = off
    directory.forget(1)
    assert directory.peek(entry.primary.msisdn) is None
    assert await directory.find(entry.lines[1].msisdn) is off


async def test_a_line_that_left_the_card_is_not_found_by_its_number_any_more() -> None:
    entry = make_entry(1, secondaries=1)
    book = Book(entry)
    directory = Directory(book.load)
    await directory.find(entry.primary.msisdn)
    book.entries[1] = replace(entry, lines=(entry.primary,))
    directory.forget(1)
    await directory.find(entry.primary.msisdn)
    assert await directory.find(entry.lines[1].msisdn) is None


async def test_a_number_that_moved_to_another_card_is_found_there() -> None:
    before, after = make_entry(1, secondaries=1), make_entry(2, secondaries=1)
    book = Book(before, after)
    directory = Directory(book.load)
    moved = before.lines[1].msisdn
    await directory.find(moved)
    await directory.find(after.primary.msisdn)
    book.entries[1] = replace(before, lines=(before.primary,))
    book.entries[2] = replace(after, lines=(after.primary, replace(after.lines[1], msisdn=moved)))
    directory.forget(2)
    directory.forget(1)
    assert await directory.find(moved) is book.entries[2]
    assert await directory.find(before.primary.msisdn) is book.entries[1]
    assert directory.peek(moved) is book.entries[2]


@pytest.mark.parametrize("everything", [False, True])
async def test_what_was_read_before_a_change_is_not_kept_after_it(*, everything: bool) -> None:
    entry = make_entry(1, secondaries=1)
    book = Book(entry)
    book.open.clear()
    directory = Directory(book.load)
    asking = asyncio.ensure_future(directory.find(entry.primary.msisdn))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert book.read.total() == 1
    newer = replace(entry, lines=(entry.primary,))
    book.entries[1] = newer
    if everything:
        directory.forget_all()
    else:
        directory.forget(1)
    book.open.set()
    assert await asking is newer
    assert directory.peek(entry.lines[1].msisdn) is None
    assert directory.peek(entry.primary.msisdn) is newer


async def test_forgetting_everything_leaves_nothing_and_reading_goes_on() -> None:
    entries = [make_entry(number, secondaries=1) for number in range(1, 4)]
    directory = Directory(Book(*entries).load)
    for entry in entries:
        await directory.find(entry.primary.msisdn)
    directory.forget_all()
    assert len(directory) == 0
    assert directory.peek(msisdn_of(1, 0)) is None
    assert await directory.find(msisdn_of(1, 1)) is entries[0]


async def test_forgetting_a_card_that_is_not_held_changes_nothing() -> None:
    entry = make_entry(1)
    directory = Directory(Book(entry).load)
    await directory.find(entry.primary.msisdn)
    directory.forget(99)
    assert directory.peek(entry.primary.msisdn) is entry


async def test_memory_stays_true_while_many_read_and_change_at_once() -> None:
    """Whatever was found after a change of a card is what the change left."""
    entries = [make_entry(number, secondaries=1) for number in range(1, 11)]
    book = Book(*entries)
    directory = Directory(book.load, cards_most=5)

    async def read(number: int) -> None:
        for _ in range(30):
            await directory.find(msisdn_of(number, 1))
            await asyncio.sleep(0)

    async def change(number: int) -> None:
        for on in (False, True) * 10:
            entry = book.entries[number]
            book.entries[number] = replace(
                entry, lines=(entry.primary, replace(entry.lines[1], switched_on=on))
            )
            directory.forget(number)
            assert await directory.find(msisdn_of(number, 0)) is book.entries[number]

    await asyncio.gather(*(work(entry.card.id) for entry in entries for work in (read, change)))
    for number, entry in book.entries.items():
        assert await directory.find(msisdn_of(number, 0)) is entry
