"""Own the server of a directory in a process of its own, until killed or told to end by closing stdin.

    python run_owner.py DIRECTORY [ACCOUNT]

Prints one JSON line when the server runs: its dsn and its main process. With ACCOUNT (as root) it first
becomes that account, after the imports: the account need not be able to read the interpreter's files.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sys
from pathlib import Path

import asyncpg
import uvloop

from onecard.database.embedded import EmbeddedServer, EmbeddedServerError


def become(name: str) -> None:
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


async def own(directory: Path) -> None:
    async with await EmbeddedServer.start(
        directory, settings={"shared_buffers": "128MB", "fsync": "off"}
    ) as server:
        connection = await asyncpg.connect(server.dsn)
        account = await connection.fetchval("SELECT current_setting('data_directory')")
        await connection.close()
        line = {"dsn": server.dsn, "server_process": server.process_id, "data": account, "uid": os.geteuid()}
        print(json.dumps(line), flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    for account in sys.argv[2:]:
        become(account)
    try:
        uvloop.run(own(Path(sys.argv[1])))
    except EmbeddedServerError as error:
        sys.exit(str(error))
