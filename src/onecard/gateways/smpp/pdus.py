"""What the PDUs of SMPP 3.4 say, as frozen values.

Every body keeps its optional parameters in `tlvs`, as (tag, value), in the order of the wire, known or not.

Source: SMPP Protocol Specification v3.4, issue 1.2, section 4.
"""

import msgspec

from onecard.gateways.smpp.constants import (
    ESM_TYPE_INTERMEDIATE,
    ESM_TYPE_MASK,
    ESM_TYPE_RECEIPT,
    ESM_UDH,
    INTERFACE_VERSION,
    REGISTERED_FAILURE_RECEIPT,
    REGISTERED_RECEIPT,
    REGISTERED_RECEIPT_MASK,
    CommandId,
)
from onecard.values.address import Address

Tlvs = tuple[tuple[int, bytes], ...]


NO_ADDRESS = Address()


class ShortMessage(msgspec.Struct, frozen=True, gc=False):
    """One text, or one part of it: submit_sm, deliver_sm, data_sm (sections 4.4.1, 4.6.1, 4.7.1).

    `body` holds the octets of short_message or of message_payload, `body_in_payload` says which.
    `tlvs` are all other optional parameters, in the order of the wire. Times are as in section 7.1.1.
    """

    operation: CommandId
    source: Address
    destination: Address
    body: bytes = b""
    service_type: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    registered_delivery: int = 0
    replace_if_present: int = 0
    data_coding: int = 0
    default_message_id: int = 0
    body_in_payload: bool = False
    tlvs: Tlvs = ()

    @property
    def has_udh(self) -> bool:
        """Whether the body begins with a user data header (TS 23.040, 9.2.3.24)."""
        return bool(self.esm_class & ESM_UDH)

    @property
    def is_receipt(self) -> bool:
        """Whether this is no text but the final receipt of one."""
        return self.esm_class & ESM_TYPE_MASK == ESM_TYPE_RECEIPT

    @property
    def is_intermediate_notification(self) -> bool:
        """Whether this reports on a text that is still on its way."""
        return self.esm_class & ESM_TYPE_MASK == ESM_TYPE_INTERMEDIATE

    def wants_receipt(self, *, delivered: bool) -> bool:
        """Whether the sender asked for a receipt of this outcome (section 5.2.17)."""
        wanted = self.registered_delivery & REGISTERED_RECEIPT_MASK
        return wanted == REGISTERED_RECEIPT or (wanted == REGISTERED_FAILURE_RECEIPT and not delivered)


class Bind(msgspec.Struct, frozen=True, gc=False):
    """bind_transmitter, bind_receiver, bind_transceiver: section 4.1."""

    system_id: str
    password: str = ""
    system_type: str = ""
    interface_version: int = INTERFACE_VERSION
    address_range: Address = NO_ADDRESS
    tlvs: Tlvs = ()


class BindAnswer(msgspec.Struct, frozen=True, gc=False):
    """Section 4.1.2: the name of the message centre; its version is optional parameter 0x0210."""

    system_id: str
    tlvs: Tlvs = ()


class Outbind(msgspec.Struct, frozen=True, gc=False):
    """Section 4.1.7: a message centre asks us to bind to it."""

    system_id: str
    password: str = ""
    tlvs: Tlvs = ()


class MessageId(msgspec.Struct, frozen=True, gc=False):
    """submit_sm_resp, deliver_sm_resp, data_sm_resp: sections 4.4.2, 4.6.2, 4.7.2."""

    message_id: str = ""
    tlvs: Tlvs = ()


class SubmitMulti(msgspec.Struct, frozen=True, gc=False):
    """Section 4.5.1. A destination is an address, or the name of a distribution list."""

    service_type: str
    source: Address
    destinations: tuple[Address | str, ...]
    esm_class: int
    protocol_id: int
    priority: int
    schedule: str
    validity: str
    registered_delivery: int
    replace_if_present: int
    data_coding: int
    default_message_id: int
    body: bytes
    tlvs: Tlvs = ()


class SubmitMultiAnswer(msgspec.Struct, frozen=True, gc=False):
    """Section 4.5.2: the destinations not reached, each with its status."""

    message_id: str
    failures: tuple[tuple[Address, int], ...] = ()
    tlvs: Tlvs = ()


class Query(msgspec.Struct, frozen=True, gc=False):
    """query_sm: section 4.8.1."""

    message_id: str
    source: Address = NO_ADDRESS
    tlvs: Tlvs = ()


class QueryAnswer(msgspec.Struct, frozen=True, gc=False):
    """Section 4.8.2. `final_date` is empty until the state is final."""

    message_id: str
    final_date: str
    state: int
    error_code: int = 0
    tlvs: Tlvs = ()


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """cancel_sm: section 4.9.1. An empty message id means all texts between the two addresses."""

    service_type: str = ""
    message_id: str = ""
    source: Address = NO_ADDRESS
    destination: Address = NO_ADDRESS
    tlvs: Tlvs = ()


class Replace(msgspec.Struct, frozen=True, gc=False):
    """replace_sm: section 4.10.1."""

    message_id: str
    source: Address
    schedule: str = ""
    validity: str = ""
    registered_delivery: int = 0
    default_message_id: int = 0
    body: bytes = b""
    tlvs: Tlvs = ()


class Alert(msgspec.Struct, frozen=True, gc=False):
    """alert_notification: section 4.12.1. `source` can be reached again; `destination` asked to be told."""

    source: Address
    destination: Address
    tlvs: Tlvs = ()


Body = (
    ShortMessage
    | MessageId
    | Bind
    | BindAnswer
    | Outbind
    | SubmitMulti
    | SubmitMultiAnswer
    | Query
    | QueryAnswer
    | Cancel
    | Replace
    | Alert
)


class Pdu(msgspec.Struct, frozen=True, gc=False):
    """One protocol data unit: its header and its body.

    `body` is None where the command has none, and where a response came, or goes, without it
    (the specification leaves it out when the status is an error).
    """

    command: CommandId
    status: int
    sequence: int
    body: Body | None = None


def find_tlv(tlvs: Tlvs, tag: int) -> bytes | None:
    """Return the value of the first optional parameter of this tag."""
    for found, value in tlvs:
        if found == tag:
            return value
    return None
