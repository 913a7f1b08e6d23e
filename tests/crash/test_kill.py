"""kill -9 in mid-traffic: what was acknowledged is delivered or returned, and paid for once.

A text may reach its next hop twice only when it was under way there at a kill of onecard: handed over, and the
answer not yet durable. Those are at most a window, the answers in a batch under way (fewer than a window here), and
what was answered since PostgreSQL went away, if it had.
A kill of PostgreSQL alone repeats nothing.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from crash.operator_process import CARDS, CardNumbers, OperatorProcess, free_port, prepare
from crash.partners import REFUSED_FOR_GOOD, SORTS, Notes, Partners
from onecard.database.pool import Connection
from onecard.ledger.actions import check_ledger
from onecard.messages.model import TextState
from onecard.node.config import Config, Smpp
from town import HOME, HOST, make_config

WINDOW_OUT = 10
BALANCE_MICROS = 1_000_000_000
QUIET_SECONDS = 40


def copy_data(source: Path, target: Path) -> None:
    """Copy a data directory with its owners, who are not ours."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prepared(_made_directory: Path) -> tuple[Path, list[CardNumbers]]:
    """The data of an operator that sold its cards and was stopped: copied for each test."""
    directory = _made_directory.with_name("crash")
    copy_data(_made_directory, directory)
    return directory, await prepare(directory)


@dataclass(slots=True)
class Scene:
    """The operator, its partners, and the seed of what happens."""

    operator: OperatorProcess
    partners: Partners
    host_port: int
    chance: random.Random

    async def traffic(self) -> None:
        """Let texts flow for a moment."""
        self.partners.begin_traffic()
        await asyncio.sleep(self.chance.uniform(0.7, 1.3))

    async def kill_operator(self) -> None:
        await self.operator.kill()
        await self.partners.cut_off()

    async def kill_both(self, *, after_seconds: float) -> int:
        """Kill PostgreSQL and then onecard; answers how many texts next hops took in between."""
        before = self.partners.notes.takes
        self.operator.kill_server()
        await asyncio.sleep(after_seconds)
        await self.kill_operator()
        return self.partners.notes.takes - before

    async def bound_again(self) -> None:
        """Wait until texts are acknowledged again on every way in."""
        self.partners.begin_traffic()
        first = self.partners.next_number
        for _ in range(600):
            if self.partners.notes.sorts_acknowledged(since=first) == SORTS:
                return
            assert self.operator.is_alive, self.operator.last_words()
            await asyncio.sleep(0.05)
        raise AssertionError(f"the partners are not served again:\n{self.operator.last_words()}")

    async def taken_more(self, count: int) -> None:
        """Wait until the host took so many texts more."""
        wanted = self.partners.notes.takes_of(HOST) + count
        for _ in range(3000):
            if self.partners.notes.takes_of(HOST) >= wanted:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"the host gets no texts:\n{self.operator.last_words()}")

    async def quiet(self) -> None:
        """Let what was begun come to its end."""
        self.partners.end_traffic()
        await asyncio.sleep(1)  # the answers to what was sent last
        async with self.operator.database() as borrowed:
            for _ in range(QUIET_SECONDS * 5):
                if not await borrowed.fetchval("SELECT count(*) FROM delivery"):
                    return
                await asyncio.sleep(0.2)
            rows = await borrowed.fetch("SELECT * FROM delivery LIMIT 5")
        raise AssertionError(f"{rows} were never done:\n{self.operator.last_words()}")


@pytest.fixture
async def scene(
    request: pytest.FixtureRequest, prepared: tuple[Path, list[CardNumbers]], data_directory: Path
) -> AsyncIterator[Scene]:
    copy_data(prepared[0], data_directory)
    chance = random.Random(request.param)  # noqa: S311 (chance, not secrecy)
    host_port, smpp_port = free_port(), free_port()
    operator = OperatorProcess(data_directory, crash_config(host_port, smpp_port))
    partners = Partners(smpp_port, prepared[1], chance)
    await operator.start()
    await partners.open(host_port)
    try:
        yield Scene(operator, partners, host_port, chance)
    finally:
        await partners.close()
        await operator.stop()


def crash_config(host_port: int, smpp_port: int) -> Config:
    """The town's, with windows so narrow that they bound what may come twice."""
    config = make_config(host_port)
    links = [msgspec.structs.replace(link, window_out=WINDOW_OUT) for link in config.links]
    return msgspec.structs.replace(config, links=links, smpp=Smpp(listen=f"127.0.0.1:{smpp_port}"))


# ---- what must hold in the end


async def prove(scene: Scene, *, kills: int, taken_while_away: int = 0) -> None:
    """Nothing lost, nothing charged twice, nothing left over.

    `taken_while_away` is how many texts next hops took from the loss of PostgreSQL to the kill of onecard.
    """
    notes = scene.partners.notes
    async with scene.operator.database() as borrowed:
        prove_deliveries(notes, kills * 2 * WINDOW_OUT + taken_while_away)
        await prove_traces(borrowed, notes)
        await prove_money(borrowed, notes)
        report = await check_ledger(borrowed)
    assert not report.violations, report.violations


