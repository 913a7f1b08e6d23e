"""Numbers of Diameter.

Sources: RFC 6733 (base protocol), RFC 8506 (credit control), 3GPP TS 32.299 (charging).
"""

from enum import IntEnum

VERSION = 1
HEADER_OCTETS = 20
MOST_MESSAGE_OCTETS = 65_535
"""What we take by default. The length field could say 16,777,215; no charging message comes near."""
VENDOR_3GPP = 10415
RELAY_APPLICATION = 0xFFFFFFFF


class ApplicationId(IntEnum):
    """RFC 6733 section 2.4, RFC 8506 section 1.3."""

    BASE = 0
    CREDIT_CONTROL = 4


class CommandCode(IntEnum):
    """RFC 6733 section 3.1, RFC 8506 section 3."""

    CAPABILITIES_EXCHANGE = 257
    RE_AUTH = 258
    CREDIT_CONTROL = 272
    ABORT_SESSION = 274
    DEVICE_WATCHDOG = 280
    DISCONNECT_PEER = 282


class Flag(IntEnum):
    """Command flags: RFC 6733 section 3. No IntFlag: that takes microseconds to combine."""

    REQUEST = 0x80
    PROXIABLE = 0x40
    ERROR = 0x20
    RETRANSMITTED = 0x10


class ResultCode(IntEnum):
    """RFC 6733 section 7.1, RFC 8506 section 9. A peer may answer with others."""

    SUCCESS = 2001
    LIMITED_SUCCESS = 2002

    COMMAND_UNSUPPORTED = 3001
    UNABLE_TO_DELIVER = 3002
    REALM_NOT_SERVED = 3003
    TOO_BUSY = 3004
    LOOP_DETECTED = 3005
    APPLICATION_UNSUPPORTED = 3007
    INVALID_HEADER_BITS = 3008
    INVALID_AVP_BITS = 3009
    UNKNOWN_PEER = 3010

    ELECTION_LOST = 4003
    END_USER_SERVICE_DENIED = 4010
    CREDIT_CONTROL_NOT_APPLICABLE = 4011
    CREDIT_LIMIT_REACHED = 4012

    AVP_UNSUPPORTED = 5001
    UNKNOWN_SESSION_ID = 5002
    AUTHORIZATION_REJECTED = 5003
    INVALID_AVP_VALUE = 5004
    MISSING_AVP = 5005
    RESOURCES_EXCEEDED = 5006
    AVP_NOT_ALLOWED = 5008
    AVP_OCCURS_TOO_MANY_TIMES = 5009
    NO_COMMON_APPLICATION = 5010
    UNSUPPORTED_VERSION = 5011
    UNABLE_TO_COMPLY = 5012
    INVALID_BIT_IN_HEADER = 5013
    INVALID_AVP_LENGTH = 5014
    INVALID_MESSAGE_LENGTH = 5015
    NO_COMMON_SECURITY = 5017
    USER_UNKNOWN = 5030
    RATING_FAILED = 5031


def is_protocol_error(result_code: int) -> bool:
    """Whether an answer with this code has the E bit set (RFC 6733 section 7.1.3)."""
    return 3000 <= result_code < 4000


class DisconnectCause(IntEnum):
    """RFC 6733 section 5.4.3."""

    REBOOTING = 0
    BUSY = 1
    DO_NOT_WANT_TO_TALK_TO_YOU = 2


class InbandSecurity(IntEnum):
    """RFC 6733 section 6.10."""

    NONE = 0
    TLS = 1


class TerminationCause(IntEnum):
    """RFC 6733 section 8.15."""

    LOGOUT = 1
    SERVICE_NOT_PROVIDED = 2
    BAD_ANSWER = 3
    ADMINISTRATIVE = 4
    LINK_BROKEN = 5
    AUTH_EXPIRED = 6
    USER_MOVED = 7
    SESSION_TIMEOUT = 8


class ReAuthRequestType(IntEnum):
    """RFC 6733 section 8.12."""

    AUTHORIZE_ONLY = 0
    AUTHORIZE_AUTHENTICATE = 1


class RequestType(IntEnum):
    """CC-Request-Type: RFC 8506 section 8.3."""

    INITIAL = 1
    UPDATE = 2
    TERMINATION = 3
    EVENT = 4


class RequestedAction(IntEnum):
    """RFC 8506 section 8.41."""

    DIRECT_DEBITING = 0
    REFUND_ACCOUNT = 1
    CHECK_BALANCE = 2
    PRICE_ENQUIRY = 3


