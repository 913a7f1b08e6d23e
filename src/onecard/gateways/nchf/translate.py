"""Between the words of Nchf_ConvergedCharging and our own. Pure.

A PDU session is data, IMS charging a call, SMS charging a text. Texts to the card and emergency calls cost nothing:
their consumers are told that charging does not apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Grant, Operation, Request, Result
from onecard.gateways.identities import dialled_in, network_in, number_in
from onecard.gateways.nchf.codec import (
    UNITS_MOST,
    CallInformation,
    ChargingDataRequest,
    ChargingDataResponse,
    FinalUnitAction,
    FinalUnitIndication,
    GrantedUnit,
    GroupResult,
    Location,
    PlmnId,
    TextInformation,
    UnitInformation,
    Units,
    UnitUsage,
    UsedUnits,
)
from onecard.gateways.nchf.problems import Cause, Problem, bad_request, problem
from onecard.values.card import BadCardIdentifier, Imsi, parse_imsi
from onecard.values.phone import E164

THRESHOLD_SHARE = 5
"""A consumer is to come again when a fifth of its grant is left, so that traffic need not wait for the next."""
FAILOVER_SUPPORTED = "FAILOVER_SUPPORTED"

PROBLEMS: dict[Result, tuple[HTTPStatus, Cause, str]] = {
    Result.UNKNOWN_SUBSCRIBER: (HTTPStatus.NOT_FOUND, Cause.UNKNOWN, "no card of ours is known by this"),
    Result.UNKNOWN_SESSION: (HTTPStatus.NOT_FOUND, Cause.CONTEXT_NOT_FOUND, "there is no such open session"),
    Result.OUT_OF_ORDER: (
        HTTPStatus.BAD_REQUEST,
        Cause.CHARGING_FAILED,
        "a later request of this session was answered already",
    ),
    Result.CREDIT_EXHAUSTED: (HTTPStatus.FORBIDDEN, Cause.LIMIT_REACHED, "the account cannot pay for it"),
    Result.SERVICE_DENIED: (HTTPStatus.FORBIDDEN, Cause.DENIED, "the line may not be used for it"),
    Result.ENDED_BY_ORDER: (HTTPStatus.FORBIDDEN, Cause.DENIED, "an order to stop has ended it"),
    Result.NOT_APPLICABLE: (HTTPStatus.FORBIDDEN, Cause.NOT_APPLICABLE, "emergency calls are free"),
    Result.RATING_FAILED: (HTTPStatus.BAD_REQUEST, Cause.CHARGING_FAILED, "no rate covers it"),
    Result.BAD_REQUEST: (HTTPStatus.BAD_REQUEST, Cause.CHARGING_FAILED, "the session does not wait for this"),
    Result.BUSY: (HTTPStatus.SERVICE_UNAVAILABLE, Cause.CONGESTION, "too busy; try again"),
}
"""Every result of a whole request but success."""

GROUP_RESULT: dict[Result, GroupResult] = {
    Result.SUCCESS: GroupResult.SUCCESS,
    Result.UNKNOWN_SUBSCRIBER: GroupResult.UNKNOWN,
    Result.UNKNOWN_SESSION: GroupResult.SERVICE_REJECTED,
    Result.OUT_OF_ORDER: GroupResult.SERVICE_REJECTED,
    Result.CREDIT_EXHAUSTED: GroupResult.LIMIT_REACHED,
    Result.SERVICE_DENIED: GroupResult.SERVICE_DENIED,
    Result.ENDED_BY_ORDER: GroupResult.SERVICE_DENIED,
    Result.NOT_APPLICABLE: GroupResult.SERVICE_REJECTED,
    Result.RATING_FAILED: GroupResult.RATING_FAILED,
    Result.BAD_REQUEST: GroupResult.SERVICE_REJECTED,
    Result.BUSY: GroupResult.SERVICE_REJECTED,
}

_FREE_TEXTS = ("DELIVERY", "DELIVERY_REPORT")


TERMINATE = FinalUnitIndication(FinalUnitAction.TERMINATE)


@dataclass(frozen=True, slots=True)
class NchfSettings:
    """What answers say besides the grants."""

    final_unit: FinalUnitIndication = TERMINATE
    quota_holding_seconds: int | None = None
    """After how long without traffic a network gives data quota back."""
    api_root: str | None = None
    """Scheme, host and port by which consumers reach us, where it is not what they name in their requests."""


# ---- what is charged


def read_usage(request: ChargingDataRequest) -> UsageKind | Problem:
    """What an initial request or event is about."""
    if request.data is not None:
        return UsageKind.DATA
    if request.text is not None:
        if request.text.message_type in _FREE_TEXTS:
            return _free("texts to a card are free")
        return UsageKind.TEXT
    if request.call is not None:
        if request.call.is_emergency:
            return _free("emergency calls are free")
        terminating = request.call.role_of_node == "TERMINATING"
        return UsageKind.CALL_IN if terminating else UsageKind.CALL_OUT
    return bad_request(
        Cause.CHARGING_FAILED,
        "give pDUSessionChargingInformation, sMSChargingInformation or iMSChargingInformation: "
        "data, texts and calls are charged here",
    )


def _free(why: str) -> Problem:
    return problem(HTTPStatus.FORBIDDEN, Cause.NOT_APPLICABLE, why)


def read_request(
    request: ChargingDataRequest, session_id: str, operation: Operation, usage: UsageKind
) -> Request | Problem:
    """A request in our words; or what is wrong with it."""
    asks = _read_asks(request, usage)
    if any(max(ask.used, ask.wanted or 0) > UNITS_MOST for ask in asks):
        return bad_request(
            Cause.OPTIONAL_IE_INCORRECT, f"more than {UNITS_MOST} units in all", "/multipleUnitUsage"
        )
    if not asks and operation in (Operation.INITIAL, Operation.UPDATE):
        asks = (Ask(wants=False),)  # a session may be opened, or said to live, before anything is used in it
    return Request(
        session_id,
        request.invocation_sequence_number,
        operation,
        usage,
        asks,
        _read_msisdn(request),
        _read_imsi(request),
        _read_line(request.call, usage),
        _read_far(request, usage),
        _read_network(request),
        _read_cause(request) if operation is Operation.TERMINATE else "",
    )


def _read_cause(request: ChargingDataRequest) -> str:
    triggers = (trigger.trigger_type for trigger in request.triggers)
    return "abnormal_release" if "ABNORMAL_RELEASE" in triggers else ""


# ---- who


def _read_imsi(request: ChargingDataRequest) -> Imsi | None:
    identities = (
        request.subscriber_identifier,
        request.text and request.text.originator and request.text.originator.supi,
    )
    for identity in identities:
        if identity and identity.startswith("imsi-"):
            try:
                return parse_imsi(identity.removeprefix("imsi-"))
            except BadCardIdentifier:
                continue
    return None


def _read_msisdn(request: ChargingDataRequest) -> E164 | None:
    served = [part.served for part in (request.data, request.call) if part is not None]
    originator = request.text.originator if request.text else None
    identities = (
        *(each.gpsi for each in served if each is not None),
        originator.gpsi if originator else None,
        request.subscriber_identifier,
    )
    for identity in identities:
        if identity and identity.startswith("msisdn-"):
            number = number_in(identity.removeprefix("msisdn-"))
            if number is not None:
                return number
    return None


def _read_line(call: CallInformation | None, usage: UsageKind) -> E164 | None:
    """Calls name the line: the number that was called, or the one that the call is shown to come from."""
    if call is None:
        return None
    if usage is UsageKind.CALL_IN:
        return number_in(call.called) if call.called else None
    return next((number for party in call.calling if (number := number_in(party))), None)


def _read_far(request: ChargingDataRequest, usage: UsageKind) -> str:
    if usage is UsageKind.TEXT and request.text is not None:
        return _read_recipient(request.text)
    if request.call is None:
        return ""
    if usage is UsageKind.CALL_IN:
        return dialled_in(request.call.calling[0]) if request.call.calling else ""
    dialled = request.call.called or next(iter(request.call.requested), "")
    return dialled_in(dialled)


def _read_recipient(text: TextInformation) -> str:
    """What was dialled; else the number that the network made of it."""
    for recipient in text.recipients:
        others = (each.address for each in recipient.others)
        for address in (recipient.received, recipient.other, *others):
            if address is not None and address.data:
                return address.data
        if recipient.gpsi and recipient.gpsi.startswith("msisdn-"):
            return "+" + recipient.gpsi.removeprefix("msisdn-")
    return ""


# ---- where


def _read_network(request: ChargingDataRequest) -> str:
    """MCC and MNC of the network that serves the card."""
    session = request.data.session if request.data else None
    if session is not None:
        function = session.serving_function
        served_by = function.serving_network_function_information.plmn if function else None
        if plmn := session.serving_plmn or served_by:
            return plmn.mcc + plmn.mnc
    for part in (request.data, request.text, request.call):
        if part is not None and (plmn := _network_at(part.location)):
            return plmn.mcc + plmn.mnc
    return network_in(request.call.visited_network if request.call else None)


def _network_at(location: Location | None) -> PlmnId | None:
    cells = (location.nr_location, location.eutra_location) if location else ()
    return next((cell.tai.plmn_id for cell in cells if cell and cell.tai), None)


# ---- how much


def _read_asks(request: ChargingDataRequest, usage: UsageKind) -> tuple[Ask, ...]:
    """One ask a rating group: a group that is reported by several network functions is one service all the same."""
    asks: dict[int | None, Ask] = {}
    for each in request.usage:
        ask = _read_ask(each, usage)
        before = asks.get(ask.rating_group)
        asks[ask.rating_group] = ask if before is None else _add(before, ask)
    return tuple(asks.values())


def _read_ask(each: UnitUsage, usage: UsageKind) -> Ask:
    used = sorted(each.used, key=_sequence_number)
    changed = next((place for place, part in enumerate(used) if _ends_at_change(part)), len(used))
    return Ask(
        each.rating_group,
        sum(_units(part, usage) or 0 for part in used),
        sum(_units(part, usage) or 0 for part in used[changed + 1 :]),
        each.requested is not None,
        None if each.requested is None else _units(each.requested, usage),
    )


def _sequence_number(part: UsedUnits) -> int:
    return part.local_sequence_number


def _ends_at_change(part: UsedUnits) -> bool:
    """Whether these units were closed off because another tariff began: what follows is under that one."""
    return any(trigger.trigger_type == "TARIFF_TIME_CHANGE" for trigger in part.triggers)


def _add(one: Ask, other: Ask) -> Ask:
    wanted = [ask.wanted for ask in (one, other) if ask.wanted is not None]
    return Ask(
        one.rating_group,
        one.used + other.used,
        one.used_after_change + other.used_after_change,
        one.wants or other.wants,
        sum(wanted) if wanted else None,
    )


def _units(units: Units, usage: UsageKind) -> int | None:
    if usage is UsageKind.TEXT:
        return units.service_specific_units
    if usage is not UsageKind.DATA:
        return units.time
    if units.total_volume is not None:
        return units.total_volume
    if units.uplink_volume is None and units.downlink_volume is None:
        return None
    return (units.uplink_volume or 0) + (units.downlink_volume or 0)


# ---- the answer


def write_problem(result: Result, stage: str | None = None) -> Problem:
    """Why a request was refused as a whole; `stage` is what of an order to stop has ended it."""
    status, cause, detail = PROBLEMS[result]
    return problem(status, cause, detail if stage is None else f"{detail}: {stage}")


def write_answer(
    request: ChargingDataRequest, usage: UsageKind, answer: Answer, settings: NchfSettings, at: datetime
) -> ChargingDataResponse:
    """The answer to a request that succeeded as a whole, group by group; `at` is when it is given."""
    assert answer.result is Result.SUCCESS
    return ChargingDataResponse(
        at,
        request.invocation_sequence_number,
        FAILOVER_SUPPORTED,
        tuple(
            _information(grant, grant.rating_group, usage, settings)
            for grant in answer.grants
            if grant.rating_group is not None  # None: nothing was asked for
        ),
    )


def _information(
    grant: Grant, rating_group: int, usage: UsageKind, settings: NchfSettings
) -> UnitInformation:
    if grant.result is not Result.SUCCESS or grant.units == 0:
        return UnitInformation(rating_group, GROUP_RESULT[grant.result])
    is_data = usage is UsageKind.DATA
    threshold = None if grant.is_last or usage is UsageKind.TEXT else grant.units // THRESHOLD_SHARE
    return UnitInformation(
        rating_group,
        GroupResult.SUCCESS,
        _granted(grant, usage),
        grant.valid_seconds,
        settings.quota_holding_seconds if is_data else None,
        settings.final_unit if grant.is_last else None,
        time_quota_threshold=None if is_data else threshold,
        volume_quota_threshold=threshold if is_data else None,
    )


def _granted(grant: Grant, usage: UsageKind) -> GrantedUnit:
    if usage is UsageKind.TEXT:
        return GrantedUnit(grant.change_at, service_specific_units=grant.units)
    if usage is UsageKind.DATA:
        return GrantedUnit(grant.change_at, total_volume=grant.units)
    return GrantedUnit(grant.change_at, time=grant.units)
