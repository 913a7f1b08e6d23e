"""The configuration: one TOML file; secrets stand in files or in the environment, which it names.

`config_reading` reads it and checks it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path

import msgspec

from onecard.lines.model import LineLimits
from onecard.node.payment_config import Payments, Payouts, read_secret
from onecard.retention.model import DataClass
from onecard.switching.model import LinkRole, Route
from onecard.values.hours import parse_hours
from onecard.values.money import Currency, Money, parse_currency, parse_micros
from onecard.values.phone import Country, parse_country
from onecard.winddown.notices.model import Channel, PostRules


class ConfigError(Exception):
    """The configuration cannot be used; each of `problems` is one sentence that names its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Operator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who runs onecard."""

    name: str
    home_country: str
    currency: str
    time_zone: str
    service_code: str = "12583"
    secondaries_most: int = 3
    applications_a_month_most: int = 3
    quarantine_days: int = 90
    low_balance: str | None = None
    """An amount such as 2.00, below which subscribers are told that their balance is low."""

    @property
    def country(self) -> Country:
        return parse_country(self.home_country)

    @property
    def money(self) -> Currency:
        return parse_currency(self.currency)

    @property
    def low(self) -> Money | None:
        """Below what a balance is low."""
        return None if self.low_balance is None else Money(parse_micros(self.low_balance), self.money)

    @property
    def line_limits(self) -> LineLimits:
        return LineLimits(
            secondaries_most=self.secondaries_most,
            applications_a_month_most=self.applications_a_month_most,
            quarantine_days=self.quarantine_days,
        )


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the exchange of texts."""

    validity_hours: int = 48
    trace_days: int = 90
    queue_most: int = 10_000


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A listening address with TLS; files in PEM form."""

    listen: str
    certificate: str
    key: str


class Smpp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where SMPP peers bind to us."""

    system_id: str = "onecard"
    listen: str = "127.0.0.1:2775"
    tls: Tls | None = None
    connections_most: int = 200


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where home operators post outcomes, 5G networks charge, and health and metrics are read."""

    listen: str = "127.0.0.1:8080"
    tls: Tls | None = None


class Web(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where people reach self-care, the console and the public pages."""

    listen: str = "127.0.0.1:8090"
    tls: Tls | None = None
    url: str | None = None
    """By which browsers reach it, where that is not the address it listens on."""
    proxies: list[str] = []
    """Networks of reverse proxies, whose X-Forwarded-For is believed."""

    @property
    def address(self) -> str:
        """The beginning of every address of ours, without a slash at the end."""
        return self.url.rstrip("/") if self.url else f"http://localhost:{parse_address(self.listen)[1]}"


class Bind(Enum):
    """How we bind to a peer."""

    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"


class Connect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peer that we bind to."""

    address: str
    binds: list[Bind] = msgspec.field(default_factory=lambda: [Bind.TRANSCEIVER])
    password_file: str | None = None
    password_variable: str | None = None
    tls: bool = False
    tls_ca: str | None = None
    """A PEM file of the authorities to trust in place of the system's."""
    tls_name: str | None = None
    """The name the peer's certificate must bear, where it is not the host of `address`."""

    def password(self, environment: Mapping[str, str]) -> str:
        """Read the password where the configuration says it is; raises ConfigError."""
        return _read_password(self.password_file, self.password_variable, environment)


