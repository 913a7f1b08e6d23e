"""The AVPs that we read and write, and which message or group holds which.

An AVP is its code, its vendor, its M bit and what its payload is: a `Kind`, an enumeration, or the message value that
a grouped AVP becomes. `CONTENTS` gives the AVPs of each such value, in the order of its fields; whether one must be
there, and whether it may be repeated, is said by the field: no default, or a default of ().

Sources: RFC 6733 section 4.5, RFC 8506 section 8, 3GPP TS 32.299 section 7.2, 3GPP TS 29.061 section 16.4.7.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto

import msgspec

from onecard.gateways.diameter import constants, messages
from onecard.gateways.diameter.constants import VENDOR_3GPP


class Kind(Enum):
    """Payloads that hold one value: RFC 6733 sections 4.2 and 4.3. Groups and enumerations are types of ours."""

    OCTETS = auto()
    TEXT = auto()
    IDENTITY = auto()
    ADDRESS = auto()
    TIME = auto()
    UNSIGNED32 = auto()
    UNSIGNED64 = auto()
    INTEGER32 = auto()
    INTEGER64 = auto()


@dataclass(frozen=True, slots=True)
class Avp:
    """One AVP: RFC 6733 section 4.1. `mandatory` is the M bit that we set; on what comes in it is not looked at."""

    code: int
    name: str
    kind: Kind | type[IntEnum] | type[msgspec.Struct]
    vendor: int = 0
    mandatory: bool = True

    @property
    def key(self) -> int:
        """One number for code and vendor."""
        return self.code | self.vendor << 32


def _of_3gpp(code: int, name: str, kind: Kind | type[IntEnum] | type[msgspec.Struct]) -> Avp:
    return Avp(code, name, kind, VENDOR_3GPP)


# ---- RFC 6733.

USER_NAME = Avp(1, "User-Name", Kind.TEXT)
FILTER_ID = Avp(11, "Filter-Id", Kind.TEXT)
CALLED_STATION_ID = Avp(30, "Called-Station-Id", Kind.TEXT)
EVENT_TIMESTAMP = Avp(55, "Event-Timestamp", Kind.TIME)
HOST_IP_ADDRESS = Avp(257, "Host-IP-Address", Kind.ADDRESS)
AUTH_APPLICATION_ID = Avp(258, "Auth-Application-Id", Kind.UNSIGNED32)
ACCT_APPLICATION_ID = Avp(259, "Acct-Application-Id", Kind.UNSIGNED32)
VENDOR_SPECIFIC_APPLICATION_ID = Avp(
    260, "Vendor-Specific-Application-Id", messages.VendorSpecificApplication
)
SESSION_ID = Avp(263, "Session-Id", Kind.TEXT)
ORIGIN_HOST = Avp(264, "Origin-Host", Kind.IDENTITY)
SUPPORTED_VENDOR_ID = Avp(265, "Supported-Vendor-Id", Kind.UNSIGNED32)
VENDOR_ID = Avp(266, "Vendor-Id", Kind.UNSIGNED32)
FIRMWARE_REVISION = Avp(267, "Firmware-Revision", Kind.UNSIGNED32, mandatory=False)
RESULT_CODE = Avp(268, "Result-Code", Kind.UNSIGNED32)
PRODUCT_NAME = Avp(269, "Product-Name", Kind.TEXT, mandatory=False)
DISCONNECT_CAUSE = Avp(273, "Disconnect-Cause", constants.DisconnectCause)
ORIGIN_STATE_ID = Avp(278, "Origin-State-Id", Kind.UNSIGNED32)
FAILED_AVP = Avp(279, "Failed-AVP", Kind.OCTETS)
ERROR_MESSAGE = Avp(281, "Error-Message", Kind.TEXT, mandatory=False)
ROUTE_RECORD = Avp(282, "Route-Record", Kind.IDENTITY)
DESTINATION_REALM = Avp(283, "Destination-Realm", Kind.IDENTITY)
PROXY_INFO = Avp(284, "Proxy-Info", Kind.OCTETS)
RE_AUTH_REQUEST_TYPE = Avp(285, "Re-Auth-Request-Type", constants.ReAuthRequestType)
DESTINATION_HOST = Avp(293, "Destination-Host", Kind.IDENTITY)
ERROR_REPORTING_HOST = Avp(294, "Error-Reporting-Host", Kind.IDENTITY, mandatory=False)
TERMINATION_CAUSE = Avp(295, "Termination-Cause", constants.TerminationCause)
ORIGIN_REALM = Avp(296, "Origin-Realm", Kind.IDENTITY)
INBAND_SECURITY_ID = Avp(299, "Inband-Security-Id", Kind.UNSIGNED32)

# ---- RFC 8506.

CC_CORRELATION_ID = Avp(411, "CC-Correlation-Id", Kind.OCTETS, mandatory=False)
CC_INPUT_OCTETS = Avp(412, "CC-Input-Octets", Kind.UNSIGNED64)
CC_MONEY = Avp(413, "CC-Money", messages.Money)
CC_OUTPUT_OCTETS = Avp(414, "CC-Output-Octets", Kind.UNSIGNED64)
CC_REQUEST_NUMBER = Avp(415, "CC-Request-Number", Kind.UNSIGNED32)
CC_REQUEST_TYPE = Avp(416, "CC-Request-Type", constants.RequestType)
CC_SERVICE_SPECIFIC_UNITS = Avp(417, "CC-Service-Specific-Units", Kind.UNSIGNED64)
CC_SESSION_FAILOVER = Avp(418, "CC-Session-Failover", constants.SessionFailover)
CC_TIME = Avp(420, "CC-Time", Kind.UNSIGNED32)
CC_TOTAL_OCTETS = Avp(421, "CC-Total-Octets", Kind.UNSIGNED64)
CHECK_BALANCE_RESULT = Avp(422, "Check-Balance-Result", constants.CheckBalanceResult)
COST_INFORMATION = Avp(423, "Cost-Information", messages.CostInformation)
COST_UNIT = Avp(424, "Cost-Unit", Kind.TEXT)
CURRENCY_CODE = Avp(425, "Currency-Code", Kind.UNSIGNED32)
FAILURE_HANDLING = Avp(427, "Credit-Control-Failure-Handling", constants.FailureHandling)
DIRECT_DEBITING_FAILURE_HANDLING = Avp(
    428, "Direct-Debiting-Failure-Handling", constants.DirectDebitingFailureHandling
)
EXPONENT = Avp(429, "Exponent", Kind.INTEGER32)
FINAL_UNIT_INDICATION = Avp(430, "Final-Unit-Indication", messages.FinalUnit)
GRANTED_SERVICE_UNIT = Avp(431, "Granted-Service-Unit", messages.GrantedUnits)
RATING_GROUP = Avp(432, "Rating-Group", Kind.UNSIGNED32)
REDIRECT_ADDRESS_TYPE = Avp(433, "Redirect-Address-Type", constants.RedirectAddressType)
REDIRECT_SERVER = Avp(434, "Redirect-Server", messages.RedirectServer)
REDIRECT_SERVER_ADDRESS = Avp(435, "Redirect-Server-Address", Kind.TEXT)
REQUESTED_ACTION = Avp(436, "Requested-Action", constants.RequestedAction)
REQUESTED_SERVICE_UNIT = Avp(437, "Requested-Service-Unit", messages.RequestedUnits)
RESTRICTION_FILTER_RULE = Avp(438, "Restriction-Filter-Rule", Kind.TEXT)
SERVICE_IDENTIFIER = Avp(439, "Service-Identifier", Kind.UNSIGNED32)
SERVICE_PARAMETER_INFO = Avp(440, "Service-Parameter-Info", messages.ServiceParameter, mandatory=False)
SERVICE_PARAMETER_TYPE = Avp(441, "Service-Parameter-Type", Kind.UNSIGNED32, mandatory=False)
SERVICE_PARAMETER_VALUE = Avp(442, "Service-Parameter-Value", Kind.OCTETS, mandatory=False)
SUBSCRIPTION_ID = Avp(443, "Subscription-Id", messages.SubscriptionId)
SUBSCRIPTION_ID_DATA = Avp(444, "Subscription-Id-Data", Kind.TEXT)
UNIT_VALUE = Avp(445, "Unit-Value", messages.UnitValue)
USED_SERVICE_UNIT = Avp(446, "Used-Service-Unit", messages.UsedUnits)
VALUE_DIGITS = Avp(447, "Value-Digits", Kind.INTEGER64)
VALIDITY_TIME = Avp(448, "Validity-Time", Kind.UNSIGNED32)
FINAL_UNIT_ACTION = Avp(449, "Final-Unit-Action", constants.FinalUnitAction)
SUBSCRIPTION_ID_TYPE = Avp(450, "Subscription-Id-Type", constants.SubscriptionIdType)
TARIFF_TIME_CHANGE = Avp(451, "Tariff-Time-Change", Kind.TIME)
TARIFF_CHANGE_USAGE = Avp(452, "Tariff-Change-Usage", constants.TariffChangeUsage)
POOL_IDENTIFIER = Avp(453, "G-S-U-Pool-Identifier", Kind.UNSIGNED32)
CC_UNIT_TYPE = Avp(454, "CC-Unit-Type", constants.UnitType)
MULTIPLE_SERVICES_INDICATOR = Avp(455, "Multiple-Services-Indicator", constants.MultipleServicesIndicator)
POOL_REFERENCE = Avp(457, "G-S-U-Pool-Reference", messages.PoolReference)
USER_EQUIPMENT_INFO = Avp(458, "User-Equipment-Info", messages.UserEquipment, mandatory=False)
USER_EQUIPMENT_INFO_TYPE = Avp(459, "User-Equipment-Info-Type", constants.EquipmentType, mandatory=False)
USER_EQUIPMENT_INFO_VALUE = Avp(460, "User-Equipment-Info-Value", Kind.OCTETS, mandatory=False)
SERVICE_CONTEXT_ID = Avp(461, "Service-Context-Id", Kind.TEXT)

# One code, with other contents in a request than in an answer.
_MULTIPLE_SERVICES = 456
SERVICES_REQUESTED = Avp(_MULTIPLE_SERVICES, "Multiple-Services-Credit-Control", messages.ServiceRequest)
SERVICES_ANSWERED = Avp(_MULTIPLE_SERVICES, "Multiple-Services-Credit-Control", messages.ServiceAnswer)

# ---- TS 29.061.

CHARGING_ID = _of_3gpp(2, "3GPP-Charging-Id", Kind.OCTETS)
IMSI_MCC_MNC = _of_3gpp(8, "3GPP-IMSI-MCC-MNC", Kind.TEXT)
GGSN_MCC_MNC = _of_3gpp(9, "3GPP-GGSN-MCC-MNC", Kind.TEXT)
CHARGING_CHARACTERISTICS = _of_3gpp(13, "3GPP-Charging-Characteristics", Kind.TEXT)
SGSN_MCC_MNC = _of_3gpp(18, "3GPP-SGSN-MCC-MNC", Kind.TEXT)
RAT_TYPE = _of_3gpp(21, "3GPP-RAT-Type", Kind.OCTETS)
USER_LOCATION_INFO = _of_3gpp(22, "3GPP-User-Location-Info", Kind.OCTETS)
MS_TIME_ZONE = _of_3gpp(23, "3GPP-MS-TimeZone", Kind.OCTETS)

# ---- TS 32.299.

EVENT_TYPE = _of_3gpp(823, "Event-Type", messages.SipEvent)
SIP_METHOD = _of_3gpp(824, "SIP-Method", Kind.TEXT)
EVENT = _of_3gpp(825, "Event", Kind.TEXT)
ROLE_OF_NODE = _of_3gpp(829, "Role-Of-Node", constants.RoleOfNode)
USER_SESSION_ID = _of_3gpp(830, "User-Session-Id", Kind.TEXT)
CALLING_PARTY_ADDRESS = _of_3gpp(831, "Calling-Party-Address", Kind.TEXT)
CALLED_PARTY_ADDRESS = _of_3gpp(832, "Called-Party-Address", Kind.TEXT)
TIME_STAMPS = _of_3gpp(833, "Time-Stamps", messages.TimeStamps)
SIP_REQUEST_TIMESTAMP = _of_3gpp(834, "SIP-Request-Timestamp", Kind.TIME)
SIP_RESPONSE_TIMESTAMP = _of_3gpp(835, "SIP-Response-Timestamp", Kind.TIME)
IMS_CHARGING_IDENTIFIER = _of_3gpp(841, "IMS-Charging-Identifier", Kind.TEXT)
ASSOCIATED_URI = _of_3gpp(856, "Associated-URI", Kind.TEXT)
CAUSE_CODE = _of_3gpp(861, "Cause-Code", Kind.INTEGER32)
NODE_FUNCTIONALITY = _of_3gpp(862, "Node-Functionality", Kind.UNSIGNED32)
TIME_QUOTA_THRESHOLD = _of_3gpp(868, "Time-Quota-Threshold", Kind.UNSIGNED32)
VOLUME_QUOTA_THRESHOLD = _of_3gpp(869, "Volume-Quota-Threshold", Kind.UNSIGNED32)
TRIGGER_TYPE = _of_3gpp(870, "Trigger-Type", Kind.UNSIGNED32)
QUOTA_HOLDING_TIME = _of_3gpp(871, "Quota-Holding-Time", Kind.UNSIGNED32)
REPORTING_REASON = _of_3gpp(872, "3GPP-Reporting-Reason", constants.ReportingReason)
SERVICE_INFORMATION = _of_3gpp(873, "Service-Information", messages.ServiceInformation)
PS_INFORMATION = _of_3gpp(874, "PS-Information", messages.PsInformation)
IMS_INFORMATION = _of_3gpp(876, "IMS-Information", messages.ImsInformation)
QUOTA_CONSUMPTION_TIME = _of_3gpp(881, "Quota-Consumption-Time", Kind.UNSIGNED32)
EXPIRES = _of_3gpp(888, "Expires", Kind.UNSIGNED32)
ADDRESS_DATA = _of_3gpp(897, "Address-Data", Kind.TEXT)
ADDRESS_TYPE = _of_3gpp(899, "Address-Type", constants.AddressType)
RECIPIENT_ADDRESS = _of_3gpp(1201, "Recipient-Address", messages.SmsAddress)
SUBMISSION_TIME = _of_3gpp(1202, "Submission-Time", Kind.TIME)
ADDRESSEE_TYPE = _of_3gpp(1208, "Addressee-Type", constants.AddresseeType)
UNIT_QUOTA_THRESHOLD = _of_3gpp(1226, "Unit-Quota-Threshold", Kind.UNSIGNED32)
CALLED_ASSERTED_IDENTITY = _of_3gpp(1250, "Called-Asserted-Identity", Kind.TEXT)
REQUESTED_PARTY_ADDRESS = _of_3gpp(1251, "Requested-Party-Address", Kind.TEXT)
EVENT_CHARGING_TIMESTAMP = _of_3gpp(1258, "Event-Charging-TimeStamp", Kind.TIME)
ACCESS_NETWORK_INFORMATION = _of_3gpp(1263, "Access-Network-Information", Kind.TEXT)
TRIGGER = _of_3gpp(1264, "Trigger", messages.Trigger)
DATA_CODING_SCHEME = _of_3gpp(2001, "Data-Coding-Scheme", Kind.INTEGER32)
DESTINATION_INTERFACE = _of_3gpp(2002, "Destination-Interface", messages.Interface)
INTERFACE_ID = _of_3gpp(2003, "Interface-Id", Kind.TEXT)
INTERFACE_PORT = _of_3gpp(2004, "Interface-Port", Kind.TEXT)
INTERFACE_TEXT = _of_3gpp(2005, "Interface-Text", Kind.TEXT)
INTERFACE_TYPE = _of_3gpp(2006, "Interface-Type", Kind.UNSIGNED32)
SM_MESSAGE_TYPE = _of_3gpp(2007, "SM-Message-Type", constants.SmMessageType)
ORIGINATOR_INTERFACE = _of_3gpp(2009, "Originator-Interface", messages.Interface)
REPLY_PATH_REQUESTED = _of_3gpp(2011, "Reply-Path-Requested", Kind.UNSIGNED32)
SM_DISCHARGE_TIME = _of_3gpp(2012, "SM-Discharge-Time", Kind.TIME)
SM_PROTOCOL_ID = _of_3gpp(2013, "SM-Protocol-ID", Kind.OCTETS)
SM_USER_DATA_HEADER = _of_3gpp(2015, "SM-User-Data-Header", Kind.OCTETS)
SMS_NODE = _of_3gpp(2016, "SMS-Node", constants.SmsNode)
NUMBER_OF_MESSAGES_SENT = _of_3gpp(2019, "Number-Of-Messages-Sent", Kind.UNSIGNED32)
SMS_INFORMATION = _of_3gpp(2000, "SMS-Information", messages.SmsInformation)
LOW_BALANCE_INDICATION = _of_3gpp(2020, "Low-Balance-Indication", constants.LowBalance)
REMAINING_BALANCE = _of_3gpp(2021, "Remaining-Balance", messages.RemainingBalance)
REFUND_INFORMATION = _of_3gpp(2022, "Refund-Information", Kind.OCTETS)
NUMBER_PORTABILITY_ROUTING = _of_3gpp(2024, "Number-Portability-Routing-Information", Kind.TEXT)
RECIPIENT_INFO = _of_3gpp(2026, "Recipient-Info", messages.Recipient)
ORIGINATOR_RECEIVED_ADDRESS = _of_3gpp(2027, "Originator-Received-Address", messages.SmsAddress)
RECIPIENT_RECEIVED_ADDRESS = _of_3gpp(2028, "Recipient-Received-Address", messages.SmsAddress)
IMS_VISITED_NETWORK = _of_3gpp(2713, "IMS-Visited-Network-Identifier", Kind.TEXT)

_UNITS = (
    CC_TIME,
    CC_MONEY,
    CC_TOTAL_OCTETS,
    CC_INPUT_OCTETS,
    CC_OUTPUT_OCTETS,
    CC_SERVICE_SPECIFIC_UNITS,
)
_SMS_ADDRESS = (ADDRESS_TYPE, ADDRESS_DATA, ADDRESSEE_TYPE)

CONTENTS: dict[type[msgspec.Struct], tuple[Avp, ...]] = {
    messages.VendorSpecificApplication: (VENDOR_ID, AUTH_APPLICATION_ID, ACCT_APPLICATION_ID),
    messages.CapabilitiesExchangeRequest: (
        ORIGIN_HOST,
        ORIGIN_REALM,
        VENDOR_ID,
        PRODUCT_NAME,
        HOST_IP_ADDRESS,
        ORIGIN_STATE_ID,
        SUPPORTED_VENDOR_ID,
        AUTH_APPLICATION_ID,
        INBAND_SECURITY_ID,
        ACCT_APPLICATION_ID,
        VENDOR_SPECIFIC_APPLICATION_ID,
        FIRMWARE_REVISION,
    ),
    messages.CapabilitiesExchangeAnswer: (
        RESULT_CODE,
        ORIGIN_HOST,
        ORIGIN_REALM,
        HOST_IP_ADDRESS,
        VENDOR_ID,
        PRODUCT_NAME,
        ORIGIN_STATE_ID,
        ERROR_MESSAGE,
        FAILED_AVP,
        SUPPORTED_VENDOR_ID,
        AUTH_APPLICATION_ID,
        INBAND_SECURITY_ID,
        ACCT_APPLICATION_ID,
        VENDOR_SPECIFIC_APPLICATION_ID,
        FIRMWARE_REVISION,
    ),
    messages.WatchdogRequest: (ORIGIN_HOST, ORIGIN_REALM, ORIGIN_STATE_ID),
    messages.WatchdogAnswer: (
        RESULT_CODE,
        ORIGIN_HOST,
        ORIGIN_REALM,
        ERROR_MESSAGE,
        FAILED_AVP,
        ORIGIN_STATE_ID,
    ),
    messages.DisconnectRequest: (ORIGIN_HOST, ORIGIN_REALM, DISCONNECT_CAUSE),
    messages.DisconnectAnswer: (RESULT_CODE, ORIGIN_HOST, ORIGIN_REALM, ERROR_MESSAGE, FAILED_AVP),
    messages.UnitValue: (VALUE_DIGITS, EXPONENT),
    messages.Money: (UNIT_VALUE, CURRENCY_CODE),
    messages.RequestedUnits: _UNITS,
    messages.UsedUnits: (TARIFF_CHANGE_USAGE, *_UNITS, REPORTING_REASON, EVENT_CHARGING_TIMESTAMP),
    messages.GrantedUnits: (TARIFF_TIME_CHANGE, *_UNITS),
    messages.PoolReference: (POOL_IDENTIFIER, CC_UNIT_TYPE, UNIT_VALUE),
    messages.Trigger: (TRIGGER_TYPE,),
    messages.SubscriptionId: (SUBSCRIPTION_ID_TYPE, SUBSCRIPTION_ID_DATA),
    messages.UserEquipment: (USER_EQUIPMENT_INFO_TYPE, USER_EQUIPMENT_INFO_VALUE),
    messages.ServiceParameter: (SERVICE_PARAMETER_TYPE, SERVICE_PARAMETER_VALUE),
    messages.ServiceRequest: (
        RATING_GROUP,
        SERVICE_IDENTIFIER,
        REQUESTED_SERVICE_UNIT,
        USED_SERVICE_UNIT,
        TARIFF_CHANGE_USAGE,
        POOL_REFERENCE,
        REPORTING_REASON,
        TRIGGER,
        REFUND_INFORMATION,
    ),
    messages.SipEvent: (SIP_METHOD, EVENT, EXPIRES),
    messages.TimeStamps: (SIP_REQUEST_TIMESTAMP, SIP_RESPONSE_TIMESTAMP),
    messages.ImsInformation: (
        EVENT_TYPE,
        ROLE_OF_NODE,
        NODE_FUNCTIONALITY,
        USER_SESSION_ID,
        CALLING_PARTY_ADDRESS,
        CALLED_PARTY_ADDRESS,
        CALLED_ASSERTED_IDENTITY,
        REQUESTED_PARTY_ADDRESS,
        ASSOCIATED_URI,
        TIME_STAMPS,
        IMS_CHARGING_IDENTIFIER,
        NUMBER_PORTABILITY_ROUTING,
        ACCESS_NETWORK_INFORMATION,
        IMS_VISITED_NETWORK,
        CAUSE_CODE,
    ),
    messages.PsInformation: (
        CHARGING_ID,
        IMSI_MCC_MNC,
        GGSN_MCC_MNC,
        SGSN_MCC_MNC,
        CALLED_STATION_ID,
        USER_LOCATION_INFO,
        RAT_TYPE,
        MS_TIME_ZONE,
        CHARGING_CHARACTERISTICS,
        USER_EQUIPMENT_INFO,
    ),
    messages.SmsAddress: _SMS_ADDRESS,
    messages.Interface: (INTERFACE_ID, INTERFACE_TEXT, INTERFACE_PORT, INTERFACE_TYPE),
    messages.Recipient: (
        DESTINATION_INTERFACE,
        RECIPIENT_ADDRESS,
        RECIPIENT_RECEIVED_ADDRESS,
        SM_PROTOCOL_ID,
    ),
    messages.SmsInformation: (
        SMS_NODE,
        ORIGINATOR_INTERFACE,
        ORIGINATOR_RECEIVED_ADDRESS,
        RECIPIENT_INFO,
        SM_MESSAGE_TYPE,
        DATA_CODING_SCHEME,
        SM_DISCHARGE_TIME,
        SUBMISSION_TIME,
        NUMBER_OF_MESSAGES_SENT,
        SM_USER_DATA_HEADER,
        REPLY_PATH_REQUESTED,
    ),
    messages.ServiceInformation: (SUBSCRIPTION_ID, IMS_INFORMATION, PS_INFORMATION, SMS_INFORMATION),
    messages.CreditControlRequest: (
        SESSION_ID,
        ORIGIN_HOST,
        ORIGIN_REALM,
        DESTINATION_REALM,
        AUTH_APPLICATION_ID,
        SERVICE_CONTEXT_ID,
        CC_REQUEST_TYPE,
        CC_REQUEST_NUMBER,
        DESTINATION_HOST,
        USER_NAME,
        ORIGIN_STATE_ID,
        EVENT_TIMESTAMP,
        SUBSCRIPTION_ID,
        SERVICE_IDENTIFIER,
        TERMINATION_CAUSE,
        REQUESTED_SERVICE_UNIT,
        REQUESTED_ACTION,
        USED_SERVICE_UNIT,
        MULTIPLE_SERVICES_INDICATOR,
        SERVICES_REQUESTED,
        SERVICE_PARAMETER_INFO,
        CC_CORRELATION_ID,
        USER_EQUIPMENT_INFO,
        SERVICE_INFORMATION,
        PROXY_INFO,
        ROUTE_RECORD,
    ),
    messages.RedirectServer: (REDIRECT_ADDRESS_TYPE, REDIRECT_SERVER_ADDRESS),
    messages.FinalUnit: (FINAL_UNIT_ACTION, RESTRICTION_FILTER_RULE, FILTER_ID, REDIRECT_SERVER),
    messages.CostInformation: (UNIT_VALUE, CURRENCY_CODE, COST_UNIT),
    messages.RemainingBalance: (UNIT_VALUE, CURRENCY_CODE),
    messages.ServiceAnswer: (
        RESULT_CODE,
        RATING_GROUP,
        SERVICE_IDENTIFIER,
        GRANTED_SERVICE_UNIT,
        POOL_REFERENCE,
        VALIDITY_TIME,
        FINAL_UNIT_INDICATION,
        TIME_QUOTA_THRESHOLD,
        VOLUME_QUOTA_THRESHOLD,
        UNIT_QUOTA_THRESHOLD,
        QUOTA_HOLDING_TIME,
        QUOTA_CONSUMPTION_TIME,
        TRIGGER,
        REFUND_INFORMATION,
    ),
    messages.CreditControlAnswer: (
        SESSION_ID,
        ORIGIN_HOST,
        ORIGIN_REALM,
        AUTH_APPLICATION_ID,
        CC_REQUEST_TYPE,
        CC_REQUEST_NUMBER,
        RESULT_CODE,
        CC_SESSION_FAILOVER,
        ORIGIN_STATE_ID,
        GRANTED_SERVICE_UNIT,
        SERVICES_ANSWERED,
        COST_INFORMATION,
        LOW_BALANCE_INDICATION,
        REMAINING_BALANCE,
        FINAL_UNIT_INDICATION,
        CHECK_BALANCE_RESULT,
        FAILURE_HANDLING,
        DIRECT_DEBITING_FAILURE_HANDLING,
        VALIDITY_TIME,
        ERROR_MESSAGE,
        FAILED_AVP,
        PROXY_INFO,
    ),
    messages.ReAuthRequest: (
        SESSION_ID,
        ORIGIN_HOST,
        ORIGIN_REALM,
        DESTINATION_REALM,
        DESTINATION_HOST,
        AUTH_APPLICATION_ID,
        RE_AUTH_REQUEST_TYPE,
        RATING_GROUP,
        SERVICE_IDENTIFIER,
        ORIGIN_STATE_ID,
        PROXY_INFO,
        ROUTE_RECORD,
    ),
    messages.ReAuthAnswer: (
        SESSION_ID,
        RESULT_CODE,
        ORIGIN_HOST,
        ORIGIN_REALM,
        ERROR_MESSAGE,
        FAILED_AVP,
        ORIGIN_STATE_ID,
        PROXY_INFO,
    ),
    messages.AbortSessionRequest: (
        SESSION_ID,
        ORIGIN_HOST,
        ORIGIN_REALM,
        DESTINATION_REALM,
        DESTINATION_HOST,
        AUTH_APPLICATION_ID,
        ORIGIN_STATE_ID,
        PROXY_INFO,
        ROUTE_RECORD,
    ),
    messages.AbortSessionAnswer: (
        SESSION_ID,
        RESULT_CODE,
        ORIGIN_HOST,
        ORIGIN_REALM,
        ERROR_MESSAGE,
        FAILED_AVP,
        ORIGIN_STATE_ID,
        PROXY_INFO,
    ),
    messages.ErrorAnswer: (
        SESSION_ID,
        ORIGIN_HOST,
        ORIGIN_REALM,
        RESULT_CODE,
        ORIGIN_STATE_ID,
        ERROR_MESSAGE,
        ERROR_REPORTING_HOST,
        FAILED_AVP,
        PROXY_INFO,
    ),
}

# ---- What is known, and not needed to name a price.

# TS 32.299 has hundreds of AVPs in here, more with every release, nearly all with the M bit: what of 3GPP or of the
# base protocol has no place in these is passed over. An AVP of any other vendor is not.
PASSES_OVER_3GPP: frozenset[type[msgspec.Struct]] = frozenset(
    {
        messages.ServiceInformation,
        messages.ImsInformation,
        messages.SipEvent,
        messages.TimeStamps,
        messages.PsInformation,
        messages.SmsInformation,
        messages.SmsAddress,
        messages.Interface,
        messages.Recipient,
    }
)


def _keys(*codes: int, vendor: int = 0) -> frozenset[int]:
    return frozenset(code | vendor << 32 for code in codes)


# Each of these may come with the M bit by its own definition, and changes nothing for us: Class,
# Acct-Multi-Session-Id, Accounting-Sub-Session-Id, DRMP, OC-Supported-Features, Load, User-Equipment-Info-Extension,
# Subscription-Id-Extension; of 3GPP AoC-Request-Type. CC-Sub-Session-Id is not among them: whoever sends it counts
# on several accounts in one session.
PASSED_OVER: dict[type[msgspec.Struct], frozenset[int]] = {
    messages.CreditControlRequest: _keys(25, 50, 287, 301, 621, 650, 653, 659)
    | _keys(2055, vendor=VENDOR_3GPP),
    # What an answer said and some clients repeat (granted units, validity, result, thresholds, holding and consumption
    # times); PS-Furnish-Charging-Information, QoS-Information, Service-Specific-Info, Envelope, Envelope-Reporting,
    # Time-Quota-Mechanism, Offline-Charging, Announcement-Information.
    messages.ServiceRequest: _keys(431, 448, 268)
    | _keys(865, 868, 869, 871, 881, 1016, 1226, 1249, 1266, 1268, 1270, 1278, 3904, vendor=VENDOR_3GPP),
}

FORBIDDEN: dict[type[msgspec.Struct], frozenset[int]] = {
    # RFC 8506 section 10.1: these are of the answer alone.
    messages.CreditControlRequest: frozenset(
        avp.key
        for avp in (
            RESULT_CODE,
            CC_SESSION_FAILOVER,
            CHECK_BALANCE_RESULT,
            COST_INFORMATION,
            FAILURE_HANDLING,
            DIRECT_DEBITING_FAILURE_HANDLING,
            FINAL_UNIT_INDICATION,
            GRANTED_SERVICE_UNIT,
            VALIDITY_TIME,
        )
    )
}
