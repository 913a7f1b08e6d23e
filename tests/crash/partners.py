"""The partners of an operator that crashes: they send texts with bodies of their own, and note which ones they took.

They live in the test's process, so what they know survives every kill. Each of them behaves as in life: binds again
when it was cut off, and keeps a receipt until it was taken.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from crash.operator_process import CardNumbers
from onecard.gateways.smpp.constants import CommandStatus, MessageState
from onecard.gateways.smpp.events import TextAnswered
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.story.peers import (
    Esme,
    MessageCentre,
    PeerConnection,
    PeerRefused,
    bind_esme,
    receipt_of,
)
from onecard.values.address import Address, international
from town import BANK, HOME, HOST, PASSWORD, from_card, to_number

PRICE_TO_HOME_MICROS = 100_000
PRICE_TO_FRIEND_MICROS = 50_000
REFUSED_FOR_GOOD = "!"
"""A body that ends so is refused by its next hop, whatever happens."""
NOT_NOW = "?"
"""A body that ends so is put off by its next hop when it comes for the first time."""
SORTS = {"code", "in", "out", "friend"}
"""What a body begins with: from the bank, from the home operator, to it, to a friend by the host."""
WORKERS = 4
REPORTERS = 20


@dataclass(slots=True)
class Notes:
    """What the partners know, by the body of each text."""

    era: int = 0
    """How many times onecard was killed so far."""
    charged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Texts sent by cards: the primary number and the price in micros."""
    acknowledged: set[str] = field(default_factory=set)
    refused: Counter[int] = field(default_factory=Counter)
    taken: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """By which link and in which era the next hop took it, once for each time."""
    put_off: set[str] = field(default_factory=set)
    receipts_wanted: dict[str, str] = field(default_factory=dict)
    """Texts of the bank with a receipt: id -> body."""
    receipts: Counter[str] = field(default_factory=Counter)
    """Receipts that the bank got, by id."""

    @property
    def repeated(self) -> dict[str, list[tuple[str, int]]]:
        """What came to its next hop more than once."""
        return {body: takes for body, takes in self.taken.items() if len(takes) > 1}

    @property
    def takes(self) -> int:
        """How many times next hops took a text."""
        return sum(len(takes) for takes in self.taken.values())

    def takes_of(self, link: str) -> int:
        """How many times this one did."""
        return sum(link == by for takes in self.taken.values() for by, _ in takes)

    def sorts_acknowledged(self, *, since: int) -> set[str]:
        """The sorts of text of which one with this number or a later one was acknowledged."""
        pieces = [body.rstrip(REFUSED_FOR_GOOD + NOT_NOW).split("-") for body in self.acknowledged]
        return {sort for sort, number in pieces if int(number) >= since}


