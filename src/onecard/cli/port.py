"""`onecard port`: numbers that subscribers take to other operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from onecard.cards.model import Card
from onecard.cli.claim import OTHER_SUBSCRIBER, ClaimOption, prove_by_claim_code
from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse, accept
from onecard.cli.find import find_card, find_line
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.secret import read_secret
from onecard.cli.show import Answer, Table
from onecard.lines.store import find_card_with_lines_by_id
from onecard.node.ports import load_port_terms
from onecard.portability import actions, store
from onecard.portability.model import PortFailure, PortOut, PortRefusal, PortState, Proof
from onecard.portability.rules import is_late, lost_with
from onecard.sealing.check import check_master_key
from onecard.sealing.keys import MasterKey

COLUMNS = ("port", "number", "to", "reference", "state", "is_late", "due_at", "requested_at", "ended_at")

app = new_group("Numbers that subscribers take to other operators.")

PortArgument = Annotated[int, typer.Argument(metavar="PORT", min=1, max=ID_HIGHEST, help="Its id.")]


@desk_command(app, "pin")
async def pin(
    desk: Desk,
    card: Annotated[str, typer.Argument(metavar="CARD", help="Any of its numbers, its ICCID or id.")],
    claim_code: ClaimOption = None,
) -> Answer:
    """Give a subscriber the PIN that the other operator will ask them for, and show it: the only time.

    They prove themselves by their claim code. By text, they get it themselves: they send PORT to the service code.
    """
    found = (await find_card(desk.connection, card)).card
    master = await _load_master_key(desk)
    await _prove(desk, master, found, claim_code)
    issued = accept(
        await actions.issue_port_pin(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=master,
            gates=desk.gates,
            part=found.part,
            card_id=found.id,
            terms=await load_port_terms(desk.connection, desk.config),
        )
    )
    document = {"card": found.id, "pin": issued.pin, "expires_at": issued.expires_at}
    return Answer(document, [issued.pin], desk.zone)


async def _load_master_key(desk: Desk) -> MasterKey:
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    return master


async def _prove(desk: Desk, master: MasterKey, card: Card, claim_code: str | None) -> None:
    """Make sure that a claim code is that of the card's subscriber; raises Failure, Misuse."""
    if claim_code is None:
        raise Misuse("the subscriber proves themselves by their --claim-code: see `onecard claim issue`")
    subscriber = await prove_by_claim_code(desk, master, claim_code)
    if (subscriber.part, subscriber.id) != (card.part, card.subscriber_id):
        raise Failure(OTHER_SUBSCRIBER, "this claim code is another subscriber's than the card")


@desk_command(app, "request")
async def request(
    desk: Desk,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="In international form.")],
    gaining: Annotated[str, typer.Option("--to", metavar="OPERATOR", help="The operator that it goes to.")],
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            metavar="TEXT",
            help="By which the request is known again: a repeat changes nothing.",
        ),
    ],
    port_pin: Annotated[
        str | None,
        typer.Option("--pin", metavar="PIN", help="The port-out PIN; - reads it from the standard input."),
    ] = None,
    claim_code: ClaimOption = None,
) -> Answer:
    """Take the request that a number goes to another operator, proved by its port-out PIN or by a claim code."""
    if (port_pin is None) == (claim_code is None):
        raise Misuse("give the port-out --pin, or the subscriber's --claim-code")
    line = await find_line(desk.connection, number)
    found = await find_card_with_lines_by_id(desk.connection, line.part, line.card_id)
    assert found is not None
    master = await _load_master_key(desk)
    if port_pin is None:
        await _prove(desk, master, found.card, claim_code)
    async with desk.connection.transaction():
        port = await actions.request_port_out(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=master,
            gates=desk.gates,
            msisdn=line.msisdn,
            gaining=gaining,
            reference=reference,
            proof=Proof.CLAIM_CODE if port_pin is None else Proof.PIN,
            pin=None if port_pin is None else read_secret(port_pin, "PIN: "),
            terms=await load_port_terms(desk.connection, desk.config),
        )
    lost = [one.msisdn for one in lost_with(line, found.lines)]
    said = [f"with this number the card ends, and with it {', '.join(lost)}"] if lost else []
    return _show(desk, accept(port), {"ends_too": lost}, said)


