"""What refusals mean, in a sentence that says what to do; and other things that pages say in words."""

from __future__ import annotations

from datetime import tzinfo
from enum import Enum
from types import MappingProxyType

from onecard.cards.model import CardRefusal
from onecard.catalogue.model import PriceBookRefusal
from onecard.lines.model import LineRefusal
from onecard.staff.model import PasskeyRefusal, SignInRefusal, StaffRefusal
from onecard.subscribers.model import SubscriberRefusal
from onecard.values.gate import Closed

SENTENCES = MappingProxyType(
    {
        LineRefusal.UNKNOWN_APPLICATION: "There is no such application.",
        LineRefusal.ALREADY_DECIDED: "Somebody decided on this application before you.",
        LineRefusal.UNKNOWN_LINE: "There is no such line, or it has ended.",
        LineRefusal.UNKNOWN_CARD: "There is no such card.",
        LineRefusal.CARD_ENDED: "The card has ended.",
        SubscriberRefusal.UNKNOWN_SUBSCRIBER: "There is no such subscriber.",
        SubscriberRefusal.ERASED: "The contact details of this subscriber were erased.",
        CardRefusal.UNKNOWN_CARD: "There is no such card.",
        CardRefusal.CARD_ENDED: "The card has ended.",
        PriceBookRefusal.ALREADY_IMPORTED: "There is a book of this currency from that instant on: choose a later one.",
        PriceBookRefusal.IN_THE_PAST: "A book cannot take effect in the past: choose a later instant.",
        StaffRefusal.UNKNOWN_STAFF: "There is nobody with this login.",
        StaffRefusal.BAD_LOGIN: "A login is a small letter and then small letters, digits, dots or dashes, 40 at most.",
        StaffRefusal.BAD_NAME: "The name is empty, too long, or has characters that cannot be printed.",
        StaffRefusal.LOGIN_TAKEN: "Somebody has, or had, this login: choose another, since the audit record names it.",
        StaffRefusal.NO_ROLE: "Give one role at least.",
        StaffRefusal.DEACTIVATED: "This person was deactivated: add them again with another login.",
        StaffRefusal.ONESELF: "Nobody changes their own rights: another person must do it.",
        PasskeyRefusal.UNKNOWN: "This passkey is not known here.",
        PasskeyRefusal.ADDED_ALREADY: "This passkey was added before.",
        PasskeyRefusal.TOO_MANY: "You have as many passkeys as one may have: take one away first.",
        PasskeyRefusal.BAD_LABEL: "Say in a word which device it is.",
        PasskeyRefusal.CLONED: "This passkey may have been copied: take it away, and add it anew.",
        SignInRefusal.WEAK_PASSWORD: "Choose a password of 12 characters or more that does not contain your login.",
        SignInRefusal.WRONG_CODE: "The code does not fit: scan the picture again, and type the code that is shown now.",
        SignInRefusal.WRONG: "This is not right, or the invitation has run out: ask for a new one.",
        SignInRefusal.LOCKED: "Too many wrong tries: wait a quarter of an hour.",
    }
)


def say_refusal(refusal: Enum) -> str:
    """The sentence of a refusal; its code, where it needs none."""
    return SENTENCES.get(refusal, f"Refused: {str(refusal.value).replace('_', ' ')}.")


def say_closed(closed: Closed, zone: tzinfo) -> str:
    """Which gate is closed, by which stage of the order, and until when."""
    said = f"The order has closed this ({closed.capability.replace('_', ' ')}"
    if closed.stage:
        said += f", by its stage {closed.stage}"
    if closed.since:
        said += f", since {closed.since.astimezone(zone):%Y-%m-%d %H:%M}"
    if closed.opens_at:
        said += f"; it opens on {closed.opens_at.astimezone(zone):%Y-%m-%d at %H:%M}"
    return f"{said})."
