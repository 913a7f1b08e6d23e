"""`onecard line`: numbers on cards, their applications, settings and end."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer

from onecard.cards import store as cards
from onecard.cards.model import CardState
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_card, find_line
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.show import Answer, Table, say_time
from onecard.lines import actions, store
from onecard.lines.model import Application, ApplicationState, Line, Usage, Verification
from onecard.lines.rules import format_schedule, parse_schedule
from onecard.values.phone import parse_country, parse_msisdn

ALWAYS = "always"

app = new_group("Numbers on cards: applications, settings, their end.")


class OnOff(Enum):
    """A switch, as people write it."""

    ON = "on"
    OFF = "off"


class RefusedBecause(Enum):
    """The outcomes of a check that refuse an application."""

    MISMATCH = "mismatch"
    FIVE_NUMBER_LIMIT = "five_number_limit"
    TIME_OUT = "time_out"


CardArgument = Annotated[
    str, typer.Argument(metavar="CARD", help="Any number of the card (+16045550100), its ICCID or its id.")
]
NumberArgument = Annotated[
    str, typer.Argument(metavar="NUMBER", help="The line's number in international form: +8613800138000.")
]
ApplicationArgument = Annotated[
    int, typer.Argument(metavar="APPLICATION", min=1, max=ID_HIGHEST, help="Its id.")
]
EntryArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENTRY", help="A number, a short code, a sender's name, or the beginning of one and *."
    ),
]
RemoveOption = Annotated[bool, typer.Option("--remove", help="Take the entry off the list.")]
BarOption = Annotated[
    OnOff | None, typer.Option(metavar="on|off", help="on keeps them out, off lets them in.")
]


# Applications


@desk_command(app, "apply")
async def apply(
    desk: Desk,
    card: CardArgument,
    country: Annotated[
        str,
        typer.Option(
            "--country",
            metavar="COUNTRY",
            help="Country of the secondary number, such as CN.",
        ),
    ],
    number: Annotated[
        str | None,
        typer.Option(
            "--number",
            metavar="NUMBER",
            help="The number wanted; the next free one unless named.",
        ),
    ] = None,
) -> Answer:
    """Apply for a secondary number; it is kept back until the outcome of the check."""
    found = (await find_card(desk.connection, card)).card
    application = accept(
        await actions.apply_for_line(
            desk.connection,
            desk.at,
            actor=desk.actor,
            gates=desk.gates,
            part=found.part,
            card_id=found.id,
            country=parse_country(country),
            wanted=parse_msisdn(number) if number else None,
            limits=desk.config.operator.line_limits,
            operator_time_zone=desk.zone,
        )
    )
    until = say_time(application.expires_at, desk.zone)
    said = f"application {application.id} for {application.msisdn}: refused unless approved before {until}"
    return Answer(_describe_application(application), [said], desk.zone)


@desk_command(app, "approve")
async def approve(desk: Desk, application: ApplicationArgument) -> Answer:
    """Approve an application, as the check matched: the number becomes a line of the card."""
    decided = await _decide(desk, application, Verification.MATCH)
    if decided.state is ApplicationState.REFUSED:
        said = f"application {decided.id} came too late to be approved and is refused: {decided.reason}"
        return Answer(_describe_application(decided), [said], desk.zone, is_good=False)
    lines = await store.list_lines(desk.connection, decided.part, decided.card_id)
    line = next(line for line in lines if line.msisdn == decided.msisdn)
    said = f"application {decided.id} approved: {line.msisdn} is line {line.slot} of card {line.card_id}"
    document = {**_describe_application(decided), "line": _describe_line(line)}
    return Answer(document, [said], desk.zone)


@desk_command(app, "refuse")
async def refuse(
    desk: Desk,
    application: ApplicationArgument,
    because: Annotated[
        RefusedBecause,
        typer.Option(
            "--because", metavar="mismatch|five_number_limit|time_out", help="The outcome of the check."
        ),
    ] = RefusedBecause.MISMATCH,
) -> Answer:
    """Refuse an application; the number is free again."""
    decided = await _decide(desk, application, Verification(because.value))
    said = f"application {decided.id} refused: {decided.reason}"
    return Answer(_describe_application(decided), [said], desk.zone)


async def _decide(desk: Desk, application_id: int, verification: Verification) -> Application:
    part = await store.find_part_of_application(desk.connection, application_id)
    if part is None:
        raise Failure(
            "unknown_application",
            f"there is no application {application_id}: see `onecard line applications`",
        )
    decided = await actions.decide_on_application(
        desk.connection,
        desk.at,
        actor=desk.actor,
        gates=desk.gates,
        part=part,
        application_id=application_id,
        verification=verification,
    )
    return accept(decided)


@desk_command(app, "applications")
async def applications(
    desk: Desk,
    card: Annotated[
        str | None,
        typer.Option(
            "--card",
            metavar="CARD",
            help="All of one card, decided ones too; else all open ones.",
        ),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option("--after", metavar="ID", min=1, max=ID_HIGHEST, help="Go on after this application id."),
    ] = None,
    most: MostOption = 100,
) -> Answer:
    """List the applications that wait for an outcome."""
    if card:
        of_card = (await find_card(desk.connection, card)).card
        found = await store.list_applications_of_card(desk.connection, of_card.part, of_card.id)
        most = max(most, len(found))
    else:
        place = await _find_place(desk, after) if after else (-1, 0)
        found = await store.list_open_applications(desk.connection, after=place, most=most + 1)
    rows = [_describe_application(application) for application in found[:most]]
    following = rows[-1]["application"] if len(found) > most else None
    columns = ("application", "card", "number", "state", "reason", "applied_at", "expires_at")
    table = Table(
        columns, rows, empty="no application is open" if not card else "this card made no application"
    )
    hint = f"more: --after {following}" if following else None
    return Answer({"applications": rows, "next": following}, [table], desk.zone, hint=hint)


async def _find_place(desk: Desk, application_id: int) -> tuple[int, int]:
    part = await store.find_part_of_application(desk.connection, application_id)
    if part is None:
        raise Failure("unknown_application", f"there is no application {application_id} to go on after")
    return part, application_id


def _describe_application(application: Application) -> dict[str, Any]:
    return {
        "application": application.id,
        "card": application.card_id,
        "number": application.msisdn,
        "country": application.country,
        "state": application.state,
        "reason": application.reason,
        "applied_at": application.applied_at,
        "expires_at": application.expires_at,
        "decided_at": application.decided_at,
        "decided_by": application.decided_by,
    }


# Settings


@desk_command(app, "on")
async def on(desk: Desk, number: NumberArgument) -> Answer:
    """Switch a line on."""
    return await _switch(desk, number, on=True)


@desk_command(app, "off")
async def off(desk: Desk, number: NumberArgument) -> Answer:
    """Switch a line off: texts and calls to it are refused, but codes of banks still come."""
    return await _switch(desk, number, on=False)


async def _switch(desk: Desk, number: str, *, on: bool) -> Answer:
    line = await find_line(desk.connection, number)
    changed = await actions.switch_line(
        desk.connection, desk.at, actor=desk.actor, part=line.part, line_id=line.id, on=on
    )
    return _tell(desk, accept(changed), f"is {'on' if on else 'off'}")


@desk_command(app, "bar")
async def bar(desk: Desk, number: NumberArgument, texts: BarOption = None, calls: BarOption = None) -> Answer:
    """Bar incoming texts or calls, or let them in again."""
    wishes = {Usage.TEXTS: texts, Usage.CALLS: calls}
    if texts is calls is None:
        raise Misuse("say --texts on, --texts off, --calls on or --calls off")
    line = await find_line(desk.connection, number)
    async with desk.connection.transaction():
        for usage, wish in wishes.items():
            if wish is not None:
                line = accept(
                    await actions.bar_line(
                        desk.connection,
                        desk.at,
                        actor=desk.actor,
                        part=line.part,
                        line_id=line.id,
                        usage=usage,
                        barred=wish is OnOff.ON,
                    )
                )
    barred = [
        usage
        for usage, is_barred in (("texts", line.bar_texts_in), ("calls", line.bar_calls_in))
        if is_barred
    ]
    return _tell(desk, line, f"bars incoming {' and '.join(barred)}" if barred else "bars nothing")


@desk_command(app, "block")
async def block(
    desk: Desk, number: NumberArgument, entry: EntryArgument, remove: RemoveOption = False
) -> Answer:
    """Block a sender: put an entry on the line's block list, or take it off."""
    line = await find_line(desk.connection, number)
    place: dict[str, Any] = {"actor": desk.actor, "part": line.part, "line_id": line.id, "entry": entry}
    if remove:
        changed = accept(await actions.unblock_sender(desk.connection, desk.at, **place))
    else:
        limits = desk.config.operator.line_limits
        changed = accept(await actions.block_sender(desk.connection, desk.at, limits=limits, **place))
    return _tell(desk, changed, f"blocks {', '.join(changed.blocked) or 'nobody'}")


