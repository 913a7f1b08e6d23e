"""The name and password that a caller gives by HTTP Basic (RFC 7617)."""

from __future__ import annotations

import base64


def read_credentials(header: str) -> tuple[str, str]:
    """The name and password of an Authorization header; both empty where it holds none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no text in it
        return "", ""
    return name, password
