"""The codec against golden vectors, against an encoder of others, against itself, and against what is wrong."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecard.gateways.diameter.codec import MOST_REPEATED, decode_message, encode_message
from onecard.gateways.diameter.constants import (
    CommandCode,
    FinalUnitAction,
    RedirectAddressType,
    RequestType,
    ResultCode,
)
from onecard.gateways.diameter.dictionary import CONTENTS, PROXY_INFO
from onecard.gateways.diameter.messages import (
    CostInformation,
    CreditControlAnswer,
    CreditControlRequest,
    ErrorAnswer,
    FinalUnit,
    GrantedUnits,
    Message,
    PsInformation,
    RedirectServer,
    ServiceAnswer,
    Trigger,
    UnitValue,
    Unreadable,
    read_network,
)

from .golden import NAMED, NOON, VECTORS, Vector
from .octets import avp, message, number, tree

KNOWN = frozenset(each.key for avps in CONTENTS.values() for each in avps)
CCR = int(CommandCode.CREDIT_CONTROL)
SESSION_ID = avp(263, b"pgw;1")
ORIGIN = avp(264, b"pgw.host.example") + avp(296, b"host.example")
DESTINATION = avp(283, b"onecard.example")
APPLICATION = number(258, 4)
CONTEXT = avp(461, b"32251@3gpp.org")
TYPE, NUMBER = number(416, 2), number(415, 3)
REQUEST = (SESSION_ID, ORIGIN, DESTINATION, APPLICATION, CONTEXT, TYPE, NUMBER)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_octets_of_others_are_read_as_what_they_say(vector: Vector) -> None:
    assert decode_message(vector.octets) == vector.message


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_what_we_write_holds_the_same_as_what_others_write(vector: Vector) -> None:
    ours = encode_message(vector.message)
    assert ours[4:20] == vector.octets[4:20]
    assert tree(ours, KNOWN) == tree(vector.octets, KNOWN)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_what_we_write_we_read(vector: Vector) -> None:
    assert decode_message(encode_message(vector.message)) == vector.message


# Error code, what is wrong, the octets, the AVP that is to be named.
WRONG = [
    (3001, "a command nobody knows", message(999, *REQUEST), None),
    (3007, "an application of others", message(CCR, *REQUEST, application=16777238), None),
    (3008, "a request with the E bit", message(CCR, *REQUEST, flags=0xE0), None),
    (5011, "a version to come", message(CCR, *REQUEST, version=2), None),
    (5015, "a length that is not that of the message", message(CCR, *REQUEST) + bytes(4), None),
    (5001, "an unknown AVP with the M bit", message(CCR, *REQUEST, number(9999, 1)), number(9999, 1)),
    (
        5001,
        "one of another vendor, in a group",
        message(CCR, *REQUEST, avp(443, number(450, 0) + avp(444, b"1") + number(1, 1, vendor=9))),
        avp(443, number(1, 1, vendor=9)),
    ),
    (5004, "a value that there is not", message(CCR, *REQUEST[:5], number(416, 9), NUMBER), number(416, 9)),
    (5004, "no UTF-8", message(CCR, avp(263, b"\xff"), *REQUEST[1:]), avp(263, b"\xff")),
    (5004, "an Origin-Host of no letters", message(CCR, SESSION_ID, avp(264, b"")), avp(264, b"")),
    (5005, "no Service-Context-Id", message(CCR, *REQUEST[:4], TYPE, NUMBER), avp(461, b"")),
    (5005, "no CC-Request-Number", message(CCR, *REQUEST[:6]), number(415, 0)),
    (
        5005,
        "a Subscription-Id without its type",
        message(CCR, *REQUEST, avp(443, avp(444, b"1"))),
        avp(443, number(450, 0)),
    ),
    (
        5001,
        "one of another vendor, in Service-Information",
        message(CCR, *REQUEST, avp(873, number(1, 1, vendor=9), vendor=10415)),
        avp(873, number(1, 1, vendor=9), vendor=10415),
    ),
    (5008, "an AVP of answers", message(CCR, *REQUEST, number(448, 60)), number(448, 60)),
    (5009, "two numbers", message(CCR, *REQUEST, number(415, 7)), number(415, 7)),
    (
        5009,
        "without end",
        message(CCR, *REQUEST, *[avp(456, b"")] * (MOST_REPEATED + 1)),
        avp(456, b""),
    ),
    (5014, "a number of two octets", message(CCR, *REQUEST[:6], avp(415, b"\0\1")), avp(415, b"\0\1")),
    (
        5014,
        "an AVP longer than the message",
        message(CCR, *REQUEST[:6], bytes.fromhex("0000019f 400000ff 00000001")),
        number(415, 0),
    ),
    (
        5014,
        "an AVP shorter than its header",
        message(CCR, *REQUEST, bytes.fromhex("00000107 40000007")),
        avp(263, b""),
    ),
    (5014, "half a header", message(CCR, *REQUEST, bytes(4)), bytes(8)),
    (
        5014,
        "an AVP longer than its group",
        message(CCR, *REQUEST, avp(443, bytes.fromhex("000001c2 4000000d 00000000"))),
        avp(443, number(450, 0)),
    ),
]


@pytest.mark.parametrize(("code", "name", "octets", "failed"), WRONG, ids=[each[1] for each in WRONG])
def test_what_is_wrong_is_told_with_its_code_and_its_avp(
    code: int, name: str, octets: bytes, failed: bytes | None
) -> None:
    unreadable = decode_message(octets)
    assert isinstance(unreadable, Unreadable)
    if name == "half a header":
        assert unreadable.failed_avp is not None
        assert (unreadable.result_code, len(unreadable.failed_avp)) == (code, 8)
    else:
        assert (unreadable.result_code, unreadable.failed_avp) == (code, failed)
    assert (unreadable.hop_by_hop, unreadable.end_to_end) == (0x10, 0x20)


def test_what_an_answer_has_to_repeat_is_found_in_what_cannot_be_read() -> None:
    proxy = avp(280, b"relay.example") + avp(33, b"1")
    octets = message(CCR, *REQUEST, avp(PROXY_INFO.code, proxy), number(9999, 1))
    unreadable = decode_message(octets)
    assert isinstance(unreadable, Unreadable)
    assert unreadable.session_id == "pgw;1"
    assert (unreadable.request_type, unreadable.request_number) == (RequestType.UPDATE, 3)
    assert unreadable.proxies == (proxy,)


def read_request(*more: bytes) -> CreditControlRequest:
    decoded = decode_message(message(CCR, *REQUEST, *more))
    assert isinstance(decoded, Message), decoded
    assert isinstance(decoded.body, CreditControlRequest)
    return decoded.body


def test_an_unknown_avp_without_the_m_bit_is_passed_over() -> None:
    assert read_request(number(9999, 1, flags=0)) == read_request()


def test_inside_of_service_information_what_3gpp_added_is_passed_over() -> None:
    new = number(4999, 1, vendor=10415)
    assert read_request(avp(873, avp(874, new, vendor=10415), vendor=10415)).service_information is not None


def test_a_group_that_we_do_not_read_may_nest_as_deep_as_it_likes() -> None:
    nested = b""
    for _ in range(500):
        nested = avp(9999, nested, flags=0)
    assert read_request(nested) == read_request()


def test_a_request_for_no_certain_amount_differs_from_no_request_for_units() -> None:
    asking = read_request(avp(456, number(432, 1) + avp(437, b""))).services[0]
    reporting = read_request(avp(456, number(432, 1))).services[0]
    assert asking.requested is not None
    assert reporting.requested is None


def test_an_answer_with_avps_that_nobody_knows_is_read() -> None:
    answer = decode_message(message(CCR, *REQUEST, number(268, 2001), number(9999, 1), flags=0x40))
    assert isinstance(answer, Message)
    assert isinstance(answer.body, CreditControlAnswer)
    assert answer.body.result_code == ResultCode.SUCCESS


def test_a_protocol_error_is_read_as_one_whatever_its_command_wants() -> None:
    error = decode_message(message(CCR, SESSION_ID, ORIGIN, number(268, 3004), flags=0x60))
    assert isinstance(error, Message)
    assert isinstance(error.body, ErrorAnswer)
    assert error.body.result_code == ResultCode.TOO_BUSY


@pytest.mark.parametrize("year", [2026, 2036, 2037, 2100])
def test_times_are_right_beyond_2036(year: int) -> None:
    granted = GrantedUnits(tariff_time_change=datetime(year, 7, 1, tzinfo=UTC))
    answer = Message(CCR, 0x40, 4, 1, 2, CreditControlAnswer("s", "h", "r", granted=granted))
    assert decode_message(encode_message(answer)) == answer


def test_the_m_bits_of_a_services_avps_are_set() -> None:
    service = ServiceAnswer(
        result_code=4012,
        rating_group=10,
        granted=GrantedUnits(total_octets=1, tariff_time_change=NOON),
        validity_seconds=60,
        quota_holding_seconds=30,
        volume_threshold_octets=1,
        trigger=Trigger((1, 2)),
        final_unit=FinalUnit(
            FinalUnitAction.RESTRICT_ACCESS,
            filter_rules=("permit out ip from any to 192.0.2.1",),
            redirect_server=RedirectServer(RedirectAddressType.URL, "https://example/"),
        ),
    )
    octets = encode_message(
        Message(CCR, 0x40, 4, 1, 2, CreditControlAnswer("s", "h", "r", services=(service,)))
    )
    assert all(flags & 0x40 for flags in _flags_of(octets, 20))


def _flags_of(octets: bytes, position: int) -> list[int]:
    flags = []
    while position < len(octets):
        stop = position + int.from_bytes(octets[position + 5 : position + 8], "big")
        flags.append(octets[position + 4])
        if int.from_bytes(octets[position : position + 4], "big") in (430, 431, 434, 456):
            flags += _flags_of(octets[:stop], position + 8)
        position = stop + -stop % 4
    return flags


def test_a_value_out_of_range_is_not_written() -> None:
    answer = CreditControlAnswer("s", "h", "r", services=(ServiceAnswer(rating_group=1 << 32),))
    with pytest.raises(ValueError, match="CreditControlAnswer"):
        encode_message(Message(CCR, 0x40, 4, 1, 2, answer))


# A location: its kind, then the network in swapped digits, of which the third of the MNC comes third.
LOCATIONS = [
    ("82 64f010 0001 64f01000000001", "46001"),
    ("82 03 02 27", "302720"),
    ("00 32f451 0001 0001", "23415"),
    ("ff 64f010 0001", None),
    ("82 64", None),
    ("82 6afa10", None),
]


@pytest.mark.parametrize(("octets", "network"), LOCATIONS)
def test_the_visited_network_is_read_from_a_location(octets: str, network: str | None) -> None:
    assert read_network(bytes.fromhex(octets)) == network


def test_the_network_that_is_named_goes_before_the_location() -> None:
    location = bytes.fromhex("8264f010")
    assert PsInformation(serving_network="46000", user_location=location).visited_network == "46000"
    assert PsInformation(user_location=location).visited_network == "46001"


@given(st.binary(max_size=200))
def test_no_octets_raise(body: bytes) -> None:
    decode_message(message(CCR, body))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_amounts_survive_the_way(digits: int, exponent: int) -> None:

    cost = CostInformation(UnitValue(digits, exponent), 124)
    answer = Message(CCR, 0x40, 4, 1, 2, CreditControlAnswer("s", "h", "r", cost=cost))
    assert decode_message(encode_message(answer)) == answer


def test_fifty_thousand_mutated_messages_are_read_or_refused() -> None:
    chance = random.Random(3)  # noqa: S311
    seeds = [vector.octets for vector in VECTORS] + [NAMED["CCR update of data, sent again"].octets] * 5
    refused = 0
    for _ in range(50_000):
        decoded = decode_message(mutate(chance.choice(seeds), chance))
        if isinstance(decoded, Unreadable):
            refused += 1
        else:
            encode_message(decoded)
    assert 10_000 < refused < 50_000


def mutate(octets: bytes, chance: random.Random) -> bytes:
    """Change one to four octets, or take or add some, with the length of the message right half of the time."""
    mutated = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(mutated))
        match chance.randrange(4):
            case 0:
                del mutated[place : place + chance.choice((1, 4, 8))]
            case 1:
                mutated[place:place] = chance.randbytes(chance.choice((1, 4, 8)))
            case _:
                mutated[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        mutated.extend(bytes(max(0, 20 - len(mutated))))
    if chance.random() < 0.5:
        mutated.extend(bytes(-len(mutated) % 4))
        mutated[0:4] = (1 << 24 | len(mutated)).to_bytes(4, "big")
    return bytes(mutated)