class SubscriptionIdType(IntEnum):
    """RFC 8506 section 8.47."""

    E164 = 0
    IMSI = 1
    SIP_URI = 2
    NAI = 3
    PRIVATE = 4


class EquipmentType(IntEnum):
    """User-Equipment-Info-Type: RFC 8506 section 8.50."""

    IMEISV = 0
    MAC = 1
    EUI64 = 2
    MODIFIED_EUI64 = 3


class TariffChangeUsage(IntEnum):
    """RFC 8506 section 8.27."""

    BEFORE = 0
    AFTER = 1
    INDETERMINATE = 2


class UnitType(IntEnum):
    """CC-Unit-Type: RFC 8506 section 8.32."""

    TIME = 0
    MONEY = 1
    TOTAL_OCTETS = 2
    INPUT_OCTETS = 3
    OUTPUT_OCTETS = 4
    SERVICE_SPECIFIC_UNITS = 5


class MultipleServicesIndicator(IntEnum):
    """RFC 8506 section 8.40."""

    NOT_SUPPORTED = 0
    SUPPORTED = 1


class FinalUnitAction(IntEnum):
    """RFC 8506 section 8.35."""

    TERMINATE = 0
    REDIRECT = 1
    RESTRICT_ACCESS = 2


class RedirectAddressType(IntEnum):
    """RFC 8506 section 8.38."""

    IPV4 = 0
    IPV6 = 1
    URL = 2
    SIP_URI = 3


class CheckBalanceResult(IntEnum):
    """RFC 8506 section 8.6."""

    ENOUGH_CREDIT = 0
    NO_CREDIT = 1


class SessionFailover(IntEnum):
    """CC-Session-Failover: RFC 8506 section 8.4."""

    NOT_SUPPORTED = 0
    SUPPORTED = 1


class FailureHandling(IntEnum):
    """Credit-Control-Failure-Handling: RFC 8506 section 8.14."""

    TERMINATE = 0
    CONTINUE = 1
    RETRY_AND_TERMINATE = 2


class DirectDebitingFailureHandling(IntEnum):
    """RFC 8506 section 8.15."""

    TERMINATE_OR_BUFFER = 0
    CONTINUE = 1


class LowBalance(IntEnum):
    """Low-Balance-Indication: TS 32.299 section 7.2."""

    NO = 0
    YES = 1


class ReportingReason(IntEnum):
    """3GPP-Reporting-Reason: TS 32.299 section 7.2."""

    THRESHOLD = 0
    QUOTA_HOLDING_TIME = 1
    FINAL = 2
    QUOTA_EXHAUSTED = 3
    VALIDITY_TIME = 4
    OTHER_QUOTA_TYPE = 5
    RATING_CONDITION_CHANGE = 6
    FORCED_REAUTHORISATION = 7
    POOL_EXHAUSTED = 8
    UNUSED_QUOTA_TIMER = 9


class TriggerType(IntEnum):
    """Those of TS 32.299 section 7.2 on which a price may depend. Peers may name others."""

    CHANGE_IN_SGSN_ADDRESS = 1
    CHANGE_IN_QOS = 2
    CHANGE_IN_LOCATION = 3
    CHANGE_IN_RAT = 4
    CHANGE_IN_TIME_ZONE = 5
    CHANGE_IN_MCC = 30
    CHANGE_IN_MNC = 31


class RoleOfNode(IntEnum):
    """TS 32.299 section 7.2."""

    ORIGINATING = 0
    TERMINATING = 1
    FORWARDING = 2
    B2BUA = 3


class AddressType(IntEnum):
    """Address-Type: TS 32.299 section 7.2."""

    EMAIL = 0
    MSISDN = 1
    IPV4 = 2
    IPV6 = 3
    NUMERIC_SHORT_CODE = 4
    ALPHANUMERIC_SHORT_CODE = 5
    OTHER = 6
    IMSI = 7


class AddresseeType(IntEnum):
    """TS 32.299 section 7.2."""

    TO = 0
    CC = 1
    BCC = 2


class SmMessageType(IntEnum):
    """SM-Message-Type: TS 32.299 section 7.2."""

    SUBMISSION = 0
    DELIVERY_REPORT = 1
    SM_SERVICE_REQUEST = 2
    T4_DEVICE_TRIGGER = 3
    SM_DEVICE_TRIGGER = 4
    MO_SMS_T4_SUBMISSION = 5


class SmsNode(IntEnum):
    """SMS-Node: TS 32.299 section 7.2."""

    SMS_ROUTER = 0
    IP_SM_GATEWAY = 1
    SMS_ROUTER_AND_IP_SM_GATEWAY = 2
    SMS_SC = 3
