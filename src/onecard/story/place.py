"""The directory that the story is told in, and the made-up operator's files there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from onecard.story.bank import ACCOUNT
from onecard.story.cast import CODE
from onecard.values.card import luhn_is_valid

SIMS, CANADIAN_NUMBERS, CHINESE_NUMBERS = 5, 5, 10
ICCID_BEGIN = "89302990"
IMSI_BEGIN = "302990"
NETWORK = ("gateway.network.example", "network.example")
"""Origin-Host and Origin-Realm of the network that serves the cards."""
SPARE_NETWORK = ("spare.network.example", "network.example")
"""Nobody's in the story: for whoever goes on from there."""
OUR_HOST, OUR_REALM = "charging.maplebridge.example", "maplebridge.example"
TIME_ZONE = "America/Vancouver"
PORTS = range(20_000, 30_000)
PRICES = """\
name = "Maple Bridge"
currency = "CAD"
effective_from = 2025-01-01T00:00:00-08:00

# Texts from Canadian numbers go to North America, China and satellite phones; from Chinese ones to China only.
[[rate]]
usage = "text"
line_country = "CA"
prefix = "1"
price = 0.05
per = "segment"

[[rate]]
usage = "text"
line_country = "CA"
prefix = "86"
price = 0.15
per = "segment"

[[rate]]
usage = "text"
line_country = "CA"
prefix = "881"
price = 12.50
per = "segment"

[[rate]]
usage = "text"
line_country = "CN"
prefix = "86"
price = 0.10
per = "segment"

[[rate]]
usage = "text"
line_country = "CN"
prefix = "short"
price = 0.02
per = "segment"

# A call is counted by 30 seconds at first, then by 6.
[[rate]]
usage = "call_out"
line_country = "CN"
prefix = "86"
price = 0.13
per = "minute"
first_block = 30
next_block = 6
setup = 0.05

[[rate]]
usage = "data"
line_country = "CA"
prefix = ""
price = 0.10
per = "MB"

[[plan]]
name = "Bridge"
monthly_fee = "9.00"
prorating = "daily"
reserve_days = 3
[[plan.allowance]]
usage = "data"
units = "300 MB"
"""

CONFIGURATION = """\
# A made-up operator and its four partners.
node = "onecard-1"
master_key_file = {master_key_file}
signing_key_file = {signing_key_file}

[operator]
name = "Maple Bridge Mobile"
home_country = "CA"
currency = "CAD"
time_zone = "{time_zone}"
service_code = "{service_code}"
low_balance = "2.00"

[smpp]
listen = "127.0.0.1:0"

[http]
listen = "127.0.0.1:0"

# Where people look at it with a browser.
[web]
listen = "127.0.0.1:{web_port}"

# The network that serves the cards asks here before it lets them call, or use data.
[diameter]
host = "{our_host}"
realm = "{our_realm}"
listen = "127.0.0.1:0"
[[diameter.peers]]
host = "{network_host}"
realm = "{network_realm}"
[[diameter.peers]]
host = "{spare_host}"
realm = "{spare_realm}"

# Where subscribers are sent to, and whom they may call, when the service is wound down.
[notices]
page = "https://care.maplebridge.example/notice"
phone = "{service_code}"

# What refunds are paid from.
[payouts]
amount_most = "10000.00"

[payouts.paid_from]
name = "Maple Bridge Mobile"
canadian = "003-00001-{account}"

# The host operator's message centre, to which onecard binds: the cards are in its radio network.
[[links]]
name = "host"
role = "host"
system_id = "maplebridge"
cards = ["302990"]
numbers = ["+1"]
[links.connect]
address = {host_address}
password_file = {host_password_file}

# The Chinese home operator binds to onecard, and posts the outcomes of its checks.
[[links]]
name = "home-cn"
role = "home"
system_id = "homecn"
password_hash = {home_hash}
numbers = ["+86"]
receipts = false

# The bank binds to onecard. Its codes always arrive.
[[links]]
name = "bank"
role = "application"
system_id = "bank"
password_hash = {bank_hash}
"""


class PlaceTaken(FileExistsError):
    """The directory that was asked for holds something already."""