def _read_password(file: str | None, variable: str | None, environment: Mapping[str, str]) -> str:
    if variable is not None:
        if variable not in environment:
            raise ConfigError([f"the environment variable {variable} is not set"])
        return environment[variable]
    if file is None:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError([f"the password cannot be read: {error}"]) from None


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signalling connection to an operator, a bank or a content sender."""

    name: str
    role: LinkRole
    system_id: str
    password_hash: str | None = None
    """Of a peer that binds to us, or posts outcomes of applications: as `onecard link hash-password` prints it."""
    allow: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.0/8", "::1/128"])
    """Networks the peer may bind from."""
    connect: Connect | None = None
    """Given when we bind to the peer."""
    numbers: list[str] = []
    """E.164 prefixes of the lines whose outgoing texts leave here."""
    cards: list[str] = []
    """IMSI prefixes of the cards that are reached here."""
    receipts: bool = True
    """Whether the peer reports what became of a text after it took it."""
    window_in: int = 100
    window_out: int = 10
    sessions_most: int = 4
    texts_a_second_in: float | None = None
    texts_a_second_out: float | None = None
    response_seconds: float = 30.0
    enquire_link_seconds: float = 30.0

    @property
    def route(self) -> Route:
        return Route(self.name, self.role, tuple(self.numbers), tuple(self.cards))


class DiameterConnect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Diameter peer that we call."""

    address: str
    tls: bool = False
    tls_ca: str | None = None
    tls_name: str | None = None


class DiameterPeer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A neighbour in the Diameter network, known by its Origin-Host."""

    host: str
    realm: str | None = None
    """None: any."""
    allow: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.0/8", "::1/128"])
    tls_required: bool = False
    connect: DiameterConnect | None = None
    requests_most: int = 1000
    """Requests without an answer; over it the peer is told that we are too busy."""


class Diameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Our own Diameter node."""

    host: str
    realm: str
    listen: str = "127.0.0.1:3868"
    address: str | None = None
    """Our IP address as peers are told it (Host-IP-Address), where `listen` does not say it."""
    tls: Tls | None = None
    sctp: bool = False
    """Listen over SCTP too, where the kernel has it."""
    peers: list[DiameterPeer] = []


class FinalUnitWish(Enum):
    """What becomes of a service when its last units are used up (RFC 8506 section 5.6)."""

    TERMINATE = "terminate"
    REDIRECT = "redirect"
    RESTRICT = "restrict"


class Consumer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network function of a 5G core that charges over Nchf."""

    name: str
    token_hash: str
    """Of its bearer token: as `onecard link make-token` prints it."""
    notify_hosts: list[str] = []
    """Hosts that its notifyUri may name; none: it is not notified."""
    notify_http2: bool = True
    requests_most: int = 1000


class Charging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How credit control answers, and who may ask for it over Nchf."""

    final_unit: FinalUnitWish = FinalUnitWish.TERMINATE
    redirect_to: str | None = None
    """The URL of the page where money can be added."""
    restrict_filters: list[str] = []
    """IPFilterRules of what stays open."""
    quota_holding_seconds: int | None = None
    usage_days: int = 365
    """How long usage records are kept."""
    api_root: str | None = None
    """Scheme, host and port by which consumers reach us, where it is not what they name in their requests."""
    consumers: list[Consumer] = []


class PortingOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator that may ask for numbers over HTTP."""

    name: str
    login: str
    password_hash: str
    """As `onecard link hash-password` prints it."""


class Portability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How numbers are taken to other operators."""

    business_hours: str = "mon-fri 09:00-17:00"
    """By the operator's time zone; closed days are those of the order's plan."""
    involves_reseller: bool = True
    """Whether a reseller has a part in each port-out: two business days; else 2.5 business hours."""
    pin_days: int = 7
    operators: list[PortingOperator] = []


class MailSecurity(Enum):
    """How the connection to the mail server is kept from others' eyes."""

    STARTTLS = "starttls"
    TLS = "tls"
    """From the first octet on."""
    NONE = "none"


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server that takes our e-mails (SMTP submission, RFC 6409)."""

    host: str
    sender: str
    """The address that e-mails are from, and bounces go to."""
    port: int = 587
    security: MailSecurity = MailSecurity.STARTTLS
    tls_ca: str | None = None
    """A PEM file of the authorities to trust in place of the system's."""
    login: str | None = None
    password_file: str | None = None
    password_variable: str | None = None
    timeout_seconds: float = 30.0

    def password(self, environment: Mapping[str, str]) -> str:
        """Read the password where the configuration says it is; raises ConfigError."""
        return _read_password(self.password_file, self.password_variable, environment)


