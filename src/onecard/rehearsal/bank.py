"""A bank that is slow, repeats itself, and now and then is away. Its own book says what it paid."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from onecard.payments.bank import pain001, table
from onecard.payments.bank.model import (
    BankStatement,
    Booked,
    OrderState,
    OrderStatus,
    PaymentFile,
    PaymentOrder,
    StatusReport,
)
from onecard.payments.bank.table import read_status_report, write_status_report
from onecard.values.money import Money

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
Message = StatusReport | BankStatement


class BankIsAway(Exception):
    """Nobody answers; whether it took the file, it does not say."""


@dataclass(slots=True)
class Bank:
    """Takes files, and answers when it is ready. A file that it has, by its message id, it does not take again."""

    random: random.Random
    bad_account: str
    files: dict[str, bytes] = field(default_factory=dict)
    paid: dict[str, list[Money]] = field(default_factory=dict)
    """By end-to-end id: each time that money went out."""
    returned: dict[str, Money] = field(default_factory=dict)
    outbox: list[tuple[datetime, Message]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    away_until: datetime | None = None
    messages: int = 0

    @property
    def owes_messages(self) -> bool:
        return bool(self.outbox)

    def take(self, data: bytes, at: datetime) -> None:
        """Take a file. When the bank is away it raises, and has taken the file all the same, or has not."""
        is_away = self._is_away(at)
        if not is_away or self.random.random() < 0.5:
            self._take(data, at)
        if is_away:
            raise BankIsAway

    def _is_away(self, at: datetime) -> bool:
        if self.away_until is None and self.random.random() < 0.15:
            self.away_until = at + self.random.randrange(1, 4) * DAY
        is_away = self.away_until is not None and at < self.away_until
        self.away_until = self.away_until if is_away else None
        return is_away

    def _take(self, data: bytes, at: datetime) -> None:
        file, orders = self._read(data)
        if file.message_id in self.files:
            if self.files[file.message_id] != data:
                self.faults.append(f"file {file.message_id} came a second time with other contents")
            return
        self.files[file.message_id] = data
        refused = [order for order in orders if self._refuses(order)]
        self._report(file.message_id, orders, refused, at)
        self._pay([order for order in orders if order not in refused], at)

    def _read(self, data: bytes) -> tuple[PaymentFile, list[PaymentOrder]]:
        return pain001.read_payment_file([data])

    def _refuses(self, order: PaymentOrder) -> bool:
        return order.payee.account.number == self.bad_account and self.random.random() < 0.5

    def _report(
        self, message_id: str, orders: list[PaymentOrder], refused: list[PaymentOrder], at: datetime
    ) -> None:
        """What is refused is always told, once at least; what is accepted is sometimes not."""
        self.messages += 1
        statuses = [OrderStatus(one.end_to_end_id, OrderState.REJECTED, "AC04") for one in refused]
        if self.random.random() < 0.8:
            accepted = [one for one in orders if one not in refused]
            statuses += [OrderStatus(one.end_to_end_id, OrderState.ACCEPTED) for one in accepted]
        if not statuses:
            return
        report = StatusReport(f"REPORT-{self.messages}", message_id, None, None, tuple(statuses))
        amounts = {one.end_to_end_id: one.amount for one in orders}
        self._send(read_status_report(write_status_report(report, amounts)), at + self._hours(1, 240))

    def _pay(self, orders: list[PaymentOrder], at: datetime) -> None:
        for order in orders:
            self.paid.setdefault(order.end_to_end_id, []).append(order.amount)
            debit = self._booked(order, at, is_credit=False)
            self._state([debit], at + self._hours(6, 120))
            if order.payee.account.number == self.bad_account:
                self.returned[order.end_to_end_id] = order.amount
                credit = replace(self._booked(order, at, is_credit=True), reason="AC04")
                # The return may be told before the payment itself, or in one statement with it.
                self._state([credit, debit], at + self._hours(3, 300))

    def _booked(self, order: PaymentOrder, at: datetime, *, is_credit: bool) -> Booked:
        sign = "C" if is_credit else "D"
        reference = f"{sign}-{order.end_to_end_id}"
        return Booked(
            reference, order.end_to_end_id, order.amount, is_credit, is_reversal=False, booked_on=at.date()
        )

    def _state(self, booked: list[Booked], at: datetime) -> None:
        self.messages += 1
        statement = BankStatement(f"STATEMENT-{self.messages}", "7654321", tuple(booked), None, None, None)
        self._send(statement, at)

    def _send(self, message: Message, at: datetime) -> None:
        """Once, or again much later."""
        self.outbox.append((at, message))
        while self.random.random() < 0.25:
            self.outbox.append((at + self._hours(0, 400), message))

    def sum_net(self) -> int:
        """What has left the account for good, in micros."""
        paid = sum(amount.micros for amounts in self.paid.values() for amount in amounts)
        return paid - sum(amount.micros for amount in self.returned.values())

    def _hours(self, least: int, most: int) -> timedelta:
        return self.random.randrange(least, most) * HOUR

    def deliver(self, at: datetime) -> Iterator[Message]:
        """What is ready by now, in no order."""
        due = [message for ready_at, message in self.outbox if ready_at <= at]
        self.outbox = [(ready_at, message) for ready_at, message in self.outbox if ready_at > at]
        self.random.shuffle(due)
        yield from due


class Provider(Bank):
    """Who took payments by card, and gives them back: it reports what it has done, and has no statements."""

    def _read(self, data: bytes) -> tuple[PaymentFile, list[PaymentOrder]]:
        return table.read_payment_file([data])

    def _refuses(self, order: PaymentOrder) -> bool:
        return False

    def _report(
        self, message_id: str, orders: list[PaymentOrder], refused: list[PaymentOrder], at: datetime
    ) -> None:
        self.messages += 1
        statuses = tuple(OrderStatus(one.end_to_end_id, OrderState.SETTLED) for one in orders)
        report = StatusReport(f"PROVIDER-{self.messages}", message_id, None, None, statuses)
        self._send(report, at + self._hours(1, 240))

    def _pay(self, orders: list[PaymentOrder], at: datetime) -> None:
        for order in orders:
            self.paid.setdefault(order.end_to_end_id, []).append(order.amount)
