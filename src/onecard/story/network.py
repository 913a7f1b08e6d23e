"""A simulated network that asks for credit: its call server (Ro) and its packet gateway (Gy), behind one Diameter peer.

It speaks the protocol through our own codec over real TCP, and knows nothing of how onecard decides.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from onecard.gateways.diameter.codec import decode_message, encode_message
from onecard.gateways.diameter.constants import ApplicationId, CommandCode, Flag, ResultCode
from onecard.gateways.diameter.messages import (
    AbortSessionAnswer,
    AbortSessionRequest,
    Answer,
    CapabilitiesExchangeAnswer,
    CapabilitiesExchangeRequest,
    CreditControlAnswer,
    CreditControlRequest,
    DisconnectAnswer,
    DisconnectRequest,
    Message,
    ReAuthAnswer,
    ReAuthRequest,
    Request,
    WatchdogAnswer,
    WatchdogRequest,
)
from onecard.story.peers import PeerRefused

LENGTH_OCTETS = 4
PROXIABLE_REQUEST = Flag.REQUEST | Flag.PROXIABLE


class Network:
    """One connection to onecard. `on_asked_again` is told of a session that is to be authorised anew, `on_aborted` of
    one that is to end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        identity: tuple[str, str],
        on_asked_again: Callable[[str], None],
        on_aborted: Callable[[str], None] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host, self._realm = identity
        self._on_asked_again = on_asked_again
        self._on_aborted = on_aborted
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._reading = asyncio.create_task(self._read())

    async def charge(self, request: CreditControlRequest) -> CreditControlAnswer:
        """Send a CCR and wait for its CCA. Raises PeerRefused."""
        answer = await self._ask(
            CommandCode.CREDIT_CONTROL, ApplicationId.CREDIT_CONTROL, PROXIABLE_REQUEST, request
        )
        if not isinstance(answer, CreditControlAnswer):
            raise PeerRefused(f"a CCR was answered with {answer.result_code}")
        return answer

    async def exchange_capabilities(self) -> None:
        """The first thing that peers do (RFC 6733 section 5.3). Raises PeerRefused."""
        address = ip_address(self._writer.get_extra_info("sockname")[0])
        request = CapabilitiesExchangeRequest(
            self._host,
            self._realm,
            0,
            "simulated network",
            (address,),
            auth_application_ids=(ApplicationId.CREDIT_CONTROL,),
        )
        answer = await self._ask(CommandCode.CAPABILITIES_EXCHANGE, ApplicationId.BASE, Flag.REQUEST, request)
        if not isinstance(answer, CapabilitiesExchangeAnswer) or answer.result_code != ResultCode.SUCCESS:
            raise PeerRefused(f"the capabilities were answered with {answer.result_code}")

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await self._reading

    async def _ask(self, command: int, application: int, flags: int, request: Request) -> Answer:
        if self._reading.done():
            raise PeerRefused("the connection is over")
        number = next(self._ids)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._send(Message(command, flags, application, number, number, request))
        return await answer

    def _send(self, message: Message) -> None:
        self._writer.write(encode_message(message))

    async def _read(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self._take(await self._read_message())
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(PeerRefused("the connection ended before the answer"))

    async def _read_message(self) -> Message:
        head = await self._reader.readexactly(LENGTH_OCTETS)
        rest = await self._reader.readexactly(int.from_bytes(head[1:], "big") - LENGTH_OCTETS)
        message = decode_message(head + rest)
        assert isinstance(message, Message), message
        return message

    def _take(self, message: Message) -> None:
        body = message.body
        answer: Answer
        match body:
            case ReAuthRequest():
                # More is to come: the session reports and asks anew (RFC 8506 section 5.5).
                answer = ReAuthAnswer(body.session_id, ResultCode.LIMITED_SUCCESS, self._host, self._realm)
                self._on_asked_again(body.session_id)
            case AbortSessionRequest():
                answer = AbortSessionAnswer(body.session_id, ResultCode.SUCCESS, self._host, self._realm)
                if self._on_aborted is not None:
                    self._on_aborted(body.session_id)
            case WatchdogRequest():
                answer = WatchdogAnswer(ResultCode.SUCCESS, self._host, self._realm)
            case DisconnectRequest():
                answer = DisconnectAnswer(ResultCode.SUCCESS, self._host, self._realm)
            case _:
                self._settle(message)
                return
        flags = message.flags & Flag.PROXIABLE
        self._send(
            Message(
                message.command, flags, message.application_id, message.hop_by_hop, message.end_to_end, answer
            )
        )

    def _settle(self, message: Message) -> None:
        waiting = self._waiting.pop(message.hop_by_hop, None)
        assert not message.is_request, message
        if waiting is not None and not waiting.done():
            waiting.set_result(message.body)  # type: ignore[arg-type]  # it is no request


async def open_network(
    host: str,
    port: int,
    identity: tuple[str, str],
    on_asked_again: Callable[[str], None],
    on_aborted: Callable[[str], None] | None = None,
) -> Network:
    """Connect, and be let in as the peer of this Origin-Host and Origin-Realm. Raises PeerRefused, OSError."""
    reader, writer = await asyncio.open_connection(host, port)
    network = Network(reader, writer, identity, on_asked_again, on_aborted)
    try:
        await network.exchange_capabilities()
    except PeerRefused:
        await network.close()
        raise
    return network
