"""What Diameter messages say, as frozen values.

A field that may be absent is None, one that may be repeated is a tuple; a field without a default must be there
(its absence is answered with 5005). `dictionary` says for each field which AVP it is, in the same order.

Sources: RFC 6733 section 5 and 8, RFC 8506 sections 3 and 8, 3GPP TS 32.299 sections 6.4 and 7.2.
"""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

import msgspec

from onecard.gateways.diameter.constants import (
    AddresseeType,
    AddressType,
    ApplicationId,
    CheckBalanceResult,
    DirectDebitingFailureHandling,
    DisconnectCause,
    EquipmentType,
    FailureHandling,
    FinalUnitAction,
    Flag,
    LowBalance,
    MultipleServicesIndicator,
    ReAuthRequestType,
    RedirectAddressType,
    ReportingReason,
    RequestedAction,
    RequestType,
    ResultCode,
    RoleOfNode,
    SessionFailover,
    SmMessageType,
    SmsNode,
    SubscriptionIdType,
    TariffChangeUsage,
    TerminationCause,
    UnitType,
)

Octets = bytes
_LOCATIONS_WITH_NETWORK_FIRST = frozenset({0, 1, 2, *range(128, 138)})

# ---- Peers: RFC 6733 section 5.


class VendorSpecificApplication(msgspec.Struct, frozen=True, gc=False):
    """Vendor-Specific-Application-Id: section 6.11."""

    vendor_ids: tuple[int, ...] = ()
    auth_application_id: int | None = None
    acct_application_id: int | None = None


class CapabilitiesExchangeRequest(msgspec.Struct, frozen=True, gc=False):
    """CER: section 5.3.1."""

    origin_host: str
    origin_realm: str
    vendor_id: int
    product_name: str
    host_addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    origin_state_id: int | None = None
    supported_vendor_ids: tuple[int, ...] = ()
    auth_application_ids: tuple[int, ...] = ()
    inband_security_ids: tuple[int, ...] = ()
    acct_application_ids: tuple[int, ...] = ()
    vendor_specific_applications: tuple[VendorSpecificApplication, ...] = ()
    firmware_revision: int | None = None

    @property
    def applications(self) -> frozenset[int]:
        """Every authentication and authorisation application that the peer names, however it names it."""
        specific = (each.auth_application_id for each in self.vendor_specific_applications)
        return frozenset(self.auth_application_ids).union(each for each in specific if each is not None)


class CapabilitiesExchangeAnswer(msgspec.Struct, frozen=True, gc=False):
    """CEA: section 5.3.2."""

    result_code: int
    origin_host: str
    origin_realm: str
    host_addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    vendor_id: int | None = None
    product_name: str | None = None
    origin_state_id: int | None = None
    error_message: str | None = None
    failed_avps: tuple[Octets, ...] = ()
    supported_vendor_ids: tuple[int, ...] = ()
    auth_application_ids: tuple[int, ...] = ()
    inband_security_ids: tuple[int, ...] = ()
    acct_application_ids: tuple[int, ...] = ()
    vendor_specific_applications: tuple[VendorSpecificApplication, ...] = ()
    firmware_revision: int | None = None


class WatchdogRequest(msgspec.Struct, frozen=True, gc=False):
    """DWR: section 5.5.1."""

    origin_host: str
    origin_realm: str
    origin_state_id: int | None = None


class WatchdogAnswer(msgspec.Struct, frozen=True, gc=False):
    """DWA: section 5.5.2."""

    result_code: int
    origin_host: str
    origin_realm: str
    error_message: str | None = None
    failed_avps: tuple[Octets, ...] = ()
    origin_state_id: int | None = None


class DisconnectRequest(msgspec.Struct, frozen=True, gc=False):
    """DPR: section 5.4.1."""

    origin_host: str
    origin_realm: str
    cause: DisconnectCause


class DisconnectAnswer(msgspec.Struct, frozen=True, gc=False):
    """DPA: section 5.4.2."""

    result_code: int
    origin_host: str
    origin_realm: str
    error_message: str | None = None
    failed_avps: tuple[Octets, ...] = ()


