"""The append-only record of who did what to what. It holds identifiers, never names, numbers or contents."""

from onecard.audit.actions import record, record_each
from onecard.audit.model import AuditRecord
from onecard.audit.store import list_all_records, list_records

__all__ = ["AuditRecord", "list_all_records", "list_records", "record", "record_each"]
