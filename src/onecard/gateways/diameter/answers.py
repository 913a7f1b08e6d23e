"""What was answered lately, for a peer that did not get it and asks again.

Pure: `now` is an argument, in seconds of any clock that does not go back. A request is known again by its Origin-Host
and End-to-End id (RFC 6733 section 3), together with its session and number, because there are clients that begin
their ids anew at every start. It need not carry the T flag: a relay may have lost it. While the first is still being
answered, whoever repeats it waits for the same answer.
"""

from typing import Generic, TypeVar

import msgspec

from onecard.gateways.diameter.messages import CreditControlAnswer, CreditControlRequest

Waiter = TypeVar("Waiter")


class Key(msgspec.Struct, frozen=True, gc=False):
    """What one request is known by."""

    origin_host: str
    end_to_end: int
    session_id: str
    request_number: int


def key_of(request: CreditControlRequest, end_to_end: int) -> Key:
    """The key of a request, with the id of its header."""
    return Key(request.origin_host, end_to_end, request.session_id, request.request_number)


class KeptAnswers(Generic[Waiter]):
    """At most `answers_most` answers, none older than `keep_seconds`, and who waits for those under way."""

    def __init__(self, *, answers_most: int, keep_seconds: float) -> None:
        assert answers_most > 0
        self._answers_most = answers_most
        self._keep_seconds = keep_seconds
        # In the order in which they were answered, so that the oldest is always the first.
        self._answers: dict[Key, tuple[CreditControlAnswer, float]] = {}
        self._waiters: dict[Key, list[Waiter]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: Key, now: float) -> CreditControlAnswer | None:
        """What was answered, if it was and is still kept."""
        answer, answered_at = self._answers.get(key, (None, 0.0))
        return answer if now < answered_at + self._keep_seconds else None

    def wait(self, key: Key, waiter: Waiter) -> bool:
        """Wait for the answer. False: nobody is working on it yet, and whoever called has to."""
        waiters = self._waiters.get(key)
        if waiters is None:
            self._waiters[key] = [waiter]
            return False
        waiters.append(waiter)
        return True

    def keep(self, key: Key, answer: CreditControlAnswer, now: float) -> list[Waiter]:
        """Keep an answer; returns who waited for it."""
        self._answers.pop(key, None)
        self._answers[key] = (answer, now)
        self._forget(now)
        return self._waiters.pop(key, [])

    def give_up(self, key: Key) -> list[Waiter]:
        """There is no answer worth keeping; returns who waited for it. A repeat is worked on anew."""
        return self._waiters.pop(key, [])

    def _forget(self, now: float) -> None:
        """Drop what is over the bound or too old; a few at a time, as they come."""
        while self._answers:
            key = next(iter(self._answers))
            if len(self._answers) <= self._answers_most and now < self._answers[key][1] + self._keep_seconds:
                return
            del self._answers[key]