@desk_command(app, "allow")
async def allow(
    desk: Desk, number: NumberArgument, entry: EntryArgument, remove: RemoveOption = False
) -> Answer:
    """Allow a sender: put an entry on the line's allow list, or take it off. With a list, nobody else gets in."""
    line = await find_line(desk.connection, number)
    place: dict[str, Any] = {"actor": desk.actor, "part": line.part, "line_id": line.id, "entry": entry}
    if remove:
        changed = accept(await actions.disallow_sender(desk.connection, desk.at, **place))
    else:
        limits = desk.config.operator.line_limits
        changed = accept(await actions.allow_sender(desk.connection, desk.at, limits=limits, **place))
    allowed = f"only {', '.join(changed.allowed)}" if changed.allowed else "everybody that is not blocked"
    return _tell(desk, changed, f"lets in {allowed}")


@desk_command(app, "schedule")
async def schedule(
    desk: Desk,
    number: NumberArgument,
    windows: Annotated[
        str,
        typer.Argument(
            metavar="WINDOWS",
            help="'mon-fri 08:00-22:00 texts; daily 09:00-21:00 calls' in the line's own time zone, or 'always'.",
        ),
    ],
) -> Answer:
    """Set the windows in which a line takes texts and calls."""
    line = await find_line(desk.connection, number)
    changed = accept(
        await actions.set_schedule(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=line.part,
            line_id=line.id,
            schedule=() if windows.strip().lower() == ALWAYS else parse_schedule(windows),
        )
    )
    hours = f"{format_schedule(changed.schedule)} ({changed.time_zone})" if changed.schedule else ALWAYS
    return _tell(desk, changed, f"takes texts and calls: {hours}")


