"""The operator's public statement: from the plan in force and the words of its notices, in one language. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.winddown.model import LocalTime, Plan, Stay
from onecard.winddown.notices.catalogue import Catalogue, load_catalogue
from onecard.winddown.notices.model import Sender
from onecard.winddown.notices.voice import Voice, last_day, stage_that_opens
from onecard.winddown.rules import date_stages


@dataclass(frozen=True, slots=True)
class StatementItem:
    """One line of a list; `at` is the time of the plan's clock that it names, for a machine to read."""

    words: str
    at: LocalTime | None = None


@dataclass(frozen=True, slots=True)
class StatementSection:
    """A heading, paragraphs, then a list; each may be empty but the heading."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[StatementItem, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementPage:
    """The page as words, for whoever shows it. Plain text: to be escaped."""

    language: Language
    title: str
    introduction: str
    sections: tuple[StatementSection, ...]
    version: int
    """Of the plan it was made from."""


def statement(
    plan: Plan,
    stays: Collection[Stay],
    language: Language,
    *,
    sender: Sender,
    catalogue: Catalogue | None = None,
) -> StatementPage:
    """What the public is told of a plan under its stays.

    `sender.name` is the operator's name; `sender.phone` is shown where there is one. `catalogue` is ours unless given;
    reading ours the first time may raise `BadTable`.
    """
    voice = Voice(catalogue or load_catalogue(), language, plan.time_zone)
    order = plan.order
    return StatementPage(
        language,
        voice.say("announcement.subject", operator=sender.name),
        voice.say(
            "statement.intro", operator=sender.name, issuer=order.issuer, legal_basis=order.legal_basis
        ),
        (
            _dates(voice, plan, stays),
            _number(voice, plan, stays),
            _balance(voice, plan, stays),
            *_contact(voice, sender),
        ),
        plan.version,
    )


def _dates(voice: Voice, plan: Plan, stays: Collection[Stay]) -> StatementSection:
    dated = date_stages(plan, stays)
    items = tuple(StatementItem(words, one.at) for one in dated if (words := voice.item(one)))
    stayed = [voice.say("statement.stayed")] if any(one.at is None for one in dated) else []
    zone = voice.say("statement.zone", zone=voice.zone())
    return StatementSection(voice.say("statement.dates"), (zone, *stayed), items)


def _number(voice: Voice, plan: Plan, stays: Collection[Stay]) -> StatementSection:
    day = last_day(plan, stays, Capability.PORT_OUT)
    if day is None:
        said = voice.say("statement.port_out_open")
    else:
        said = voice.say("statement.port_out", day=voice.day(day, full=True))
    return StatementSection(voice.say("statement.number"), (said,))


def _balance(voice: Voice, plan: Plan, stays: Collection[Stay]) -> StatementSection:
    policies = tuple(
        StatementItem(
            voice.say(
                "statement.value",
                value=voice.say(f"value.{kind}"),
                policy=voice.say(f"policy.{policy}"),
            )
        )
        for kind, policy in plan.refunds.items()
    )
    return StatementSection(voice.say("statement.balance"), tuple(_say_refunds(voice, plan, stays)), policies)


def _say_refunds(voice: Voice, plan: Plan, stays: Collection[Stay]) -> Iterator[str]:
    opening = stage_that_opens(plan, stays, Capability.REFUND)
    if opening is None or opening.at is None:
        yield voice.say("statement.refund_undated")
        return
    yield voice.say("statement.refund", date=voice.moment(opening.at, full=True))
    day = last_day(plan, stays, Capability.REFUND)
    if day is not None:
        yield voice.say("statement.refund_until", day=voice.day(day, full=True))


def _contact(voice: Voice, sender: Sender) -> Iterator[StatementSection]:
    if sender.phone:
        yield StatementSection(
            voice.say("statement.contact"), (voice.say("statement.phone", phone=sender.phone),)
        )
