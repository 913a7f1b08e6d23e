"""What every page is made from: the node gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from onecard.catalogue.model import Tariff
from onecard.database.pool import Connection, Pool
from onecard.lines.model import Line, LineLimits
from onecard.payments.bank.model import Debtor
from onecard.portability.model import PortTerms
from onecard.sealing.keys import MasterKey
from onecard.switching.model import CardEntry, LinkRole, TextRefusal
from onecard.values.clock import Clock
from onecard.values.gate import GatesAt
from onecard.values.money import Currency
from onecard.values.phone import Country
from onecard.winddown.reading import PlanFile


class Tell(Protocol):
    """Sends a text of our own to a card, by a line of it or else the primary one; returns its id."""

    async def __call__(
        self, entry: CardEntry, words: str, line: Line | None = None, /
    ) -> int | TextRefusal: ...


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """What pages say of the operator, and what it allows."""

    name: str
    country: Country
    currency: Currency
    zone: ZoneInfo
    service_code: str
    limits: LineLimits
    phone: str | None = None
    """Of customer care, as people dial it."""
    wording: Path | None = None
    """The operator's own words of notices, where it has some."""


@dataclass(frozen=True, slots=True)
class PayoutTerms:
    """From which account runs are paid, and how large one may be."""

    debtor: Debtor | None = None
    """None: the configuration names no account, and no run can be released."""
    amount_most_micros: int = 1_000_000_000_000
    """Of all payments of a run together, whatever their currency."""
    payments_most: int = 10_000
    remittance: str = "Refund of your prepaid balance"
    """What a payee reads beside the payment."""


@dataclass(frozen=True, slots=True)
class Site:
    """One node's web: the database, the time, the gates, and how to reach a subscriber."""

    pool: Pool
    parts: Sequence[int]
    master: MasterKey
    clock: Clock
    gates_at: GatesAt
    plan_in_force: Callable[[], PlanFile | None]
    port_terms: Callable[[Connection], Awaitable[PortTerms]]
    payee_cooling_off: timedelta
    """How long a refund waits whose payee was changed."""
    tariff: Callable[[], Tariff]
    tell: Tell
    forget_card: Callable[[int], None]
    """Makes this node look at a card anew, at once; others hear of a change by themselves."""
    operator: OperatorFacts
    roles: Mapping[str, LinkRole]
    """Of the links, by name."""
    url: str
    """By which browsers reach it, without a slash at the end."""
    payouts: PayoutTerms = PayoutTerms()
    proxies: Sequence[IPv4Network | IPv6Network] = ()
    """Who may say, by X-Forwarded-For, on whose behalf a request is made."""

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it with TLS."""
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """The name that passkeys are bound to (WebAuthn: the relying party's id)."""
        return urlsplit(self.url).hostname or "localhost"