@desk_command(app, "end")
async def end(
    desk: Desk,
    number: NumberArgument,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm the end that was asked for, within 30 minutes.")
    ] = False,
) -> Answer:
    """Ask for the end of a secondary line, then confirm it: it cannot be undone."""
    line = await find_line(desk.connection, number)
    act = actions.confirm_end_of_line if confirm else actions.ask_to_end_line
    changed = accept(
        await act(
            desk.connection,
            desk.at,
            actor=desk.actor,
            part=line.part,
            line_id=line.id,
            limits=desk.config.operator.line_limits,
        )
    )
    if confirm:
        document = {**_describe_line(changed), "ended": True}
        return Answer(document, [f"line {line.msisdn} has ended; its number is quarantined"], desk.zone)
    assert changed.ending_until is not None
    until = say_time(changed.ending_until, desk.zone)
    return _tell(desk, changed, f"will end for good if this is confirmed with --confirm until {until}")


def _tell(desk: Desk, line: Line, said: str) -> Answer:
    return Answer(_describe_line(line), [f"line {line.msisdn} {said}"], desk.zone)


@desk_command(app, "list")
async def list_(
    desk: Desk,
    card: Annotated[
        str | None, typer.Argument(metavar="[CARD]", help="Of one card: any number, ICCID or id.")
    ] = None,
    after: Annotated[
        int | None,
        typer.Option("--after", metavar="ID", min=1, max=ID_HIGHEST, help="Go on after this card id."),
    ] = None,
    most: MostOption = 100,
) -> Answer:
    """List the lines of a card, or of all cards, with what is set for them."""
    if card is not None:
        lines, following = (await find_card(desk.connection, card)).lines, None
    else:
        lines, following = await _list_lines_of_cards(desk, after, most)
    rows = [_describe_line(line) for line in lines]
    columns = ("number", "card", "slot", "on", "bars", "schedule", "blocked", "allowed", "ending_until")
    table = Table(columns, rows, empty="no line is active")
    hint = f"more: --after {following}" if following else None
    return Answer({"lines": rows, "next": following}, [table], desk.zone, hint=hint)


async def _list_lines_of_cards(
    desk: Desk, after: int | None, most: int
) -> tuple[tuple[Line, ...], int | None]:
    """The lines of so many cards, and the card to go on after."""
    place = (-1, 0)
    if after is not None:
        last = (await find_card(desk.connection, f"card:{after}")).card
        place = (last.part, last.id)
    found = await cards.list_cards(desk.connection, after=place, most=most + 1)
    lines = [
        line
        for card in found[:most]
        if card.state is not CardState.ENDED
        for line in await store.list_lines(desk.connection, card.part, card.id)
    ]
    return tuple(lines), found[most - 1].id if len(found) > most else None


def _describe_line(line: Line) -> dict[str, Any]:
    bars = (("texts", line.bar_texts_in), ("calls", line.bar_calls_in))
    return {
        "number": line.msisdn,
        "card": line.card_id,
        "slot": line.slot,
        "country": line.country,
        "time_zone": line.time_zone,
        "on": line.switched_on,
        "bars": [usage for usage, is_barred in bars if is_barred],
        "schedule": format_schedule(line.schedule) or ALWAYS,
        "blocked": line.blocked,
        "allowed": line.allowed,
        "ending_until": line.ending_until,
    }
