"""`onecard refund`: balances on their way back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import uuid4

import typer

from onecard import ledger
from onecard.cli.claim import OTHER_SUBSCRIBER, ClaimOption, prove_by_claim_code
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_account, find_card, find_card_to_top_up
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.payee import (
    BicOption,
    CanadianOption,
    ClearingOption,
    IbanOption,
    NumberOption,
    PayeeOption,
    read_payee,
)
from onecard.cli.secret import read_secret
from onecard.cli.show import Answer, Table
from onecard.database.parts import list_parts
from onecard.payments.actions import redeem
from onecard.payments.payouts.rules import make_end_to_end_id
from onecard.payments.payouts.store import list_payouts_of_refund
from onecard.payments.refunds import store
from onecard.payments.refunds.actions import (
    BATCH_MOST,
    change_payee,
    change_refunds,
    request_refund,
    request_refunds_of_everyone,
)
from onecard.payments.refunds.actions import read_payee as open_payee
from onecard.payments.refunds.cards import request_refund_of_card
from onecard.payments.refunds.model import (
    Approve,
    Cancel,
    Change,
    Refund,
    RefundedValue,
    RefundRefusal,
    RefundState,
    Reject,
    Retry,
    Verify,
    Wish,
)
from onecard.payments.refunds.rules import REASON_CHARACTERS_MOST
from onecard.sealing.check import check_master_key
from onecard.sealing.keys import MasterKey
from onecard.values.money import Currency, Money, parse_micros

REFERENCE_CHARACTERS_MOST = 200
BY_CLAIM_CODE = "claim code"
COLUMNS = ("refund", "account", "value", "amount", "state", "paid_to", "requested_at", "reason")

app = new_group("Refunds: balances on their way back.")

RefundArgument = Annotated[
    int,
    typer.Argument(metavar="REFUND", min=1, max=ID_HIGHEST, help="Its number: see `onecard refund list`."),
]
RefundsArgument = Annotated[list[int] | None, typer.Argument(metavar="[REFUND]...", help="One or several.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that are in the state before it.")]
AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="Any number or the ICCID of a card, card:ID of one, or the account's id."
    ),
]


@desk_command(app, "request")
async def request(
    desk: Desk,
    account: AccountArgument,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="AMOUNT", help="A part of the balance; else all of it.")
    ] = None,
    value: Annotated[
        RefundedValue,
        typer.Option(
            "--value",
            metavar="cash|deposits|unactivated_cards",
            help="What is refunded; of unactivated_cards, what was paid for the card that is named.",
        ),
    ] = RefundedValue.CASH,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="REFERENCE", help="The same one twice requests one refund."),
    ] = None,
    payee: PayeeOption = None,
    iban: IbanOption = None,
    canadian: CanadianOption = None,
    number: NumberOption = None,
    clearing: ClearingOption = None,
    bic: BicOption = None,
    claim_code: ClaimOption = None,
) -> Answer:
    """Request what is on an account, and hold it. The payee may be given now, or later by `change-payee`.

    With the subscriber's claim code it is verified at once.
    """
    given = read_payee(payee, iban, canadian, number, clearing, bic)
    if value is RefundedValue.LATE_PAYMENTS:
        raise Misuse("late payments are held to go back by themselves")
    if value is RefundedValue.UNACTIVATED_CARDS:
        if amount or given or reference or claim_code:
            raise Misuse("a void card is paid back as it was paid: name the card only")
        return _tell(desk, await _request_of_card(desk, account), "requested")
    master = await _load_master_key(desk)
    found = await find_account(desk.connection, account)
    money = None if amount is None else Money(parse_micros(amount), found.currency)
    if claim_code is not None:
        await _prove(desk, master, found, claim_code)
    wish = Wish(found.id, _read_event(reference), value, money, given)
    requested = await request_refund(
        desk.connection,
        desk.at,
        actor=desk.actor,
        gates=desk.gates,
        master=master,
        part=found.part,
        wish=wish,
        cooling_off=desk.config.payouts.cooling_off,
    )
    if claim_code is None or accept(requested).state is not RefundState.REQUESTED:
        return _tell(desk, accept(requested), "requested")
    return await _change(
        desk, [accept(requested).id], False, Verify(BY_CLAIM_CODE), RefundState.REQUESTED, "verified"
    )


async def _prove(desk: Desk, master: MasterKey, account: ledger.Account, claim_code: str) -> None:
    """Make sure that a claim code is that of the account's subscriber; raises Failure."""
    subscriber = await prove_by_claim_code(desk, master, claim_code)
    if (subscriber.part, subscriber.account_id) != (account.part, account.id):
        raise Failure(OTHER_SUBSCRIBER, "this claim code is another subscriber's than the account")