# ---- Units: RFC 8506 sections 8.16 to 8.27.


class UnitValue(msgspec.Struct, frozen=True, gc=False):
    """`digits` times ten to the `exponent`: section 8.8."""

    digits: int
    exponent: int | None = None


class Money(msgspec.Struct, frozen=True, gc=False):
    """CC-Money, section 8.22: an amount; `currency_code` is the number of ISO 4217."""

    value: UnitValue
    currency_code: int | None = None


class RequestedUnits(msgspec.Struct, frozen=True, gc=False):
    """Requested-Service-Unit, section 8.18. All absent: as many as we see fit."""

    time_seconds: int | None = None
    money: Money | None = None
    total_octets: int | None = None
    input_octets: int | None = None
    output_octets: int | None = None
    service_units: int | None = None


class UsedUnits(msgspec.Struct, frozen=True, gc=False):
    """Used-Service-Unit, section 8.19, with the AVPs that TS 32.299 section 7.1.16 adds."""

    tariff_change_usage: TariffChangeUsage | None = None
    time_seconds: int | None = None
    money: Money | None = None
    total_octets: int | None = None
    input_octets: int | None = None
    output_octets: int | None = None
    service_units: int | None = None
    reporting_reasons: tuple[ReportingReason, ...] = ()
    event_timestamps: tuple[datetime, ...] = ()


class GrantedUnits(msgspec.Struct, frozen=True, gc=False):
    """Granted-Service-Unit, section 8.17. `tariff_time_change`: units used after it are counted apart."""

    tariff_time_change: datetime | None = None
    time_seconds: int | None = None
    money: Money | None = None
    total_octets: int | None = None
    input_octets: int | None = None
    output_octets: int | None = None
    service_units: int | None = None


class PoolReference(msgspec.Struct, frozen=True, gc=False):
    """G-S-U-Pool-Reference: RFC 8506 section 8.30."""

    pool: int
    unit_type: UnitType
    value: UnitValue


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """TS 32.299 section 7.2: ask again on these changes; none named: on none."""

    types: tuple[int, ...] = ()


# ---- Who and what: the request.


class SubscriptionId(msgspec.Struct, frozen=True, gc=False):
    """RFC 8506 section 8.46."""

    type: SubscriptionIdType
    data: str


class UserEquipment(msgspec.Struct, frozen=True, gc=False):
    """User-Equipment-Info: RFC 8506 section 8.49."""

    type: EquipmentType
    value: Octets


class ServiceParameter(msgspec.Struct, frozen=True, gc=False):
    """Service-Parameter-Info: RFC 8506 section 8.43."""

    type: int
    value: Octets


class ServiceRequest(msgspec.Struct, frozen=True, gc=False):
    """A Multiple-Services-Credit-Control of a request: RFC 8506 section 8.16, TS 32.299 section 7.1.9.

    `requested` None: no units are asked for; empty: as many as we see fit. `used` has an item for before and one
    for after a change of tariff.
    """

    rating_group: int | None = None
    service_identifiers: tuple[int, ...] = ()
    requested: RequestedUnits | None = None
    used: tuple[UsedUnits, ...] = ()
    tariff_change_usage: TariffChangeUsage | None = None
    pools: tuple[PoolReference, ...] = ()
    reporting_reasons: tuple[ReportingReason, ...] = ()
    trigger: Trigger | None = None
    refund: Octets | None = None


class SipEvent(msgspec.Struct, frozen=True, gc=False):
    """Event-Type: TS 32.299 section 7.2."""

    sip_method: str | None = None
    event: str | None = None
    expires_seconds: int | None = None


class TimeStamps(msgspec.Struct, frozen=True, gc=False):
    """Time-Stamps: TS 32.299 section 7.2."""

    sip_request: datetime | None = None
    sip_response: datetime | None = None


