"""What refusals mean, in a sentence that says what to do; and other things that pages say in words."""

from __future__ import annotations

from datetime import tzinfo
from enum import Enum
from types import MappingProxyType

from onecard.cards.model import CardRefusal
from onecard.catalogue.model import PriceBookRefusal
from onecard.lines.model import LineRefusal
from onecard.payments.payouts.model import PayoutRefusal
from onecard.payments.refunds.model import RefundRefusal
from onecard.portability.model import PortRefusal
from onecard.staff.model import PasskeyRefusal, SignInRefusal, StaffRefusal
from onecard.subscribers.model import SubscriberRefusal
from onecard.values.gate import Closed
from onecard.winddown.model import OrderRefusal

SENTENCES = MappingProxyType(
    {
        LineRefusal.UNKNOWN_APPLICATION: "There is no such application.",
        LineRefusal.ALREADY_DECIDED: "Somebody decided on this application before you.",
        LineRefusal.UNKNOWN_LINE: "There is no such line, or it has ended.",
        LineRefusal.UNKNOWN_CARD: "There is no such card.",
        LineRefusal.CARD_ENDED: "The card has ended.",
        SubscriberRefusal.UNKNOWN_SUBSCRIBER: "There is no such subscriber.",
        SubscriberRefusal.REFUND_UNDER_WAY: "A refund is under way: let it be paid, or cancel it, first.",
        SubscriberRefusal.LEGAL_HOLD: "A legal hold is in force: nothing may be erased.",
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
        RefundRefusal.NOTHING_TO_REFUND: "Nothing is available on the account.",
        RefundRefusal.ALREADY_OPEN: "A refund of this is under way already.",
        RefundRefusal.ERASED: "The subscriber was erased: no payee can be kept for them.",
        RefundRefusal.WRONG_STATE: "The refund has moved on since: look where it stands now.",
        RefundRefusal.IN_A_RUN: "A payout run has it: nobody else may change it until the bank has answered.",
        RefundRefusal.NO_PAYEE: "It has no payee yet.",
        RefundRefusal.NOT_STAFF: "Only a member of staff may approve.",
        RefundRefusal.SAME_PERSON: "It takes another person: you asked for it, verified it, or named who is paid.",
        PayoutRefusal.NOTHING_APPROVED: "No refund is approved, past its cooling off, and within this amount.",
        PayoutRefusal.BAD_LIMIT: "The amount must be more than nothing.",
        PayoutRefusal.UNKNOWN_RUN: "There is no such run.",
        PayoutRefusal.WRONG_STATE: "The run has moved on since: look where it stands now.",
        PayoutRefusal.SAME_PERSON: "It takes another person than the one who made the run.",
        PayoutRefusal.KEY_DESTROYED: "A payee of the run was erased: withdraw the run if that is possible.",
        PayoutRefusal.UNKNOWN_LINE: "There is no such line.",
        PayoutRefusal.ALREADY_RESOLVED: "Somebody resolved this line before you.",
        OrderRefusal.ANOTHER_AWAITS: "Another version awaits approval: approve or withdraw it first.",
        OrderRefusal.ALREADY_STARTED: "The order is started already.",
        OrderRefusal.NOT_STARTED: "No order is in force.",
        OrderRefusal.NOTHING_CHANGES: "It would change nothing.",
        OrderRefusal.UNKNOWN_VERSION: "There is no such version.",
        OrderRefusal.WITHDRAWN: "This version was withdrawn: propose another.",
        OrderRefusal.ALREADY_APPROVED: "Enough people have approved this version.",
        OrderRefusal.APPROVED_BY_SAME: "You have approved this version before: somebody else must, too.",
        OrderRefusal.NO_DOCUMENT: (
            "The plan names no document that it carries out: withdraw it, enter document_sha256, propose it again."
        ),
        OrderRefusal.NOTHING_APPROVED: "No plan was approved: two people must.",
        OrderRefusal.IN_FORCE: "This version is, or was, in force: propose what is to change.",
        PortRefusal.NOT_REQUESTED: "This port-out was started, or is over.",
        PortRefusal.NOT_PENDING: "This port-out was not started, or is over.",
        PortRefusal.OVER: "This port-out is over.",
        PortRefusal.UNKNOWN_PORT: "There is no such port-out.",
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
