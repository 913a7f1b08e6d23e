"""What waits for a link: in which order it is taken, and that nothing is lost, doubled or unbounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from messages.texts import AT, make_receipt, make_text
from onecard.messages.model import Receipt, Text
from onecard.messages.queues import LinkQueue, Queues


def taken(queue: LinkQueue) -> list[int]:
    """Take everything; the ids in the order they came."""
    ids = []
    while (item := queue.take()) is not None:
        ids.append(item.id)
    return ids


def make_queue(*texts: Text, most: int = 100) -> LinkQueue:
    queue = LinkQueue("host", most=most)
    for text in texts:
        queue.put(text)
    return queue


def test_banks_go_first_then_receipts_then_everyone() -> None:
    queue = make_queue(make_text(1), make_text(2), make_text(3, application=True))
    queue.put_receipt(make_receipt(4))
    queue.put(make_text(5, application=True))
    assert taken(queue) == [3, 5, 4, 1, 2]
    assert queue.take() is None


def test_a_withdrawn_text_is_not_taken() -> None:
    queue = make_queue(make_text(1), make_text(2), make_text(3))
    withdrawn = queue.withdraw(2)
    assert withdrawn is not None
    assert withdrawn.id == 2
    assert queue.withdraw(2) is None
    assert queue.withdraw(99) is None
    assert len(queue) == 2
    assert taken(queue) == [1, 3]


def test_a_postponed_text_waits_until_it_is_due() -> None:
    queue = make_queue(make_text(1))
    queue.postpone(make_text(2), AT + timedelta(seconds=4))
    queue.postpone(make_text(3), AT + timedelta(seconds=2))
    assert len(queue) == 3
    assert taken(queue) == [1]
    queue.wake_postponed(AT + timedelta(seconds=3))
    assert taken(queue) == [3]
    queue.wake_postponed(AT + timedelta(seconds=4))
    assert taken(queue) == [2]
    queue.wake_postponed(AT + timedelta(days=1))
    assert taken(queue) == []


def test_a_bank_stays_a_bank_when_it_is_tried_again() -> None:
    queue = make_queue(make_text(1))
    queue.postpone(make_text(2, application=True), AT)
    queue.wake_postponed(AT)
    assert taken(queue) == [2, 1]


def test_a_text_postponed_again_does_not_wake_at_its_earlier_time() -> None:
    queue = make_queue()
    queue.postpone(make_text(1), AT + timedelta(seconds=2))
    assert queue.withdraw(1) is not None
    queue.postpone(make_text(1), AT + timedelta(seconds=60))
    queue.wake_postponed(AT + timedelta(seconds=2))
    assert taken(queue) == []
    queue.wake_postponed(AT + timedelta(seconds=60))
    assert taken(queue) == [1]


@pytest.mark.parametrize("postponed", [False, True])
def test_a_replaced_text_keeps_its_place(*, postponed: bool) -> None:
    queue = make_queue(make_text(1), make_text(3))
    if postponed:
        queue.postpone(make_text(2), AT + timedelta(seconds=2))
    else:
        queue = make_queue(make_text(1), make_text(2), make_text(3))
    replaced = make_text(2, attempts=7)
    queue.replace(replaced)
    assert queue.find(2) is replaced
    assert len(queue) == 3
    assert taken(queue) == ([1, 3] if postponed else [1, 2, 3])


def test_replacing_and_cancelling_without_end_leaves_nothing_behind() -> None:
    queue = make_queue(make_text(1))
    for message_id in range(2, 2000):
        queue.put(make_text(message_id))
        queue.replace(make_text(message_id))
        queue.withdraw(message_id)
    assert len(queue) == 1
    assert taken(queue) == [1]


def test_texts_whose_validity_ended_are_taken_out_wherever_they_wait() -> None:
    soon = AT + timedelta(seconds=1)
    queue = make_queue(
        make_text(1, expires_at=soon), make_text(2), make_text(3, expires_at=soon, application=True)
    )
    queue.postpone(make_text(4, expires_at=soon), AT + timedelta(hours=1))
    assert queue.withdraw_expired(AT) == []
    assert {text.id for text in queue.withdraw_expired(soon)} == {1, 3, 4}
    queue.wake_postponed(AT + timedelta(hours=1))
    assert taken(queue) == [2]


def test_a_drained_queue_gives_up_everything() -> None:
    queue = make_queue(make_text(1), make_text(2, application=True))
    queue.postpone(make_text(3), AT)
    queue.put_receipt(make_receipt(4))
    texts, receipts = queue.drain()
    assert {text.id for text in texts} == {1, 2, 3}
    assert [receipt.id for receipt in receipts] == [4]
    queue.wake_postponed(AT)
    assert len(queue) == 0
    assert queue.take() is None


def test_a_queue_is_full_with_what_waits_here_and_what_is_parked() -> None:
    queue = make_queue(make_text(1), most=3)
    queue.postpone(make_text(2), AT)
    assert not queue.is_full
    queue.parked = 1
    assert queue.is_full
    queue.take()
    assert not queue.is_full
    assert queue.waiting == 2


def test_receipts_are_bounded_too() -> None:
    queue = make_queue(most=2)
    assert queue.receipts_room == 2
    for message_id in range(3):
        queue.put_receipt(make_receipt(message_id))
    assert queue.receipts_room == 0


def test_every_session_of_the_link_hears_that_something_waits() -> None:
    queue = make_queue()
    heard: list[str] = []
    queue.on_ready += [lambda: heard.append("a"), lambda: heard.append("b")]
    queue.put(make_text(1))
    queue.put_receipt(make_receipt(2))
    queue.postpone(make_text(3), AT)
    assert heard == ["a", "b"] * 2
    queue.wake_postponed(AT)
    assert heard == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("lease", "is_taken"),
    [(None, False), (timedelta(0), False), (timedelta(microseconds=1), True), (timedelta(-1), False)],
)
def test_nothing_is_handed_over_without_a_lease(lease: timedelta | None, *, is_taken: bool) -> None:
    queues = Queues("one")
    queues.of("host").put(make_text(1))
    if lease is not None:
        queues.renew_lease(AT - timedelta(days=1), AT + lease)
    assert (queues.take("host", AT) is not None) == is_taken
    assert len(queues.of("host")) == (0 if is_taken else 1)


def test_links_look_again_when_a_lease_that_had_run_out_is_renewed() -> None:
    """Else a text that came meanwhile would wait for the next one, or for a word of the peer."""
    queues, heard = Queues("one"), list[str]()
    queues.of("host").on_ready.append(lambda: heard.append("host"))
    queues.renew_lease(AT, AT + timedelta(seconds=15))
    assert heard == ["host"]
    queues.renew_lease(AT + timedelta(seconds=1), AT + timedelta(seconds=16))
    assert heard == ["host"]  # it never ran out
    queues.renew_lease(AT + timedelta(days=240), AT + timedelta(days=241))
    assert heard == ["host"] * 2


def test_links_do_not_share_a_queue() -> None:
    queues = Queues("one", most=5)
    queues.renew_lease(AT, AT + timedelta(seconds=15))
    queues.of("host").put(make_text(1))
    assert queues.take("cn-home", AT) is None
    assert {queue.link for queue in queues.all()} == {"host", "cn-home"}
    assert all(queue.most == 5 for queue in queues.all())


@dataclass(slots=True)
class Place:
    """Where the model says that a text is: in its lane, or postponed until a time."""

    text: Text
    until: datetime | None = None


class QueueMachine(RuleBasedStateMachine):
    """A queue against a list: whatever is done in whatever order, both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = LinkQueue("host", most=10)
        self.places: list[Place] = []
        self.receipts: list[Receipt] = []
        self.now = AT
        self.last_id = 0

    def new_text(self, *, application: bool, seconds: int) -> Text:
        self.last_id += 1
        return make_text(
            self.last_id, application=application, expires_at=self.now + timedelta(seconds=seconds)
        )

    def urgent(self) -> list[Place]:
        waiting = [place for place in self.places if place.until is None]
        return [place for place in waiting if place.text.application]

    def next(self) -> Text | Receipt | None:
        if self.urgent():
            return self.urgent()[0].text
        if self.receipts:
            return self.receipts[0]
        return next((place.text for place in self.places if place.until is None), None)

    def leave(self, message_id: int) -> None:
        self.places = [place for place in self.places if place.text.id != message_id]

    @rule(application=st.booleans(), seconds=st.integers(1, 100))
    def put(self, application: bool, seconds: int) -> None:
        text = self.new_text(application=application, seconds=seconds)
        self.queue.put(text)
        self.places.append(Place(text))

    @rule()
    def put_receipt(self) -> None:
        self.last_id += 1
        self.receipts.append(make_receipt(self.last_id))
        self.queue.put_receipt(self.receipts[-1])

    @rule()
    def take(self) -> None:
        expected = self.next()
        assert self.queue.take() is expected
        if isinstance(expected, Receipt):
            self.receipts.pop(0)
        elif expected is not None:
            self.leave(expected.id)

    @rule(seconds=st.integers(1, 50))
    def take_and_postpone(self, seconds: int) -> None:
        item = self.queue.take()
        if isinstance(item, Receipt):
            assert item is self.receipts.pop(0)
        elif item is not None:
            self.leave(item.id)
            again = msgspec.structs.replace(item, attempts=item.attempts + 1)
            self.places.append(Place(again, self.now + timedelta(seconds=seconds)))
            self.queue.postpone(again, self.now + timedelta(seconds=seconds))

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.queue.wake_postponed(self.now)
        due = [place for place in self.places if place.until and place.until <= self.now]
        for place in sorted(due, key=lambda place: (place.until, place.text.id)):
            self.places.remove(place)
            self.places.append(Place(place.text))

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places))
        assert self.queue.withdraw(place.text.id) is place.text
        self.leave(place.text.id)

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def replace(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places))
        place.text = msgspec.structs.replace(place.text)
        self.queue.replace(place.text)

    @rule()
    def expire(self) -> None:
        late = {place.text.id for place in self.places if place.text.expires_at <= self.now}
        assert {text.id for text in self.queue.withdraw_expired(self.now)} == late
        for message_id in late:
            self.leave(message_id)

    @rule()
    def drain(self) -> None:
        texts, receipts = self.queue.drain()
        assert {text.id for text in texts} == {place.text.id for place in self.places}
        assert receipts == self.receipts
        self.places, self.receipts = [], []

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == len(self.places)
        assert self.queue.is_full == (len(self.places) >= 10)
        assert self.queue.receipts_room == max(0, 10 - len(self.receipts))
        assert all(self.queue.find(place.text.id) is place.text for place in self.places)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
