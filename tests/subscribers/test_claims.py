"""Claim codes: they prove who has them without any text, are kept as hashes only, and cannot be guessed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shop
from onecard.audit import list_records
from onecard.cards.model import Card
from onecard.database.pool import Connection, Database, connection
from onecard.subscribers.actions import erase_subscriber
from onecard.subscribers.claims import (
    issue_claim_code,
    issue_claim_codes,
    list_good_codes,
    prove_claim_code,
)
from onecard.subscribers.model import ClaimLetter, ClaimRefusal, Subscriber
from onecard.subscribers.rules import CODES, format_claim_code, make_claim_code, read_claim_code
from onecard.values.guard import WRONG_MOST

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
WRONG = make_claim_code(1)


async def issue(borrowed: Connection, card: Card) -> str:
    code = await issue_claim_code(
        borrowed,
        shop.AT,
        actor=shop.STAFF,
        master=shop.MASTER,
        part=card.part,
        subscriber_id=card.subscriber_id,
    )
    assert isinstance(code, str), code
    return code


async def prove(
    borrowed: Connection, code: str, *, after: timedelta = timedelta(0), source: str | None = None
) -> Subscriber | ClaimRefusal:
    return await prove_claim_code(
        borrowed, shop.AT + after, master=shop.MASTER, code=code, actor="selfcare", source=source
    )


async def write_all(borrowed: Connection) -> list[ClaimLetter]:
    letters: list[ClaimLetter] = []
    place: tuple[int, int] | None = (-1, 0)
    while place is not None:
        async with borrowed.transaction():
            some, place = await issue_claim_codes(
                borrowed, shop.AT, actor=shop.STAFF, master=shop.MASTER, after=place
            )
        letters += some
    return letters


@given(st.integers(0, CODES - 1), st.integers(0, 15), st.sampled_from(SIGNS))
def test_one_wrong_sign_is_always_found(number: int, place: int, sign: str) -> None:
    code = make_claim_code(number)
    assert read_claim_code(code) == code
    slip = code[:place] + sign + code[place + 1 :]
    assert (read_claim_code(slip) is None) == (slip != code)


@given(st.integers(0, CODES - 1), st.sampled_from(list(combinations(range(16), 2))))
def test_two_signs_that_changed_places_are_always_found(number: int, places: tuple[int, int]) -> None:
    code = make_claim_code(number)
    signs = list(code)
    signs[places[0]], signs[places[1]] = signs[places[1]], signs[places[0]]
    assert (read_claim_code("".join(signs)) is None) == ("".join(signs) != code)


def test_a_code_is_read_as_people_write_it() -> None:
    code = make_claim_code(CODES // 3)
    written = format_claim_code(code)
    assert written.count("-") == 3
    assert read_claim_code(f" {written.lower()} ".replace("-", " ")) == code
    assert read_claim_code(code.replace("1", "l").replace("0", "o")) == code
    assert read_claim_code(written.replace("1", "I")) == code


@pytest.mark.parametrize("text", ["", "0" * 16, "U" * 16, "ſ" * 16, "0" * 1_000_000, "²" * 16, "ß" * 8])
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_claim_code(text) is None


async def test_a_code_proves_its_subscriber_and_the_proof_is_written_down(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card, other = await shop.sell(borrowed), await shop.sell(borrowed)
        code = await issue(borrowed, card)
        await issue(borrowed, other)
        proved = await prove(borrowed, format_claim_code(code).lower())
        assert isinstance(proved, Subscriber)
        assert (proved.part, proved.id) == (card.part, card.subscriber_id)
        proof, issued, _ = await list_records(borrowed, f"subscriber:{card.subscriber_id}")
    assert (proof.actor, proof.action) == ("selfcare", "prove_claim_code")
    assert (issued.actor, issued.action) == (shop.STAFF, "issue_claim_code")


async def test_nothing_that_is_stored_tells_a_code(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        code = await issue(borrowed, await shop.sell(borrowed))
        [row] = await borrowed.fetch("SELECT * FROM claim_code")
        written = await borrowed.fetchval("SELECT string_agg(audit::text, '') FROM audit")
    assert code.encode() not in row["code_hash"]
    assert len(row["code_hash"]) == 32
    assert code not in written


async def test_another_code_makes_the_former_worthless(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card = await shop.sell(borrowed)
        former, latter = await issue(borrowed, card), await issue(borrowed, card)
        assert await prove(borrowed, former) is ClaimRefusal.UNKNOWN_CODE
        assert isinstance(await prove(borrowed, latter), Subscriber)


async def test_a_code_still_proves_one_who_was_erased(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        card = await shop.sell(borrowed)
        code = await issue(borrowed, card)
        await erase_subscriber(
            borrowed, shop.AT, actor=shop.STAFF, part=card.part, subscriber_id=card.subscriber_id
        )
        proved = await prove(borrowed, code)
    assert isinstance(proved, Subscriber)
    assert proved.erased_at == shop.AT


async def test_wrong_codes_lock_who_tries_them_and_nobody_else(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        code = await issue(borrowed, await shop.sell(borrowed))
        for _ in range(WRONG_MOST):
            assert await prove(borrowed, WRONG, source="203.0.113.7") is ClaimRefusal.UNKNOWN_CODE
        assert await prove(borrowed, code, source="203.0.113.7") is ClaimRefusal.LOCKED
        assert isinstance(await prove(borrowed, code, source="203.0.113.8"), Subscriber)
        later = await prove(borrowed, code, source="203.0.113.7", after=timedelta(hours=1))
        assert isinstance(later, Subscriber)
        rows = await borrowed.fetchval("SELECT string_agg(claim_guard::text, '') FROM claim_guard")
    assert "203.0.113" not in rows


async def test_slips_of_the_finger_are_not_counted(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        code = await issue(borrowed, await shop.sell(borrowed))
        for _ in range(2 * WRONG_MOST):
            assert await prove(borrowed, code[:-1] + "U") is ClaimRefusal.BAD_CODE
        assert isinstance(await prove(borrowed, code), Subscriber)


async def test_guesses_at_once_are_all_counted(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)

    async def guess(number: int) -> Subscriber | ClaimRefusal:
        async with connection(database.pool) as other:
            return await prove(other, make_claim_code(number))

    outcomes = await asyncio.gather(*map(guess, range(20)))
    assert outcomes.count(ClaimRefusal.UNKNOWN_CODE) == WRONG_MOST
    assert outcomes.count(ClaimRefusal.LOCKED) == 20 - WRONG_MOST


async def test_what_was_tried_long_ago_is_forgotten(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        for hour in range(5):
            source = f"203.0.113.{hour}"
            await prove(borrowed, WRONG, source=source, after=timedelta(hours=2 * hour))
        assert await borrowed.fetchval("SELECT count(*) FROM claim_guard") == 1


async def test_everyone_without_a_code_gets_one_letter_and_no_more(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
        coded, erased, *others = [await shop.sell(borrowed) for _ in range(5)]
        code = await issue(borrowed, coded)
        await erase_subscriber(
            borrowed, shop.AT, actor=shop.STAFF, part=erased.part, subscriber_id=erased.subscriber_id
        )
        letters = await write_all(borrowed)
        assert {letter.subscriber_id for letter in letters} == {card.subscriber_id for card in others}
        assert all(letter.contact == shop.WANG for letter in letters)
        assert await write_all(borrowed) == []
        assert isinstance(await prove(borrowed, code), Subscriber)
        for letter in letters:
            proved = await prove(borrowed, letter.code)
            assert isinstance(proved, Subscriber)
            assert proved.id == letter.subscriber_id
        records = await list_records(borrowed, f"subscriber:{letters[0].subscriber_id}")
        assert "write_claim_letter" in {one.action for one in records}
        good = await list_good_codes(borrowed, master=shop.MASTER, codes=[code, letters[0].code, WRONG])
    assert good == {code, letters[0].code}


async def test_two_that_write_letters_at_once_write_each_but_once(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed, sims=12, canadian=12)
        sold = {(await shop.sell(borrowed)).subscriber_id for _ in range(12)}

    async def write() -> list[ClaimLetter]:
        async with connection(database.pool) as other:
            return await write_all(other)

    first, second = await asyncio.gather(write(), write())
    written = [letter.subscriber_id for letter in first + second]
    assert sorted(written) == sorted(sold)


async def test_an_unknown_subscriber_gets_no_code(database: Database) -> None:
    async with connection(database.pool) as borrowed:
        refused = await issue_claim_code(
            borrowed, shop.AT, actor=shop.STAFF, master=shop.MASTER, part=1, subscriber_id=1
        )
    assert refused is ClaimRefusal.UNKNOWN_SUBSCRIBER
