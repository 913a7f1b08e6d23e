"""Between the words of Diameter credit control and our own. Pure.

Which service a request is about is in its Service-Context-Id (TS 32.299 section 7.1.12): 32251 data, 32260 and 32276
calls, 32274 texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Grant, Operation, Request, Result
from onecard.gateways.diameter.constants import (
    CheckBalanceResult,
    FinalUnitAction,
    MultipleServicesIndicator,
    RequestedAction,
    RequestType,
    ResultCode,
    RoleOfNode,
    SmMessageType,
    SubscriptionIdType,
    TariffChangeUsage,
    TriggerType,
)
from onecard.gateways.diameter.messages import (
    CostInformation,
    CreditControlAnswer,
    CreditControlRequest,
    FinalUnit,
    GrantedUnits,
    ImsInformation,
    RequestedUnits,
    ServiceAnswer,
    Trigger,
    UnitValue,
    UsedUnits,
)
from onecard.gateways.identities import dialled_in, network_in, number_in
from onecard.values.card import BadCardIdentifier, Imsi, parse_imsi
from onecard.values.money import NUMERIC_CODES
from onecard.values.phone import E164

RESULT_CODE: dict[Result, ResultCode] = {
    Result.SUCCESS: ResultCode.SUCCESS,
    Result.UNKNOWN_SUBSCRIBER: ResultCode.USER_UNKNOWN,
    Result.UNKNOWN_SESSION: ResultCode.UNKNOWN_SESSION_ID,
    Result.OUT_OF_ORDER: ResultCode.UNABLE_TO_COMPLY,
    Result.CREDIT_EXHAUSTED: ResultCode.CREDIT_LIMIT_REACHED,
    Result.SERVICE_DENIED: ResultCode.END_USER_SERVICE_DENIED,
    Result.ENDED_BY_ORDER: ResultCode.END_USER_SERVICE_DENIED,
    Result.NOT_APPLICABLE: ResultCode.CREDIT_CONTROL_NOT_APPLICABLE,
    Result.RATING_FAILED: ResultCode.RATING_FAILED,
    Result.BAD_REQUEST: ResultCode.UNABLE_TO_COMPLY,
    Result.BUSY: ResultCode.TOO_BUSY,
}

_OPERATIONS = {
    RequestType.INITIAL: Operation.INITIAL,
    RequestType.UPDATE: Operation.UPDATE,
    RequestType.TERMINATION: Operation.TERMINATE,
}
_ACTIONS = {
    RequestedAction.DIRECT_DEBITING: Operation.DEBIT,
    RequestedAction.REFUND_ACCOUNT: Operation.REFUND,
    RequestedAction.CHECK_BALANCE: Operation.BALANCE,
    RequestedAction.PRICE_ENQUIRY: Operation.PRICE,
}
EMERGENCY_URN = "urn:service:sos"
"""RFC 5031 section 4.2: what an emergency call is made to."""
_CONTEXT = re.compile(r"(32251|32260|32274|32276)@3gpp\.org", re.IGNORECASE)


CHANGES_OF_PRICE = Trigger((TriggerType.CHANGE_IN_MCC, TriggerType.CHANGE_IN_MNC))
"""A card that roams elsewhere is to be asked for again: prices depend on the network that serves it."""
TERMINATE = FinalUnit(FinalUnitAction.TERMINATE)


@dataclass(frozen=True, slots=True)
class ChargingSettings:
    """What answers say besides the grants."""

    final_unit: FinalUnit = TERMINATE
    """What becomes of a service when its last units are used up."""
    quota_holding_seconds: int | None = None
    """After how long without traffic a network gives data quota back."""


def read_request(request: CreditControlRequest) -> Request | ResultCode:
    """A request in our words; or why it is none of ours."""
    usage = _read_usage(request)
    if usage is None:
        return ResultCode.RATING_FAILED
    if _is_free_of_control(request, usage):
        return ResultCode.CREDIT_CONTROL_NOT_APPLICABLE
    operation = _read_operation(request)
    if operation is None:
        return ResultCode.MISSING_AVP
    ims = request.service_information.ims if request.service_information else None
    return Request(
        request.session_id,
        request.request_number,
        operation,
        usage,
        _read_asks(request, usage),
        _read_msisdn(request),
        _read_imsi(request),
        _read_line(ims, usage),
        _read_far(request, usage),
        _read_network(request),
        request.termination_cause.name.lower() if request.termination_cause else "",
    )


def _read_usage(request: CreditControlRequest) -> UsageKind | None:
    context = _CONTEXT.search(request.service_context_id)
    if context is None:
        return None
    if context[1] == "32251":
        return UsageKind.DATA
    if context[1] == "32274":
        return UsageKind.TEXT
    ims = request.service_information.ims if request.service_information else None
    terminating = ims is not None and ims.role_of_node is RoleOfNode.TERMINATING
    return UsageKind.CALL_IN if terminating else UsageKind.CALL_OUT


def _is_free_of_control(request: CreditControlRequest, usage: UsageKind) -> bool:
    """Emergency calls always go, and a report of a delivery costs nothing: the network is to let both pass."""
    information = request.service_information
    if information is None:
        return False
    if usage is UsageKind.CALL_OUT and information.ims is not None:
        return (information.ims.called_party or "").lower().startswith(EMERGENCY_URN)
    sms = information.sms
    return usage is UsageKind.TEXT and sms is not None and sms.message_type is SmMessageType.DELIVERY_REPORT


def _read_operation(request: CreditControlRequest) -> Operation | None:
    if request.request_type is RequestType.EVENT:
        return None if request.requested_action is None else _ACTIONS[request.requested_action]
    return _OPERATIONS[request.request_type]


# ---- who


def _read_msisdn(request: CreditControlRequest) -> E164 | None:
    for kind in (SubscriptionIdType.E164, SubscriptionIdType.SIP_URI):
        for data in _identities(request, kind):
            number = number_in(data)
            if number is not None:
                return number
    return None


def _read_imsi(request: CreditControlRequest) -> Imsi | None:
    for data in _identities(request, SubscriptionIdType.IMSI):
        try:
            return parse_imsi(data)
        except BadCardIdentifier:
            continue
    return None


def _identities(request: CreditControlRequest, kind: SubscriptionIdType) -> list[str]:
    information = request.service_information
    subscriptions = (*request.subscription_ids, *(information.subscription_ids if information else ()))
    return [subscription.data for subscription in subscriptions if subscription.type is kind]


def _read_line(ims: ImsInformation | None, usage: UsageKind) -> E164 | None:
    """Calls name the line: the number that was called, or the one that the call is shown to come from."""
    if ims is None:
        return None
    if usage is UsageKind.CALL_IN:
        return number_in(ims.called_party) if ims.called_party else None
    return next((number for party in ims.calling_parties if (number := number_in(party))), None)


def _read_far(request: CreditControlRequest, usage: UsageKind) -> str:
    information = request.service_information
    if information is None or usage is UsageKind.DATA:
        return ""
    if usage is UsageKind.TEXT:
        recipients = information.sms.recipients if information.sms else ()
        addresses = [address.data for each in recipients for address in each.addresses if address.data]
        return addresses[0] if addresses else ""
    if information.ims is None:
        return ""
    if usage is UsageKind.CALL_IN:
        return _read_caller(information.ims.calling_parties)
    dialled = information.ims.called_party or information.ims.requested_party or ""
    return dialled_in(dialled)


def _read_caller(parties: tuple[str, ...]) -> str:
    """A caller may be named by a SIP URI and by a number: the number counts."""
    callers = [dialled_in(party) for party in parties]
    return next((caller for caller in callers if number_in(caller)), callers[0] if callers else "")


def _read_network(request: CreditControlRequest) -> str:
    information = request.service_information
    if information is None:
        return ""
    if information.ps is not None:
        return information.ps.visited_network or ""
    visited = information.ims.visited_network if information.ims else None
    return network_in(visited)


# ---- what and how much


def _read_asks(request: CreditControlRequest, usage: UsageKind) -> tuple[Ask, ...]:
    if request.services:
        return tuple(
            _ask(service.rating_group, service.requested, service.used, usage, always=False)
            for service in request.services
        )
    # A network that will name rating groups, and names none yet, only opens the session.
    names_groups = request.multiple_services is MultipleServicesIndicator.SUPPORTED
    return (_ask(None, request.requested, request.used, usage, always=not names_groups),)


def _ask(
    rating_group: int | None,
    requested: RequestedUnits | None,
    used: tuple[UsedUnits, ...],
    usage: UsageKind,
    *,
    always: bool,
) -> Ask:
    """One service. A request that knows no rating groups may leave it to us how much to grant by saying nothing."""
    after = TariffChangeUsage.AFTER
    return Ask(
        rating_group,
        sum(_units(each, usage) or 0 for each in used),
        sum(_units(each, usage) or 0 for each in used if each.tariff_change_usage is after),
        requested is not None or always,
        _units(requested, usage) if requested is not None else None,
    )


def _units(units: RequestedUnits | UsedUnits, usage: UsageKind) -> int | None:
    if usage is UsageKind.TEXT:
        return units.service_units
    if usage is not UsageKind.DATA:
        return units.time_seconds
    if units.total_octets is not None:
        return units.total_octets
    if units.input_octets is None and units.output_octets is None:
        return None
    return (units.input_octets or 0) + (units.output_octets or 0)


# ---- the answer


def write_answer(
    request: CreditControlRequest, usage: UsageKind, answer: Answer, settings: ChargingSettings
) -> CreditControlAnswer:
    """Our answer in the words of Diameter: per rating group where the request knows them, else for the whole."""
    code = RESULT_CODE[answer.result]
    cost = _cost(answer)
    if answer.can_pay is not None:
        balance = CheckBalanceResult.ENOUGH_CREDIT if answer.can_pay else CheckBalanceResult.NO_CREDIT
        return CreditControlAnswer(result_code=code, check_balance_result=balance)
    if request.services:
        services = tuple(_service(request, grant, usage, settings) for grant in answer.grants)
        return CreditControlAnswer(result_code=code, services=services, cost=cost, error_message=answer.stage)
    if not answer.grants:
        return CreditControlAnswer(result_code=code, cost=cost, error_message=answer.stage)
    [grant] = answer.grants
    granted = grant.result is Result.SUCCESS and grant.units > 0
    return CreditControlAnswer(
        result_code=RESULT_CODE[grant.result],
        granted=_granted(grant, usage) if granted else None,
        final_unit=settings.final_unit if grant.is_last else None,
        validity_seconds=grant.valid_seconds if granted else None,
        cost=cost,
    )


def _service(
    request: CreditControlRequest, grant: Grant, usage: UsageKind, settings: ChargingSettings
) -> ServiceAnswer:
    asked = [service for service in request.services if service.rating_group == grant.rating_group]
    granted = grant.result is Result.SUCCESS and grant.units > 0
    return ServiceAnswer(
        RESULT_CODE[grant.result],
        grant.rating_group,
        tuple(dict.fromkeys(identifier for service in asked for identifier in service.service_identifiers)),
        _granted(grant, usage) if granted else None,
        validity_seconds=grant.valid_seconds if granted else None,
        final_unit=settings.final_unit if grant.is_last else None,
        quota_holding_seconds=settings.quota_holding_seconds if usage is UsageKind.DATA else None,
        trigger=CHANGES_OF_PRICE if usage is UsageKind.DATA and granted else None,
    )


def _granted(grant: Grant, usage: UsageKind) -> GrantedUnits:
    if usage is UsageKind.TEXT:
        return GrantedUnits(grant.change_at, service_units=grant.units)
    if usage is UsageKind.DATA:
        return GrantedUnits(grant.change_at, total_octets=grant.units)
    return GrantedUnits(grant.change_at, time_seconds=grant.units)


def _cost(answer: Answer) -> CostInformation | None:
    number = NUMERIC_CODES.get(answer.currency)
    if answer.cost_micros is None or number is None:
        return None
    return CostInformation(UnitValue(answer.cost_micros, -6), number)
