"""The published description of the interface (OpenAPI 3.0), to validate against. It is not part of the project."""

from __future__ import annotations

import os
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from onecard.gateways.nchf import codec

FILE = Path(__file__).parents[4] / "shared" / "specs" / "nchf-convergedcharging-v3.3.0.bundled.yaml"


@cache
def description() -> dict[str, Any]:
    """The whole description; a test that needs it is skipped where it is absent, but not in CI."""
    if not FILE.is_file():
        reason = f"there is no {FILE.name} in {FILE.parent}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with FILE.open(encoding="utf-8") as file:
        document: dict[str, Any] = yaml.safe_load(file)
    return document


READ: dict[str, type[msgspec.Struct]] = {
    "ChargingDataRequest": codec.ChargingDataRequest,
    "NFIdentification": codec.NetworkFunction,
    "MultipleUnitUsage": codec.UnitUsage,
    "UsedUnitContainer": codec.UsedUnits,
    "PDUSessionChargingInformation": codec.DataInformation,
    "PDUSessionInformation": codec.PduSession,
    "SMSChargingInformation": codec.TextInformation,
    "IMSChargingInformation": codec.CallInformation,
    "TS29571_UserLocation": codec.Location,
    "TS29571_NrLocation": codec.CellLocation,
    "TS29571_EutraLocation": codec.CellLocation,
}
SERVICES = ("pDUSessionChargingInformation", "sMSChargingInformation", "iMSChargingInformation")


@cache
def narrowed_description(service: str) -> dict[str, Any]:
    """The description with nothing in it but what we read (and what it requires), of requests about one service."""
    document = deepcopy(description())
    schemas = document["components"]["schemas"]
    for name, struct in READ.items():
        kept = {field.encode_name for field in msgspec.structs.fields(struct)}
        kept |= set(schemas[name].get("required", ()))
        properties = schemas[name]["properties"]
        schemas[name]["properties"] = {key: value for key, value in properties.items() if key in kept}
    request = schemas["ChargingDataRequest"]
    for other in set(SERVICES) - {service}:
        del request["properties"][other]
    request["required"] = [*request["required"], service]
    return document


def assert_valid(document: object, schema: str) -> None:
    """Whether a document is what the description calls by this name."""
    assert not list(_validator(schema).iter_errors(document)), [
        (error.json_path, error.message) for error in _validator(schema).iter_errors(document)
    ]


@cache
def _validator(schema: str) -> jsonschema.Draft4Validator:
    """OpenAPI 3.0 extends an early draft of JSON Schema; what it added is not used where we write."""
    return jsonschema.Draft4Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": description()["components"]},
        format_checker=jsonschema.FormatChecker(),
    )
