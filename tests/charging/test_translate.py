"""Diameter's words and ours, both ways, case by case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from gateways.diameter.octets import tree
from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Grant, Operation, Result
from onecard.charging.model import Request as Asked
from onecard.gateways.diameter.codec import decode_message, encode_message
from onecard.gateways.diameter.constants import (
    CheckBalanceResult,
    FinalUnitAction,
    MultipleServicesIndicator,
    RedirectAddressType,
    RequestedAction,
    RequestType,
    ResultCode,
    RoleOfNode,
    SmMessageType,
    SubscriptionIdType,
    TariffChangeUsage,
    TerminationCause,
)
from onecard.gateways.diameter.messages import (
    CreditControlAnswer,
    CreditControlRequest,
    FinalUnit,
    ImsInformation,
    Message,
    PsInformation,
    Recipient,
    RedirectServer,
    RequestedUnits,
    ServiceInformation,
    ServiceRequest,
    SmsAddress,
    SmsInformation,
    SubscriptionId,
    UsedUnits,
)
from onecard.gateways.diameter.translate import (
    RESULT_CODE,
    ChargingSettings,
    read_request,
    write_answer,
)

DATA_CONTEXT, CALL_CONTEXT = "32251@3gpp.org", "32260@3gpp.org"
TEXT_CONTEXT, CALL_CONTEXT_TOO = "32274@3gpp.org", "mnc990.mcc302.12.32276@3gpp.org"
CHANGE_AT = datetime(2026, 4, 1, 20, tzinfo=UTC)
PLAIN = ChargingSettings()


def ccr(context: str = DATA_CONTEXT, **changes: object) -> CreditControlRequest:
    """An initial request, as it comes out of the codec."""
    request = CreditControlRequest(
        "s1", "gw.example", "example", "onecard.example", 4, context, RequestType.INITIAL, 0
    )
    frame = encode_message(Message(272, 0xC0, 4, 1, 1, replace(request, **changes)))
    decoded = decode_message(frame)
    assert isinstance(decoded, Message)
    assert isinstance(decoded.body, CreditControlRequest)
    return decoded.body


def read(request: CreditControlRequest) -> Asked:
    asked = read_request(request)
    assert isinstance(asked, Asked), asked
    return asked


def ims(**changes: object) -> ServiceInformation:
    return ServiceInformation(ims=replace(ImsInformation(), **changes))


def identity(kind: SubscriptionIdType, data: str) -> tuple[SubscriptionId, ...]:
    return (SubscriptionId(kind, data),)


TERMINATING = {"role_of_node": RoleOfNode.TERMINATING}
CONTEXTS = [
    (DATA_CONTEXT, None, UsageKind.DATA),
    ("8.32251@3gpp.org", None, UsageKind.DATA),
    (TEXT_CONTEXT, None, UsageKind.TEXT),
    (CALL_CONTEXT, None, UsageKind.CALL_OUT),
    (CALL_CONTEXT, ims(role_of_node=RoleOfNode.ORIGINATING), UsageKind.CALL_OUT),
    (CALL_CONTEXT, ims(**TERMINATING), UsageKind.CALL_IN),
    (CALL_CONTEXT_TOO, ims(**TERMINATING), UsageKind.CALL_IN),
    (CALL_CONTEXT_TOO, None, UsageKind.CALL_OUT),
]


@pytest.mark.parametrize(("context", "information", "usage"), CONTEXTS)
def test_the_context_says_what_is_charged(
    context: str, information: ServiceInformation | None, usage: UsageKind
) -> None:
    assert read(ccr(context, service_information=information)).usage is usage


def test_a_context_of_something_else_has_no_price() -> None:
    assert read_request(ccr("32299@3gpp.org")) is ResultCode.RATING_FAILED


@pytest.mark.parametrize(
    ("context", "information"),
    [
        (CALL_CONTEXT, ims(called_party="urn:service:sos.ambulance")),
        (TEXT_CONTEXT, ServiceInformation(sms=SmsInformation(message_type=SmMessageType.DELIVERY_REPORT))),
    ],
)
def test_emergency_calls_and_reports_are_let_pass_without_credit_control(
    context: str, information: ServiceInformation
) -> None:
    request = ccr(context, service_information=information)
    assert read_request(request) is ResultCode.CREDIT_CONTROL_NOT_APPLICABLE


def test_a_network_that_will_name_rating_groups_only_opens_the_session() -> None:
    opening = ccr(multiple_services=MultipleServicesIndicator.SUPPORTED)
    assert read(opening).asks == (Ask(wants=False),)
    assert read(ccr()).asks == (Ask(wants=True),)
    answer = write_answer(
        opening, UsageKind.DATA, Answer(Result.SUCCESS, (Grant(None, Result.SUCCESS),)), PLAIN
    )
    assert (answer.result_code, answer.granted) == (ResultCode.SUCCESS, None)


E164, IMSI = SubscriptionIdType.E164, SubscriptionIdType.IMSI
SIP, NAI = SubscriptionIdType.SIP_URI, SubscriptionIdType.NAI
IDENTITIES = [
    (identity(E164, "16045550100"), "+16045550100", None),
    (identity(E164, "+16045550100"), "+16045550100", None),
    (identity(SIP, "sip:+16045550100@ims.example;user=phone"), "+16045550100", None),
    (identity(SIP, "tel:+16045550100"), "+16045550100", None),
    (identity(SIP, "sip:alice@ims.example"), None, None),
    (identity(IMSI, "302990000000001"), None, "302990000000001"),
    (identity(IMSI, "not an imsi"), None, None),
    (identity(E164, "1604555010000000000000"), None, None),
    (identity(E164, "١٦٠٤"), None, None),
    (identity(NAI, "16045550100@example"), None, None),
    (identity(IMSI, "302990000000001") + identity(E164, "16045550100"), "+16045550100", "302990000000001"),
    ((), None, None),
]


@pytest.mark.parametrize(("ids", "msisdn", "imsi"), IDENTITIES)
@pytest.mark.parametrize("inside", [False, True])
def test_the_subscriber_is_named_by(
    ids: tuple[SubscriptionId, ...], msisdn: str | None, imsi: str | None, inside: bool
) -> None:
    request = (
        ccr(service_information=ServiceInformation(ids, ps=PsInformation()))
        if inside
        else ccr(subscription_ids=ids)
    )
    asked = read(request)
    assert (asked.msisdn, asked.imsi) == (msisdn, imsi)


PARTIES = [
    ("calls", {"calling_parties": ("sip:+16045550100@x",), "called_party": "tel:12583113800138000"},
     "+16045550100", "12583113800138000"),
    ("calls, as first dialled", {"requested_party": "sip:12583113800138000@x;user=phone"}, None,
     "12583113800138000"),
    ("is called", {**TERMINATING, "calling_parties": ("tel:+8613912345678",), "called_party": "tel:+8613800138000"},
     "+8613800138000", "+8613912345678"),
    ("is called by a name and a number",
     {**TERMINATING, "calling_parties": ("sip:bob@x", "tel:+8613912345678")}, None, "+8613912345678"),
    ("is called by nobody", {**TERMINATING, "calling_parties": ("sip:anonymous@anonymous.invalid",)}, None,
     "anonymous"),
    ("says nothing", {}, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parties", "line", "far"), [each[1:] for each in PARTIES], ids=[each[0] for each in PARTIES]
)
def test_the_parties_of_one_who(parties: dict[str, object], line: str | None, far: str) -> None:
    asked = read(ccr(CALL_CONTEXT, service_information=ims(**parties)))
    assert (asked.line, asked.far) == (line, far)


def test_a_text_goes_to_its_recipient() -> None:
    sms = SmsInformation(recipients=(Recipient(addresses=(SmsAddress(data="12583113800138000"),)),))
    assert read(ccr(TEXT_CONTEXT, service_information=ServiceInformation(sms=sms))).far == "12583113800138000"
    assert read(ccr(TEXT_CONTEXT)).far == ""


NETWORKS = [
    (ServiceInformation(ps=PsInformation(serving_network="46000")), "46000"),
    (
        ServiceInformation(ps=PsInformation(user_location=b"\x82d\xf0\x00\x00\x01d\x0f\x00\x00\x00\x01")),
        "46000",
    ),
    (ServiceInformation(ps=PsInformation()), ""),
    (ims(visited_network="ims.mnc000.mcc460.3gppnetwork.org"), "46000"),
    (ims(visited_network="ims.mnc015.mcc234.3gppnetwork.org"), "23415"),
    (ims(visited_network="ims.mnc990.mcc302.3gppnetwork.org"), "302990"),
    (ims(visited_network="ims.mnc012.mcc310.3gppnetwork.org"), "310012"),
    (ims(visited_network="somewhere.example"), ""),
    (None, ""),
]


@pytest.mark.parametrize(("information", "network"), NETWORKS)
def test_where_the_card_is(information: ServiceInformation | None, network: str) -> None:
    context = CALL_CONTEXT if information and information.ims else DATA_CONTEXT
    assert read(ccr(context, service_information=information)).network == network


OPERATIONS = [
    ({"request_type": RequestType.INITIAL}, Operation.INITIAL),
    ({"request_type": RequestType.UPDATE}, Operation.UPDATE),
    ({"request_type": RequestType.TERMINATION}, Operation.TERMINATE),
    *(
        ({"request_type": RequestType.EVENT, "requested_action": action}, operation)
        for action, operation in (
            (RequestedAction.DIRECT_DEBITING, Operation.DEBIT),
            (RequestedAction.REFUND_ACCOUNT, Operation.REFUND),
            (RequestedAction.CHECK_BALANCE, Operation.BALANCE),
            (RequestedAction.PRICE_ENQUIRY, Operation.PRICE),
        )
    ),
]


@pytest.mark.parametrize(("changes", "operation"), OPERATIONS)
def test_what_is_to_be_done(changes: dict[str, Any], operation: Operation) -> None:
    assert read(ccr(**changes)).operation is operation


def test_an_event_without_an_action_misses_an_avp() -> None:
    assert read_request(ccr(request_type=RequestType.EVENT)) is ResultCode.MISSING_AVP


def test_why_a_session_ended_is_kept() -> None:
    ended = ccr(request_type=RequestType.TERMINATION, termination_cause=TerminationCause.LOGOUT)
    assert read(ended).cause == "logout"


BEFORE, AFTER = TariffChangeUsage.BEFORE, TariffChangeUsage.AFTER
ASKS = [
    (DATA_CONTEXT, ServiceRequest(1, requested=RequestedUnits()), Ask(1)),
    (DATA_CONTEXT, ServiceRequest(1, requested=RequestedUnits(total_octets=5)), Ask(1, wanted=5)),
    (DATA_CONTEXT, ServiceRequest(1, requested=RequestedUnits(input_octets=5)), Ask(1, wanted=5)),
    (DATA_CONTEXT, ServiceRequest(1, used=(UsedUnits(total_octets=7),)), Ask(1, 7, wants=False)),
    (DATA_CONTEXT, ServiceRequest(1, used=(UsedUnits(input_octets=7, output_octets=2),)), Ask(1, 9, wants=False)),
    (
        DATA_CONTEXT,
        ServiceRequest(1, used=(UsedUnits(total_octets=9, input_octets=7, output_octets=2),)),
        Ask(1, 9, wants=False),
    ),
    (
        DATA_CONTEXT,
        ServiceRequest(1, used=(UsedUnits(BEFORE, total_octets=7), UsedUnits(AFTER, total_octets=3))),
        Ask(1, 10, 3, wants=False),
    ),
    (DATA_CONTEXT, ServiceRequest(1, used=(UsedUnits(time_seconds=7),)), Ask(1, wants=False)),
    (CALL_CONTEXT, ServiceRequest(requested=RequestedUnits(time_seconds=60)), Ask(wanted=60)),
    (CALL_CONTEXT, ServiceRequest(used=(UsedUnits(time_seconds=7, total_octets=900),)), Ask(None, 7, wants=False)),
    (TEXT_CONTEXT, ServiceRequest(requested=RequestedUnits(service_units=2)), Ask(wanted=2)),
    (DATA_CONTEXT, ServiceRequest(2**32 - 1), Ask(2**32 - 1, wants=False)),
]  # fmt: skip


@pytest.mark.parametrize(("context", "service", "ask"), ASKS)
def test_how_much_is_used_and_wanted(context: str, service: ServiceRequest, ask: Ask) -> None:
    assert read(ccr(context, services=(service,))).asks == (ask,)


def test_a_request_without_rating_groups_asks_for_the_whole() -> None:
    whole = ccr(CALL_CONTEXT, requested=RequestedUnits(time_seconds=60), used=(UsedUnits(time_seconds=3),))
    assert read(whole).asks == (Ask(None, 3, wanted=60),)
    assert read(ccr(CALL_CONTEXT)).asks == (Ask(),)


# ---- answers

GROUPS = (ServiceRequest(1, (10, 11), RequestedUnits()), ServiceRequest(2, (), RequestedUnits()))


def test_every_result_has_a_code() -> None:
    assert set(RESULT_CODE) == set(Result)


@pytest.mark.parametrize("result", Result)
def test_a_refusal_of_the_whole_is_a_result_of_the_whole(result: Result) -> None:
    answer = write_answer(ccr(services=GROUPS), UsageKind.DATA, Answer(result), PLAIN)
    assert (answer.result_code, answer.services) == (RESULT_CODE[result], ())


def test_each_rating_group_has_a_result_of_its_own() -> None:
    grants = (Grant(1, Result.SUCCESS, 500, 60, CHANGE_AT), Grant(2, Result.CREDIT_EXHAUSTED))
    answered = Answer(Result.SUCCESS, grants, 1_230_000, "CAD")
    settings = ChargingSettings(quota_holding_seconds=30)
    answer = write_answer(ccr(services=GROUPS), UsageKind.DATA, answered, settings)
    first, second = answer.services
    assert (answer.result_code, first.result_code, second.result_code) == (2001, 2001, 4012)
    assert (first.rating_group, first.service_identifiers, first.validity_seconds) == (1, (10, 11), 60)
    assert first.granted is not None
    assert (first.granted.total_octets, first.granted.tariff_time_change) == (500, CHANGE_AT)
    assert (second.granted, second.validity_seconds, second.final_unit) == (None, None, None)
    assert first.quota_holding_seconds == 30
    assert answer.cost is not None
    assert (answer.cost.value.digits, answer.cost.value.exponent) == (1_230_000, -6)
    assert answer.cost.currency_code == 124


def test_a_group_that_is_named_twice_is_answered_once() -> None:
    twice = (ServiceRequest(1, (10,), RequestedUnits()), ServiceRequest(1, (11,), RequestedUnits()))
    answered = Answer(Result.SUCCESS, (Grant(1, Result.SUCCESS, 5, 60),))
    [service] = write_answer(ccr(services=twice), UsageKind.DATA, answered, PLAIN).services
    assert service.service_identifiers == (10, 11)


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        (UsageKind.DATA, "total_octets"),
        (UsageKind.CALL_OUT, "time_seconds"),
        (UsageKind.CALL_IN, "time_seconds"),
        (UsageKind.TEXT, "service_units"),
    ],
)
def test_units_are_granted_as_what_they_are(usage: UsageKind, field: str) -> None:
    answered = Answer(Result.SUCCESS, (Grant(None, Result.SUCCESS, 7, 60),))
    answer = write_answer(ccr(), usage, answered, PLAIN)
    assert getattr(answer.granted, field) == 7
    assert (answer.validity_seconds, answer.final_unit) == (60, None)


FINAL_UNITS = [
    FinalUnit(FinalUnitAction.TERMINATE),
    FinalUnit(
        FinalUnitAction.REDIRECT,
        redirect_server=RedirectServer(RedirectAddressType.URL, "https://pay.example"),
    ),
    FinalUnit(FinalUnitAction.RESTRICT_ACCESS, filter_rules=("permit out ip from any to 192.0.2.1",)),
]


@pytest.mark.parametrize("final_unit", FINAL_UNITS)
@pytest.mark.parametrize("services", [(), GROUPS[:1]])
def test_the_last_units_say_what_comes_after_them(
    final_unit: FinalUnit, services: tuple[ServiceRequest, ...]
) -> None:
    group = services[0].rating_group if services else None
    answered = Answer(Result.SUCCESS, (Grant(group, Result.SUCCESS, 7, 60, is_last=True),))
    answer = write_answer(
        ccr(services=services), UsageKind.DATA, answered, ChargingSettings(final_unit, None)
    )
    said = answer.services[0].final_unit if services else answer.final_unit
    assert said == final_unit


def test_a_balance_check_says_yes_or_no() -> None:
    codes = [
        write_answer(
            ccr(), UsageKind.TEXT, Answer(Result.SUCCESS, can_pay=can_pay), PLAIN
        ).check_balance_result
        for can_pay in (True, False)
    ]
    assert codes == [CheckBalanceResult.ENOUGH_CREDIT, CheckBalanceResult.NO_CREDIT]


def test_mandatory_and_optional_are_mixed_up_in_the_result_code_of_a_service() -> None:
    """The Result-Code of a service stands in its group, with the M bit and without the V bit, and beside its own."""
    grants = (Grant(1, Result.SUCCESS, 500, 60), Grant(2, Result.CREDIT_EXHAUSTED))
    answer = write_answer(ccr(services=GROUPS), UsageKind.DATA, Answer(Result.SUCCESS, grants), PLAIN)
    answer = replace(
        answer, session_id="s1", origin_host="onecard.example", origin_realm="example", request_number=0
    )
    frame = encode_message(Message(272, 0x40, 4, 1, 1, answer))
    codes = bytes.fromhex("0000010c 40 00000c")
    assert frame.count(codes) == 3
    groups = [octets for code, _, octets in tree(frame, frozenset({268, 456})) if code == 456]
    top = [octets for code, _, octets in tree(frame, frozenset({268, 456})) if code == 268]
    assert top == [(2001).to_bytes(4, "big")]
    inside = sorted(int.from_bytes(octets, "big") for group in groups for _, _, octets in group)  # type: ignore[misc, arg-type]
    assert inside == [2001, 4012]
    decoded = decode_message(frame)
    assert isinstance(decoded, Message)
    assert isinstance(decoded.body, CreditControlAnswer)
    assert [service.result_code for service in decoded.body.services] == [2001, 4012]