class ImsInformation(msgspec.Struct, frozen=True, gc=False):
    """A call: TS 32.299 section 7.2. Parties are SIP or tel URIs."""

    event: SipEvent | None = None
    role_of_node: RoleOfNode | None = None
    node_functionality: int | None = None
    user_session_id: str | None = None
    calling_parties: tuple[str, ...] = ()
    called_party: str | None = None
    called_asserted: tuple[str, ...] = ()
    requested_party: str | None = None
    associated_uris: tuple[str, ...] = ()
    time_stamps: TimeStamps | None = None
    charging_identifier: str | None = None
    number_portability_routing: str | None = None
    access_networks: tuple[str, ...] = ()
    visited_network: str | None = None
    cause_code: int | None = None


class PsInformation(msgspec.Struct, frozen=True, gc=False):
    """A data session: TS 32.299 section 7.2. Networks are MCC and MNC, as `302720`."""

    charging_id: Octets | None = None
    home_network: str | None = None
    gateway_network: str | None = None
    serving_network: str | None = None
    access_point: str | None = None
    user_location: Octets | None = None
    rat_type: Octets | None = None
    time_zone: Octets | None = None
    charging_characteristics: str | None = None
    user_equipment: UserEquipment | None = None

    @property
    def visited_network(self) -> str | None:
        """Where the card is, as MCC and MNC: as the network says it, or as the location of the user does."""
        return self.serving_network or read_network(self.user_location)


class SmsAddress(msgspec.Struct, frozen=True, gc=False):
    """Recipient-Address and its like: TS 32.299 section 7.2."""

    type: AddressType | None = None
    data: str | None = None
    addressee: AddresseeType | None = None


class Interface(msgspec.Struct, frozen=True, gc=False):
    """Originator-Interface, Destination-Interface: TS 32.299 section 7.2."""

    id: str | None = None
    text: str | None = None
    port: str | None = None
    type: int | None = None


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """Recipient-Info: TS 32.299 section 7.2."""

    interface: Interface | None = None
    addresses: tuple[SmsAddress, ...] = ()
    received_addresses: tuple[SmsAddress, ...] = ()
    protocol_id: Octets | None = None


class SmsInformation(msgspec.Struct, frozen=True, gc=False):
    """A text: TS 32.299 section 7.2."""

    node: SmsNode | None = None
    originator_interface: Interface | None = None
    originator_received: SmsAddress | None = None
    recipients: tuple[Recipient, ...] = ()
    message_type: SmMessageType | None = None
    data_coding: int | None = None
    discharged_at: datetime | None = None
    submitted_at: datetime | None = None
    message_count: int | None = None
    user_data_header: Octets | None = None
    reply_path: int | None = None


class ServiceInformation(msgspec.Struct, frozen=True, gc=False):
    """TS 32.299 section 7.2."""

    subscription_ids: tuple[SubscriptionId, ...] = ()
    ims: ImsInformation | None = None
    ps: PsInformation | None = None
    sms: SmsInformation | None = None


class CreditControlRequest(msgspec.Struct, frozen=True, gc=False):
    """CCR: RFC 8506 section 3.1, TS 32.299 section 6.4.2.

    `requested` and `used` are those outside of any `services`. `proxies` goes back to the sender as it is.
    `repeated` is the T flag of the header: the request may have been sent before.
    """

    session_id: str
    origin_host: str
    origin_realm: str
    destination_realm: str
    auth_application_id: int
    service_context_id: str
    request_type: RequestType
    request_number: int
    destination_host: str | None = None
    user_name: str | None = None
    origin_state_id: int | None = None
    event_timestamp: datetime | None = None
    subscription_ids: tuple[SubscriptionId, ...] = ()
    service_identifier: int | None = None
    termination_cause: TerminationCause | None = None
    requested: RequestedUnits | None = None
    requested_action: RequestedAction | None = None
    used: tuple[UsedUnits, ...] = ()
    multiple_services: MultipleServicesIndicator | None = None
    services: tuple[ServiceRequest, ...] = ()
    service_parameters: tuple[ServiceParameter, ...] = ()
    correlation_id: Octets | None = None
    user_equipment: UserEquipment | None = None
    service_information: ServiceInformation | None = None
    proxies: tuple[Octets, ...] = ()
    routes: tuple[str, ...] = ()
    repeated: bool = False


