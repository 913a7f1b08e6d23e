"""The signature of a payment provider's message: HMAC-SHA256 (RFC 2104) over its time and its body. Pure.

The header ``Onecard-Signature: t=1767225600,v1=<hex>`` names the second at which it was signed; what is signed is that
number in digits, a full stop, and the body as it was sent. A message that is old is refused, so that nobody can keep
one and send it again when it suits them.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

TOLERANCE = timedelta(minutes=5)
"""How far the provider's clock and ours, and the way between, may differ."""
_HEADER = re.compile(r"t=([0-9]{1,11}),v1=([0-9a-f]{64})", re.ASCII)


def sign(secret: bytes, body: bytes, at: datetime) -> str:
    """The header that goes with a body."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_digest(secret, str(seconds), body)}"


def is_signed(secret: bytes, body: bytes, header: str, now: datetime) -> bool:
    """Whether whoever has the secret sent this body, not long ago."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return False
    seconds, signature = match.groups()
    is_right = hmac.compare_digest(signature, _digest(secret, seconds, body))
    return is_right and abs(now.astimezone(UTC).timestamp() - int(seconds)) <= TOLERANCE.total_seconds()


def _digest(secret: bytes, seconds: str, body: bytes) -> str:
    return hmac.new(secret, seconds.encode() + b"." + body, sha256).hexdigest()
