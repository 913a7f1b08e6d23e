"""The append-only record of who did what to what. It holds identifiers, never names, numbers or contents."""

from onecard.audit.actions import record

__all__ = ["record"]