# ---- The answer.


class RedirectServer(msgspec.Struct, frozen=True, gc=False):
    """RFC 8506 section 8.37."""

    type: RedirectAddressType
    address: str


class FinalUnit(msgspec.Struct, frozen=True, gc=False):
    """Final-Unit-Indication, RFC 8506 section 8.34. `redirect_server` is for REDIRECT, filters for RESTRICT_ACCESS.

    `filter_rules` are IPFilterRules (RFC 6733 section 4.3.1), `filter_ids` names of rules that the network has.
    """

    action: FinalUnitAction
    filter_rules: tuple[str, ...] = ()
    filter_ids: tuple[str, ...] = ()
    redirect_server: RedirectServer | None = None


class CostInformation(msgspec.Struct, frozen=True, gc=False):
    """RFC 8506 section 8.7: what it will cost, or did. `currency_code` is the number of ISO 4217."""

    value: UnitValue
    currency_code: int
    unit: str | None = None


class RemainingBalance(msgspec.Struct, frozen=True, gc=False):
    """TS 32.299 section 7.2."""

    value: UnitValue
    currency_code: int


class ServiceAnswer(msgspec.Struct, frozen=True, gc=False):
    """A Multiple-Services-Credit-Control of an answer: RFC 8506 section 8.16, TS 32.299 section 7.1.9.

    Name the same `rating_group` and `service_identifiers` as the request did. Of a threshold, at most that of the
    unit that was granted. `trigger` with no types means that no change is worth asking for; None says nothing.
    """

    result_code: int | None = None
    rating_group: int | None = None
    service_identifiers: tuple[int, ...] = ()
    granted: GrantedUnits | None = None
    pools: tuple[PoolReference, ...] = ()
    validity_seconds: int | None = None
    final_unit: FinalUnit | None = None
    time_threshold_seconds: int | None = None
    volume_threshold_octets: int | None = None
    unit_threshold: int | None = None
    quota_holding_seconds: int | None = None
    quota_consumption_seconds: int | None = None
    trigger: Trigger | None = None
    refund: Octets | None = None


class CreditControlAnswer(msgspec.Struct, frozen=True, gc=False):
    """CCA: RFC 8506 section 3.2, TS 32.299 section 6.4.3.

    Who answers gives `result_code` and what comes after it. What comes before it, and `proxies`, repeats the request
    and names us: the gateway fills it in, over whatever stands there.
    """

    session_id: str = ""
    origin_host: str = ""
    origin_realm: str = ""
    auth_application_id: int = ApplicationId.CREDIT_CONTROL
    request_type: RequestType = RequestType.INITIAL
    request_number: int = 0
    result_code: int = ResultCode.SUCCESS
    session_failover: SessionFailover | None = None
    origin_state_id: int | None = None
    granted: GrantedUnits | None = None
    services: tuple[ServiceAnswer, ...] = ()
    cost: CostInformation | None = None
    low_balance: LowBalance | None = None
    remaining_balance: RemainingBalance | None = None
    final_unit: FinalUnit | None = None
    check_balance_result: CheckBalanceResult | None = None
    failure_handling: FailureHandling | None = None
    direct_debiting_failure_handling: DirectDebitingFailureHandling | None = None
    validity_seconds: int | None = None
    error_message: str | None = None
    failed_avps: tuple[Octets, ...] = ()
    proxies: tuple[Octets, ...] = ()


# ---- What we ask of those who hold a session: RFC 8506 section 5.5, RFC 6733 sections 8.3 and 8.5.