async def _request_of_card(desk: Desk, name: str) -> Refund:
    card = (await find_card(desk.connection, name)).card
    requested = await request_refund_of_card(
        desk.connection, desk.at, actor=desk.actor, gates=desk.gates, part=card.part, card_id=card.id
    )
    return accept(requested)


def _read_event(reference: str | None) -> Any:
    if reference is not None and not 0 < len(reference.strip()) <= REFERENCE_CHARACTERS_MOST:
        raise Misuse(f"a reference has 1 to {REFERENCE_CHARACTERS_MOST} characters")
    return uuid4() if reference is None else ledger.name_event("refund", reference.strip())


@desk_command(app, "everyone")
async def everyone(
    desk: Desk,
    occasion: Annotated[
        str, typer.Option("--occasion", metavar="TEXT", help="Why, in a word: order.")
    ] = "order",
) -> Answer:
    """Request the cash of every account that has any and no refund of it. It may be run again at any time."""
    before = await _count(desk)
    for part in await list_parts(desk.connection):
        after: int | None = 0
        while after is not None:
            after = accept(
                await request_refunds_of_everyone(
                    desk.connection,
                    desk.at,
                    actor=desk.actor,
                    gates=desk.gates,
                    part=part,
                    occasion=occasion,
                    after=after,
                )
            )
    requested = await _count(desk) - before
    return Answer({"requested": requested}, [f"{requested} refunds requested"], desk.zone)


async def _count(desk: Desk) -> int:
    return sum(tally.count for tally in await store.tally_refunds(desk.connection))


@desk_command(app, "verify")
async def verify(
    desk: Desk,
    refunds: RefundsArgument = None,
    by: Annotated[
        str, typer.Option("--by", metavar="TEXT", help='How they showed who they are: "claim code".')
    ] = "",
    all_: AllOption = False,
) -> Answer:
    """Note that whoever asked has shown who they are, and how."""
    how = _read_reason(by, "--by")
    return await _change(desk, refunds, all_, Verify(how), RefundState.REQUESTED, "verified")


@desk_command(app, "approve")
async def approve(desk: Desk, refunds: RefundsArgument = None, all_: AllOption = False) -> Answer:
    """Agree that refunds are paid: by another than who requested, verified or entered them."""
    return await _change(desk, refunds, all_, Approve(), RefundState.VERIFIED, "approved")


@desk_command(app, "reject")
async def reject(
    desk: Desk,
    refund: RefundArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why. It names no person.")],
) -> Answer:
    """Do not pay a refund: what is held for it may be spent again."""
    return await _change(desk, [refund], False, Reject(_read_reason(reason, "--reason")), None, "rejected")


@desk_command(app, "cancel")
async def cancel(desk: Desk, refund: RefundArgument) -> Answer:
    """Cancel a refund that the subscriber wants no more, before it is approved."""
    return await _change(desk, [refund], False, Cancel(), None, "cancelled")


@desk_command(app, "retry")
async def retry(desk: Desk, refund: RefundArgument) -> Answer:
    """Try a refund again that came back, to the same payee, once it is approved again."""
    return await _change(desk, [refund], False, Retry(), None, "to be approved again")


def _read_reason(text: str, option: str) -> str:
    if not 0 < len(text.strip()) <= REASON_CHARACTERS_MOST:
        raise Misuse(f"give {option} a text of 1 to {REASON_CHARACTERS_MOST} characters")
    return text.strip()


async def _change(
    desk: Desk,
    refund_ids: Sequence[int] | None,
    all_: bool,
    change: Change,
    before: RefundState | None,
    done: str,
) -> Answer:
    if all_ == bool(refund_ids):
        raise Misuse("name refunds by their numbers, or give --all")
    if all_:
        return await _change_all(desk, change, before, done)
    assert refund_ids
    async with desk.connection.transaction():  # all of those that are named, or none
        changed = [await _change_one(desk, refund_id, change) for refund_id in refund_ids]
    if len(changed) == 1:
        return _tell(desk, changed[0], done)
    rows = [_describe(refund) for refund in changed]
    return Answer({"refunds": rows}, [f"{len(rows)} refunds {done}"], desk.zone)


