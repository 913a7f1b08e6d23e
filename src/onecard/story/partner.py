"""A partner's own program, ``python -m onecard.story.partner``: it obeys stdin (see `wire`) until that ends."""

from __future__ import annotations

import asyncio
import base64
import http.client
import sys
from collections.abc import Callable

import msgspec
import uvloop

from onecard.gateways.diameter.messages import CreditControlRequest
from onecard.gateways.smpp.constants import CommandStatus
from onecard.gateways.smpp.pdus import ShortMessage
from onecard.story.network import Network, open_network
from onecard.story.peers import Esme, MessageCentre, PeerConnection, PeerRefused, bind_esme
from onecard.story.wire import (
    Answered,
    AskedAgain,
    BindTo,
    Bound,
    Charge,
    Charged,
    Done,
    Errand,
    Failed,
    Joined,
    JoinPeer,
    Listen,
    Listening,
    Order,
    Outcome,
    Posted,
    PostOutcome,
    Received,
    Report,
    Send,
    read_order,
    write_line,
)

LINE_OCTETS_MOST = 1 << 20
HTTP_SECONDS = 20.0


class Partner:
    """An operator, a bank or a network: a message centre that is bound to, or a peer that binds or calls."""

    def __init__(self, report: Callable[[Report], None]) -> None:
        self._report = report
        self._centre: MessageCentre | None = None
        self._esme: Esme | None = None
        self._network: Network | None = None

    async def obey(self, order: Order) -> None:
        """Do an errand and report what came of it."""
        try:
            outcome = await self._run(order.errand)
        except (PeerRefused, OSError, http.client.HTTPException) as error:
            outcome = Failed(str(error) or type(error).__name__)
        self._report(Done(order.number, outcome))

    async def close(self) -> None:
        """Unbind, hang up and go away."""
        if self._esme is not None:
            await self._esme.connection.close()
        if self._centre is not None:
            await self._centre.close()
        if self._network is not None:
            await self._network.close()

    async def _run(self, errand: Errand) -> Outcome:
        match errand:
            case Listen(password=password):
                self._centre = MessageCentre(password, on_taken=self._tell)
                await self._centre.listen()
                return Listening(self._centre.port)
            case BindTo():
                self._esme = await bind_esme(
                    errand.host,
                    errand.port,
                    errand.system_id,
                    errand.password,
                    on_text=self._take,
                )
                return Bound()
            case Send(message=message):
                return await self._send(message)
            case PostOutcome():
                return await asyncio.to_thread(post_outcome, errand)
            case JoinPeer(host=host, port=port, identity=identity):
                self._network = await open_network(host, port, identity, self._tell_asked_again)
                return Joined()
            case Charge(request=request):
                return await self._charge(request)

    async def _send(self, message: ShortMessage) -> Answered:
        if self._centre is not None:
            answered = await self._centre.deliver(message)
        elif self._esme is not None:
            answered = await self._esme.send(message)
        else:
            raise PeerRefused("this partner is not bound to anybody")
        return Answered(answered.status, answered.message_id)

    async def _charge(self, request: CreditControlRequest) -> Charged:
        if self._network is None:
            raise PeerRefused("this partner has joined no peer")
        return Charged(await self._network.charge(request))

    def _take(self, _: PeerConnection, message: ShortMessage) -> tuple[CommandStatus, str]:
        self._tell(message)
        return CommandStatus.ESME_ROK, ""

    def _tell(self, message: ShortMessage) -> None:
        self._report(Received(message))

    def _tell_asked_again(self, session_id: str) -> None:
        self._report(AskedAgain(session_id))


def post_outcome(errand: PostOutcome) -> Posted:
    """Post as a home operator's own system would, with HTTP Basic (RFC 7617). Blocks."""
    credentials = base64.b64encode(f"{errand.system_id}:{errand.password}".encode()).decode()
    connection = http.client.HTTPConnection(errand.host, errand.port, timeout=HTTP_SECONDS)
    try:
        connection.request(
            "POST",
            f"/verification/applications/{errand.application}/outcome",
            msgspec.json.encode({"outcome": errand.outcome}),
            {"authorization": f"Basic {credentials}", "content-type": "application/json"},
        )
        answer = connection.getresponse()
        return Posted(answer.status, msgspec.Raw(answer.read() or b"null"))
    finally:
        connection.close()


def _write(report: Report) -> None:
    sys.stdout.buffer.write(write_line(report))
    sys.stdout.buffer.flush()


async def _open_stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_OCTETS_MOST)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    return reader


async def work() -> None:
    """Obey until stdin ends: a partner does not outlive the story, however that ends."""
    partner = Partner(_write)
    orders = await _open_stdin()
    under_way: set[asyncio.Task[None]] = set()
    while line := await orders.readline():
        task = asyncio.create_task(partner.obey(read_order(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await partner.close()


if __name__ == "__main__":
    uvloop.run(work())
