"""`onecard link`: signalling connections to operators, banks and content senders."""

from __future__ import annotations

import getpass
import sys
from typing import Any

import argon2

from onecard.cli import store
from onecard.cli.command import desk_command, new_group, plain_command
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, Misuse
from onecard.cli.options import Options
from onecard.cli.show import Answer, Table
from onecard.gateways.nchf import consumers
from onecard.node.config import Link

PASSWORD_LENGTH_MOST = 64  # SMPP 3.4 section 5.2.2 has 8 octets; peers use longer ones

app = new_group("Signalling connections to operators, banks and content senders.")


@plain_command(app, "list")
def list_(options: Options) -> Answer:
    """List the links of the configuration, and what goes by each."""
    rows = [_describe(link) for link in options.get_config().links]
    columns = ("link", "role", "system_id", "direction", "numbers", "cards")
    return Answer({"links": rows}, [Table(columns, rows, empty="the configuration has no links")])


def _describe(link: Link) -> dict[str, Any]:
    return {
        "link": link.name,
        "role": link.role,
        "system_id": link.system_id,
        "direction": f"we bind to {link.connect.address}" if link.connect else "the peer binds to us",
        "numbers": link.numbers,
        "cards": link.cards,
    }


@desk_command(app, "status")
async def status(desk: Desk) -> Answer:
    """Show what each node last said of each link: sessions, what waits, what passed since the node started."""
    rows = [dict(row) for row in await store.list_link_status(desk.connection)]
    for row in rows:
        row["age_seconds"] = round((desk.at - row["at"]).total_seconds())
    columns = (
        *(
            "link",
            "node",
            "bound_sessions",
            "waiting",
            "texts_in",
            "texts_refused",
            "texts_out",
            "texts_failed",
        ),
        *("receipts_in", "receipts_out", "last_error", "age_seconds"),
    )
    table = Table(columns, rows, empty="no node has said anything of a link yet: is `onecard serve` running?")
    return Answer({"links": rows}, [table], desk.zone)


@plain_command(app, "hash-password")
def hash_password(_: Options) -> Answer:
    """Hash the password of a peer that binds to us. It is asked for, or read from the first line of stdin."""
    hashed = argon2.PasswordHasher().hash(_read_password())
    return Answer({"password_hash": hashed}, [hashed])


@plain_command(app, "make-token")
def make_token(_: Options) -> Answer:
    """Make a bearer token for a network function that charges over Nchf, and the hash of it for the configuration."""
    token = consumers.make_token()
    hashed = consumers.hash_token(token)
    return Answer({"token": token, "token_hash": hashed}, [f"token       {token}", f"token_hash  {hashed}"])


def _read_password() -> str:
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Failure("passwords_differ", "the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not 0 < len(password) <= PASSWORD_LENGTH_MOST or not password.isascii():
        raise Misuse(f"a password has 1 to {PASSWORD_LENGTH_MOST} ASCII characters")
    return password
