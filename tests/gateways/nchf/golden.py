"""Golden pairs: what network functions send, what we make of it, and what they are answered.

The documents have fields that we do not read, in the order in which others write them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from onecard.catalogue.model import UsageKind
from onecard.charging.model import Answer, Ask, Grant, Operation, Request, Result
from onecard.gateways.nchf.codec import (
    FinalUnitAction,
    FinalUnitIndication,
    RedirectAddressType,
    RedirectServer,
)
from onecard.gateways.nchf.translate import NchfSettings
from onecard.values.card import Imsi
from onecard.values.phone import E164

AT = datetime(2026, 4, 1, 19, tzinfo=UTC)
SESSION = "nchf:smf:d00"
SETTINGS = NchfSettings(
    FinalUnitIndication(
        FinalUnitAction.REDIRECT,
        redirect_server=RedirectServer(RedirectAddressType.URL, "https://self.example/pay"),
    ),
    quota_holding_seconds=600,
)

PLMN = {"mcc": "302", "mnc": "720"}
CHINA = {"mcc": "460", "mnc": "00"}
SMF = {
    "nFName": "11111111-2222-4333-8444-555555555555",
    "nFIPv4Address": "198.51.100.1",
    "nFPLMNID": PLMN,
    "nodeFunctionality": "SMF",
}
HEAD = {
    "subscriberIdentifier": "imsi-302720000000001",
    "nfConsumerIdentification": SMF,
    "invocationTimeStamp": "2026-04-01T12:00:00.25-07:00",
    "invocationSequenceNumber": 1,
}
IMSI = Imsi("302720000000001")
IMS_HEAD = {**HEAD, "nfConsumerIdentification": {"nodeFunctionality": "IMS_Node"}}
SMS_HEAD = {**HEAD, "nfConsumerIdentification": {"nodeFunctionality": "SMSF"}}
PDU_SESSION = {
    "chargingId": 77,
    "userInformation": {"servedGPSI": "msisdn-16045550100", "servedPEI": "imei-012345678901234"},
    "userLocationinfo": {
        "nrLocation": {
            "tai": {"plmnId": PLMN, "tac": "000001"},
            "ncgi": {"plmnId": PLMN, "nrCellId": "000000001"},
        }
    },
    "uetimeZone": "-07:00",
    "pduSessionInformation": {
        "networkSlicingInfo": {"sNSSAI": {"sst": 1, "sd": "000001"}},
        "pduSessionID": 5,
        "pduType": "IPV4",
        "sscMode": "SSC_MODE_1",
        "ratType": "NR",
        "dnnId": "internet",
    },
}
ROAMING = {
    **PDU_SESSION,
    "pduSessionInformation": {
        "pduSessionID": 5,
        "dnnId": "internet",
        "servingNetworkFunctionID": {
            "servingNetworkFunctionInformation": {"nodeFunctionality": "AMF", "nFPLMNID": CHINA},
            "aMFId": "010203",
        },
    },
}


def container(number: int, *triggers: str, **units: int) -> dict[str, Any]:
    """A UsedUnitContainer."""
    reported = [{"triggerType": each, "triggerCategory": "IMMEDIATE_REPORT"} for each in triggers]
    return {
        "serviceId": 1,
        "quotaManagementIndicator": "ONLINE_CHARGING",
        "localSequenceNumber": number,
        "triggers": reported,
        **units,
    }


class Asked(NamedTuple):
    """A document, and the request that it is to us."""

    name: str
    operation: Operation
    usage: UsageKind
    document: dict[str, Any]
    request: Request


OPENED = {
    **HEAD,
    "supportedFeatures": "0F",
    "notifyUri": "http://smf.example:8080/notify/1",
    "multipleUnitUsage": [
        {"ratingGroup": 10, "requestedUnit": {}},
        {"ratingGroup": 20, "requestedUnit": {"uplinkVolume": 1000, "downlinkVolume": 9000}},
    ],
    "pDUSessionChargingInformation": PDU_SESSION,
}

ASKED = [
    Asked(
        "a PDU session opens",
        Operation.INITIAL,
        UsageKind.DATA,
        OPENED,
        Request(
            SESSION,
            1,
            Operation.INITIAL,
            UsageKind.DATA,
            (Ask(10), Ask(20, wanted=10_000)),
            E164("+16045550100"),
            IMSI,
            network="302720",
        ),
    ),
    Asked(
        "a PDU session opens before anything is used in it",
        Operation.INITIAL,
        UsageKind.DATA,
        {**HEAD, "pDUSessionChargingInformation": ROAMING},
        Request(
            SESSION,
            1,
            Operation.INITIAL,
            UsageKind.DATA,
            (Ask(wants=False),),
            E164("+16045550100"),
            IMSI,
            network="46000",
        ),
    ),
    Asked(
        "a PDU session goes on: two network functions report one group, another group is used up",
        Operation.UPDATE,
        UsageKind.DATA,
        {
            **HEAD,
            "invocationSequenceNumber": 2,
            "multipleUnitUsage": [
                {
                    "ratingGroup": 10,
                    "requestedUnit": {"totalVolume": 5000},
                    "usedUnitContainer": [container(1, "QUOTA_THRESHOLD", totalVolume=4000)],
                },
                {
                    "ratingGroup": 20,
                    "usedUnitContainer": [container(2, "FINAL", uplinkVolume=1, downlinkVolume=2)],
                },
                {
                    "ratingGroup": 10,
                    "requestedUnit": {"totalVolume": 1000},
                    "usedUnitContainer": [container(3, totalVolume=500)],
                },
            ],
        },
        Request(
            SESSION,
            2,
            Operation.UPDATE,
            UsageKind.DATA,
            (Ask(10, used=4500, wanted=6000), Ask(20, used=3, wants=False)),
            imsi=IMSI,
        ),
    ),
    Asked(
        "units after a change of tariff are told by the order of their containers",
        Operation.UPDATE,
        UsageKind.DATA,
        {
            **HEAD,
            "invocationSequenceNumber": 3,
            "multipleUnitUsage": [
                {
                    "ratingGroup": 10,
                    "requestedUnit": {},
                    "usedUnitContainer": [
                        container(6, "QUOTA_THRESHOLD", totalVolume=30),
                        container(5, "TARIFF_TIME_CHANGE", totalVolume=200),
                        container(4, totalVolume=1000),
                    ],
                }
            ],
        },
        Request(
            SESSION,
            3,
            Operation.UPDATE,
            UsageKind.DATA,
            (Ask(10, used=1230, used_after_change=30),),
            imsi=IMSI,
        ),
    ),
    Asked(
        "a PDU session breaks off",
        Operation.TERMINATE,
        UsageKind.DATA,
        {
            **HEAD,
            "invocationSequenceNumber": 4,
            "triggers": [{"triggerType": "ABNORMAL_RELEASE", "triggerCategory": "IMMEDIATE_REPORT"}],
            "multipleUnitUsage": [
                {"ratingGroup": 10, "usedUnitContainer": [container(7, "FINAL", totalVolume=7)]}
            ],
        },
        Request(
            SESSION,
            4,
            Operation.TERMINATE,
            UsageKind.DATA,
            (Ask(10, used=7, wants=False),),
            imsi=IMSI,
            cause="abnormal_release",
        ),
    ),
    Asked(
        "a call is made, from the number that it is shown to come from",
        Operation.INITIAL,
        UsageKind.CALL_OUT,
        {
            **IMS_HEAD,
            "multipleUnitUsage": [{"ratingGroup": 1, "requestedUnit": {"time": 300}}],
            "iMSChargingInformation": {
                "eventType": {"sIPMethod": "INVITE"},
                "iMSNodeFunctionality": "AS",
                "roleOfNode": "ORIGINATING",
                "userInformation": {"servedGPSI": "msisdn-16045550100"},
                "userLocationInfo": {
                    "eutraLocation": {
                        "tai": {"plmnId": CHINA, "tac": "0001"},
                        "ecgi": {"plmnId": CHINA, "eutraCellId": "0000001"},
                    }
                },
                "callingPartyAddresses": ["sip:+8613800138000@ims.example", "tel:+8613800138000"],
                "calledPartyAddress": "tel:+16045550199",
            },
        },
        Request(
            SESSION,
            1,
            Operation.INITIAL,
            UsageKind.CALL_OUT,
            (Ask(1, wanted=300),),
            E164("+16045550100"),
            IMSI,
            E164("+8613800138000"),
            "+16045550199",
            "46000",
        ),
    ),
    Asked(
        "a call comes in, to one of the numbers",
        Operation.INITIAL,
        UsageKind.CALL_IN,
        {
            **IMS_HEAD,
            "multipleUnitUsage": [{"ratingGroup": 1, "requestedUnit": {}}],
            "iMSChargingInformation": {
                "roleOfNode": "TERMINATING",
                "callingPartyAddresses": ["sip:+16045550199@far.example;user=phone"],
                "calledPartyAddress": "sip:+8613800138000@ims.example",
                "imsVisitedNetworkIdentifier": "ims.mnc720.mcc302.3gppnetwork.org",
            },
        },
        Request(
            SESSION,
            1,
            Operation.INITIAL,
            UsageKind.CALL_IN,
            (Ask(1),),
            imsi=IMSI,
            line=E164("+8613800138000"),
            far="+16045550199",
            network="302720",
        ),
    ),
    Asked(
        "a text is sent: an event, by what was dialled",
        Operation.DEBIT,
        UsageKind.TEXT,
        {
            **SMS_HEAD,
            "oneTimeEvent": True,
            "oneTimeEventType": "IEC",
            "multipleUnitUsage": [{"ratingGroup": 30, "requestedUnit": {"serviceSpecificUnits": 2}}],
            "sMSChargingInformation": {
                "originatorInfo": {
                    "originatorSUPI": "imsi-302720000000001",
                    "originatorGPSI": "msisdn-16045550100",
                },
                "recipientInfo": [
                    {
                        "recipientGPSI": "msisdn-8613800138001",
                        "recipientReceivedAddress": {
                            "sMaddressType": "MSISDN",
                            "sMaddressData": "12583113800138001",
                        },
                    }
                ],
                "userLocationinfo": PDU_SESSION["userLocationinfo"],
                "sMMessageType": "SUBMISSION",
                "messageReference": "12",
            },
        },
        Request(
            SESSION,
            1,
            Operation.DEBIT,
            UsageKind.TEXT,
            (Ask(30, wanted=2),),
            E164("+16045550100"),
            IMSI,
            far="12583113800138001",
            network="302720",
        ),
    ),
    Asked(
        "a text was sent: an event told afterwards, by a number alone",
        Operation.DEBIT,
        UsageKind.TEXT,
        {
            **SMS_HEAD,
            "subscriberIdentifier": "msisdn-16045550100",
            "oneTimeEvent": True,
            "oneTimeEventType": "PEC",
            "multipleUnitUsage": [
                {"ratingGroup": 30, "usedUnitContainer": [container(1, serviceSpecificUnits=1)]}
            ],
            "sMSChargingInformation": {"recipientInfo": [{"recipientGPSI": "msisdn-8613800138001"}]},
        },
        Request(
            SESSION,
            1,
            Operation.DEBIT,
            UsageKind.TEXT,
            (Ask(30, used=1, wants=False),),
            E164("+16045550100"),
            far="+8613800138001",
        ),
    ),
]


class Answered(NamedTuple):
    """Our answer, and the document that it becomes, without its head."""

    name: str
    usage: UsageKind
    answer: Answer
    document: dict[str, Any]


CHANGE = datetime(2026, 4, 2, 1, tzinfo=UTC)

ANSWERED = [
    Answered(
        "data: granted, used up, refused, nothing asked",
        UsageKind.DATA,
        Answer(
            Result.SUCCESS,
            (
                Grant(10, Result.SUCCESS, 5_000_000, 3600, CHANGE),
                Grant(20, Result.SUCCESS, 7, 3600, is_last=True),
                Grant(30, Result.CREDIT_EXHAUSTED),
                Grant(40, Result.RATING_FAILED),
                Grant(50, Result.SUCCESS),
                Grant(None, Result.SUCCESS),
            ),
        ),
        {
            "multipleUnitInformation": [
                {
                    "ratingGroup": 10,
                    "resultCode": "SUCCESS",
                    "grantedUnit": {"tariffTimeChange": "2026-04-02T01:00:00Z", "totalVolume": 5_000_000},
                    "validityTime": 3600,
                    "quotaHoldingTime": 600,
                    "volumeQuotaThreshold": 1_000_000,
                },
                {
                    "ratingGroup": 20,
                    "resultCode": "SUCCESS",
                    "grantedUnit": {"totalVolume": 7},
                    "validityTime": 3600,
                    "quotaHoldingTime": 600,
                    "finalUnitIndication": {
                        "finalUnitAction": "REDIRECT",
                        "redirectServer": {
                            "redirectAddressType": "URL",
                            "redirectServerAddress": "https://self.example/pay",
                        },
                    },
                },
                {"ratingGroup": 30, "resultCode": "QUOTA_LIMIT_REACHED"},
                {"ratingGroup": 40, "resultCode": "RATING_FAILED"},
                {"ratingGroup": 50, "resultCode": "SUCCESS"},
            ]
        },
    ),
    Answered(
        "a call",
        UsageKind.CALL_OUT,
        Answer(Result.SUCCESS, (Grant(1, Result.SUCCESS, 300, 600),)),
        {
            "multipleUnitInformation": [
                {
                    "ratingGroup": 1,
                    "resultCode": "SUCCESS",
                    "grantedUnit": {"time": 300},
                    "validityTime": 600,
                    "timeQuotaThreshold": 60,
                }
            ]
        },
    ),
    Answered(
        "a text",
        UsageKind.TEXT,
        Answer(Result.SUCCESS, (Grant(30, Result.SUCCESS, 2),)),
        {
            "multipleUnitInformation": [
                {"ratingGroup": 30, "resultCode": "SUCCESS", "grantedUnit": {"serviceSpecificUnits": 2}}
            ]
        },
    ),
    Answered("a session in which nothing was asked", UsageKind.DATA, Answer(Result.SUCCESS), {}),
]
