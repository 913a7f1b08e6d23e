"""The demonstration as a person runs it: every step verified, nothing left behind however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from onecard.gateways.diameter.constants import ResultCode
from onecard.gateways.smpp.constants import CommandStatus
from onecard.story.network import open_network
from onecard.story.peers import PeerRefused, bind_esme
from onecard.story.sessions import data_of_card, read_grant
from onecard.story.steps import BUSINESS, STORY

ONECARD = (sys.executable, "-c", "from onecard.cli import main; main()")
GIVE_UP_SECONDS = 300.0
PARTNERS = 4


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the demonstration makes its temporary directories; with a short path that others can pass through."""
    path = Path(tempfile.mkdtemp(prefix="onecard-test-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def start(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ONECARD, "demo", *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(temporary: Path, *arguments: str) -> tuple[int, str, str]:
    child = start(temporary, *arguments)
    out, error = child.communicate(timeout=GIVE_UP_SECONDS)
    return child.returncode, out, error


def settle(is_so: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while not is_so():
        assert time.monotonic() < give_up, f"{what} did not come about"
        time.sleep(0.05)


def descendants(process: int) -> set[int]:
    """The processes below one, however deep."""
    below: set[int] = set()
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, thread.read_text().split()):
            below |= {child} | descendants(child)
    return below


def lives(process: int) -> bool:
    """Whether it runs; one that ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


def partners(process: int) -> list[int]:
    """The partners' programs below one."""
    return [one for one in sorted(descendants(process)) if b"onecard.story.partner" in command_line(one)]


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_every_step_of_the_story_is_verified(temporary: Path) -> None:
    code, out, error = run(temporary, "--json")
    assert code == 0, error
    summary = json.loads(out)
    assert [step["name"] for step in summary["steps"]] == [step.name for step in STORY]
    assert all(step["ok"] and step["detail"] for step in summary["steps"])
    assert summary["ok"]
    assert summary["balance"]["currency"] == "CAD"
    assert summary["check"]["good"]
    assert list(temporary.iterdir()) == []


async def test_what_is_held_can_be_bound_to_and_ends_with_sigterm(temporary: Path) -> None:
    data = temporary / "kept"
    child = start(temporary, "--hold", "--data", str(data), "--sample", "8")
    assert child.stdout is not None
    line = child.stdout.readline()
    held = json.loads(line)
    below = descendants(child.pid)
    host, port = held["smpp"].split(":")
    await _check_sign_ins(held, host, int(port))
    child.send_signal(signal.SIGTERM)
    out, timeline = child.communicate(timeout=GIVE_UP_SECONDS)
    assert (child.returncode, out) == (0, ""), timeline
    assert f"All {len(BUSINESS)} steps verified" in timeline
    assert len(below) > len(held["links"])
    assert [process for process in below if lives(process)] == []
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0
    _check_kept(temporary, data, held)


async def _check_sign_ins(held: dict[str, Any], host: str, port: int) -> None:
    links = {link["name"]: link for link in held["links"]}
    for name in ("bank", "home-cn"):
        esme = await bind_esme(host, port, links[name]["system_id"], links[name]["password"])
        await esme.connection.close()
    with pytest.raises(PeerRefused, match=hex(CommandStatus.ESME_RINVPASWD)):
        await bind_esme(host, port, links["bank"]["system_id"], "not it")
    socket.create_connection((links["host"]["host"], links["host"]["port"]), 5).close()
    await _check_diameter(held)
    assert held["story"]["ok"]
    assert held["http"].startswith("http://127.0.0.1:")
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert "Sign in to the console" in (await browser.get(held["console"]["url"])).text
    assert [one["login"] for one in held["console"]["sign_ins"]] == ["alice", "bob"]
    assert held["database_url"].startswith("postgresql://")


async def _check_diameter(held: dict[str, Any]) -> None:
    """A second network is let in beside the one of the story, and a stranger is not."""
    host, port = held["diameter"].split(":")
    peer = held["diameter_peer"]
    asked_again: list[str] = []
    network = await open_network(host, int(port), (peer["host"], peer["realm"]), asked_again.append)
    session = data_of_card(held["subscriber"]["msisdns"][0])
    answer = await network.charge(session.open(1000))
    await network.charge(session.end(0))
    await network.close()
    assert (read_grant(answer).units, asked_again) == (1000, [])
    with pytest.raises(PeerRefused, match=str(ResultCode.UNKNOWN_PEER.value)):
        await open_network(host, int(port), ("stranger.network.example", peer["realm"]), asked_again.append)


def _check_kept(temporary: Path, data: Path, held: dict[str, Any]) -> None:
    """A directory that was named is kept, can be gone on with, and is not told in twice."""
    arguments = ("--config", str(data / "onecard.toml"), "--data", str(data))
    number = held["subscriber"]["msisdns"][1]
    shown = subprocess.run(
        [*ONECARD, *arguments, "account", "show", number, "--json"], check=True, capture_output=True
    )
    assert json.loads(shown.stdout)["available"] == held["story"]["balance"]
    code, _, error = run(temporary, "--data", str(data))
    assert code == 1
    assert "needs an empty directory" in error
    assert "Traceback" not in error


def test_the_story_fails_when_a_partner_is_killed_and_says_where_the_logs_are(temporary: Path) -> None:
    child = start(temporary, "--json")
    settle(lambda: len(partners(child.pid)) == PARTNERS, "the start of the partners")
    below = descendants(child.pid)
    os.kill(partners(child.pid)[-1], signal.SIGKILL)
    out, error = child.communicate(timeout=GIVE_UP_SECONDS)
    assert child.returncode == 1, error
    summary = json.loads(out)
    assert not summary["ok"]
    assert "has ended" in summary["failure"]["came"]
    assert Path(summary["failure"]["logs"]).is_dir()
    assert [path.name for path in temporary.iterdir()] == [Path(summary["failure"]["logs"]).name]
    assert [process for process in below if lives(process)] == []


def test_nothing_is_left_when_the_story_is_stopped_in_the_middle(temporary: Path) -> None:
    child = start(temporary)
    settle(lambda: _node_is_up(temporary), "the start of the node")
    below = descendants(child.pid)
    child.send_signal(signal.SIGTERM)
    _, error = child.communicate(timeout=GIVE_UP_SECONDS)
    assert child.returncode == 1
    assert "was stopped before its end" in error
    assert any(b"postgres" in command_line(process) for process in below) or len(below) > 4
    assert [process for process in below if lives(process)] == []
    assert list(temporary.iterdir()) == []


def _node_is_up(temporary: Path) -> bool:
    logs = temporary.glob("onecard-demo-*/logs/onecard-serve.log")
    return any(b"onecard is up" in log.read_bytes() for log in logs)
