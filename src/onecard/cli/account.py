"""`onecard account`: balances, top-ups, entries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import typer

from onecard import ledger
from onecard.cli import store
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_account, find_card_to_top_up
from onecard.cli.options import MostOption
from onecard.cli.secret import read_secret
from onecard.cli.show import Answer, Table
from onecard.ledger import Account, Entry
from onecard.ledger.actions import PAGE_MOST
from onecard.payments.actions import redeem, top_up_account
from onecard.payments.sides.actions import (
    decide_dispute,
    dispute,
    end_promotional_credit,
    give_promotional_credit,
    pay_in_deposit,
    release_deposit,
)
from onecard.payments.sides.model import DisputeOutcome, SideAccount, SideRefusal
from onecard.payments.sides.store import list_side_accounts
from onecard.sealing.check import check_master_key
from onecard.values.gate import Closed
from onecard.values.money import Money, parse_micros

REFERENCE_LENGTH_MOST = 200

app = new_group("Prepaid accounts: balances, top-ups, entries.")

AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="Any number or the ICCID of a card, card:ID of one, or the account's id."
    ),
]


@desk_command(app, "show")
async def show(desk: Desk, account: AccountArgument) -> Answer:
    """Show what is on an account: available to spend, and held for what is under way."""
    found = await find_account(desk.connection, account)
    closed = " (closed)" if found.closed_at else ""
    said = f"account {found.id}{closed}: {found.available} available, {found.held} held"
    sides = await list_side_accounts(desk.connection, found.part, found.id)
    document = {**_describe(found), "apart": [_describe_side(side) for side in sides]}
    return Answer(document, [said, *(f"  {side.value}: {side.available}" for side in sides)], desk.zone)


@desk_command(app, "topup")
async def topup(
    desk: Desk,
    account: AccountArgument,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="In the account's currency: 20 or 12.50.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", metavar="REFERENCE", help="The payer's own: the same one twice tops up once."
        ),
    ] = None,
    voucher: Annotated[
        str | None,
        typer.Option(
            "--voucher",
            metavar="PIN",
            help="Redeem a voucher on the card, in place of AMOUNT and --reference; - reads its PIN from stdin.",
        ),
    ] = None,
) -> Answer:
    """Add money to an account: an amount, once for each reference, or the face value of a voucher."""
    if voucher is not None and amount is None and reference is None:
        return await _redeem(desk, account, _read_pin(voucher))
    if voucher is not None or amount is None or reference is None:
        raise Misuse("give an AMOUNT and its --reference, or a --voucher")
    if not 0 < len(reference.strip()) <= REFERENCE_LENGTH_MOST:
        raise Misuse(f"a reference has 1 to {REFERENCE_LENGTH_MOST} characters")
    return await _pay_in(desk, account, amount, reference.strip())


async def _pay_in(desk: Desk, name: str, amount: str, reference: str) -> Answer:
    found = await find_account(desk.connection, name)
    money = Money(parse_micros(amount), found.currency)
    async with desk.connection.transaction():
        topped_up = accept(await _top_up(desk, found, money, reference))
        is_repeated = await _is_repeated(desk, found, reference)
    said = (
        f"this reference topped up account {found.id} before: nothing was added"
        if is_repeated
        else f"account {found.id} topped up by {money}"
    )
    document = {**_describe(topped_up), "amount": money, "repeated": is_repeated}
    return Answer(document, [f"{said}; {topped_up.available} available"], desk.zone)


def _read_pin(given: str) -> str:
    """The digits of a PIN, however they are grouped: given, or typed where others cannot see it."""
    return read_secret(given, "PIN: ").strip().replace(" ", "").replace("-", "")


async def _redeem(desk: Desk, name: str, pin: str) -> Answer:
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    card = (await find_card_to_top_up(desk.connection, name)).card
    redeemed = accept(
        await redeem(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            master=master,
            part=card.part,
            card_id=card.id,
            pin=pin,
        )
    )
    account = redeemed.account
    said = (
        f"voucher {redeemed.serial} topped up account {account.id} before: nothing was added"
        if redeemed.is_repeated
        else f"account {account.id} topped up by {redeemed.amount} of voucher {redeemed.serial}"
    )
    document = {
        **_describe(account),
        "amount": redeemed.amount,
        "voucher": redeemed.serial,
        "repeated": redeemed.is_repeated,
    }
    return Answer(document, [f"{said}; {account.available} available"], desk.zone)


async def _top_up(
    desk: Desk, account: Account, money: Money, reference: str
) -> Account | ledger.TopUpRefusal | Closed:
    return await top_up_account(
        desk.connection,
        desk.at,
        actor=desk.actor,
        gates=desk.gates,
        part=account.part,
        account_id=account.id,
        amount=money,
        event=reference,
        memo=reference,
    )


async def _is_repeated(desk: Desk, account: Account, reference: str) -> bool:
    """The entry of a repeat was written earlier than now."""
    event_id = ledger.name_event("top_up", reference)
    return desk.at != await store.find_time_of_entry(desk.connection, account.part, account.id, event_id)


AmountArgument = Annotated[
    str, typer.Argument(metavar="AMOUNT", help="In the account's currency: 20 or 12.50.")
]
ReferenceOption = Annotated[
    str, typer.Option("--reference", metavar="REFERENCE", help="Of this act: the same one twice acts once.")
]


@desk_command(app, "deposit")
async def deposit(
    desk: Desk,
    account: AccountArgument,
    amount: AmountArgument,
    reference: ReferenceOption,
    release: Annotated[bool, typer.Option("--release", help="It is needed no more: make it cash.")] = False,
) -> Answer:
    """Note money that came in as a security: it is refunded at the end, and cannot be spent."""
    action = release_deposit if release else pay_in_deposit
    done = "is cash" if release else "is a deposit"
    return await _move(desk, account, amount, reference, action, done)


@desk_command(app, "dispute")
async def dispute_(
    desk: Desk,
    account: AccountArgument,
    amount: AmountArgument,
    reference: ReferenceOption,
    outcome: Annotated[
        DisputeOutcome | None,
        typer.Option(
            "--decided",
            metavar="kept|charged_back",
            help="How it ended: it is the subscriber's, or went back to whoever had paid it in.",
        ),
    ] = None,
) -> Answer:
    """Set money apart of which somebody says that it is theirs, or end that."""
    if outcome is None:
        return await _move(desk, account, amount, reference, dispute, "is disputed")
    action = partial(decide_dispute, outcome=outcome)
    done = "is cash again" if outcome is DisputeOutcome.KEPT else "went back to who had paid it in"
    return await _move(desk, account, amount, reference, action, done)


@desk_command(app, "promote")
async def promote(
    desk: Desk,
    account: AccountArgument,
    amount: AmountArgument,
    reference: ReferenceOption,
    end: Annotated[bool, typer.Option("--end", help="Take it back.")] = False,
) -> Answer:
    """Give promotional credit, which is kept apart from cash and never refunded."""
    action = end_promotional_credit if end else give_promotional_credit
    return await _move(desk, account, amount, reference, action, "is taken back" if end else "is given")


async def _move(
    desk: Desk,
    name: str,
    amount: str,
    reference: str,
    action: Callable[..., Awaitable[SideAccount | SideRefusal]],
    done: str,
) -> Answer:
    if not 0 < len(reference.strip()) <= REFERENCE_LENGTH_MOST:
        raise Misuse(f"a reference has 1 to {REFERENCE_LENGTH_MOST} characters")
    found = await find_account(desk.connection, name)
    money = Money(parse_micros(amount), found.currency)
    side = accept(
        await action(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=found.part,
            account_id=found.id,
            amount=money,
            event=reference.strip(),
        )
    )
    document = {"account": found.id, "amount": money, **_describe_side(side)}
    said = f"{money} of account {found.id} {done}; {side.value.value}: {side.available}"
    return Answer(document, [said], desk.zone)


def _describe_side(side: SideAccount) -> dict[str, Any]:
    return {
        "value": side.value,
        "side_account": side.side_account_id,
        "available": side.available,
        "held": side.held,
    }


@desk_command(app, "entries")
async def entries(
    desk: Desk,
    account: AccountArgument,
    before: Annotated[
        UUID | None, typer.Option("--before", metavar="EVENT", help="Go on with those before this event.")
    ] = None,
    most: MostOption = 50,
) -> Answer:
    """List the entries of an account, the newest first, each with the balance it left."""
    async with desk.connection.transaction(isolation="repeatable_read", readonly=True):
        found = await find_account(desk.connection, account)
        rows, has_more = await _list_rows(desk, found, before, most)
    following = rows[-1]["event"] if has_more else None
    columns = ("at", "kind", "change", "held_change", "available", "memo")
    table = Table(columns, rows, empty=f"account {found.id} has no entries")
    hint = f"more: --before {following}" if following else None
    document = {**_describe(found), "entries": rows, "next": following}
    return Answer(document, [table], desk.zone, hint=hint)


async def _list_rows(
    desk: Desk, account: Account, before: UUID | None, most: int
) -> tuple[list[dict[str, Any]], bool]:
    """So many entries with the balance that each left, and whether there are more.

    A balance is known now only: from here it is reckoned back, entry by entry.
    """
    available, is_reached = account.available_micros, before is None
    rows: list[dict[str, Any]] = []
    last: Entry | None = None
    while page := await ledger.list_entries(
        desk.connection, account.part, account.id, before=last, most=PAGE_MOST
    ):
        for entry in page:
            if len(rows) == most:
                return rows, True
            if is_reached:
                rows.append(_describe_entry(account, entry, available))
            available -= entry.available_micros
            is_reached = is_reached or entry.event_id == before
        last = page[-1]
    if not is_reached:
        raise Failure("unknown_event", f"account {account.id} has no entry of the event {before}")
    return rows, False


def _describe(account: Account) -> dict[str, Any]:
    return {
        "account": account.id,
        "part": account.part,
        "available": account.available,
        "held": account.held,
        "opened_at": account.opened_at,
        "closed_at": account.closed_at,
    }


def _describe_entry(account: Account, entry: Entry, available_micros: int) -> dict[str, Any]:
    return {
        "at": entry.at,
        "kind": entry.kind.name.lower(),
        "change": Money(entry.available_micros, account.currency),
        "held_change": Money(entry.held_micros, account.currency),
        "available": Money(available_micros, account.currency),
        "memo": entry.memo,
        "event": str(entry.event_id),
    }
