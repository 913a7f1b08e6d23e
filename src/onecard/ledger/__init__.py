"""Accounts and their entries: the only writer of money. Double entry, in batches, idempotent by event."""

from onecard.ledger.actions import (
    Ledger,
    check_ledger,
    close_account,
    find_account,
    get_available,
    is_topped_up,
    list_entries,
    open_account,
    open_ledger,
    post_all,
    post_group,
    post_one,
    record_change,
    take_turn,
    top_up,
)
from onecard.ledger.model import Account, Entry, EntryKind, Posted, Posting, Report, TopUpRefusal
from onecard.ledger.rules import hash_contents, name_event

__all__ = [
    "Account",
    "Entry",
    "EntryKind",
    "Ledger",
    "Posted",
    "Posting",
    "Report",
    "TopUpRefusal",
    "check_ledger",
    "close_account",
    "find_account",
    "get_available",
    "hash_contents",
    "is_topped_up",
    "list_entries",
    "name_event",
    "open_account",
    "open_ledger",
    "post_all",
    "post_group",
    "post_one",
    "record_change",
    "take_turn",
    "top_up",
]