class Partners:
    """A host that is bound to, a home operator and a bank that bind."""

    def __init__(self, smpp_port: int, cards: list[CardNumbers], chance: random.Random) -> None:
        self.notes = Notes()
        self.host = MessageCentre(PASSWORD, on_text=self._take_at_host)
        self._smpp_port = smpp_port
        self._cards = cards
        self._chance = chance
        self.next_number = 1
        self._bound: dict[str, Esme] = {}
        self._traffic = asyncio.Event()
        self._receipts: asyncio.Queue[ShortMessage] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, host_port: int) -> None:
        """Listen, keep bound, and be ready to send."""
        await self.host.listen(port=host_port)
        works = [self._keep_bound(HOME, "cnhome"), self._keep_bound(BANK, "bank")]
        works += [self._report() for _ in range(REPORTERS)]
        works += [self._send(send) for send in self._senders() for _ in range(WORKERS)]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for esme in self._bound.values():
            esme.connection.abort()
        await self.host_away()

    async def host_away(self) -> None:
        """The host operator is down."""
        for connection in self.host.connections:
            connection.abort()
        await asyncio.sleep(0)
        await self.host.close()

    async def cut_off(self) -> None:
        """Wait until all that a dead onecard had sent was read; what is taken from here on is of a new era."""
        connections = [*self.host.connections, *(esme.connection for esme in self._bound.values())]
        await asyncio.gather(*(connection.ended.wait() for connection in connections))
        self.notes.era += 1

    def _new_number(self) -> int:
        self.next_number += 1
        return self.next_number - 1

    def begin_traffic(self) -> None:
        self._traffic.set()

    def end_traffic(self) -> None:
        self._traffic.clear()

    # ---- taking

    def _take_at_host(self, connection: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        status = self._take(HOST, message)
        if status is not CommandStatus.ESME_ROK:
            return status, ""
        message_id = f"h{self._new_number()}"
        self._receipts.put_nowait(receipt_of(message, message_id, MessageState.DELIVERED))
        return status, message_id

    def _take_at_home(self, connection: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        return self._take(HOME, message), ""

    def _take_at_bank(self, connection: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        words = message.body.decode().split()
        self.notes.receipts[words[0].removeprefix("id:")] += 1
        return CommandStatus.ESME_ROK, ""

    def _take(self, link: str, message: ShortMessage) -> CommandStatus:
        body = message.body.decode()
        if body.endswith(REFUSED_FOR_GOOD):
            return CommandStatus.ESME_RINVDSTADR
        if body.endswith(NOT_NOW) and body not in self.notes.put_off:
            self.notes.put_off.add(body)
            return CommandStatus.ESME_RX_T_APPN
        self.notes.taken.setdefault(body, []).append((link, self.notes.era))
        return CommandStatus.ESME_ROK

    async def _report(self) -> None:
        """Give receipts to onecard, each until it is taken."""
        while True:
            receipt = await self._receipts.get()
            if not await self._reported(receipt):
                await asyncio.sleep(0.1)
                self._receipts.put_nowait(receipt)

    async def _reported(self, receipt: ShortMessage) -> bool:
        try:
            answered = await asyncio.wait_for(self.host.deliver(receipt), 8)
        except (PeerRefused, TimeoutError):
            return False
        return answered.status == CommandStatus.ESME_ROK

    # ---- staying bound

    async def _keep_bound(self, name: str, system_id: str) -> None:
        take = {HOME: self._take_at_home, BANK: self._take_at_bank}[name]
        while True:
            try:
                esme = await bind_esme("127.0.0.1", self._smpp_port, system_id, PASSWORD, on_text=take)
            except (OSError, PeerRefused):
                await asyncio.sleep(0.1)
                continue
            self._bound[name] = esme
            await esme.connection.ended.wait()

    # ---- sending

    def _senders(self) -> list[Callable[[], Awaitable[None]]]:
        return [self._send_code, self._send_from_home, self._send_to_home, self._send_to_friend]

    async def _send(self, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._traffic.wait()
            try:
                await send()
            except (PeerRefused, KeyError):  # cut off, or not bound yet: nobody knows whether it is in
                await asyncio.sleep(0.05)
            await asyncio.sleep(self._chance.uniform(0, 0.03))

    def _new_body(self, sort: str) -> str:
        ending = self._chance.choices(["", REFUSED_FOR_GOOD, NOT_NOW], [90, 7, 3])[0]
        return f"{sort}-{self._new_number()}{ending}"

    async def _send_code(self) -> None:
        card, body = self._chance.choice(self._cards), self._new_body("code")
        text = to_number(Address(5, 0, "ICBC"), card.secondary, body, registered_delivery=1)
        answered = await self._bound[BANK].send(text)
        self._note(body, answered)
        if answered.status == CommandStatus.ESME_ROK:
            self.notes.receipts_wanted[answered.message_id] = body

    async def _send_from_home(self) -> None:
        card, body = self._chance.choice(self._cards), self._new_body("in")
        text = to_number(international("+8613911112222"), card.secondary, body)
        self._note(body, await self._bound[HOME].send(text))

    async def _send_to_home(self) -> None:
        card, body = self._chance.choice(self._cards), self._new_body("out")
        self.notes.charged[body] = card.primary, PRICE_TO_HOME_MICROS
        self._note(body, await self.host.deliver(from_card(card.primary, "12583113900001111", body)))

    async def _send_to_friend(self) -> None:
        card, body = self._chance.choice(self._cards), self._new_body("friend")
        self.notes.charged[body] = card.primary, PRICE_TO_FRIEND_MICROS
        self._note(body, await self.host.deliver(from_card(card.primary, "6045550199", body)))

    def _note(self, body: str, answered: TextAnswered) -> None:
        if answered.status == CommandStatus.ESME_ROK:
            self.notes.acknowledged.add(body)
        else:
            self.notes.refused[answered.status] += 1
