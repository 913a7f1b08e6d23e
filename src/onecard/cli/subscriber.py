"""`onecard subscriber`: who a card is for. Contact details are sealed, and every look at them is written down."""

from __future__ import annotations

from typing import Annotated

import typer

from onecard.cards.model import Card
from onecard.cards.store import list_cards_of_subscriber
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_card
from onecard.cli.show import Answer, Table
from onecard.sealing.check import check_master_key
from onecard.sealing.keys import MasterKey
from onecard.subscribers import actions
from onecard.subscribers.model import Contact
from onecard.subscribers.rules import BadContact, parse_contact
from onecard.values.language import Language

REASON_LENGTH_MOST = 200

app = new_group("Subscribers: contact details, language, erasure.")

CardArgument = Annotated[
    str,
    typer.Argument(metavar="CARD", help="Any of the subscriber's cards: by a number, its ICCID or its id."),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="REASON", help="What for; it is written into the audit record.")
]


@desk_command(app, "show")
async def show(desk: Desk, card: CardArgument, reason: ReasonOption) -> Answer:
    """Show a subscriber's contact details. Who looked, and what for, is written down."""
    found = (await find_card(desk.connection, card)).card
    contact = await _read_contact(desk, await _load_master_key(desk), found, _check_reason(reason))
    document = {
        "subscriber": found.subscriber_id,
        "name": contact.name,
        "email": contact.email,
        "postal_address": contact.postal_address,
    }
    said = [f"{name}: {value}" for name, value in document.items() if value is not None]
    return Answer(document, list(said), desk.zone)


@desk_command(app, "find")
async def find(
    desk: Desk, name: Annotated[str, typer.Argument(metavar="NAME", help="Words of the name, in any order.")]
) -> Answer:
    """Find the cards of subscribers by their name. Who looked is written down, though not for whom."""
    found = await actions.find_by_name(
        desk.connection, desk.at, actor=desk.actor, master=await _load_master_key(desk), name=name
    )
    rows = [
        {"subscriber": card.subscriber_id, "card": card.id, "iccid": card.iccid, "state": card.state}
        for place in found
        for card in await list_cards_of_subscriber(desk.connection, *place)
    ]
    table = Table(("subscriber", "card", "iccid", "state"), rows, empty="nobody has this name")
    return Answer({"cards": rows}, [table], desk.zone)


@desk_command(app, "change")
async def change(
    desk: Desk,
    card: CardArgument,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    email: Annotated[
        str | None, typer.Option("--email", metavar="EMAIL", help="Another e-mail address.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="Another postal address; none: ''.")
    ] = None,
) -> Answer:
    """Change contact details; what is not named stays."""
    if name is None and email is None and address is None:
        raise Misuse("give --name, --email or --address")
    found = (await find_card(desk.connection, card)).card
    master = await _load_master_key(desk)
    before = await _read_contact(desk, master, found, "to change it")
    contact = check_contact(
        before.name if name is None else name,
        before.email if email is None else email,
        before.postal_address if address is None else address,
    )
    accept(
        await actions.change_contact(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=master,
            part=found.part,
            subscriber_id=found.subscriber_id,
            contact=contact,
        )
    )
    return Answer({"subscriber": found.subscriber_id}, ["the contact details were changed"])


@desk_command(app, "language")
async def language(
    desk: Desk,
    card: CardArgument,
    to: Annotated[
        Language,
        typer.Argument(
            metavar="en|fr|zh-Hans|zh-Hant", help="What the subscriber is spoken to in from now on."
        ),
    ],
) -> Answer:
    """Speak to a subscriber in another language."""
    found = (await find_card(desk.connection, card)).card
    changed = accept(
        await actions.change_language(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=found.part,
            subscriber_id=found.subscriber_id,
            language=to,
        )
    )
    return Answer(
        {"subscriber": changed.id, "language": changed.language},
        [f"subscriber {changed.id} is spoken to in {changed.language}"],
    )


@desk_command(app, "erase")
async def erase(
    desk: Desk,
    card: CardArgument,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="It cannot be undone: without this nothing is erased.")
    ] = False,
) -> Answer:
    """Erase contact details for good. Account, cards and lines stay; nobody can be written to any more."""
    found = (await find_card(desk.connection, card)).card
    if not confirm:
        raise Misuse(
            f"this destroys the contact details of subscriber {found.subscriber_id}, and no backup of this database "
            "brings them back to use: repeat it with --confirm"
        )
    erased = accept(
        await actions.erase_subscriber(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=found.part,
            subscriber_id=found.subscriber_id,
        )
    )
    return Answer({"subscriber": erased.id, "erased_at": erased.erased_at}, ["erased"], desk.zone)


def check_contact(name: str, email: str, address: str | None) -> Contact:
    """Check contact details, and repeat none of them in a sentence that may end up in a log. Raises Failure."""
    try:
        return parse_contact(name, email, address)
    except BadContact as error:
        sentence = str(error).replace(repr(email.strip()[:80]), "what --email gives")
        raise Failure("bad_contact", sentence) from None


async def _load_master_key(desk: Desk) -> MasterKey:
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    return master


async def _read_contact(desk: Desk, master: MasterKey, card: Card, reason: str) -> Contact:
    return accept(
        await actions.read_contact(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=master,
            part=card.part,
            subscriber_id=card.subscriber_id,
            reason=reason,
        )
    )


def _check_reason(reason: str) -> str:
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MOST:
        raise Misuse(f"a reason has 1 to {REASON_LENGTH_MOST} characters")
    return reason.strip()
