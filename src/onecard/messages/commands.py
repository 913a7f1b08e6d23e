"""Obey a text to the service code, and answer in the subscriber's language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency

from onecard.database.pool import Pool, connection
from onecard.ledger.actions import find_account
from onecard.lines.actions import switch_line
from onecard.lines.model import Line, LineRefusal
from onecard.messages.model import Content
from onecard.messages.phrases import Phrase, say
from onecard.messages.rules import CommandKind, read_command
from onecard.switching.directory import Directory
from onecard.switching.model import CardEntry
from onecard.values.alphabet import decode_text, split_udh
from onecard.values.clock import Clock
from onecard.values.language import Language
from onecard.values.money import MICROS, Money

Redeem = Callable[[CardEntry, str], Awaitable[str]]
"""Tops up the card's account by the voucher of a PIN; returns the answer in the subscriber's language."""


IssuePortPin = Callable[[CardEntry], Awaitable[str]]
"""Gives the card a PIN to take its numbers along with; returns the answer in the subscriber's language."""


class CommandDesk:
    """Carries out what subscribers ask for by text."""

    def __init__(
        self,
        pool: Pool,
        directory: Directory,
        clock: Clock,
        *,
        redeem: Redeem,
        issue_port_pin: IssuePortPin,
        service_code: str,
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._clock = clock
        self._redeem = redeem
        self._issue_port_pin = issue_port_pin
        self._service_code = service_code

    async def obey(self, entry: CardEntry, content: Content) -> str:
        """Do what the text asks for; returns the answer."""
        command = read_command(words_of(content))
        language = entry.language
        if command is None:
            return say(Phrase.NOT_UNDERSTOOD, language, code=self._service_code)
        match command.kind:
            case CommandKind.BALANCE:
                return await self._balance(entry)
            case CommandKind.LINES:
                return "\n".join(_describe(line, language) for line in entry.lines)
            case CommandKind.TOP_UP:
                assert command.pin is not None
                return await self._redeem(entry, command.pin)
            case CommandKind.PORT_PIN:
                return await self._issue_port_pin(entry)
            case CommandKind.HELP:
                return say(Phrase.HELP, language, code=self._service_code)
            case CommandKind.LINE_ON | CommandKind.LINE_OFF:
                assert command.slot is not None
                return await self._switch(entry, command.slot, on=command.kind is CommandKind.LINE_ON)

    async def _balance(self, entry: CardEntry) -> str:
        async with connection(self._pool) as borrowed:
            account = await find_account(borrowed, entry.card.part, entry.card.account_id)
        assert account is not None
        return say(Phrase.BALANCE, entry.language, amount=write_amount(account.available, entry.language))

    async def _switch(self, entry: CardEntry, slot: int, *, on: bool) -> str:
        line = entry.line_in_slot(slot)
        if line is None or line.is_primary:
            return say(Phrase.NO_LINE_IN_SLOT, entry.language, slot=slot)
        async with connection(self._pool) as borrowed:
            switched = await switch_line(
                borrowed,
                self._clock.now(),
                actor=f"subscriber:{entry.card.subscriber_id}",
                part=line.part,
                line_id=line.id,
                on=on,
            )
        self._directory.forget(
            entry.card.id
        )  # the subscriber's next text must see it; other nodes tail the change
        if isinstance(switched, LineRefusal):
            return say(Phrase.NO_LINE_IN_SLOT, entry.language, slot=slot)
        phrase = Phrase.LINE_SWITCHED_ON if on else Phrase.LINE_SWITCHED_OFF
        return say(phrase, entry.language, slot=slot, number=line.msisdn)


def words_of(content: Content) -> str:
    """The words of a text, whatever its alphabet; none if it holds octets that are no text."""
    body = split_udh(content.body)[1] if content.has_udh else content.body
    return decode_text(body, content.data_coding) or ""


def write_amount(amount: Money, language: Language) -> str:
    """An amount as people of a language write it, in signs that leave a text in the GSM alphabet if they can."""
    locale = Locale.parse(language.value, sep="-")
    written = format_currency(Decimal(amount.micros) / MICROS, amount.currency, locale=locale)
    return written.replace("\u00a0", " ").replace("\u202f", " ")


def _describe(line: Line, language: Language) -> str:
    state = say(Phrase.STATE_ON if line.switched_on else Phrase.STATE_OFF, language)
    phrase = Phrase.PRIMARY_LINE if line.is_primary else Phrase.LINE
    return say(phrase, language, slot=line.slot, number=line.msisdn, state=state)
