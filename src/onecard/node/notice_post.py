"""Tell subscribers of a wind-down: make notices that are due, send them channel by channel, see what came of it.

Every node has one, and each recipient is taken by one of them. A node that dies while it sends leaves its recipients
to be taken again a little later: somebody may be told twice, nobody is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from onecard.cards.model import CardState
from onecard.cards.store import list_cards_of_subscriber
from onecard.database.pool import Connection, DatabaseUnavailable, Pool, connection
from onecard.lines.store import find_card_with_lines_by_id
from onecard.node.config import Config, Notices
from onecard.node.mail import Email, Mailer
from onecard.sealing.keys import MasterKey
from onecard.subscribers.actions import read_contacts
from onecard.subscribers.model import Contact
from onecard.switching.model import CardEntry, TextRefusal
from onecard.values.clock import Clock
from onecard.values.language import Language
from onecard.values.table import BadTable
from onecard.winddown.notices import evidence_store, store
from onecard.winddown.notices.actions import (
    close_copy,
    make_due,
    make_of_refunds,
    withdraw_stale,
)
from onecard.winddown.notices.catalogue import Catalogue, load_catalogue
from onecard.winddown.notices.composing import fill, hash_words
from onecard.winddown.notices.model import (
    Channel,
    MadeNotice,
    Outcome,
    Recipient,
    Result,
    Sender,
    Words,
)
from onecard.winddown.notices.rules import (
    first_channel,
    next_awake,
    settle,
    still_grows,
    wait_before_next_look,
)
from onecard.winddown.reading import PlanFile
from onecard.winddown.store import load_in_force

log = structlog.get_logger(__name__)

TellInSegments = Callable[[CardEntry, str], Awaitable[tuple[int, ...] | TextRefusal]]

TICK_SECONDS = 1.0
PREPARED_EVERY = timedelta(seconds=10)
PAGE = 2000
PAGES_A_TURN = 50
LOOKED_AT_MOST = 500
TAKEN_FOR = timedelta(minutes=5)
"""How long a node has to send; who is not settled by then is taken again."""
MAILED_AGAIN_AFTER = timedelta(minutes=1)
"""E-mails that were not tried because the mail server went away."""
COPIED_AGAIN_AFTER = timedelta(minutes=10)
_FOR_THE_MOMENT = frozenset({TextRefusal.QUEUE_FULL, TextRefusal.UNAVAILABLE})
ACTOR = "onecard"


def make_sender(config: Config) -> Sender:
    """Who speaks to subscribers; the page is that of `[web]` unless another is given."""
    page = config.notices.page
    if page is None and config.web is not None and config.web.url is not None:
        page = f"{config.web.url.rstrip('/')}/notice"
    return Sender(config.operator.name, page, config.notices.phone)


class NoticePost:
    """Sends the notices of a wind-down. `mailer` is None where there is no mail server."""

    def __init__(
        self,
        pool: Pool,
        parts: Sequence[int],
        config: Config,
        master: MasterKey,
        clock: Clock,
        *,
        tell: TellInSegments,
        mailer: Mailer | None,
    ) -> None:
        self._pool = pool
        self._parts = tuple(parts)
        self._config = config.notices
        self._rules = config.notices.rules
        self._sender = make_sender(config)
        self._master = master
        self._clock = clock
        self._tell = tell
        self._mailer = mailer
        self._made: dict[int, MadeNotice] = {}
        self._words: dict[int, Mapping[Language, Words]] = {}
        self._prepared_at: datetime | None = None
        self._missing = ""
        """What the log last said is missing."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.tick()
            except DatabaseUnavailable as error:
                log.warning("notices wait for the database", reason=str(error))
            except Exception:
                log.exception("notices could not be sent; they are tried again")
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """Do what is due, as much as a second's rates allow."""
        now = self._clock.now()
        if self._prepared_at is None or now - self._prepared_at >= PREPARED_EVERY:
            await self.prepare(now)
            self._prepared_at = now
        if not self._made:
            return
        await self._see_what_came_of_texts(now)
        await self._send(Channel.TEXT, self._config.texts_a_second, now)
        await self._send(Channel.EMAIL, self._config.emails_a_second, now)
        await self._send_copies(now)

    # ---- preparing

    async def prepare(self, now: datetime) -> None:
        """Withdraw what is no longer so, make what is due, and find whom it concerns."""
        async with connection(self._pool) as borrowed:
            file = await load_in_force(borrowed)
            if file is not None:
                await withdraw_stale(borrowed, now, actor=ACTOR, file=file)
                await self._make(borrowed, file, now)
            self._made = {one.id: one for one in await store.list_notices(borrowed)}
            for part in self._parts if self._made else ():
                await store.withdraw_waiting(borrowed, part)
                for notice in self._made.values():
                    if notice.kind in store.CAUSES:
                        await store.add_of_refunds(borrowed, part, notice, first_channel(self._rules), now)
                    elif file is not None and still_grows(notice, file.plan.time_zone, now):
                        await self._spread(borrowed, part, notice, now)

    async def _make(self, borrowed: Connection, file: PlanFile, now: datetime) -> None:
        """Make what is due; while words are missing nothing is made, and that is said."""
        try:
            catalogue = load_wording(self._config)
            await make_due(
                borrowed,
                now,
                actor=ACTOR,
                file=file,
                sender=self._sender,
                catalogue=catalogue,
                copy_to=self._config.regulator,
            )
            await make_of_refunds(
                borrowed,
                now,
                actor=ACTOR,
                file=file,
                sender=self._sender,
                catalogue=catalogue,
                parts=self._parts,
            )
        except BadTable as error:
            if str(error) != self._missing:
                log.error("no notice is made: see `onecard notice check`", reason=str(error))
            self._missing = str(error)
        else:
            self._missing = ""

    async def _spread(self, borrowed: Connection, part: int, notice: MadeNotice, now: datetime) -> None:
        """Make recipients of those whom a notice concerns; what is left over goes on at the next turn."""
        channel = first_channel(self._rules)
        for _ in range(PAGES_A_TURN):
            if not await store.add_recipients(borrowed, part, notice, channel, now, most=PAGE):
                break

    # ---- sending

    async def _send(self, channel: Channel, budget: int, now: datetime) -> None:
        """Send as much by a channel as a second's rate allows, over all parts."""
        send = self._text_some if channel is Channel.TEXT else self._email_some
        for part in self._parts:
            async with connection(self._pool) as borrowed:
                claimed = await store.claim_recipients(
                    borrowed, part, channel, now, now + TAKEN_FOR, most=budget
                )
            if not claimed:
                continue
            await self._record(await send(part, claimed, now), now)
            budget -= len(claimed)
            if budget <= 0:
                return

    async def _record(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        async with connection(self._pool) as borrowed:
            await store.record_attempts(borrowed, outcomes, now)

    async def _words_of(self, recipient: Recipient) -> Words:
        """What a recipient is told."""
        if recipient.notice_id not in self._words:
            async with connection(self._pool) as borrowed:
                self._words[recipient.notice_id] = await store.get_words(borrowed, recipient.notice_id)
        return fill(self._words[recipient.notice_id][recipient.language], recipient)

    async def _put_off(self, recipient: Recipient, until: datetime) -> None:
        async with connection(self._pool) as borrowed:
            await store.put_off(borrowed, recipient, until)

    # ---- texts

    async def _text_some(
        self, part: int, claimed: Sequence[tuple[Recipient, bool]], now: datetime
    ) -> list[Outcome]:
        told = await asyncio.gather(*(self._text(one, now, by_night=urgent) for one, urgent in claimed))
        return [one for one in told if one is not None]

    async def _text(self, recipient: Recipient, now: datetime, *, by_night: bool) -> Outcome | None:
        """Tell one subscriber by text; None: it is night where they are, and they are told in the morning."""
        entry = await self._find_card(recipient)
        if entry is None:
            return settle(recipient, Result.NO_ADDRESS, self._rules, now)
        awake_at = now if by_night else next_awake(self._rules.awake, entry.primary.time_zone, now)
        if awake_at > now:
            await self._put_off(recipient, awake_at)
            return None
        words = (await self._words_of(recipient)).text
        answer = await self._tell(entry, words)
        if isinstance(answer, TextRefusal):
            result = Result.FAILED if answer in _FOR_THE_MOMENT else Result.REFUSED
            return replace(settle(recipient, result, self._rules, now), detail=answer.value)
        sent = settle(recipient, Result.SENT, self._rules, now)
        return replace(sent, sha256=hash_words(words), message_ids=answer)

    async def _find_card(self, recipient: Recipient) -> CardEntry | None:
        """The subscriber's first card that has not ended."""
        async with connection(self._pool) as borrowed:
            cards = await list_cards_of_subscriber(borrowed, recipient.part, recipient.subscriber_id)
            card = next((one for one in cards if one.state is not CardState.ENDED), None)
            if card is None:
                return None
            found = await find_card_with_lines_by_id(borrowed, recipient.part, card.id)
        return CardEntry(*found) if found is not None and found.lines else None

    async def _see_what_came_of_texts(self, now: datetime) -> None:
        for part in self._parts:
            async with connection(self._pool) as borrowed:
                looked_at = await store.find_on_the_way(borrowed, part, now, most=LOOKED_AT_MOST)
                results = [(one.recipient, self._judge(one, now)) for one in looked_at]
                known = [settle(one, result, self._rules, now) for one, result in results if result]
                later = [(one, self._look_again_at(one, now)) for one, result in results if not result]
                await store.record_results(borrowed, known, now)
                await store.look_later(borrowed, later)

    def _judge(self, text: store.OnTheWay, now: datetime) -> Result | None:
        sent_at = text.recipient.tried_since or now
        is_late = now - sent_at >= self._rules.receipt_within
        return text.result or (Result.NO_RECEIPT if is_late else None)

    def _look_again_at(self, recipient: Recipient, now: datetime) -> datetime:
        return now + wait_before_next_look(now - (recipient.tried_since or now))

    # ---- e-mails

    async def _email_some(
        self, part: int, claimed: Sequence[tuple[Recipient, bool]], now: datetime
    ) -> list[Outcome]:
        recipients = [one for one, _ in claimed]
        if self._mailer is None:
            refused = [settle(one, Result.REFUSED, self._rules, now) for one in recipients]
            return [replace(one, detail="no mail server") for one in refused]
        contacts = await self._open(part, recipients, now)
        there = [one for one in recipients if one.subscriber_id in contacts]
        missing = [
            settle(one, Result.NO_ADDRESS, self._rules, now)
            for one in recipients
            if one.subscriber_id not in contacts
        ]
        words = [await self._words_of(one) for one in there]
        emails = [
            _write_email(one, said, contacts[one.subscriber_id].email)
            for one, said in zip(there, words, strict=True)
        ]
        answers = await self._mailer.send(emails, now)
        for one in there[len(answers) :]:
            await self._put_off(one, now + MAILED_AGAIN_AFTER)
        mailed = [
            replace(
                settle(one, answer.result, self._rules, now),
                detail=answer.detail,
                sha256=hash_words(said.of(Channel.EMAIL)),
            )
            for one, said, answer in zip(there, words, answers, strict=False)
        ]
        return [*missing, *mailed]

    async def _open(self, part: int, recipients: Sequence[Recipient], now: datetime) -> dict[int, Contact]:
        """Contact details, in memory for as long as the e-mails are written; the audit names whose, a notice each."""
        opened: dict[int, Contact] = {}
        async with connection(self._pool) as borrowed:
            for notice_id in sorted({one.notice_id for one in recipients}):
                opened |= await read_contacts(
                    borrowed,
                    now,
                    actor=ACTOR,
                    master=self._master,
                    part=part,
                    subscriber_ids={one.subscriber_id for one in recipients if one.notice_id == notice_id},
                    subject=f"notice:{notice_id}",
                    reason="e-mails",
                )
        return opened

    # ---- the regulator's copies

    async def _send_copies(self, now: datetime) -> None:
        if self._mailer is None:
            return
        async with connection(self._pool) as borrowed:
            copies = await evidence_store.claim_copies(borrowed, now, now + COPIED_AGAIN_AFTER)
        for notice_id, address, attempt in copies:
            async with connection(self._pool) as borrowed:
                words = await store.get_words(borrowed, notice_id)
            email = _write_copy(self._made[notice_id], words, address, attempt)
            answers = await self._mailer.send([email], now)
            async with connection(self._pool) as borrowed:
                await close_copy(
                    borrowed,
                    now,
                    actor=ACTOR,
                    notice_id=notice_id,
                    is_sent=answers[0].result is Result.ACCEPTED,
                    detail=answers[0].detail,
                    words=email.body,
                )


def load_wording(config: Notices) -> Catalogue:
    """The words of notices, as the operator has them; raises `BadTable`."""
    return load_catalogue(config.wording_directory)


def _write_email(recipient: Recipient, words: Words, address: str) -> Email:
    return Email(address, words.subject, words.body, recipient.language.value, recipient.reference)


def _write_copy(notice: MadeNotice, words: Mapping[Language, Words], address: str, attempt: int) -> Email:
    """All that is told, in every language, by every channel."""
    parts = [
        f"[{language.value}]\n{said.subject}\n\n{said.body}\n\n[{language.value}, text]\n{said.text}"
        for language, said in words.items()
    ]
    subject = words[notice.languages[0]].subject
    return Email(
        address, subject, "\n\n\n".join(parts), notice.languages[0].value, f"copy.{notice.id}.{attempt}"
    )
