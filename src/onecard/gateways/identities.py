"""Read the identities that charging protocols name people and networks by. Pure.

Sources: RFC 3966 (tel URI), RFC 3261 section 19.1 (SIP URI), TS 23.003 section 13.2 (the domain of an IMS network).
"""

from __future__ import annotations

import re

from onecard.values.phone import E164

_URI = re.compile(r"(?:tel|sips?):([^@;?>]+)", re.IGNORECASE)
_IMS_DOMAIN = re.compile(r"mnc(\d{2,3})\.mcc(\d{3})", re.IGNORECASE)
_DIGITS_MOST = 15
# ITU-T E.212: the countries where an MNC of three digits may begin with 0. Elsewhere such a 0 only fills it up.
_LONG_MNC = frozenset(
    map(str, (*range(310, 317), 334, 338, 344, 346, 348, 352, 356, 358, 360, 366, 405, 708, 722, 732, 750))
)


def dialled_in(identity: str) -> str:
    """What was dialled, out of a tel or SIP URI; anything else stands for itself."""
    match = _URI.match(identity)
    return match[1] if match else identity


def number_in(identity: str) -> E164 | None:
    """The E.164 number of an identity or URI, with or without its plus sign.

    Whether its plan has such a number, the directory will know: it is one of our lines or it is not.
    """
    digits = dialled_in(identity).removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MOST:
        return None
    return E164(f"+{digits}")


def network_in(domain: str | None) -> str:
    """MCC and MNC of the domain of an IMS network; empty where it names none."""
    match = _IMS_DOMAIN.search(domain or "")
    if match is None:
        return ""
    mnc, mcc = match.groups()
    is_filled_up = (
        len(mnc) == 3 and mnc[0] == "0" and mcc not in _LONG_MNC
    )  # an MNC of two digits has a 0 before it
    return mcc + (mnc[1:] if is_filled_up else mnc)
