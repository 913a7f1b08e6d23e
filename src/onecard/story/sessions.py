"""Sessions of credit control as the simulated network asks for them (RFC 8506, TS 32.299)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from onecard.catalogue.model import UsageKind
from onecard.gateways.diameter.constants import (
    ApplicationId,
    MultipleServicesIndicator,
    RequestType,
    RoleOfNode,
    SubscriptionIdType,
    TerminationCause,
)
from onecard.gateways.diameter.messages import (
    CreditControlAnswer,
    CreditControlRequest,
    GrantedUnits,
    ImsInformation,
    PsInformation,
    RequestedUnits,
    ServiceAnswer,
    ServiceInformation,
    ServiceRequest,
    SubscriptionId,
    UsedUnits,
)
from onecard.story.place import NETWORK, OUR_REALM
from onecard.values.money import MICROS

RATING_GROUP = 10
"""The one service of a session here."""
CONTEXTS = {UsageKind.CALL_OUT: "32260@3gpp.org", UsageKind.DATA: "32251@3gpp.org"}
HOME_NETWORK = "302990"


@dataclass(slots=True)
class CreditSession:
    """A call or a data session from the network's side; each request is one further. Units: seconds, octets."""

    usage: UsageKind
    msisdn: str
    information: ServiceInformation
    id: str = field(default_factory=lambda: f"{NETWORK[0]};{secrets.randbits(32)};{secrets.randbits(32)}")
    _number: int = 0

    def open(self, wanted: int) -> CreditControlRequest:
        """Ask for the first units."""
        return self._request(RequestType.INITIAL, None, wanted)

    def go_on(self, used: int, wanted: int | None) -> CreditControlRequest:
        """Report what was used since the last request, and ask for more, or None: for no more just now."""
        return self._request(RequestType.UPDATE, used, wanted)

    def end(self, used: int) -> CreditControlRequest:
        """Report what was used since the last request; it was the last."""
        return self._request(RequestType.TERMINATION, used, None)

    def _request(self, kind: RequestType, used: int | None, wanted: int | None) -> CreditControlRequest:
        number, self._number = self._number, self._number + 1
        service = ServiceRequest(
            RATING_GROUP,
            requested=None if wanted is None else self._requested(wanted),
            used=() if used is None else (self._used(used),),
        )
        return CreditControlRequest(
            self.id,
            *NETWORK,
            OUR_REALM,
            ApplicationId.CREDIT_CONTROL,
            CONTEXTS[self.usage],
            kind,
            number,
            event_timestamp=datetime.now(UTC),
            subscription_ids=(SubscriptionId(SubscriptionIdType.E164, self.msisdn.removeprefix("+")),),
            termination_cause=TerminationCause.LOGOUT if kind is RequestType.TERMINATION else None,
            multiple_services=MultipleServicesIndicator.SUPPORTED,
            services=(service,),
            service_information=self.information,
        )

    def _requested(self, units: int) -> RequestedUnits:
        if self.usage is UsageKind.DATA:
            return RequestedUnits(total_octets=units)
        return RequestedUnits(time_seconds=units)

    def _used(self, units: int) -> UsedUnits:
        if self.usage is UsageKind.DATA:
            return UsedUnits(total_octets=units)
        return UsedUnits(time_seconds=units)


def call_from_card(primary: str, dialled: str) -> CreditSession:
    """A call as the call server sees it: from the phone's number, to the digits that were dialled."""
    ims = ImsInformation(
        role_of_node=RoleOfNode.ORIGINATING,
        calling_parties=(f"tel:{primary}",),
        called_party=f"tel:{dialled}",
    )
    return CreditSession(UsageKind.CALL_OUT, primary, ServiceInformation(ims=ims))


def data_of_card(primary: str) -> CreditSession:
    """A data session as the packet gateway sees it, with the card at home."""
    ps = PsInformation(serving_network=HOME_NETWORK)
    return CreditSession(UsageKind.DATA, primary, ServiceInformation(ps=ps))


@dataclass(frozen=True, slots=True)
class Granted:
    """What an answer says of the session's one service. Units: seconds, octets."""

    result_code: int
    units: int
    is_last: bool


def read_grant(answer: CreditControlAnswer) -> Granted:
    """The result of the service, or where the answer has none, of the request."""
    service = answer.services[0] if answer.services else ServiceAnswer(answer.result_code)
    units = service.granted or GrantedUnits()
    return Granted(
        service.result_code or answer.result_code,
        units.time_seconds or units.total_octets or 0,
        service.final_unit is not None,
    )


def read_cost_micros(answer: CreditControlAnswer) -> int | None:
    """What the session cost so far."""
    if answer.cost is None:
        return None
    value = answer.cost.value
    return int(value.digits * MICROS * Decimal(10) ** (value.exponent or 0))