@dataclass(frozen=True, slots=True)
class Place:
    """The paths in it. The embedded database lies there too."""

    root: Path

    @property
    def configuration(self) -> Path:
        return self.root / "onecard.toml"

    @property
    def master_key(self) -> Path:
        return self.root / "master.key"

    @property
    def sims(self) -> Path:
        return self.root / "sims.csv"

    @property
    def numbers(self) -> Path:
        return self.root / "numbers.csv"

    @property
    def prices(self) -> Path:
        return self.root / "prices.toml"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def write_stock(self) -> None:
        """Write the files that are imported: SIMs, numbers, prices."""
        self.sims.write_text("\n".join(["iccid,imsi", *map(_sim, range(1, SIMS + 1))]) + "\n")
        canadian = [f"+160455501{number:02},CA" for number in range(CANADIAN_NUMBERS)]
        chinese = [f"+86138001380{number:02},CN" for number in range(CHINESE_NUMBERS)]
        self.numbers.write_text("\n".join(["msisdn,country", *canadian, *chinese]) + "\n")
        self.prices.write_text(PRICES)

    def write_configuration(
        self, *, host_port: int, host_password: str, home_hash: str, bank_hash: str
    ) -> None:
        """Write onecard's configuration, and the password that it binds to the host with, beside it."""
        password_file = self.root / "host.password"
        write_private(password_file, host_password)
        text = CONFIGURATION.format(
            web_port=_free_port(),
            master_key_file=_quote(self.master_key),
            signing_key_file=_quote(self.root / "signing.key"),
            host_address=_quote(f"127.0.0.1:{host_port}"),
            host_password_file=_quote(password_file),
            home_hash=_quote(home_hash),
            bank_hash=_quote(bank_hash),
            time_zone=TIME_ZONE,
            account=ACCOUNT,
            service_code=CODE,
            our_host=OUR_HOST,
            our_realm=OUR_REALM,
            network_host=NETWORK[0],
            network_realm=NETWORK[1],
            spare_host=SPARE_NETWORK[0],
            spare_realm=SPARE_NETWORK[1],
        )
        write_private(self.configuration, text)


@contextmanager
def open_place(directory: Path | None) -> Iterator[Place]:
    """Use an empty or missing directory, which is kept, or a temporary one, which is removed.

    Raises PlaceTaken, OSError.
    """
    if directory is not None:
        _take(directory)
        yield _prepare(directory.resolve())
        return
    root = Path(tempfile.mkdtemp(prefix="onecard-demo-"))
    try:
        yield _prepare(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def keep_logs(place: Place) -> Path:
    """Put the logs where they stay when the place is removed."""
    if (place.root / "log").exists():
        shutil.copy(place.root / "log", place.log_of("postgres"))
    kept = Path(tempfile.mkdtemp(prefix="onecard-demo-logs-"))
    return shutil.copytree(place.logs, kept, dirs_exist_ok=True)


def _free_port() -> int:
    """A port for a page whose address is configured: below those that the system gives away to everybody meanwhile."""
    for _ in range(100):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free for pages")


def write_private(file: Path, text: str) -> None:
    """Write a file that others cannot read, not even while it is being written."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)


def _take(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    first = next(directory.iterdir(), None)
    if first is not None:
        raise PlaceTaken(
            f"the demonstration needs an empty directory, and {directory} holds {first.name}: "
            "choose another with --data, or leave it out"
        )


def _prepare(root: Path) -> Place:
    if os.geteuid() == 0:
        root.chmod(0o711)  # the account that runs PostgreSQL for root must pass through
    place = Place(root)
    place.logs.mkdir(mode=0o700)
    return place


def _sim(number: int) -> str:
    return f"{_with_check_digit(f'{ICCID_BEGIN}{number:010}')},{IMSI_BEGIN}{number:09}"


def _with_check_digit(digits: str) -> str:
    candidates: Sequence[str] = [f"{digits}{check}" for check in range(10)]
    return next(candidate for candidate in candidates if luhn_is_valid(candidate))


def _quote(value: object) -> str:
    """A TOML basic string; JSON's strings are among them."""
    return json.dumps(str(value))
