"""The states of an SMPP session, and who may ask what in which of them.

Source: SMPP Protocol Specification v3.4, issue 1.2, sections 2.2 and 2.3.
"""

from enum import Enum

from onecard.gateways.smpp.constants import CommandId
from onecard.gateways.smpp.events import BindMode


class Role(Enum):
    """SERVER: the peer binds to us. CLIENT: we bind to the peer."""

    SERVER = "server"
    CLIENT = "client"


class State(Enum):
    """Section 2.2. UNBOUND: an unbind was sent or received, and the last answers are still on their way."""

    OPEN = "open"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    CLOSED = "closed"


_OPEN = frozenset({State.OPEN})
BOUND = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
_SUBMITTING = frozenset({State.BOUND_TX, State.BOUND_TRX})
_DELIVERING = frozenset({State.BOUND_RX, State.BOUND_TRX})
_LEAVING = BOUND | {State.UNBOUND}
_CONNECTED = _LEAVING | _OPEN

# Section 2.3: who may ask what, in which state. More liberal in two places: replace_sm also from
# transceivers, and enquire_link always, because peers probe connections that are not bound yet.
_ASKED_BY_CLIENT: dict[CommandId, frozenset[State]] = {
    CommandId.BIND_TRANSMITTER: _OPEN,
    CommandId.BIND_RECEIVER: _OPEN,
    CommandId.BIND_TRANSCEIVER: _OPEN,
    CommandId.UNBIND: _LEAVING,
    CommandId.SUBMIT_SM: _SUBMITTING,
    CommandId.SUBMIT_MULTI: _SUBMITTING,
    CommandId.DATA_SM: _SUBMITTING,
    CommandId.QUERY_SM: _SUBMITTING,
    CommandId.CANCEL_SM: _SUBMITTING,
    CommandId.REPLACE_SM: _SUBMITTING,
    CommandId.ENQUIRE_LINK: _CONNECTED,
}
_ASKED_BY_SERVER: dict[CommandId, frozenset[State]] = {
    CommandId.OUTBIND: _OPEN,
    CommandId.UNBIND: _LEAVING,
    CommandId.DELIVER_SM: _DELIVERING,
    CommandId.DATA_SM: _DELIVERING,
    CommandId.ALERT_NOTIFICATION: _DELIVERING,
    CommandId.ENQUIRE_LINK: _CONNECTED,
}
RECEIVED_BY = {Role.SERVER: _ASKED_BY_CLIENT, Role.CLIENT: _ASKED_BY_SERVER}
SENT_BY = {Role.SERVER: _ASKED_BY_SERVER, Role.CLIENT: _ASKED_BY_CLIENT}

MODES_OF_BINDS = {mode.value: mode for mode in BindMode}
STATES_OF_MODES = {
    BindMode.TRANSMITTER: State.BOUND_TX,
    BindMode.RECEIVER: State.BOUND_RX,
    BindMode.TRANSCEIVER: State.BOUND_TRX,
}
