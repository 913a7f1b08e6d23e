"""Measurements, each beside a reference run on the same machine in the same run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: `25.1`, `"times pgbench"`."""

    name: str
    value: float
    unit: str