@desk_command(app, "start")
async def start(desk: Desk, port: PortArgument) -> Answer:
    """Confirm a request to the other operator: the number is on its way, and serves on."""
    moved = await actions.start_port_out(desk.connection, desk.at, actor=desk.actor, port_id=port)
    return _show(desk, accept(moved))


@desk_command(app, "complete")
async def complete(desk: Desk, port: PortArgument) -> Answer:
    """The other operator has the number: its line ends; with the primary number, so does the card."""
    moved = await actions.complete_port_out(
        desk.connection, desk.at, actor=desk.actor, port_id=port, limits=desk.config.operator.line_limits
    )
    return _show(desk, accept(moved))


@desk_command(app, "fail")
async def fail(
    desk: Desk,
    port: PortArgument,
    failure: Annotated[
        PortFailure, typer.Option("--because", metavar="gaining_operator|routing|disputed", help="Why.")
    ],
) -> Answer:
    """The number was not taken over: it stays on its card."""
    moved = await actions.fail_port_out(
        desk.connection,
        desk.at,
        actor=desk.actor,
        port_id=port,
        failure=failure,
        limits=desk.config.operator.line_limits,
    )
    return _show(desk, accept(moved))


@desk_command(app, "cancel")
async def cancel(desk: Desk, port: PortArgument) -> Answer:
    """Whoever asked for it does not want it any more: the number stays on its card."""
    moved = await actions.cancel_port_out(
        desk.connection, desk.at, actor=desk.actor, port_id=port, limits=desk.config.operator.line_limits
    )
    return _show(desk, accept(moved))


@desk_command(app, "show")
async def show(desk: Desk, port: PortArgument) -> Answer:
    """Show one port-out."""
    return _show(desk, accept(await store.find_port(desk.connection, port) or PortRefusal.UNKNOWN_PORT))


@desk_command(app, "list")
async def list_(
    desk: Desk,
    state: Annotated[
        PortState | None,
        typer.Option("--state", metavar="STATE", help="In one state, such as requested or pending."),
    ] = None,
    late: Annotated[
        bool,
        typer.Option("--late", help="Those that should be complete by now; the exit code is 1 if any is."),
    ] = False,
    before: Annotated[
        int, typer.Option("--before", metavar="PORT", min=1, help="Go on with those before this one.")
    ] = ID_HIGHEST,
    most: MostOption = 50,
) -> Answer:
    """List port-outs, the latest first, or those that are late, the longest late first."""
    if late:
        rows = _rows(desk, await store.list_late_ports(desk.connection, desk.at, most=most))
        table = Table(COLUMNS, rows, empty="no port-out is late")
        return Answer({"ports": rows}, [table], desk.zone, is_good=not rows)
    found = await store.list_ports(desk.connection, state=state, before=before, most=most)
    rows = _rows(desk, found)
    following = rows[-1]["port"] if len(rows) == most else None
    hint = f"more: --before {following}" if following else None
    table = Table(COLUMNS, rows, empty="no such port-out")
    return Answer({"ports": rows, "next": following}, [table], desk.zone, hint=hint)


def _rows(desk: Desk, ports: Sequence[PortOut]) -> list[dict[str, Any]]:
    return [_describe(desk, port) for port in ports]


def _show(desk: Desk, port: PortOut, more: dict[str, Any] | None = None, said: Sequence[str] = ()) -> Answer:
    row = {**_describe(desk, port), **(more or {})}
    return Answer(row, [Table(COLUMNS, [row]), *said], desk.zone)


def _describe(desk: Desk, port: PortOut) -> dict[str, Any]:
    return {
        "port": port.id,
        "number": port.msisdn,
        "card": port.card_id,
        "to": port.gaining,
        "reference": port.reference,
        "proof": port.proof,
        "state": port.state,
        "failure": port.failure,
        "is_late": is_late(port, desk.at),
        "due_at": port.due_at,
        "requested_at": port.requested_at,
        "requested_by": port.requested_by,
        "started_at": port.started_at,
        "ended_at": port.ended_at,
    }
