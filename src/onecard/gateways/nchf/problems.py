"""What a consumer is told when a request fails: problem details (RFC 9457), with a cause where 3GPP names one. Pure."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

import msgspec


class Cause(Enum):
    """Why, for machines: TS 29.500 table 5.2.7.2-1, and from CHARGING_FAILED on TS 32.291 table 6.1.7.3-1."""

    INVALID_MSG_FORMAT = "INVALID_MSG_FORMAT"
    MANDATORY_IE_MISSING = "MANDATORY_IE_MISSING"
    MANDATORY_IE_INCORRECT = "MANDATORY_IE_INCORRECT"
    OPTIONAL_IE_INCORRECT = "OPTIONAL_IE_INCORRECT"
    URI_NOT_FOUND = "RESOURCE_URI_STRUCTURE_NOT_FOUND"
    CONTEXT_NOT_FOUND = "CONTEXT_NOT_FOUND"
    CONGESTION_RISK = "NF_CONGESTION_RISK"
    CONGESTION = "NF_CONGESTION"
    SYSTEM_FAILURE = "SYSTEM_FAILURE"
    CHARGING_FAILED = "CHARGING_FAILED"
    NOT_APPLICABLE = "CHARGING_NOT_APPLICABLE"
    """The service may be rendered; there is nothing to charge."""
    UNKNOWN = "USER_UNKNOWN"
    DENIED = "END_USER_REQUEST_DENIED"
    LIMIT_REACHED = "QUOTA_LIMIT_REACHED"


class InvalidParam(msgspec.Struct, frozen=True, gc=False):
    """One part of a request that is wrong; `param` is a JSON Pointer into the body (RFC 6901)."""

    param: str
    reason: str


class Problem(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """ProblemDetails (TS 29.571 section 5.2.4.1)."""

    status: int
    title: str
    cause: Cause | None = None
    detail: str | None = None
    invalid_params: tuple[InvalidParam, ...] = ()


def problem(status: HTTPStatus, cause: Cause | None, detail: str) -> Problem:
    """A request failed for this reason."""
    return Problem(status.value, status.phrase, cause, detail)


def bad_request(cause: Cause, reason: str, place: str | None = None) -> Problem:
    """The request is wrong, in this place of its body."""
    params = () if place is None else (InvalidParam(place, reason),)
    return Problem(400, HTTPStatus.BAD_REQUEST.phrase, cause, reason, params)
