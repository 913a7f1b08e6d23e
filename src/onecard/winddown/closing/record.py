"""What the audit record alone says of the end, for whoever supervises it: the same bytes of the same rows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC
from hashlib import sha256
from typing import Any

from onecard.audit import AuditRecord
from onecard.sealing.signing import canonical

KIND = "onecard report from the audit record"
FORM = 1
"""The version of the document's keys."""
SUBJECTS = ("winddown", "payout", "number_return", "legal_hold")
"""What every act on is told in full; of the others there are sums, since they are as many as subscribers."""


class RecordReport:
    """Takes the rows of the audit record in their order, and tells what they say."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._count = 0
        self._acts: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self._micros: dict[str, Counter[str]] = {}
        self._spans: dict[str, tuple[str, str]] = {}

    def take(self, record: AuditRecord) -> None:
        """Add the next row."""
        row = _describe(record)
        self._digest.update(canonical(row) + b"\n")
        self._count += 1
        self._tally(row)
        if record.subject.startswith(SUBJECTS):
            self._acts.append(row)

    def _tally(self, row: Mapping[str, Any]) -> None:
        action, at, detail = row["action"], row["at"], row["detail"]
        self._counts[action] += 1
        first, _ = self._spans.get(action, (at, at))
        self._spans[action] = first, at
        micros = detail.get("micros")
        if isinstance(micros, int):
            self._micros.setdefault(action, Counter())[str(detail.get("currency", ""))] += micros

    def make_document(self) -> dict[str, Any]:
        """What the rows so far say. `rows_sha256` is of all of them, one canonical JSON a line."""
        return {
            "kind": KIND,
            "form": FORM,
            "rows": self._count,
            "rows_sha256": self._digest.hexdigest(),
            "sums": [self._describe_action(action) for action in sorted(self._counts)],
            "acts": self._acts,
        }

    def _describe_action(self, action: str) -> dict[str, Any]:
        first, last = self._spans[action]
        return {
            "action": action,
            "count": self._counts[action],
            "first": first,
            "last": last,
            "micros": dict(sorted(self._micros.get(action, {}).items())),
        }


def _describe(record: AuditRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": record.at.astimezone(UTC).isoformat(),
        "actor": record.actor,
        "action": record.action,
        "subject": record.subject,
        "detail": record.detail,
    }
