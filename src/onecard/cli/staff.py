"""`onecard staff`: who works at the console. The first person is made here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse, accept
from onecard.cli.options import MostOption
from onecard.cli.show import Answer, Table, say_time
from onecard.staff import actions, store
from onecard.staff.model import Invitation, Role, Staff

COLUMNS = ("login", "name", "roles", "enrolled", "locked_until", "deactivated_at")

app = new_group("Who works at the console, and what each may do.")

LoginArgument = Annotated[str, typer.Argument(metavar="LOGIN", help="As the audit record names them: alice.")]
RolesOption = Annotated[
    str,
    typer.Option(
        "--roles", metavar="ROLES", help=f"One or more of {', '.join(Role)}, with commas between them."
    ),
]


@desk_command(app, "add")
async def add(
    desk: Desk,
    login: LoginArgument,
    roles: RolesOption,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What colleagues call them.")],
) -> Answer:
    """Add somebody, and print the one-time password by which they sign in for the first time."""
    invitation = await actions.add_staff(
        desk.connection, desk.at, actor=desk.actor, login=login, name=name, roles=_read_roles(roles)
    )
    return _show(desk, accept(invitation))


@desk_command(app, "reset")
async def reset(desk: Desk, login: LoginArgument) -> Answer:
    """Take away all that somebody signs in with, and print a new one-time password: they have lost theirs."""
    invitation = await actions.reset_staff(desk.connection, desk.at, actor=desk.actor, login=login)
    return _show(desk, accept(invitation))


@desk_command(app, "roles")
async def roles(
    desk: Desk,
    login: LoginArgument,
    given: Annotated[
        str, typer.Argument(metavar="ROLES", help="All they are to have, with commas between them.")
    ],
) -> Answer:
    """Give somebody these roles in place of those they have."""
    staff = accept(
        await actions.change_roles(
            desk.connection, desk.at, actor=desk.actor, login=login, roles=_read_roles(given)
        )
    )
    return Answer(_describe(staff), [Table(COLUMNS, [_describe(staff)])], desk.zone)


@desk_command(app, "deactivate")
async def deactivate(desk: Desk, login: LoginArgument) -> Answer:
    """Let somebody in no more, from now on. It cannot be undone."""
    staff = accept(await actions.deactivate_staff(desk.connection, desk.at, actor=desk.actor, login=login))
    return Answer(_describe(staff), [f"{login} is deactivated"], desk.zone)


@desk_command(app, "list")
async def list_(
    desk: Desk,
    after: Annotated[
        str, typer.Option("--after", metavar="LOGIN", help="Go on with those after this login.")
    ] = "",
    most: MostOption = 50,
) -> Answer:
    """List staff by login."""
    rows = [_describe(one) for one in await store.list_staff(desk.connection, after=after, most=most)]
    following = rows[-1]["login"] if len(rows) == most else None
    table = Table(COLUMNS, rows, empty="there is nobody: add the first with `onecard staff add`")
    hint = f"more: --after {following}" if following else None
    return Answer({"staff": rows, "next": following}, [table], desk.zone, hint=hint)


def _read_roles(given: str) -> frozenset[Role]:
    names = [name.strip().lower() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in frozenset(Role)]
    if unknown:
        raise Misuse(f"there is no role {unknown[0]!r}: the roles are {', '.join(Role)}")
    return frozenset(map(Role, names))


def _show(desk: Desk, invitation: Invitation) -> Answer:
    staff, password = invitation.staff, invitation.password
    document = {**_describe(staff), "one_time_password": password, "until": invitation.until}
    said = [
        f"one-time password of {staff.login}: {password}",
        f"it is kept nowhere, and works until {say_time(invitation.until, desk.zone)}",
    ]
    return Answer(document, said, desk.zone, hint="first sign-in: the console's page /console/welcome")


def _describe(staff: Staff) -> dict[str, Any]:
    return {
        "login": staff.login,
        "name": staff.name,
        "roles": sorted(staff.roles),
        "enrolled": staff.is_enrolled,
        "locked_until": staff.locked_until,
        "deactivated_at": staff.deactivated_at,
    }
