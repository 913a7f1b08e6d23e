"""The application against the published description, with requests that schemathesis makes up from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from onecard.gateways.nchf.server import API, COLLECTION

from .golden import OPENED
from .partners import QUIET_TOKEN, open_office_beside, reference_in
from .specification import SERVICES, description, narrowed_description

HEADERS = {"authorization": f"Bearer {QUIET_TOKEN}"}
CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Not among them: that whatever is against the description is refused. What we do not read we do not judge."""
PATHS = [
    "/chargingdata",
    "/chargingdata/{ChargingDataRef}/update",
    "/chargingdata/{ChargingDataRef}/release",
]


NARROWED = [(service, PATHS[0]) for service in SERVICES] + [(SERVICES[0], path) for path in PATHS[1:]]


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    with open_office_beside() as root:
        yield root


@pytest.fixture(scope="module")
def reference(root: str) -> str:
    return reference_in(httpx.post(root + COLLECTION, json=OPENED, headers=HEADERS, trust_env=False))


@pytest.mark.parametrize("path", PATHS)
def test_whatever_the_description_allows_is_answered_as_it_says(root: str, reference: str, path: str) -> None:
    check(description(), path, GenerationMode.POSITIVE, root, reference, examples_most=10)


@pytest.mark.parametrize(("service", "path"), NARROWED)
def test_all_that_we_read_is_understood_in_every_form(
    root: str, reference: str, service: str, path: str
) -> None:
    check(narrowed_description(service), path, GenerationMode.POSITIVE, root, reference, examples_most=30)


@pytest.mark.parametrize(("service", "path"), NARROWED)
def test_what_the_description_forbids_is_answered_as_it_says(
    root: str, reference: str, service: str, path: str
) -> None:
    check(narrowed_description(service), path, GenerationMode.NEGATIVE, root, reference, examples_most=12)


def check(
    document: dict[str, Any],
    path: str,
    mode: GenerationMode,
    root: str,
    reference: str,
    *,
    examples_most: int,
) -> None:
    """Send requests of one operation and judge the answers."""
    operation = schemathesis.openapi.from_dict(document)[path]["POST"]

    @settings(
        max_examples=examples_most,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answer(case: Case[Any]) -> None:
        if case.path_parameters:
            case.path_parameters["ChargingDataRef"] = reference
        response = case.call(base_url=root + API, headers=HEADERS)
        case.validate_response(response, headers=HEADERS, checks=CHECKED)
        if mode is GenerationMode.POSITIVE:
            assert_understood(response)

    answer()


def assert_understood(response: Response) -> None:
    """Whatever the description allows is read without fault, but for numbers beyond all reason."""
    if response.status_code == 400:
        document = response.json()
        assert "invalidParams" not in document or "`int` " in document["detail"], document
