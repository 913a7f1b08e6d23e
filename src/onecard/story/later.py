"""A second onecard, with its clock ahead: ``python -m onecard.story.later FILE DIRECTORY SECONDS``.

It is a node as any other, with the configuration in FILE but a name of its own, on the database that another node runs
in DIRECTORY. What a month brings need not be waited for. It runs until stdin ends.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog
import uvloop

from onecard.database.embedded import attach
from onecard.database.pool import Database, open_pool
from onecard.node.config_reading import load_config
from onecard.node.node import run_node
from onecard.node.serve import master_key_file
from onecard.sealing.loading import load_master_key
from onecard.values.clock import ClockAhead

NODE = "onecard-later"
CONNECTIONS_MOST = 20


def log_as_json() -> None:
    """Log to stderr, a JSON object a line, as `onecard serve --json` does: the story reads it."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


async def run_later(file: Path, directory: Path, ahead: timedelta) -> None:
    """Run the node until stdin ends."""
    config = msgspec.structs.replace(load_config(file), node=NODE, web=None)  # whose port the other has
    master = load_master_key(master_key_file(config, directory))
    dsn = (await attach(directory)).dsn
    async with (
        open_pool(dsn, connections_most=CONNECTIONS_MOST) as pool,
        run_node(config, Database(pool, dsn, None), master, clock=ClockAhead(ahead)),
    ):
        await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    log_as_json()
    uvloop.run(run_later(Path(sys.argv[1]), Path(sys.argv[2]), timedelta(seconds=int(sys.argv[3]))))
