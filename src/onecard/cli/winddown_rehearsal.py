"""Rehearse a plan, seed by seed, and write down what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.status import Status

from onecard.cli.failures import Failure
from onecard.cli.show import Answer, say_time
from onecard.rehearsal.place import open_database, open_server
from onecard.rehearsal.run import NothingToRehearse, Rehearsal, begin_of, rehearse
from onecard.values.money import format_micros
from onecard.winddown.reading import PlanFile


async def rehearse_seeds(file: PlanFile, seeds: range, accounts: int) -> list[Rehearsal]:
    """Carry the plan out once for each seed, each in a database of its own; the day that it is goes to stderr."""
    try:
        begins = begin_of(file)
    except NothingToRehearse as nothing:
        raise Failure("nothing_to_rehearse", str(nothing)) from None
    done: list[Rehearsal] = []
    with Console(stderr=True).status("making a database") as status:
        async with open_server() as server:
            for seed in seeds:
                async with open_database(server, f"rehearsal_{seed}", begins) as pool:
                    tell = partial(_show_day, status, seed)
                    done.append(await rehearse(pool, file, seed=seed, accounts=accounts, tell=tell))
    return done


def _show_day(status: Status, seed: int, at: datetime) -> None:
    status.update(f"seed {seed}: {at.date()}")


def answer_rehearsals(file: PlanFile, done: Sequence[Rehearsal], accounts: int) -> Answer:
    """What was found, of each seed."""
    zone = file.plan.time_zone
    failed = [one for one in done if one.findings]
    said = [line for one in done for line in _say(one, zone, accounts, in_full=len(done) == 1)]
    verdict = (
        "all went by the plan" if not failed else f"{len(failed)} of {len(done)} seeds did not go by the plan"
    )
    document = {
        "plan": file.plan.name,
        "accounts": accounts,
        "good": not failed,
        "rehearsals": [_describe(one) for one in done],
    }
    return Answer(document, [*said, verdict], zone, is_good=not failed)


def _describe(one: Rehearsal) -> dict[str, Any]:
    stages = [{"at": at, "stage": name} for at, name in one.boundaries]
    money = {name: format_micros(micros) for name, micros in one.money.items()}
    return {**asdict(one), "boundaries": stages, "money": money}


def _say(one: Rehearsal, zone: ZoneInfo, accounts: int, *, in_full: bool) -> list[str]:
    """A line for each seed, and what was found; of a single seed everything."""
    money = ", ".join(
        f"{format_micros(micros)} {name.replace('_', ' ')}" for name, micros in one.money.items()
    )
    said = [
        f"seed {one.seed}: {accounts} accounts, {len(one.boundaries)} stages until {one.ended.date()}; {money}"
    ]
    if in_full:
        said += [f"  {say_time(at, zone)}  {name}" for at, name in one.boundaries]
        said += [f"  {name}: {count}" for name, count in one.counts.items()]
    return said + [f"  FOUND {finding}" for finding in one.findings]
