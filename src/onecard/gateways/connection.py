"""One session on one socket: what every protocol of ours that keeps its connections does alike.

The session is a pure state machine. Here its octets are read and written, and it is woken at its next deadline. What
its events mean is for the protocol's own connection to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar, cast

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


class AnySession(Protocol[E_co]):
    """What a session has that is driven here. Times are those of the event loop, in seconds."""

    @property
    def closed(self) -> bool:
        """Whether the connection is to be closed, once the output is written."""

    @property
    def next_tick(self) -> float:
        """The time at which `tick` has something to do."""

    def receive(self, data: bytes, now: float) -> Sequence[E_co]:
        """Take what was read, and say what it meant."""

    def tick(self, now: float) -> Sequence[E_co]:
        """Do what is due."""

    def take_output(self) -> bytes:
        """Give what is to be written, once."""

    def close(self) -> None:
        """The connection is over."""


class SessionConnection(asyncio.Protocol, Generic[E]):
    """Drives `_session`, which the protocol's own connection makes."""

    def __init__(self, session: AnySession[E], hang_up_seconds: float) -> None:
        self.ended = asyncio.Event()
        self._driven = session
        self._hang_up_seconds = hang_up_seconds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- for the protocol to say

    def _dispatch(self, event: E) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        """The connection is over, and so is whatever waited on it."""
        raise NotImplementedError

    def _after_input(self) -> None:
        """Write all that the input gave rise to at once."""
        self._flush()

    # ---- the socket

    @property
    def is_opened(self) -> bool:
        """Whether the socket, with TLS its handshake too, got so far as to carry anything."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._driven.receive(data, self._loop.time()):
            self._dispatch(event)
        self._after_input()

    def connection_lost(self, exc: Exception | None) -> None:
        self._driven.close()
        if self._timer is not None:
            self._timer.cancel()
        self._end()
        self.ended.set()

    def pause_writing(self) -> None:
        """A peer that does not read is not read from either: its answers would collect here without bound."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def _part(self, patience_seconds: float) -> None:
        """Write the farewell, give the peer a moment to answer, and cut it off if it does not."""
        self._flush()
        try:
            await asyncio.wait_for(self.ended.wait(), patience_seconds)
        except TimeoutError:
            self.abort()

    # ---- octets out, and the timer

    def _flush_soon(self) -> None:
        """Collect what is answered in this turn of the loop into one write."""
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._transport is None:
            return
        output = self._driven.take_output()
        if output:
            self._transport.write(output)
        if self._driven.closed:
            self._hang_up()
        else:
            self._arm_timer()

    def _hang_up(self) -> None:
        """Close once everything is written; a peer that does not take it in time is cut off."""
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._hang_up_seconds, self._transport.abort)

    def _arm_timer(self) -> None:
        """Wake up for the session's next deadline. An armed timer is left: one that is early only looks again."""
        due = self._driven.next_tick
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for event in self._driven.tick(self._loop.time()):
            self._dispatch(event)
        self._after_input()
