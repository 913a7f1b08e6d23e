"""Which line pays for calls, texts and data, and at whose price: the same choice as for texts over SMPP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

import shop
from charging.desk import NOON, open_desk
from onecard.cards.model import CardState
from onecard.catalogue.model import Rate, UsageKind
from onecard.charging.model import Ask, Operation, Result
from onecard.database.pool import Database
from onecard.lines.model import Line
from onecard.lines.rules import parse_schedule
from onecard.switching.model import CardEntry
from onecard.switching.usage import Charged, Emergency, UsageRefusal, decide_usage
from onecard.values.gate import NO_ORDER, Capability, Closed, Gates
from onecard.values.phone import E164
from orders import closing
from switching.entries import make_entry

INITIAL, UPDATE, TERMINATE = Operation.INITIAL, Operation.UPDATE, Operation.TERMINATE
CALL_OUT, CALL_IN, TEXT, DATA = UsageKind.CALL_OUT, UsageKind.CALL_IN, UsageKind.TEXT, UsageKind.DATA


def entry(**changes: object) -> CardEntry:
    """A card with two secondary lines; `changes` are those of the first."""
    card = make_entry(secondaries=2)
    changed = replace(card.lines[1], **changes)  # type: ignore[arg-type]
    return replace(card, lines=(card.lines[0], changed, card.lines[2]))


def decide(
    card: CardEntry, usage: UsageKind, slot: int | None, far: str, gates: Gates = NO_ORDER
) -> tuple[int, str] | Emergency | UsageRefusal | Closed:
    """The slot of the line that pays and the far end, or the refusal. `slot` None: the network names no number."""
    named = None if slot is None else card.lines[slot].msisdn
    decided = decide_usage(card, usage, named, far, service_code="12583", gates=gates, at=NOON)
    return (decided.line.slot, decided.far) if isinstance(decided, Charged) else decided


NO_SLOT, OFF, BARRED = UsageRefusal.NO_LINE_IN_SLOT, UsageRefusal.LINE_OFF, UsageRefusal.CALLS_BARRED
BLOCKED, CLOSED, BAD = (
    UsageRefusal.CALLER_BLOCKED,
    UsageRefusal.OUTSIDE_SCHEDULE,
    UsageRefusal.BAD_DESTINATION,
)
CALLER = "+8613912345678"

# The first secondary's changes, usage, slot of the number that is named, far end as the network wrote it; decision.
CASES: dict[str, tuple[dict[str, object], UsageKind, int | None, str, object]] = {
    "without the code the primary calls": ({}, CALL_OUT, None, "6045550199", (0, "+16045550199")),
    "the code and a slot choose the line": ({}, CALL_OUT, 0, "12583113912345678", (1, "+8613912345678")),
    "the number after the slot is read in its plan": (
        {},
        CALL_OUT,
        0,
        "1258310016045550199",
        (1, "+16045550199"),
    ),
    "texts choose in the same way": ({}, TEXT, 0, "12583213912345678", (2, "+8613912345678")),
    "what is dialled goes before what is named": (
        {},
        CALL_OUT,
        2,
        "12583113912345678",
        (1, "+8613912345678"),
    ),
    "a secondary that is named calls": ({}, CALL_OUT, 1, "13912345678", (1, "+8613912345678")),
    "the secondary that was called pays": ({}, CALL_IN, 1, CALLER, (1, CALLER)),
    "a caller in the plan of the line": ({}, CALL_IN, 1, "13912345678", (1, CALLER)),
    "a caller without a plus sign": ({}, CALL_IN, 0, "8613912345678", (0, CALLER)),
    "a caller that is not shown": ({}, CALL_IN, 0, "", (0, "")),
    "a caller that is shown as a name": ({}, CALL_IN, 0, "anonymous", (0, "")),
    "data is the primary's": ({}, DATA, None, "", (0, "")),
    "data is the primary's whoever is named": ({}, DATA, 1, "", (0, "")),
    "a number that nobody has is the primary's": ({}, CALL_OUT, None, "+86 not dialled", BAD),
    "an empty slot": ({}, CALL_OUT, 0, "12583713912345678", NO_SLOT),
    "a code without a slot": ({}, CALL_OUT, 0, "12583#", BAD),
    "nothing dialled": ({}, CALL_OUT, 0, "", BAD),
    "letters dialled": ({}, TEXT, 0, "hello", BAD),
    "a line that is off calls nobody": ({"switched_on": False}, CALL_OUT, 0, "12583113912345678", OFF),
    "a line that is off texts nobody": ({"switched_on": False}, TEXT, 0, "12583113912345678", OFF),
    "a line that is off is not called": ({"switched_on": False}, CALL_IN, 1, CALLER, OFF),
    "the others are": ({"switched_on": False}, CALL_IN, 2, CALLER, (2, CALLER)),
    "a bar": ({"bar_calls_in": True}, CALL_IN, 1, CALLER, BARRED),
    "a bar of texts bars no call": ({"bar_texts_in": True}, CALL_IN, 1, CALLER, (1, CALLER)),
    "a bar of calls in bars none out": ({"bar_calls_in": True}, CALL_OUT, 1, "13912345678", (1, CALLER)),
    "a caller on the block list": ({"blocked": (CALLER,)}, CALL_IN, 1, CALLER, BLOCKED),
    "however it is written": ({"blocked": (CALLER,)}, CALL_IN, 1, "13912345678", BLOCKED),
    "a caller not on the allow list": ({"allowed": ("+16045550199",)}, CALL_IN, 1, CALLER, BLOCKED),
    "lists go before bars": ({"blocked": (CALLER,), "bar_calls_in": True}, CALL_IN, 1, CALLER, BLOCKED),
    "bars go before off": ({"bar_calls_in": True, "switched_on": False}, CALL_IN, 1, CALLER, BARRED),
    "outside the hours": (
        {"schedule": parse_schedule("daily 08:00-09:00 calls")},
        CALL_IN,
        1,
        CALLER,
        CLOSED,
    ),
    "the hours of texts are none of calls": (
        {"schedule": parse_schedule("daily 08:00-09:00 texts")},
        CALL_IN,
        1,
        CALLER,
        (1, CALLER),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_line_that_pays_is(case: str) -> None:
    changes, usage, slot, far, decision = CASES[case]
    assert decide(entry(**changes), usage, slot, far) == decision


def test_a_number_of_nobody_on_the_card_means_the_primary() -> None:
    at = NOON + timedelta(hours=1)
    number = E164("+16045550100")
    decided = decide_usage(entry(), CALL_IN, number, CALLER, service_code="12583", gates=NO_ORDER, at=at)
    assert isinstance(decided, Charged)
    assert isinstance(decided.line, Line)
    assert decided.line.slot == 0


# Under an order to stop


C = Capability


@pytest.mark.parametrize("usage", list(UsageKind))
def test_each_kind_of_usage_has_its_gate(usage: UsageKind) -> None:
    own = {CALL_OUT: C.VOICE, CALL_IN: C.VOICE, TEXT: C.TEXTS, DATA: C.DATA}[usage]
    stopping = [
        one for one in Capability if isinstance(decide(entry(), usage, 0, "6045550199", closing(one)), Closed)
    ]
    assert stopping == [own]


@pytest.mark.parametrize(
    ("usage", "slot", "far"), [(CALL_OUT, 0, "12583113912345678"), (CALL_IN, 1, CALLER), (TEXT, 1, "10086")]
)
def test_secondary_lines_have_a_gate_of_their_own(usage: UsageKind, slot: int, far: str) -> None:
    gates = closing(C.SECONDARY_LINES)
    assert decide(entry(), usage, slot, far, gates) == gates.closed[C.SECONDARY_LINES]


@pytest.mark.parametrize("usage", list(UsageKind))
def test_a_card_that_was_not_activated_in_time_is_not_used(usage: UsageKind) -> None:
    card = entry()
    void = replace(card, card=replace(card.card, state=CardState.SOLD))
    gates = closing(C.ACTIVATION)
    assert decide(void, usage, 0, "6045550199", gates) == gates.closed[C.ACTIVATION]
    assert not isinstance(decide(card, usage, 0, "6045550199", gates), Closed)


@pytest.mark.parametrize(
    ("far", "is_emergency"),
    [
        ("911", True),
        ("112", True),
        ("125831911", True),
        ("12583112", False),  # the code, slot 1, and 12
        ("125831110", True),
        ("125831119", True),
        ("125831120", True),
        ("110", False),  # of the Chinese line only
        ("125839911", True),  # there is no line in slot 9
        ("9115550199", False),
        ("12583", False),
    ],
)
def test_an_emergency_call_goes_whatever_has_ended_and_whatever_is_off(far: str, is_emergency: bool) -> None:
    off = entry(switched_on=False)
    decided = decide(off, CALL_OUT, 0, far, closing(*Capability))
    assert isinstance(decided, Emergency) is is_emergency


@pytest.mark.parametrize("usage", [CALL_IN, TEXT])
def test_only_a_call_out_is_an_emergency_call(usage: UsageKind) -> None:
    assert not isinstance(decide(entry(), usage, 0, "911"), Emergency)


# ---- and at whose price, through credit control


RATES = (
    Rate(CALL_OUT, shop.CA, 60_000, 60, "1"),
    Rate(CALL_OUT, shop.CN, 120_000, 60, "86"),
    Rate(CALL_IN, shop.CA, 6_000, 60, "86"),
    Rate(CALL_IN, shop.CN, 30_000, 60),
    Rate(DATA, shop.CA, 10_000, 1_000_000, zone="home"),
    Rate(DATA, shop.CA, 90_000, 1_000_000, zone="china"),
)


async def test_the_line_that_was_chosen_sets_the_price(database: Database) -> None:
    async with open_desk(database, rates=RATES) as desk:

        async def held(
            session: str, usage: UsageKind, units: int, far: str = "6045550199", **changes: object
        ) -> int:
            """What a session holds for so many units; it is given back."""
            answer = await desk.say(session, 0, INITIAL, Ask(wanted=units), usage=usage, far=far, **changes)
            assert answer.result is Result.SUCCESS, answer
            _, micros = await desk.balance()
            await desk.say(session, 1, TERMINATE, usage=usage)
            return micros

        assert await held("s1", CALL_OUT, 60) == 60_000
        assert await held("s2", CALL_OUT, 60, far="12583113912345678") == 120_000
        assert await held("s3", CALL_OUT, 60, far="13912345678", line=desk.secondary) == 120_000
        assert await held("s4", CALL_IN, 60, far=CALLER, line=desk.secondary) == 30_000
        assert await held("s5", CALL_IN, 60, far=CALLER) == 6_000
        assert await held("s6", DATA, 1_000_000, msisdn=desk.secondary) == 10_000
        assert await held("s7", DATA, 1_000_000, network=desk.card.imsi[:6]) == 10_000
        assert await held("s8", DATA, 1_000_000, network="46000") == 90_000
        assert await held("s9", CALL_OUT, 60, msisdn=None, imsi=desk.card.imsi) == 60_000
        unknown = await desk.say("s10", 0, INITIAL, Ask(), usage=DATA, network="20404")
        assert unknown.result is Result.RATING_FAILED
        lines = {record["session_id"]: record["line_id"] for record in await desk.records()}
        assert lines["s2"] == lines["s3"] == lines["s4"] != lines["s1"] == lines["s6"] == lines["s9"]


async def test_a_record_hides_who_was_called(database: Database) -> None:
    async with open_desk(database) as desk:
        await desk.say("s1", 0, INITIAL, Ask(wanted=60))
        await desk.say("s1", 1, TERMINATE, Ask(used=1))
        [record] = await desk.records()
        assert record["far"] == "+16045******"
        assert "550199" not in str(dict(record))


async def test_a_line_that_may_not_be_used_is_denied(database: Database) -> None:
    async with open_desk(database) as desk:
        answer = await desk.say("s1", 0, INITIAL, Ask(), far="12583713912345678")
        assert answer.result is Result.SERVICE_DENIED
        assert (await desk.say("s2", 0, INITIAL, Ask(), far="")).result is Result.SERVICE_DENIED