class ReAuthRequest(msgspec.Struct, frozen=True, gc=False):
    """RAR: report what was used of a session, and ask anew."""

    session_id: str
    origin_host: str
    origin_realm: str
    destination_realm: str
    destination_host: str
    auth_application_id: int
    re_auth_request_type: ReAuthRequestType
    rating_group: int | None = None
    service_identifier: int | None = None
    origin_state_id: int | None = None
    proxies: tuple[Octets, ...] = ()
    routes: tuple[str, ...] = ()


class ReAuthAnswer(msgspec.Struct, frozen=True, gc=False):
    """RAA."""

    session_id: str
    result_code: int
    origin_host: str
    origin_realm: str
    error_message: str | None = None
    failed_avps: tuple[Octets, ...] = ()
    origin_state_id: int | None = None
    proxies: tuple[Octets, ...] = ()


class AbortSessionRequest(msgspec.Struct, frozen=True, gc=False):
    """ASR: end a session."""

    session_id: str
    origin_host: str
    origin_realm: str
    destination_realm: str
    destination_host: str
    auth_application_id: int
    origin_state_id: int | None = None
    proxies: tuple[Octets, ...] = ()
    routes: tuple[str, ...] = ()


class AbortSessionAnswer(msgspec.Struct, frozen=True, gc=False):
    """ASA."""

    session_id: str
    result_code: int
    origin_host: str
    origin_realm: str
    error_message: str | None = None
    failed_avps: tuple[Octets, ...] = ()
    origin_state_id: int | None = None
    proxies: tuple[Octets, ...] = ()


class ErrorAnswer(msgspec.Struct, frozen=True, gc=False):
    """The answer to any request that was not understood, or not let through: RFC 6733 section 7.2."""

    session_id: str | None = None
    origin_host: str = ""
    origin_realm: str = ""
    result_code: int = ResultCode.UNABLE_TO_COMPLY
    origin_state_id: int | None = None
    error_message: str | None = None
    error_reporting_host: str | None = None
    failed_avps: tuple[Octets, ...] = ()
    proxies: tuple[Octets, ...] = ()


Request = (
    CapabilitiesExchangeRequest
    | WatchdogRequest
    | DisconnectRequest
    | CreditControlRequest
    | ReAuthRequest
    | AbortSessionRequest
)
Answer = (
    CapabilitiesExchangeAnswer
    | WatchdogAnswer
    | DisconnectAnswer
    | CreditControlAnswer
    | ReAuthAnswer
    | AbortSessionAnswer
    | ErrorAnswer
)
Body = Request | Answer


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message: its header (RFC 6733 section 3) and what it says.

    `command` may be one that we do not know, in the answer that says so.
    """

    command: int
    flags: int
    application_id: int
    hop_by_hop: int
    end_to_end: int
    body: Body

    @property
    def is_request(self) -> bool:
        return bool(self.flags & Flag.REQUEST)


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A message that cannot be read, and what to answer if it is a request.

    `failed_avp` is an AVP in octets, for Failed-AVP. What follows it is what could still be read, for the answer.
    """

    command: int
    flags: int
    application_id: int
    hop_by_hop: int
    end_to_end: int
    result_code: ResultCode
    failed_avp: Octets | None = None
    session_id: str | None = None
    request_type: RequestType | None = None
    request_number: int | None = None
    proxies: tuple[Octets, ...] = ()

    @property
    def is_request(self) -> bool:
        return bool(self.flags & Flag.REQUEST)


def read_network(location: Octets | None) -> str | None:
    """MCC and MNC out of 3GPP-User-Location-Info (TS 29.061 section 16.4.7.2), as `302720`; None: not in it.

    Every kind of location that we know begins, after the octet that names the kind, with the network in swapped
    decimal digits (TS 29.274 section 8.21).
    """
    if location is None or len(location) < 4 or location[0] not in _LOCATIONS_WITH_NETWORK_FIRST:
        return None
    low = [location[1] & 15, location[1] >> 4, location[2] & 15]
    mnc = [location[3] & 15, location[3] >> 4]
    third = location[2] >> 4
    digits = [*low, *mnc] if third == 15 else [*low, *mnc, third]
    return "".join(map(str, digits)) if all(digit < 10 for digit in digits) else None