class Notices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How subscribers are told of a wind-down."""

    page: str | None = None
    """The address of the public statement; None: /notice below the url of [web]."""
    phone: str | None = None
    """Of customer care, as people dial it."""
    regulator: str | None = None
    """The e-mail address that a copy of every notice goes to."""
    wording: str | None = None
    """A directory of catalogues whose words replace ours."""
    channels: list[Channel] = msgspec.field(default_factory=lambda: list(Channel))
    """In this order, until one reaches the subscriber."""
    texts_a_second: int = 20
    """Of each node."""
    emails_a_second: int = 10
    awake: str = "daily 09:00-21:00"
    """When texts may come, by the clock of the subscriber's primary line."""
    receipt_hours: int = 24
    """A text without a receipt for so long did not reach them."""
    mail_hours: int = 24
    """An e-mail that no server took for so long did not reach them."""

    @property
    def wording_directory(self) -> Path | None:
        return Path(self.wording) if self.wording else None

    @property
    def rules(self) -> PostRules:
        return PostRules(
            tuple(self.channels),
            parse_hours(self.awake),
            timedelta(hours=self.receipt_hours),
            timedelta(hours=self.mail_hours),
        )


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days what is over is kept: at least and at most, of each class."""

    contacts: list[int] = msgspec.field(default_factory=lambda: [30, 400])
    payees: list[int] = msgspec.field(default_factory=lambda: [2190, 2555])
    sign_in: list[int] = msgspec.field(default_factory=lambda: [0, 30])
    traces: list[int] = msgspec.field(default_factory=lambda: [0, 90])
    usage: list[int] = msgspec.field(default_factory=lambda: [180, 365])
    notices: list[int] = msgspec.field(default_factory=lambda: [90, 2190])
    ledger: list[int] = msgspec.field(default_factory=lambda: [2190, 2555])
    audit: list[int] = msgspec.field(default_factory=lambda: [2190, 3650])

    @property
    def days(self) -> dict[DataClass, tuple[int, int]]:
        """The least and the most, by class."""
        of_class = {one: getattr(self, one.value) for one in DataClass}
        return {one: (least, most) for one, (least, most) in of_class.items()}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    operator: Operator
    texts: Texts = Texts()
    smpp: Smpp = Smpp()
    http: Http = Http()
    web: Web | None = None
    diameter: Diameter | None = None
    charging: Charging = Charging()
    portability: Portability = Portability()
    mail: Mail | None = None
    notices: Notices = Notices()
    payments: Payments = Payments()
    payouts: Payouts = Payouts()
    retention: Retention = Retention()
    links: list[Link] = []
    node: str = "onecard-1"
    master_key_file: str | None = None
    """Where the key is that wraps all keys; by default `master.key` beside the data."""
    signing_key_file: str | None = None
    """Where the key is that signs closing statements and certificates; by default `signing.key` beside the data."""
    directory_cards_most: int = 1_000_000

    @property
    def number_holders(self) -> dict[str, str]:
        """In whose range numbers are: the link of a home or host operator for each prefix."""
        roles = (LinkRole.HOME, LinkRole.HOST)
        return {prefix: link.name for link in self.links if link.role in roles for prefix in link.numbers}

    def connects(self, name: str) -> bool:
        """Whether we bind to the peer of this link, rather than it to us."""
        return any(link.name == name and link.connect for link in self.links)


def parse_address(address: str) -> tuple[str, int]:
    """Split ``host:port``, with an IPv6 host in brackets; raises ValueError."""
    host, _, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host) or not 0 <= int(port) <= 65_535:
        raise ValueError(address)
    return bare, int(port)


def passwords(config: Config, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The passwords of the peers that we bind to, by link; raises ConfigError."""
    known = os.environ if environment is None else environment
    return {link.name: link.connect.password(known) for link in config.links if link.connect}


def provider_secrets(config: Config, environment: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The secrets that payment providers sign with, by their names; raises ConfigError."""
    known = os.environ if environment is None else environment
    try:
        return {provider.name: read_secret(provider, known) for provider in config.payments.providers}
    except (OSError, ValueError) as error:
        raise ConfigError([f"the secret of a payment provider cannot be read: {error}"]) from None