async def _change_one(desk: Desk, refund_id: int, change: Change) -> Refund:
    part = await _find_part(desk, refund_id)
    (answer,) = await change_refunds(
        desk.connection, desk.at, actor=desk.actor, part=part, refund_ids=[refund_id], change=change
    )
    return accept(answer)


async def _change_all(desk: Desk, change: Change, before: RefundState | None, done: str) -> Answer:
    """Page by page, so that it can be broken off and begun anew. What is refused stays as it is."""
    count, refused, after = 0, 0, 0
    while page := await store.list_refunds(desk.connection, after=after, state=before, most=BATCH_MOST):
        by_part: defaultdict[int, list[int]] = defaultdict(list)
        for refund in page:
            by_part[refund.part].append(refund.id)
        for part, ids in by_part.items():
            answers = await change_refunds(
                desk.connection, desk.at, actor=desk.actor, part=part, refund_ids=ids, change=change
            )
            good = sum(isinstance(answer, Refund) for answer in answers)
            count, refused = count + good, refused + len(answers) - good
        after = page[-1].id
    said = f"{count} refunds {done}" + (f"; {refused} could not be" if refused else "")
    return Answer({"changed": count, "refused": refused}, [said], desk.zone)


@desk_command(app, "change-payee")
async def change_payee_(
    desk: Desk,
    refund: RefundArgument,
    payee: PayeeOption = None,
    iban: IbanOption = None,
    canadian: CanadianOption = None,
    number: NumberOption = None,
    clearing: ClearingOption = None,
    bic: BicOption = None,
) -> Answer:
    """Name who is paid. Another than before must be approved again, cools off, and the subscriber is told."""
    given = read_payee(payee, iban, canadian, number, clearing, bic)
    if given is None:
        raise Misuse("give the --payee and their account")
    changed = await change_payee(
        desk.connection,
        desk.at,
        actor=desk.actor,
        master=await _load_master_key(desk),
        part=await _find_part(desk, refund),
        refund_id=refund,
        payee=given,
        cooling_off=desk.config.payouts.cooling_off,
    )
    return _tell(desk, accept(changed), "has its payee")


@desk_command(app, "show")
async def show(
    desk: Desk,
    refund: RefundArgument,
    payee_for: Annotated[
        str | None,
        typer.Option(
            "--open-payee",
            metavar="REASON",
            help="Show the whole payee; that you looked, and why, is recorded.",
        ),
    ] = None,
) -> Answer:
    """Show a refund, what was done to it, and each payment that was tried."""
    part = await _find_part(desk, refund)
    found = await store.find_refund(desk.connection, part, refund)
    assert found is not None
    history = await store.list_history(desk.connection, part, refund)
    payouts = await list_payouts_of_refund(desk.connection, part, refund)
    rows = [
        {"at": row.at, "what": row.what, "state": row.state, "by": row.actor, "reason": row.reason}
        for row in history
    ]
    paid = [
        {
            "run": payout.key.run_id,
            "end_to_end_id": make_end_to_end_id(payout.key),
            "amount": payout.amount,
            "state": payout.state,
            "reason": payout.reason,
        }
        for payout in payouts
    ]
    document = {**_describe(found), "history": rows, "payouts": paid}
    parts: list[str | Table] = [
        Table(COLUMNS, [_describe(found)]),
        Table(("at", "what", "state", "by", "reason"), rows),
    ]
    if paid:
        parts.append(Table(("run", "end_to_end_id", "amount", "state", "reason"), paid))
    if payee_for is not None:
        document["payee"] = await _open_payee(desk, found, payee_for)
        parts.append(Table(tuple(document["payee"]), [document["payee"]]))
    return Answer(document, parts, desk.zone)


async def _open_payee(desk: Desk, refund: Refund, reason: str) -> dict[str, Any]:
    payee = accept(
        await open_payee(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=await _load_master_key(desk),
            refund=refund,
            reason=_read_reason(reason, "--open-payee"),
        )
    )
    account = payee.account
    clearing = f"{account.clearing_system}:{account.clearing_member}" if account.clearing_system else None
    return {"name": payee.name, "account": account.number, "clearing": clearing, "bic": account.bic}


