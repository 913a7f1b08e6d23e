"""A long run, for people: many days, each of another seed.

    cd tests && python -m simulation --seeds 1000 [--first 1] [--moments 70]

Starts a PostgreSQL of its own in a temporary directory. The first seed that fails is printed with the story of the
card it is about, and ends the run with exit code 1. A day takes two to four seconds on a small machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

import asyncpg

from onecard.database.embedded import EmbeddedServer
from onecard.database.migrations import migrate
from onecard.database.pool import open_pool
from shop import AT
from simulation.audit import Disagreement, audit
from simulation.story import tell_story

UNSAFE = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "128MB"}


async def play_seeds(directory: Path, seeds: range, moments: int) -> None:
    """Play a day for each seed; raises Disagreement at the first that fails."""
    async with await EmbeddedServer.start(directory, settings=UNSAFE) as server:
        outcomes: Counter[str] = Counter()
        for seed in seeds:
            outcomes += await play_seed(server.dsn, seed, moments)
            print(f"seed {seed}: agreed; so far {dict(outcomes.most_common())}", flush=True)  # noqa: T201


async def play_seed(dsn: str, seed: int, moments: int) -> Counter[str]:
    """Play one day on a database of its own; returns how many texts were accepted, and refused for what."""
    name = f"day_{seed}"
    await _execute(dsn, f"CREATE DATABASE {name}")
    own_dsn = dsn.replace("@/onecard?", f"@/{name}?")
    fresh = await asyncpg.connect(own_dsn)
    try:
        await migrate(fresh, now=AT)
    finally:
        await fresh.close()
    async with open_pool(own_dsn) as pool:
        done = await audit(pool, tell_story(seed, moments))
    await _execute(dsn, f"DROP DATABASE {name} WITH (FORCE)")
    return done.refusals


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m simulation", description="Play days against the auditor."
    )
    parser.add_argument("--seeds", type=int, default=100, help="how many days")
    parser.add_argument("--first", type=int, default=1, help="the seed of the first")
    parser.add_argument("--moments", type=int, default=70, help="how many moments a day has")
    wanted = parser.parse_args()
    seeds = range(wanted.first, wanted.first + wanted.seeds)
    try:
        with tempfile.TemporaryDirectory(prefix="onecard-simulation-") as parent:
            Path(parent).chmod(0o711)  # PostgreSQL's account passes through
            asyncio.run(play_seeds(Path(parent) / "data", seeds, wanted.moments))
    except Disagreement as found:
        print(found, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
