"""The part of the configuration that payments have: how refunds are paid out, and who tells of money that came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from onecard.payments.bank.model import Debtor
from onecard.payments.payees import NAME_CHARACTERS_MOST, BadPayee, parse_account
from onecard.payments.payouts.rules import RUN_MOST
from onecard.values.money import BadMoney, Currency, Money, parse_micros

REMITTANCE_CHARACTERS_MOST = 140  # ISO 20022 Max140Text
SECRET_OCTETS_LEAST = 16


class PayingAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's bank account that refunds are paid from: an IBAN, a Canadian account, or another."""

    name: str
    iban: str | None = None
    canadian: str | None = None
    """Institution, transit and account: 003-00001-7654321."""
    account: str | None = None
    clearing: str | None = None
    """Of another account, its bank: CNAPS:102100099996."""
    bic: str | None = None

    @property
    def debtor(self) -> Debtor:
        """Raises `BadPayee`."""
        account = parse_account(
            iban=self.iban,
            canadian=self.canadian,
            account=self.account,
            clearing=self.clearing,
            bic=self.bic,
        )
        return Debtor(self.name, account)


class Payouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How refunds are paid out."""

    paid_from: PayingAccount | None = None
    run_most: int = 10_000
    """Payments of one run."""
    amount_most: str = "1000000.00"
    """Of all payments of one run together."""
    cooling_off_hours: int = 24
    """How long after another payee was named nothing is paid."""
    remittance: str = "Refund of your prepaid balance"
    """What payees read on their statement."""

    def limit(self, currency: Currency) -> Money:
        return Money(parse_micros(self.amount_most), currency)

    @property
    def cooling_off(self) -> timedelta:
        return timedelta(hours=self.cooling_off_hours)


class PaymentProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes payments for us, and tells of them by a signed message."""

    name: str
    secret_file: str | None = None
    secret_variable: str | None = None


class PaymentClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A system of the operator's own that redeems vouchers and requests refunds for people."""

    name: str
    token_hash: str
    """Of its bearer token: as `onecard link make-token` prints it."""


class Payments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who tells of payments, and who may ask for refunds, over HTTP."""

    providers: list[PaymentProvider] = []
    clients: list[PaymentClient] = []


def read_secret(provider: PaymentProvider, environment: Mapping[str, str]) -> bytes:
    """The secret that a provider signs with; raises OSError, or ValueError with a sentence."""
    if provider.secret_variable is not None:
        secret = environment.get(provider.secret_variable, "").strip()
        place = f"the environment variable {provider.secret_variable}"
    else:
        secret = Path(provider.secret_file or "").read_text(encoding="utf-8").strip()
        place = str(provider.secret_file)
    if len(secret.encode()) < SECRET_OCTETS_LEAST:
        raise ValueError(f"{place} holds no secret of {SECRET_OCTETS_LEAST} octets or more")
    return secret.encode()


def check_payments(payments: Payments, payouts: Payouts) -> Iterator[str]:
    """Every mistake that types cannot catch, as sentences."""
    yield from _check_payouts(payouts)
    for key, named in (("providers", payments.providers), ("clients", payments.clients)):
        names = [one.name for one in named]
        for place, name in enumerate(names):
            if not name.replace("-", "").isalnum() or name in names[:place]:
                yield f"payments.{key}[{place}].name: {name!r} is used twice, or is no name of letters and digits"
    for place, provider in enumerate(payments.providers):
        if (provider.secret_file is None) == (provider.secret_variable is None):
            yield f"payments.providers[{place}]: give either secret_file or secret_variable"
    for place, client in enumerate(payments.clients):
        if len(client.token_hash) != 64 or not set(client.token_hash) <= set("0123456789abcdef"):
            yield f"payments.clients[{place}].token_hash: is not a hash that `onecard link make-token` printed"


def _check_payouts(payouts: Payouts) -> Iterator[str]:
    if not 0 < payouts.run_most <= RUN_MOST:
        yield f"payouts.run_most: must be 1 to {RUN_MOST}"
    if payouts.cooling_off_hours < 0:
        yield "payouts.cooling_off_hours: must not be less than 0"
    if not 0 < len(payouts.remittance) <= REMITTANCE_CHARACTERS_MOST or not payouts.remittance.isprintable():
        yield f"payouts.remittance: must be 1 to {REMITTANCE_CHARACTERS_MOST} characters"
    try:
        if parse_micros(payouts.amount_most) <= 0:
            yield "payouts.amount_most: must be more than zero"
    except BadMoney as error:
        yield f"payouts.amount_most: {error}"
    if payouts.paid_from is not None:
        yield from _check_paying_account(payouts.paid_from)


def _check_paying_account(account: PayingAccount) -> Iterator[str]:
    if not 0 < len(account.name) <= NAME_CHARACTERS_MOST:
        yield f"payouts.paid_from.name: must be 1 to {NAME_CHARACTERS_MOST} characters"
    try:
        assert account.debtor
    except BadPayee as error:
        yield f"payouts.paid_from: {error}"
