"""Between the words of Nchf_ConvergedCharging and our own: golden pairs, tables, and what is turned away."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from onecard.catalogue.model import UsageKind
from onecard.charging.model import Operation, Result
from onecard.gateways.nchf.codec import UNITS_MOST, ChargingDataRequest, GroupResult, decode_request, encode
from onecard.gateways.nchf.problems import Cause, Problem
from onecard.gateways.nchf.translate import (
    GROUP_RESULT,
    PROBLEMS,
    NchfSettings,
    read_request,
    read_usage,
    write_answer,
    write_problem,
)

from .golden import (
    ANSWERED,
    ASKED,
    AT,
    HEAD,
    IMS_HEAD,
    OPENED,
    SESSION,
    SETTINGS,
    SMS_HEAD,
    Answered,
    Asked,
    container,
)
from .specification import assert_valid


def decode(document: dict[str, Any]) -> ChargingDataRequest:
    request = decode_request(json.dumps(document).encode())
    assert isinstance(request, ChargingDataRequest), request
    return request


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_a_golden_document_is_the_request_that_it_is(asked: Asked) -> None:
    request = decode(asked.document)
    if asked.operation in (Operation.INITIAL, Operation.DEBIT):
        assert read_usage(request) is asked.usage
    assert read_request(request, SESSION, asked.operation, asked.usage) == asked.request


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_a_golden_document_is_one_of_the_specification(asked: Asked) -> None:
    assert_valid(asked.document, "ChargingDataRequest")


@pytest.mark.parametrize("answered", ANSWERED, ids=lambda answered: answered.name)
def test_an_answer_is_its_golden_document(answered: Answered) -> None:
    request = decode(HEAD)
    document = json.loads(encode(write_answer(request, answered.usage, answered.answer, SETTINGS, AT)))
    head = {
        "invocationTimeStamp": "2026-04-01T19:00:00Z",
        "invocationSequenceNumber": 1,
        "sessionFailover": "FAILOVER_SUPPORTED",
    }
    assert document == head | answered.document


@pytest.mark.parametrize("answered", ANSWERED, ids=lambda answered: answered.name)
def test_an_answer_is_one_of_the_specification(answered: Answered) -> None:
    for settings in (SETTINGS, NchfSettings()):
        answer = write_answer(decode(HEAD), answered.usage, answered.answer, settings, AT)
        assert_valid(json.loads(encode(answer)), "ChargingDataResponse")


def test_every_result_has_its_status_and_its_code() -> None:
    assert set(PROBLEMS) == set(Result) - {Result.SUCCESS}
    assert set(GROUP_RESULT) == set(Result)


@pytest.mark.parametrize("result", PROBLEMS)
def test_every_refusal_is_a_problem_of_the_specification(result: Result) -> None:
    assert_valid(json.loads(encode(write_problem(result))), "TS29571_ProblemDetails")


def test_codes_of_a_group_are_those_of_the_specification() -> None:
    for code in GroupResult:
        assert_valid({"ratingGroup": 1, "resultCode": code.value}, "MultipleUnitInformation")


FREE = [
    {**SMS_HEAD, "sMSChargingInformation": {"sMMessageType": "DELIVERY"}},
    {**SMS_HEAD, "sMSChargingInformation": {"sMMessageType": "DELIVERY_REPORT"}},
    {**IMS_HEAD, "iMSChargingInformation": {"imsEmergencyIndication": True}},
]


@pytest.mark.parametrize("document", FREE)
def test_texts_to_the_card_and_emergency_calls_are_not_charged(document: dict[str, Any]) -> None:
    refused = read_usage(decode(document))
    assert isinstance(refused, Problem)
    assert (refused.status, refused.cause) == (HTTPStatus.FORBIDDEN, Cause.NOT_APPLICABLE)


def test_a_request_that_does_not_say_what_it_is_about_is_refused() -> None:
    refused = read_usage(decode(HEAD))
    assert isinstance(refused, Problem)
    assert (refused.status, refused.cause) == (HTTPStatus.BAD_REQUEST, Cause.CHARGING_FAILED)


def test_more_units_than_anybody_could_use_are_refused() -> None:
    used = [container(number, totalVolume=UNITS_MOST) for number in range(2)]
    document = {**OPENED, "multipleUnitUsage": [{"ratingGroup": 1, "usedUnitContainer": used}]}
    refused = read_request(decode(document), SESSION, Operation.UPDATE, UsageKind.DATA)
    assert isinstance(refused, Problem)
    assert [param.param for param in refused.invalid_params] == ["/multipleUnitUsage"]


# What is wrong, the cause, the place.
MALFORMED = [
    (b"", Cause.INVALID_MSG_FORMAT, None),
    (b"\xff{}", Cause.INVALID_MSG_FORMAT, None),
    (b'{"subscriberIdentifier":"\xff"}', Cause.INVALID_MSG_FORMAT, None),
    (b"[" * 60_000, Cause.MANDATORY_IE_INCORRECT, ""),
    (b'{"a":' * 10_000, Cause.INVALID_MSG_FORMAT, None),
    (b"[]", Cause.MANDATORY_IE_INCORRECT, ""),
    (b"{}", Cause.MANDATORY_IE_MISSING, ""),
]


@pytest.mark.parametrize(("body", "cause", "place"), MALFORMED, ids=lambda value: str(value)[:20])
def test_a_body_that_is_no_request_is_told_why(body: bytes, cause: Cause, place: str | None) -> None:
    refused = decode_request(body)
    assert isinstance(refused, Problem), refused
    assert (refused.status, refused.cause) == (400, cause)
    assert [param.param for param in refused.invalid_params] == ([] if place is None else [place])


# A field, a wrong value, the cause, the place.
WRONG = [
    ("invocationTimeStamp", "yesterday", Cause.MANDATORY_IE_INCORRECT, "/invocationTimeStamp"),
    ("invocationTimeStamp", "2026-04-01T12:00:00", Cause.MANDATORY_IE_INCORRECT, "/invocationTimeStamp"),
    ("invocationSequenceNumber", -1, Cause.MANDATORY_IE_INCORRECT, "/invocationSequenceNumber"),
    ("invocationSequenceNumber", 2**32, Cause.MANDATORY_IE_INCORRECT, "/invocationSequenceNumber"),
    ("nfConsumerIdentification", {}, Cause.MANDATORY_IE_MISSING, "/nfConsumerIdentification"),
    (
        "nfConsumerIdentification",
        {"nodeFunctionality": "SMF", "nFPLMNID": {"mcc": "30", "mnc": "720"}},
        Cause.MANDATORY_IE_INCORRECT,
        "/nfConsumerIdentification/nFPLMNID/mcc",
    ),
    ("oneTimeEvent", "yes", Cause.OPTIONAL_IE_INCORRECT, "/oneTimeEvent"),
    ("multipleUnitUsage", [{}], Cause.MANDATORY_IE_MISSING, "/multipleUnitUsage/0"),
    (
        "multipleUnitUsage",
        [{"ratingGroup": 1}, {"ratingGroup": 2, "requestedUnit": {"totalVolume": UNITS_MOST + 1}}],
        Cause.OPTIONAL_IE_INCORRECT,
        "/multipleUnitUsage/1/requestedUnit/totalVolume",
    ),
    (
        "multipleUnitUsage",
        [{"ratingGroup": 1, "usedUnitContainer": [{"localSequenceNumber": "1"}]}],
        Cause.OPTIONAL_IE_INCORRECT,
        "/multipleUnitUsage/0/usedUnitContainer/0/localSequenceNumber",
    ),
]


@pytest.mark.parametrize(("field", "value", "cause", "place"), WRONG)
def test_a_wrong_field_is_told_with_its_place(field: str, value: object, cause: Cause, place: str) -> None:
    refused = decode_request(json.dumps({**OPENED, field: value}).encode())
    assert isinstance(refused, Problem), refused
    assert refused.cause is cause
    [param] = refused.invalid_params
    assert param.param == place
    assert_valid(json.loads(encode(refused)), "TS29571_ProblemDetails")