def prove_deliveries(notes: Notes, repeats_most: int) -> None:
    """Every acknowledged text came to its next hop, and more than once only across a kill."""
    accepted = {body for body in notes.acknowledged if not body.endswith(REFUSED_FOR_GOOD)}
    assert len(accepted) > 100, "too little traffic to prove anything"
    assert accepted <= set(notes.taken), "acknowledged texts were lost"
    for body, takes in notes.repeated.items():
        assert len({era for _, era in takes}) == len(takes), f"{body} came twice without a kill: {takes}"
    for link in (HOST, HOME):
        repeats = sum(len(takes) - 1 for takes in notes.repeated.values() if takes[0][0] == link)
        assert repeats <= repeats_most, f"{repeats} texts came again to {link}"
    assert set(notes.receipts_wanted) <= set(notes.receipts), "receipts were lost"


async def prove_traces(borrowed: Connection, notes: Notes) -> None:
    """Every text that is in was delivered, or was refused by its next hop."""
    rows = await borrowed.fetch("SELECT state, count(*) FROM message GROUP BY 1")
    counts = {TextState(row["state"]): row["count"] for row in rows}
    assert set(counts) == {TextState.DELIVERED, TextState.FAILED}
    assert counts[TextState.DELIVERED] == len(notes.taken)
    assert counts[TextState.FAILED] >= sum(body.endswith(REFUSED_FOR_GOOD) for body in notes.acknowledged)


async def prove_money(borrowed: Connection, notes: Notes) -> None:
    """Each card paid for its texts that were taken, each once, and for nothing else."""
    spent: Counter[str] = Counter()
    for body in notes.taken:
        primary, price_micros = notes.charged.get(body, ("", 0))
        spent[primary] += price_micros
    rows = await borrowed.fetch(
        "SELECT l.msisdn, a.available FROM account a JOIN card c ON c.part = a.part AND c.account_id = a.id"
        " JOIN line l ON l.part = c.part AND l.card_id = c.id WHERE l.slot = 0"
    )
    assert len(rows) == CARDS
    for row in rows:
        assert BALANCE_MICROS - row["available"] == spent[row["msisdn"]], "charged for what was not delivered"


# ---- the kills


@pytest.mark.parametrize("scene", [1, 2], indirect=True)
async def test_texts_survive_a_kill_of_onecard(scene: Scene) -> None:
    await scene.bound_again()
    await scene.traffic()
    await scene.kill_operator()
    await scene.operator.start()
    await scene.bound_again()
    await scene.quiet()
    await prove(scene, kills=1)


@pytest.mark.parametrize("scene", [3], indirect=True)
async def test_texts_survive_a_kill_while_their_next_hop_is_away(scene: Scene) -> None:
    await scene.bound_again()
    await scene.traffic()
    await scene.partners.host_away()
    await scene.traffic()
    await scene.kill_operator()
    await scene.operator.start()
    await scene.traffic()
    await scene.partners.host.listen(port=scene.host_port)
    await scene.bound_again()
    await scene.quiet()
    await prove(scene, kills=1)


@pytest.mark.parametrize("scene", [4, 5], indirect=True)
async def test_texts_survive_kills_of_postgresql_and_none_is_repeated(scene: Scene) -> None:
    await scene.bound_again()
    await scene.traffic()
    scene.operator.kill_server()
    await scene.bound_again()
    await scene.traffic()
    await scene.operator.kill_backend(scene.chance)
    await scene.bound_again()
    await scene.quiet()
    await prove(scene, kills=0)


@pytest.mark.parametrize("scene", [6, 7], indirect=True)
async def test_texts_survive_a_kill_of_postgresql_and_onecard_together(scene: Scene) -> None:
    await scene.bound_again()
    await scene.traffic()
    taken_while_away = await scene.kill_both(after_seconds=scene.chance.choice([0, 0.1]))
    await scene.operator.start()
    await scene.bound_again()
    await scene.quiet()
    await prove(scene, kills=1, taken_while_away=taken_while_away)


@pytest.mark.parametrize("scene", [8], indirect=True)
async def test_a_backlog_survives_that_flows_while_postgresql_is_away_and_onecard_is_killed(
    scene: Scene,
) -> None:
    await scene.bound_again()
    await scene.partners.host_away()
    await scene.traffic()
    await scene.traffic()
    await scene.partners.host.listen(port=scene.host_port)
    await scene.taken_more(30)
    taken_while_away = await scene.kill_both(after_seconds=0.5)
    await scene.operator.start()
    await scene.bound_again()
    await scene.quiet()
    await prove(scene, kills=1, taken_while_away=taken_while_away)