@desk_command(app, "list")
async def list_(
    desk: Desk,
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Of this account; else of all.")
    ] = None,
    state: Annotated[
        RefundState | None, typer.Option("--state", metavar="STATE", help="In this state only.")
    ] = None,
    after: Annotated[
        int, typer.Option("--after", metavar="REFUND", min=0, help="Go on with those after this one.")
    ] = 0,
    most: MostOption = 50,
) -> Answer:
    """List refunds, the first one first."""
    found = None if account is None else await find_account(desk.connection, account)
    refunds = await store.list_refunds(
        desk.connection,
        after=after,
        state=state,
        part=found.part if found else None,
        account_id=found.id if found else None,
        most=most,
    )
    rows = [_describe(refund) for refund in refunds]
    following = rows[-1]["refund"] if len(rows) == most else None
    table = Table(COLUMNS, rows, empty="no refunds")
    hint = f"more: --after {following}" if following else None
    return Answer({"refunds": rows, "next": following}, [table], desk.zone, hint=hint)


@desk_command(app, "report")
async def report(desk: Desk) -> Answer:
    """Say how many refunds there are in each state, and of how much."""
    rows = [
        {
            "value": tally.value,
            "state": tally.state,
            "count": tally.count,
            "amount": Money(tally.micros, Currency(tally.currency)),
        }
        for tally in await store.tally_refunds(desk.connection)
    ]
    table = Table(("value", "state", "count", "amount"), rows, empty="no refunds")
    return Answer({"refunds": rows}, [table], desk.zone)


@desk_command(app, "voucher")
async def voucher(
    desk: Desk,
    card: Annotated[str, typer.Argument(metavar="CARD", help="Any of its numbers, its ICCID, or card:ID.")],
    pin: Annotated[str, typer.Argument(metavar="PIN", help="Of the voucher; - reads it from stdin.")],
) -> Answer:
    """Redeem a voucher that nobody used, once top-ups are closed: it is refunded with the balance."""
    master = await _load_master_key(desk)
    found = (await find_card_to_top_up(desk.connection, card)).card
    digits = read_secret(pin, "PIN: ").strip().replace(" ", "").replace("-", "")
    redeemed = accept(
        await redeem(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            master=master,
            part=found.part,
            card_id=found.id,
            pin=digits,
            for_refund=True,
        )
    )
    document = {
        "voucher": redeemed.serial,
        "amount": redeemed.amount,
        "account": redeemed.account.id,
        "available": redeemed.account.available,
        "repeated": redeemed.is_repeated,
    }
    said = (
        f"voucher {redeemed.serial} was redeemed on account {redeemed.account.id} before: nothing was added"
        if redeemed.is_repeated
        else f"voucher {redeemed.serial}: {redeemed.amount} are on account {redeemed.account.id} now"
    )
    return Answer(document, [f"{said}; {redeemed.account.available} to be refunded"], desk.zone)


async def _find_part(desk: Desk, refund_id: int) -> int:
    part = await store.find_part_of_refund(desk.connection, refund_id)
    return accept(RefundRefusal.UNKNOWN_REFUND if part is None else part)


async def _load_master_key(desk: Desk) -> MasterKey:
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    return master


def _tell(desk: Desk, refund: Refund, done: str) -> Answer:
    return Answer(_describe(refund), [f"refund {refund.id} of {refund.amount} {done}"], desk.zone)


def _describe(refund: Refund) -> dict[str, Any]:
    payment = refund.payment
    return {
        "refund": refund.id,
        "account": refund.account_id,
        "value": refund.value,
        "amount": refund.amount,
        "state": refund.state,
        "paid_to": f"{payment.method} {payment.reference}" if payment else refund.payee_shown,
        "cooling_until": refund.cooling_until,
        "reason": refund.reason,
        "run": refund.run_id,
        "requested_at": refund.requested_at,
        "requested_by": refund.requested_by,
        "verified_by": refund.verified_by,
        "verified_how": refund.verified_how,
        "approved_by": refund.approved_by,
        "closed_at": refund.closed_at,
    }
