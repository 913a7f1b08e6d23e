"""What a row of SIM stock must look like, and when a SIM may be replaced. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from onecard.cards.model import StockItem
from onecard.values.card import parse_iccid, parse_imsi
from onecard.values.gate import Capability, Closed, Gates

ACTIVATION_CODE_LENGTH_MOST = 255  # GSMA SGP.22 section 4.1

STOCK_COLUMNS = ("iccid", "imsi")
STOCK_COLUMNS_OPTIONAL = ("activation_code",)
EXCEPTION_LENGTH_MOST = 200
"""Characters of the reason why a SIM is replaced where the gate is closed."""


class BadActivationCode(ValueError):
    """Characters that are not the activation code of an eSIM."""


def parse_stock_item(cells: Mapping[str, str]) -> StockItem:
    """Read one row of stock; raises a ValueError with the reason."""
    return StockItem(
        parse_iccid(cells["iccid"]),
        parse_imsi(cells["imsi"]),
        _parse_activation_code(cells["activation_code"]) if cells["activation_code"] else None,
    )


def _parse_activation_code(code: str) -> str:
    """Read ``1$SM-DP+ address$token`` (GSMA SGP.22 section 4.1), with or without ``LPA:`` before it."""
    fields = code.removeprefix("LPA:").split("$")
    printable = code.isascii() and code.isprintable() and len(code) <= ACTIVATION_CODE_LENGTH_MOST
    if not printable or len(fields) < 3 or fields[0] != "1" or not fields[1]:
        raise BadActivationCode("the activation code is not like LPA:1$address$token (GSMA SGP.22)")
    return code


def find_gate_of_replacement(gates: Gates, *, is_exception: bool) -> Closed | None:
    """The closed gate that a SIM cannot be replaced for; None: it may be.

    An exception passes as long as numbers can be taken elsewhere: who lost a SIM then would lose the number too.
    """
    closed = gates.find_closed(Capability.SIM_REPLACEMENT)
    return gates.find_closed(Capability.PORT_OUT) if closed and is_exception else closed
