"""Golden vectors: octets of SMPP 3.4, and what they say.

The octets were written by an encoder that is not ours (node-smpp), except bind_transmitter_resp and
data_sm_resp, which were written by hand. The codec is tested both ways.
"""

from typing import NamedTuple

from onecard.gateways.smpp.constants import CommandId, CommandStatus, Tag
from onecard.gateways.smpp.pdus import (
    Alert,
    Bind,
    BindAnswer,
    Cancel,
    MessageId,
    Outbind,
    Pdu,
    Query,
    QueryAnswer,
    Replace,
    ShortMessage,
    SubmitMulti,
    SubmitMultiAnswer,
)
from onecard.values.address import Address


class Vector(NamedTuple):
    name: str
    octets: bytes
    pdu: Pdu


CANADIAN = Address(1, 1, "16045551234")
CHINESE = Address(1, 1, "8613800138000")
ONE = Address(0, 0, "1")
TWO = Address(0, 0, "2")
RECEIPT = (
    b"id:a1b2c3 sub:001 dlvrd:001 submit date:2611242033 done date:2611242034 stat:DELIVRD err:000 text:"
)


def _vector(name: str, octets: str, pdu: Pdu) -> Vector:
    return Vector(name, bytes.fromhex(octets), pdu)


VECTORS = [
    _vector(
        "bind_transmitter of an old peer",
        "0000002f 00000002 00000000 00000001 534d50503354455354 00 7365637265743038 00 5355424d495431 00"
        "00 01 01 00",
        Pdu(
            CommandId.BIND_TRANSMITTER,
            0,
            1,
            Bind("SMPP3TEST", "secret08", "SUBMIT1", 0x00, Address(1, 1, "")),
        ),
    ),
    _vector(
        "bind_receiver",
        "0000001d 00000001 00000000 00000002 62616e6b00 707700 00 34 00 00 00",
        Pdu(CommandId.BIND_RECEIVER, 0, 2, Bind("bank", "pw")),
    ),
    _vector(
        "bind_transceiver with interface version 0x50",
        "00000027 00000009 00000000 00000003 6b616e6e656c00 707700 564d4100 50 01 01 5e3136303400",
        Pdu(CommandId.BIND_TRANSCEIVER, 0, 3, Bind("kannel", "pw", "VMA", 0x50, Address(1, 1, "^1604"))),
    ),
    _vector(
        "bind_transceiver_resp with our version",
        "0000001d 80000009 00000000 00000003 6f6e656361726400 0210 0001 34",
        Pdu(
            CommandId.BIND_TRANSCEIVER_RESP,
            0,
            3,
            BindAnswer("onecard", ((Tag.SC_INTERFACE_VERSION, b"\x34"),)),
        ),
    ),
    _vector(
        "bind_transmitter_resp",
        "00000018 80000002 00000000 00000001 6f6e656361726400",
        Pdu(CommandId.BIND_TRANSMITTER_RESP, 0, 1, BindAnswer("onecard")),
    ),
    _vector(
        "bind_receiver_resp that refuses",
        "00000010 80000001 0000000e 00000002",
        Pdu(CommandId.BIND_RECEIVER_RESP, CommandStatus.ESME_RINVPASWD, 2),
    ),
    _vector(
        "outbind",
        "00000018 0000000b 00000000 00000004 686f737400 707700",
        Pdu(CommandId.OUTBIND, 0, 4, Outbind("host", "pw")),
    ),
    _vector("unbind", "00000010 00000006 00000000 00000005", Pdu(CommandId.UNBIND, 0, 5)),
    _vector("unbind_resp", "00000010 80000006 00000000 00000005", Pdu(CommandId.UNBIND_RESP, 0, 5)),
    _vector("enquire_link", "00000010 00000015 00000000 00000006", Pdu(CommandId.ENQUIRE_LINK, 0, 6)),
    _vector(
        "enquire_link_resp",
        "00000010 80000015 00000000 00000006",
        Pdu(CommandId.ENQUIRE_LINK_RESP, 0, 6),
    ),
    _vector(
        "generic_nack",
        "00000010 80000000 00000003 00000007",
        Pdu(CommandId.GENERIC_NACK, CommandStatus.ESME_RINVCMDID, 7),
    ),
    _vector(
        "submit_sm in Chinese",
        "00000056 00000004 00000000 00000008 434d5400 01 01 313630343535353132333400"
        "01 01 3836313338303031333830303000 03 00 01 00 3030303030313030303030303030305200"
        "11 00 08 00 04 4f60597d 0204 0002 1234",
        Pdu(
            CommandId.SUBMIT_SM,
            0,
            8,
            ShortMessage(
                CommandId.SUBMIT_SM,
                CANADIAN,
                CHINESE,
                "你好".encode("utf-16-be"),
                service_type="CMT",
                esm_class=3,
                priority=1,
                validity="000001000000000R",
                registered_delivery=0x11,
                data_coding=8,
                tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\x12\x34"),),
            ),
        ),
    ),
    _vector(
        "submit_sm with a user data header",
        "0000002c 00000004 00000000 00000009 00 00003100 00003200 43 00 00 00 00 00 00 00 00"
        "09 0500032a0201 616263",
        Pdu(
            CommandId.SUBMIT_SM,
            0,
            9,
            ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, b"\x05\x00\x03\x2a\x02\x01abc", esm_class=0x43),
        ),
    ),
    _vector(
        "submit_sm with message_payload",
        "0000002c 00000004 00000000 0000000a 00 00003100 00003200 00 00 00 00 00 00 00 00 00 00"
        "0424 0005 68656c6c6f",
        Pdu(
            CommandId.SUBMIT_SM,
            0,
            10,
            ShortMessage(CommandId.SUBMIT_SM, ONE, TWO, b"hello", body_in_payload=True),
        ),
    ),
    _vector(
        "submit_sm with SAR parameters",
        "00000037 00000004 00000000 0000000b 00 00003100 00003200 00 00 00 00 00 00 00 00 00 04 70617274"
        "020c 0002 0007 020e 0001 02 020f 0001 01",
        Pdu(
            CommandId.SUBMIT_SM,
            0,
            11,
            ShortMessage(
                CommandId.SUBMIT_SM,
                ONE,
                TWO,
                b"part",
                tlvs=(
                    (Tag.SAR_MSG_REF_NUM, b"\x00\x07"),
                    (Tag.SAR_TOTAL_SEGMENTS, b"\x02"),
                    (Tag.SAR_SEGMENT_SEQNUM, b"\x01"),
                ),
            ),
        ),
    ),
    _vector(
        "submit_sm_resp",
        "00000017 80000004 00000000 00000008 61316232633300",
        Pdu(CommandId.SUBMIT_SM_RESP, 0, 8, MessageId("a1b2c3")),
    ),
    _vector(
        "submit_multi to an address and a list",
        "00000044 00000021 00000000 0000000c 00 01 01 313630343535353132333400"
        "02 01 01 01 313630343535353030303100 02 667269656e647300 00 00 00 00 00 00 00 00 00 02 6869",
        Pdu(
            CommandId.SUBMIT_MULTI,
            0,
            12,
            SubmitMulti(
                service_type="",
                source=CANADIAN,
                destinations=(Address(1, 1, "16045550001"), "friends"),
                esm_class=0,
                protocol_id=0,
                priority=0,
                schedule="",
                validity="",
                registered_delivery=0,
                replace_if_present=0,
                data_coding=0,
                default_message_id=0,
                body=b"hi",
            ),
        ),
    ),
    _vector(
        "submit_multi_resp with one failure",
        "00000026 80000021 00000000 0000000c 6d3100 01 01 01 313630343535353030303100 0000000b",
        Pdu(
            CommandId.SUBMIT_MULTI_RESP,
            0,
            12,
            SubmitMultiAnswer("m1", ((Address(1, 1, "16045550001"), CommandStatus.ESME_RINVDSTADR),)),
        ),
    ),
    _vector(
        "deliver_sm with a receipt",
        "000000b2 00000005 00000000 0000000d 00 01 01 3836313338303031333830303000"
        "01 01 313630343535353132333400 04 00 00 00 00 00 00 00 00 62"
        "69643a613162326333207375623a30303120646c7672643a303031207375626d697420646174653a3236313132343230"
        "333320646f6e6520646174653a3236313132343230333420737461743a44454c49565244206572723a30303020746578"
        "743a 001e 0007 61316232633300 0427 0001 02 0423 0003 030000",
        Pdu(
            CommandId.DELIVER_SM,
            0,
            13,
            ShortMessage(
                CommandId.DELIVER_SM,
                CHINESE,
                CANADIAN,
                RECEIPT,
                esm_class=4,
                tlvs=(
                    (Tag.RECEIPTED_MESSAGE_ID, b"a1b2c3\0"),
                    (Tag.MESSAGE_STATE, b"\x02"),
                    (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x00"),
                ),
            ),
        ),
    ),
    _vector(
        "deliver_sm_resp",
        "00000011 80000005 00000000 0000000d 00",
        Pdu(CommandId.DELIVER_SM_RESP, 0, 13, MessageId()),
    ),
    _vector(
        "data_sm",
        "00000024 00000103 00000000 0000000e 00 00003100 00003200 00 01 03 0424 0004 636166e9",
        Pdu(
            CommandId.DATA_SM,
            0,
            14,
            ShortMessage(
                CommandId.DATA_SM,
                ONE,
                TWO,
                b"caf\xe9",
                registered_delivery=1,
                data_coding=3,
                body_in_payload=True,
            ),
        ),
    ),
    _vector(
        "data_sm_resp that refuses and says why",
        "00000018 80000103 000000fe 0000000e 6d3200 0425 0001 01",
        Pdu(
            CommandId.DATA_SM_RESP,
            CommandStatus.ESME_RDELIVERYFAILURE,
            14,
            MessageId("m2", ((Tag.DELIVERY_FAILURE_REASON, b"\x01"),)),
        ),
    ),
    _vector(
        "query_sm",
        "00000025 00000003 00000000 0000000f 61316232633300 01 01 313630343535353132333400",
        Pdu(CommandId.QUERY_SM, 0, 15, Query("a1b2c3", CANADIAN)),
    ),
    _vector(
        "query_sm_resp",
        "0000002a 80000003 00000000 0000000f 61316232633300 3236313132343230333430303030302b00 02 00",
        Pdu(CommandId.QUERY_SM_RESP, 0, 15, QueryAnswer("a1b2c3", "261124203400000+", 2)),
    ),
    _vector(
        "cancel_sm",
        "00000020 00000008 00000000 00000010 00 61316232633300 00003100 00003200",
        Pdu(CommandId.CANCEL_SM, 0, 16, Cancel("", "a1b2c3", ONE, TWO)),
    ),
    _vector(
        "cancel_sm_resp that refuses",
        "00000010 80000008 00000011 00000010",
        Pdu(CommandId.CANCEL_SM_RESP, CommandStatus.ESME_RCANCELFAIL, 16),
    ),
    _vector(
        "replace_sm",
        "00000036 00000007 00000000 00000011 61316232633300 00003100 00"
        "3236313132353230333430303030302b00 01 00 06 626574746572",
        Pdu(
            CommandId.REPLACE_SM,
            0,
            17,
            Replace("a1b2c3", ONE, validity="261125203400000+", registered_delivery=1, body=b"better"),
        ),
    ),
    _vector("replace_sm_resp", "00000010 80000007 00000000 00000011", Pdu(CommandId.REPLACE_SM_RESP, 0, 17)),
    _vector(
        "alert_notification",
        "0000002a 00000102 00000000 00000012 01 01 313630343535353132333400 00 00 62616e6b00 0422 0001 00",
        Pdu(CommandId.ALERT_NOTIFICATION, 0, 18, Alert(CANADIAN, Address(0, 0, "bank"), ((0x0422, b"\0"),))),
    ),
]

NAMED = {vector.name: vector.octets for vector in VECTORS}
