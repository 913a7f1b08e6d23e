"""`onecard hold`: legal holds, which forbid to destroy anything and to give numbers back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import accept
from onecard.cli.options import ID_HIGHEST
from onecard.cli.show import Answer, Table
from onecard.legal_holds import actions, store
from onecard.legal_holds.model import LegalHold

COLUMNS = ("hold", "reason", "added_at", "added_by", "lift_asked_by", "lifted_at", "lifted_by")

app = new_group("Legal holds: what forbids to destroy anything.")


@desk_command(app, "add")
async def add(
    desk: Desk,
    reason: Annotated[
        str, typer.Argument(metavar="REASON", help="Which case: a file number, no names of persons.")
    ],
) -> Answer:
    """Forbid to destroy anything, and to give numbers back, until two people lift it."""
    hold = accept(await actions.add_hold(desk.connection, desk.at, actor=desk.actor, reason=reason))
    return Answer(_describe(hold), [f"legal hold {hold.id} is in force"], desk.zone)


@desk_command(app, "lift")
async def lift(
    desk: Desk, hold: Annotated[int, typer.Argument(metavar="HOLD", min=1, max=ID_HIGHEST, help="Its id.")]
) -> Answer:
    """Ask for a hold to be lifted; when another person gives this command after that, it is."""
    found = accept(await actions.lift_hold(desk.connection, desk.at, actor=desk.actor, hold_id=hold))
    said = (
        f"legal hold {found.id} is still in force: a second person must lift it, too"
        if found.lifted_at is None
        else f"legal hold {found.id} is lifted"
    )
    return Answer(_describe(found), [said], desk.zone)


@desk_command(app, "list")
async def list_(desk: Desk) -> Answer:
    """List all holds, also those that were lifted."""
    rows = [_describe(hold) for hold in await store.list_holds(desk.connection)]
    return Answer({"holds": rows}, [Table(COLUMNS, rows, empty="there was never a legal hold")], desk.zone)


def _describe(hold: LegalHold) -> dict[str, Any]:
    return {
        "hold": hold.id,
        "reason": hold.reason,
        "added_at": hold.added_at,
        "added_by": hold.added_by,
        "lift_asked_at": hold.lift_asked_at,
        "lift_asked_by": hold.lift_asked_by,
        "lifted_at": hold.lifted_at,
        "lifted_by": hold.lifted_by,
    }
