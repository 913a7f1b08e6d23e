"""The JSON of Nchf_ConvergedCharging (TS 32.291 section 6.1.6): the parts that we read and write. Pure.

Whatever else a consumer sends is skipped. Names in the comments are those of the specification.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, field

from onecard.gateways.nchf.problems import Cause, Problem, bad_request

Uint32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
UNITS_MOST = 2**50
"""A petabyte: nobody uses more between two reports, and prices stay far within what the ledger can count."""
UnitCount = Annotated[int, Meta(ge=0, le=UNITS_MOST)]
Sequence = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
PduSessionId = Annotated[int, Meta(ge=0, le=255)]
DateTime = Annotated[datetime, Meta(tz=True)]


class Read(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What a consumer sends."""


class Sent(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What we send."""


# ---- where the card is, and who is served


class PlmnId(Read, frozen=True, gc=False):
    """A network (TS 29.571 section 5.4.4.3)."""

    mcc: Annotated[str, Meta(pattern=r"^\d{3}$")]
    mnc: Annotated[str, Meta(pattern=r"^\d{2,3}$")]


class NetworkFunction(Read, frozen=True, gc=False):
    """NFIdentification."""

    node_functionality: str
    name: str | None = field(default=None, name="nFName")
    plmn: PlmnId | None = field(default=None, name="nFPLMNID")


class ServingFunction(Read, frozen=True, gc=False):
    """ServingNetworkFunctionID."""

    serving_network_function_information: NetworkFunction


class TrackingArea(Read, frozen=True, gc=False):
    """Tai."""

    plmn_id: PlmnId


class CellLocation(Read, frozen=True, gc=False):
    """EutraLocation or NrLocation."""

    tai: TrackingArea | None = None


class Location(Read, frozen=True, gc=False):
    """UserLocation."""

    nr_location: CellLocation | None = None
    eutra_location: CellLocation | None = None


class Served(Read, frozen=True, gc=False):
    """UserInformation."""

    gpsi: str | None = field(default=None, name="servedGPSI")


# ---- what is charged


class PduSession(Read, frozen=True, gc=False):
    """PDUSessionInformation."""

    id: PduSessionId = field(name="pduSessionID")
    serving_function: ServingFunction | None = field(default=None, name="servingNetworkFunctionID")
    serving_plmn: PlmnId | None = field(default=None, name="servingCNPlmnId")


class DataInformation(Read, frozen=True, gc=False):
    """PDUSessionChargingInformation."""

    charging_id: Uint32 | None = None
    smf_charging_id: str | None = field(default=None, name="sMFchargingId")
    served: Served | None = field(default=None, name="userInformation")
    location: Location | None = field(default=None, name="userLocationinfo")
    session: PduSession | None = field(default=None, name="pduSessionInformation")


class TextAddress(Read, frozen=True, gc=False):
    """SMAddressInfo."""

    data: str | None = field(default=None, name="sMaddressData")


class RecipientAddress(Read, frozen=True, gc=False):
    """RecipientAddress."""

    address: TextAddress | None = field(default=None, name="recipientAddressInfo")


class Originator(Read, frozen=True, gc=False):
    """OriginatorInfo."""

    supi: str | None = field(default=None, name="originatorSUPI")
    gpsi: str | None = field(default=None, name="originatorGPSI")


class Recipient(Read, frozen=True, gc=False):
    """RecipientInfo."""

    gpsi: str | None = field(default=None, name="recipientGPSI")
    received: TextAddress | None = field(default=None, name="recipientReceivedAddress")
    other: TextAddress | None = field(default=None, name="recipientOtherAddress")
    others: tuple[RecipientAddress, ...] = field(default=(), name="recipientOtherAddresses")


class TextInformation(Read, frozen=True, gc=False):
    """SMSChargingInformation."""

    originator: Originator | None = field(default=None, name="originatorInfo")
    recipients: tuple[Recipient, ...] = field(default=(), name="recipientInfo")
    location: Location | None = field(default=None, name="userLocationinfo")
    message_type: str | None = field(default=None, name="sMMessageType")
    sequence_number: Uint32 | None = field(default=None, name="sMSequenceNumber")
    message_reference: str | None = None


class CallInformation(Read, frozen=True, gc=False):
    """IMSChargingInformation."""

    role_of_node: str | None = None
    served: Served | None = field(default=None, name="userInformation")
    location: Location | None = field(default=None, name="userLocationInfo")
    session_id: str | None = field(default=None, name="userSessionID")
    charging_id: str | None = field(default=None, name="imsChargingIdentifier")
    calling: tuple[str, ...] = field(default=(), name="callingPartyAddresses")
    called: str | None = field(default=None, name="calledPartyAddress")
    requested: tuple[str, ...] = field(default=(), name="requestedPartyAddress")
    visited_network: str | None = field(default=None, name="imsVisitedNetworkIdentifier")
    is_emergency: bool = field(default=False, name="imsEmergencyIndication")


# ---- how much


class Trigger(Read, frozen=True, gc=False):
    """Why something is reported."""

    trigger_category: str
    trigger_type: str | None = None


class Units(Read, frozen=True, gc=False):
    """RequestedUnit; seconds, octets, or a count."""

    time: Uint32 | None = None
    total_volume: UnitCount | None = None
    uplink_volume: UnitCount | None = None
    downlink_volume: UnitCount | None = None
    service_specific_units: UnitCount | None = None


class UsedUnits(Units, frozen=True, gc=False, kw_only=True):
    """UsedUnitContainer. Its quotaManagementIndicator is not asked: whatever was used is charged."""

    local_sequence_number: Sequence
    triggers: tuple[Trigger, ...] = ()


class UnitUsage(Read, frozen=True, gc=False):
    """MultipleUnitUsage: one rating group."""

    rating_group: Uint32
    requested: Units | None = field(default=None, name="requestedUnit")
    used: tuple[UsedUnits, ...] = field(default=(), name="usedUnitContainer")


class ChargingDataRequest(Read, frozen=True, gc=False):
    """The body of every request of a consumer."""

    consumer: NetworkFunction = field(name="nfConsumerIdentification")
    invocation_time_stamp: DateTime
    invocation_sequence_number: Uint32
    subscriber_identifier: str | None = None
    tenant_identifier: str | None = None
    charging_id: Uint32 | None = None
    is_repeat: bool = field(default=False, name="retransmissionIndicator")
    is_event: bool = field(default=False, name="oneTimeEvent")
    event_type: str | None = field(default=None, name="oneTimeEventType")
    notify_uri: str | None = None
    usage: tuple[UnitUsage, ...] = field(default=(), name="multipleUnitUsage")
    triggers: tuple[Trigger, ...] = ()
    data: DataInformation | None = field(default=None, name="pDUSessionChargingInformation")
    text: TextInformation | None = field(default=None, name="sMSChargingInformation")
    call: CallInformation | None = field(default=None, name="iMSChargingInformation")


# ---- the answer


class GroupResult(Enum):
    """ResultCode (TS 32.291 section 6.1.6.3.14)."""

    SUCCESS = "SUCCESS"
    SERVICE_DENIED = "END_USER_SERVICE_DENIED"
    LIMIT_REACHED = "QUOTA_LIMIT_REACHED"
    SERVICE_REJECTED = "END_USER_SERVICE_REJECTED"
    UNKNOWN = "USER_UNKNOWN"
    RATING_FAILED = "RATING_FAILED"


class FinalUnitAction(Enum):
    """What becomes of a service when its last units are used up."""

    TERMINATE = "TERMINATE"
    REDIRECT = "REDIRECT"
    RESTRICT_ACCESS = "RESTRICT_ACCESS"


class RedirectAddressType(Enum):
    """How the page is named to which a subscriber is led."""

    IPV4 = "IPV4"
    IPV6 = "IPV6"
    URL = "URL"
    URI = "URI"


class RedirectServer(Sent, frozen=True, gc=False):
    """The page to which a subscriber is led."""

    redirect_address_type: RedirectAddressType
    redirect_server_address: str


class FinalUnitIndication(Sent, frozen=True, gc=False):
    """Said with the last units that can be paid."""

    final_unit_action: FinalUnitAction
    restriction_filter_rule_list: tuple[str, ...] = ()
    redirect_server: RedirectServer | None = None


class GrantedUnit(Sent, frozen=True, gc=False):
    """Seconds, octets, or a count."""

    tariff_time_change: datetime | None = None
    time: int | None = None
    total_volume: int | None = None
    service_specific_units: int | None = None


class UnitInformation(Sent, frozen=True, gc=False):
    """MultipleUnitInformation: one rating group. Times in seconds; thresholds in units left of the grant."""

    rating_group: int
    result_code: GroupResult
    granted_unit: GrantedUnit | None = None
    validity_time: int | None = None
    quota_holding_time: int | None = None
    final_unit_indication: FinalUnitIndication | None = None
    time_quota_threshold: int | None = None
    volume_quota_threshold: int | None = None


class ChargingDataResponse(Sent, frozen=True, gc=False):
    """The answer to a session that was opened or went on, and to an event."""

    invocation_time_stamp: datetime
    invocation_sequence_number: int
    session_failover: str | None = None
    information: tuple[UnitInformation, ...] = field(default=(), name="multipleUnitInformation")


class NotificationType(Enum):
    """What a consumer is asked."""

    REAUTHORIZATION = "REAUTHORIZATION"
    ABORT_CHARGING = "ABORT_CHARGING"


class ChargingNotifyRequest(Sent, frozen=True, gc=False):
    """What we post to a consumer. Without details it is about all rating groups of the session."""

    notification_type: NotificationType


# ---- octets

_decoder = msgspec.json.Decoder(ChargingDataRequest)
_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def decode_request(body: bytes) -> ChargingDataRequest | Problem:
    """Read a body; or say what is wrong with it, and where."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        return _problem_of(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return bad_request(Cause.INVALID_MSG_FORMAT, f"the body is not JSON: {error}")
    except RecursionError:
        return bad_request(Cause.INVALID_MSG_FORMAT, "the body is nested too deeply")


def _problem_of(error: str) -> Problem:
    """The decoder says: Expected ... - at `$.multipleUnitUsage[0].ratingGroup`."""
    reason, _, path = error.partition(" - at `$")
    place = path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
    if "missing required field" in reason:
        return bad_request(Cause.MANDATORY_IE_MISSING, reason, place)
    is_mandatory = not place or place.split("/")[1] in _MANDATORY
    cause = Cause.MANDATORY_IE_INCORRECT if is_mandatory else Cause.OPTIONAL_IE_INCORRECT
    return bad_request(cause, reason, place)


_MANDATORY = ("nfConsumerIdentification", "invocationTimeStamp", "invocationSequenceNumber")
