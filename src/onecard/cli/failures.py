"""What may go wrong that is nobody's bug, as one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TypeVar

import asyncpg

from onecard.cards.model import CardRefusal
from onecard.catalogue.model import PriceBookRefusal
from onecard.charging.allowances import AllowanceRefusal
from onecard.charging.subscriptions import PlanRefusal
from onecard.database.directory import DirectoryNotServed, EmbeddedServerError
from onecard.database.pool import DatabaseError
from onecard.ledger.model import TopUpRefusal
from onecard.legal_holds.model import LegalHoldRefusal
from onecard.lines.model import LineRefusal
from onecard.lines.rules import BadListEntry, BadSchedule
from onecard.node.config import ConfigError
from onecard.payments.model import VoucherRefusal
from onecard.payments.payouts.model import PayoutRefusal
from onecard.payments.refunds.model import RefundRefusal
from onecard.payments.sides.model import SideRefusal
from onecard.portability.model import PortRefusal, ReturnRefusal
from onecard.retention.model import PurgeRefusal
from onecard.sealing.keys import SealingError
from onecard.staff.model import StaffRefusal
from onecard.subscribers.model import ClaimRefusal, SubscriberRefusal
from onecard.values.card import BadCardIdentifier
from onecard.values.gate import Capability, Closed, Gates
from onecard.values.money import BadMoney
from onecard.values.phone import BadNumber
from onecard.values.table import BadTable
from onecard.winddown.closing.model import SnapshotRefusal
from onecard.winddown.model import ChangesThePast, OrderRefusal
from onecard.winddown.notices.model import NoticeRefusal
from onecard.winddown.rules import AmendmentRefusal

T = TypeVar("T")

Refusal = (
    CardRefusal
    | LineRefusal
    | SubscriberRefusal
    | TopUpRefusal
    | PriceBookRefusal
    | PlanRefusal
    | AllowanceRefusal
    | VoucherRefusal
    | RefundRefusal
    | PayoutRefusal
    | SideRefusal
    | StaffRefusal
    | ClaimRefusal
    | OrderRefusal
    | AmendmentRefusal
    | PortRefusal
    | ReturnRefusal
    | LegalHoldRefusal
    | SnapshotRefusal
    | NoticeRefusal
    | PurgeRefusal
)

SENTENCES: dict[Refusal, str] = {
    CardRefusal.OUT_OF_STOCK: "there is no SIM in stock: import some with `onecard card import FILE`",
    CardRefusal.UNKNOWN_SIM: "this SIM is not in the stock: import it with `onecard card import FILE`",
    CardRefusal.SIM_NOT_IN_STOCK: "this SIM was given to a card before: choose another, or none for the next one",
    CardRefusal.NO_NUMBER_FREE: "no number of this country is free: import some with `onecard number import FILE`",
    CardRefusal.NUMBER_NOT_FREE: "this number is not free: see `onecard number list --state free`",
    CardRefusal.UNKNOWN_SUBSCRIBER: "there is no such subscriber, or they were erased",
    CardRefusal.UNKNOWN_CARD: "there is no such card: see `onecard card list`",
    CardRefusal.CARD_ENDED: "the card has ended: nothing can be changed on it any more",
    CardRefusal.PORTING: "one of its numbers is being taken to another operator: see `onecard port list`",
    CardRefusal.ALREADY_ACTIVE: "the card is active already",
    LineRefusal.UNKNOWN_CARD: "there is no such card: see `onecard card list`",
    LineRefusal.CARD_ENDED: "the card has ended: sell another",
    LineRefusal.UNKNOWN_LINE: "there is no such line, or it has ended: see `onecard line list`",
    LineRefusal.UNKNOWN_APPLICATION: "there is no such application: see `onecard line applications`",
    LineRefusal.ALREADY_DECIDED: "this application was decided before: a new one is needed",
    LineRefusal.TOO_MANY_SECONDARIES: (
        "the card has, or has applied for, as many secondary numbers as the operator allows: end a line first"
    ),
    LineRefusal.TOO_MANY_APPLICATIONS: (
        "the card has made as many applications this month as the operator allows: wait for the next month"
    ),
    LineRefusal.NO_NUMBER_FREE: "no number of this country is free: import some with `onecard number import FILE`",
    LineRefusal.NUMBER_NOT_FREE: (
        "this number is not free, or not of this country: see `onecard number list --state free`"
    ),
    LineRefusal.PRIMARY_LINE: "the primary line ends with its card only: see `onecard card end`",
    LineRefusal.LIST_FULL: "the list is full: take an entry off it with --remove first",
    LineRefusal.NOT_ENDING: "nobody asked for the end of this line: first run `onecard line end` without --confirm",
    LineRefusal.PORTING: "the number is being taken to another operator: see `onecard port list`",
    LineRefusal.CONFIRMATION_TOO_LATE: (
        "the time to confirm is over: ask again with `onecard line end` without --confirm"
    ),
    SubscriberRefusal.UNKNOWN_SUBSCRIBER: "there is no such subscriber",
    SubscriberRefusal.REFUND_UNDER_WAY: (
        "a refund of theirs is under way, and its payee is sealed with the same key: let it be paid, or cancel it"
    ),
    SubscriberRefusal.LEGAL_HOLD: "a legal hold is in force, and nothing is erased: see `onecard hold list`",
    SubscriberRefusal.ERASED: "the contact details of this subscriber were erased",
    TopUpRefusal.BAD_AMOUNT: "a top-up is more than zero and at most a billion",
    TopUpRefusal.OTHER_CURRENCY: "the account is kept in another currency",
    TopUpRefusal.UNKNOWN_ACCOUNT: "there is no such account, or it is closed",
    TopUpRefusal.CONFLICTING_EVENT: (
        "this reference has topped up the account before, by another amount: a new payment needs a new reference"
    ),
    PriceBookRefusal.ALREADY_IMPORTED: (
        "there is a price book of this currency from that instant on: choose a later one"
    ),
    PriceBookRefusal.IN_THE_PAST: (
        "a price book cannot take effect in the past: set a later instant, or --effective-from now"
    ),
    PlanRefusal.UNKNOWN_CARD: "there is no such card: see `onecard card list`",
    PlanRefusal.CARD_ENDED: "the card has ended: it can have no plan any more",
    PlanRefusal.UNKNOWN_PLAN: "no such plan is sold in the currency of the account: see `onecard plan list`",
    PlanRefusal.ALREADY_SUBSCRIBED: "the card has a plan: see `onecard plan change`",
    PlanRefusal.NOT_SUBSCRIBED: "the card has no plan: see `onecard plan subscribe`",
    PlanRefusal.CREDIT_EXHAUSTED: "the account cannot pay the fee: see `onecard account topup`",
    AllowanceRefusal.BAD_UNITS: "an allowance is more than zero and at most 10^15 units",
    AllowanceRefusal.EXPIRED_ALREADY: "it would have expired already: set a later --until",
    AllowanceRefusal.UNKNOWN_ACCOUNT: "there is no such account, or it is closed",
    AllowanceRefusal.CONFLICTING_EVENT: (
        "this reference has given the account another allowance before: a new gift needs a new reference"
    ),
    VoucherRefusal.BAD_PIN: "this is no PIN: it has 16 digits, and the last fits the others; look at it again",
    VoucherRefusal.UNKNOWN_PIN: "no voucher has this PIN: look at it again",
    VoucherRefusal.USED: "this voucher was used before: see `onecard voucher list --serial`",
    VoucherRefusal.EXPIRED: "this voucher has expired",
    VoucherRefusal.VOID: "this voucher is void",
    VoucherRefusal.OTHER_CURRENCY: "the voucher is in another currency than the account",
    VoucherRefusal.LOCKED: "too many wrong PINs were tried on this account: try again in an hour",
    VoucherRefusal.UNKNOWN_CARD: "there is no such card: see `onecard card list`",
    VoucherRefusal.CARD_ENDED: "the card has ended: it takes no vouchers any more",
    VoucherRefusal.ACCOUNT_CLOSED: "the account of the card is closed",
    VoucherRefusal.BAD_FACE: "the face value of a voucher is more than zero and at most a billion",
    VoucherRefusal.BAD_COUNT: "a batch has 1 to 100000 vouchers: make several for more",
    VoucherRefusal.EXPIRED_ALREADY: "they would have expired already: set a later --expires",
    VoucherRefusal.UNKNOWN_BATCH: "there is no such batch: see `onecard voucher list`",
    VoucherRefusal.UNKNOWN_SERIAL: "there is no voucher with this serial number: see `onecard voucher list`",
    RefundRefusal.UNKNOWN_ACCOUNT: "there is no such account of a subscriber",
    RefundRefusal.UNKNOWN_CARD: "there is no such card: see `onecard card list`",
    RefundRefusal.UNKNOWN_REFUND: "there is no such refund: see `onecard refund list`",
    RefundRefusal.NOTHING_TO_REFUND: "nothing is available that could be refunded",
    RefundRefusal.BAD_AMOUNT: "a refund is more than zero and at most what is available: see `onecard account show`",
    RefundRefusal.ALREADY_OPEN: "a refund of this account is under way: see `onecard refund list ACCOUNT`",
    RefundRefusal.CONFLICTING_EVENT: (
        "this reference has requested another refund before: a new request needs a new reference"
    ),
    RefundRefusal.ERASED: "the subscriber was erased: no payee can be kept for them",
    RefundRefusal.CARD_IN_USE: "the card was used, or can be still: only a card that became void is paid back",
    RefundRefusal.NOT_PAID: "nobody wrote down what was paid for this card: see `onecard card sell --paid`",
    RefundRefusal.WRONG_STATE: "the refund is in a state in which this cannot be done: see `onecard refund show`",
    RefundRefusal.IN_A_RUN: "a payout run has this refund: nobody may change it until the bank has answered",
    RefundRefusal.NO_PAYEE: "the refund has no payee yet: give one with `onecard refund change-payee`",
    RefundRefusal.PAID_AS_IT_WAS: "this goes back the way it was paid: it can have no payee",
    RefundRefusal.NOT_STAFF: "staff approve refunds: act as one with --actor staff:NAME",
    RefundRefusal.SAME_PERSON: (
        "you have requested or verified this refund, or entered its payee: somebody else must approve it"
    ),
    PayoutRefusal.NOTHING_APPROVED: (
        "no refund is approved, cooled off and within the limits: see `onecard refund list --state approved`"
    ),
    PayoutRefusal.BAD_LIMIT: "a run has at least one payment, and a limit of more than zero",
    PayoutRefusal.UNKNOWN_RUN: "there is no such run: see `onecard payout list`",
    PayoutRefusal.WRONG_STATE: "the run is in a state in which this cannot be done: see `onecard payout show`",
    PayoutRefusal.SAME_PERSON: "you have made this run: somebody else must release it",
    PayoutRefusal.NOT_STAFF: "staff make and release runs: act as one with --actor staff:NAME",
    PayoutRefusal.KEY_DESTROYED: (
        "a subscriber in this run was erased: withdraw it with `onecard payout withdraw`, and make another"
    ),
    PayoutRefusal.UNKNOWN_LINE: "there is no such line: see `onecard payout unmatched`",
    PayoutRefusal.ALREADY_RESOLVED: "this line was resolved before",
    SideRefusal.UNKNOWN_ACCOUNT: "there is no such account, or it is closed",
    SideRefusal.BAD_AMOUNT: "an amount is more than zero and at most a billion",
    SideRefusal.OTHER_CURRENCY: "the account is kept in another currency",
    SideRefusal.INSUFFICIENT: "there is not that much: see `onecard account show`",
    SideRefusal.CONFLICTING_EVENT: (
        "this reference has moved another amount before: a new one needs a new reference"
    ),
    ClaimRefusal.BAD_CODE: "this is no claim code: it has 16 signs that fit each other; look at it again",
    ClaimRefusal.UNKNOWN_CODE: "nobody has this claim code: look at it again; a later letter may have another",
    ClaimRefusal.LOCKED: "too many wrong claim codes were tried: try again in an hour",
    ClaimRefusal.UNKNOWN_SUBSCRIBER: "there is no such subscriber",
    StaffRefusal.UNKNOWN_STAFF: "there is nobody with this login: see `onecard staff list`",
    StaffRefusal.BAD_LOGIN: "a login is a small letter and then small letters, digits, dots or dashes, 40 at most",
    StaffRefusal.BAD_NAME: "the name is empty, longer than 100 characters, or has characters that cannot be printed",
    StaffRefusal.LOGIN_TAKEN: "somebody has, or had, this login: choose another, since the audit record names it",
    StaffRefusal.NO_ROLE: "give one role at least",
    StaffRefusal.DEACTIVATED: "this person was deactivated: add them again with another login",
    StaffRefusal.ONESELF: "nobody changes their own rights, or lets themselves in again: another person must do it",
    OrderRefusal.ANOTHER_AWAITS: "a version awaits approval: approve it first, or `onecard winddown withdraw` it",
    OrderRefusal.ALREADY_STARTED: "the order is started: what is to change is proposed with `onecard winddown amend`",
    OrderRefusal.NOT_STARTED: "no order is in force: see `onecard winddown draft` and `onecard winddown start`",
    OrderRefusal.NOTHING_CHANGES: "it would change nothing",
    OrderRefusal.UNKNOWN_VERSION: "there is no such version: see `onecard winddown status`",
    OrderRefusal.WITHDRAWN: "this version was withdrawn: propose another",
    OrderRefusal.ALREADY_APPROVED: "enough people have approved this version",
    OrderRefusal.APPROVED_BY_SAME: "you have approved this version before: somebody else must, too",
    OrderRefusal.NO_DOCUMENT: (
        "the plan does not say which document it carries out: withdraw it, enter document_sha256 under [order], "
        "and propose it again"
    ),
    OrderRefusal.NOTHING_APPROVED: "no plan was approved: two people do, with `onecard winddown approve`",
    OrderRefusal.IN_FORCE: (
        "this version is, or was, in force: what is to change is proposed with `onecard winddown amend`"
    ),
    OrderRefusal.NO_OPEN_STAY: "no such stay is open: see `onecard winddown status`",
    OrderRefusal.SEVERAL_STAYS: (
        "several stays are open: say with --since which of them ends, or amend the plan by a file"
    ),
    AmendmentRefusal.UNKNOWN_STAGE: "there is no such stage: see `onecard winddown status`",
    AmendmentRefusal.STAGE_HAS_COME: "a stage that has come cannot be put off any more",
    AmendmentRefusal.STAGE_OF_THE_HOST: "the host operator does this: no extension of the order moves it",
    AmendmentRefusal.NOT_LATER: "an extension puts stages off by a day at least",
    AmendmentRefusal.NOTHING_TO_MOVE: "all stages have come: there is nothing to put off",
    AmendmentRefusal.NOT_CUT_BY_THE_HOST: "a host operator cuts data, voice or texts, and nothing else",
    AmendmentRefusal.CUT_ALREADY_KNOWN: "a cut at this time is in the plan",
    PortRefusal.UNKNOWN_CARD: "there is no such card: see `onecard card list`",
    PortRefusal.CARD_ENDED: "the card has ended: it has no number to take along",
    PortRefusal.UNKNOWN_NUMBER: "no line has this number: see `onecard line list`",
    PortRefusal.WRONG_PIN: "this PIN is wrong, or over: the subscriber gets another by `onecard port pin`",
    PortRefusal.LOCKED: "too many wrong PINs were tried on the card: try again in an hour",
    PortRefusal.ALREADY_PORTING: "the number is on its way already: see `onecard port list`",
    PortRefusal.CONFLICTING_REFERENCE: (
        "this operator asked for another number under this reference: a new request needs a new one"
    ),
    PortRefusal.BAD_OPERATOR: "an operator's name is 1 to 60 characters that can be printed",
    PortRefusal.BAD_REFERENCE: "a reference is 1 to 60 characters that can be printed",
    PortRefusal.UNKNOWN_PORT: "there is no such port-out: see `onecard port list`",
    PortRefusal.NOT_REQUESTED: "this port-out was started before, or is over: see `onecard port show`",
    PortRefusal.NOT_PENDING: "this port-out was not started, or is over: see `onecard port show`",
    PortRefusal.OVER: "this port-out is over: see `onecard port show`",
    ReturnRefusal.NOTHING_TO_RETURN: "this holder has no number here that nobody uses and that has rested",
    ReturnRefusal.UNKNOWN_HOLDER: "no link of a home or host operator with this name has numbers",
    ReturnRefusal.UNKNOWN_RETURN: "there is no such list: see `onecard number return`",
    ReturnRefusal.CONFIRMED_ALREADY: "this list was confirmed before",
    ReturnRefusal.LEGAL_HOLD: "a legal hold is in force: see `onecard hold list`",
    LegalHoldRefusal.BAD_REASON: "a reason is 1 to 200 characters on one line",
    LegalHoldRefusal.UNKNOWN_HOLD: "there is no such legal hold: see `onecard hold list`",
    LegalHoldRefusal.LIFTED_ALREADY: "this legal hold was lifted before",
    LegalHoldRefusal.SAME_PERSON: "another person must lift it than the one who asked for it",
    SnapshotRefusal.TOO_SOON: "what was charged before the gate may not be written yet: try again in a minute",
    NoticeRefusal.UNKNOWN_NOTICE: "there is no such notice: see `onecard notice list`",
    NoticeRefusal.UNKNOWN_ATTEMPT: "no e-mail and no letter has this reference: look at it again",
    NoticeRefusal.NOT_REACHED_BY_IT: (
        "this did not count as having reached anybody: it came back before, or another channel's turn has come"
    ),
    NoticeRefusal.NO_LETTERS: "it is nobody's turn to get a letter of this notice",
    NoticeRefusal.UNKNOWN_LETTERS: "no letters have this number: see `onecard notice letters NOTICE`",
    NoticeRefusal.POSTED_ALREADY: "somebody said before that these letters are in the post",
    PurgeRefusal.STAYED: "a stay of the order is in force: what cannot be undone waits until it is over",
    PurgeRefusal.LEGAL_HOLD: "a legal hold is in force: see `onecard hold list`",
    PurgeRefusal.KEPT_WHOLE: "this class proves itself as a whole: it ends with the database, when its time is over",
    PurgeRefusal.NO_SPARE_KEY: "there is no key for the next period: make it with `onecard purge key`, and copy it",
    PurgeRefusal.KEYS_LEFT: "some key was made meanwhile: give `onecard purge renew` again",
    PurgeRefusal.UNKNOWN_RUN: "there is no such run: see `onecard purge plan`",
    PurgeRefusal.NOT_ENDED: "this run has not ended: go on with `onecard purge run`",
    PurgeRefusal.NOT_RENEWED: (
        "backups still hold the keys of what it destroyed: first `onecard purge key` and `onecard purge renew`"
    ),
}
"""Every refusal that the command line can meet."""


class Failure(Exception):
    """A command that could not be done: a stable code for programs, a sentence for people."""

    exit_code = 1

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Misuse(Failure):
    """A command that makes no sense as it was given."""

    exit_code = 2

    def __init__(self, sentence: str) -> None:
        super().__init__("misuse", sentence)


class GateClosed(Exception):
    """An action met a closed gate. What is said of it depends on the desk: see `explain_gate`."""

    def __init__(self, closed: Closed) -> None:
        super().__init__(closed.capability)
        self.closed = closed


def accept(answer: T | Refusal | Closed | ChangesThePast) -> T:
    """What an action gave; raises Failure where it refused, GateClosed where the order to stop does."""
    if isinstance(answer, Closed):
        raise GateClosed(answer)
    if isinstance(answer, ChangesThePast):
        raise Failure("changes_the_past", list_problems("it would change what has come", answer.reasons))
    if isinstance(answer, Refusal):
        raise Failure(answer.value, SENTENCES[answer])
    return answer


STOPPED = {
    Capability.SALE: "no card is sold",
    Capability.ACTIVATION: "no card is activated",
    Capability.PORT_IN: "no number is brought along",
    Capability.TOP_UP: "no account is topped up",
    Capability.RENEWAL: "no plan is renewed",
    Capability.RENEWAL_FEE: "no money is taken for renewals",
    Capability.PLAN_CHANGE: "no plan is taken or changed",
    Capability.SIM_REPLACEMENT: "no SIM is replaced",
    Capability.NEW_APPLICATION: "no secondary number is applied for",
    Capability.CHARGING: "no money is taken for usage",
    Capability.DATA: "no data is carried",
    Capability.VOICE: "no call is carried",
    Capability.TEXTS: "no text is carried",
    Capability.SECONDARY_LINES: "secondary lines are out of service",
    Capability.PORT_OUT: "no number is taken elsewhere",
    Capability.REFUND: "no balance is paid back",
    Capability.SUPPORT: "there is no help for subscribers",
    Capability.EMERGENCY: "no emergency call is carried",
    Capability.NUMBER_RETURN: "no number goes back to whom it came from",
    Capability.PURGE: "nothing that was kept of persons is destroyed",
}
"""What a closed gate means."""
STILL_OPEN = {
    Capability.REFUND: "refunds",
    Capability.PORT_OUT: "taking a number elsewhere",
    Capability.SUPPORT: "help for subscribers",
}
"""What is left to subscribers, to be named where something else is closed."""


def explain_gate(closed: Closed, gates: Gates, zone: tzinfo) -> Failure:
    """Say which stage of the order stands before something, since when, and what is still possible."""
    stopped = STOPPED[closed.capability]
    if closed.since is not None:
        left = [word for capability, word in STILL_OPEN.items() if gates.is_open(capability)]
        goes_on = f"; still open: {', '.join(left)}" if left else ""
        sentence = (
            f"{stopped} any more: {closed.stage!r} of the order closed that at"
            f" {_say_instant(closed.since, zone)}{goes_on}"
        )
    else:
        sentence = f"{stopped} yet: {_say_opening(closed, zone)}"
    return Failure("closed_by_order", f"{sentence}: see `onecard winddown status`")


def _say_opening(closed: Closed, zone: tzinfo) -> str:
    if closed.stage is None:
        return "no order that is in force opens that"
    if closed.opens_at is None:
        return f"{closed.stage!r} of the order opens that, and has no date now"
    return f"{closed.stage!r} of the order opens that at {_say_instant(closed.opens_at, zone)}"


def _say_instant(instant: datetime, zone: tzinfo) -> str:
    return instant.astimezone(zone).isoformat(" ", "seconds")


_BAD_INPUT = (
    BadCardIdentifier,
    BadListEntry,
    BadMoney,
    BadNumber,
    BadSchedule,
)


PROBLEMS_SHOWN_MOST = 20


def list_problems(what: str, problems: Sequence[str]) -> str:
    """One problem in the sentence, several below it."""
    if len(problems) == 1:
        return f"{what}: {problems[0]}"
    shown = problems[:PROBLEMS_SHOWN_MOST]
    more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
    return "\n  ".join([f"{what}:", *shown, *more])


def explain(error: Exception) -> Failure | None:
    """The failure that an exception is; None for a bug, which keeps its traceback."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, BadTable):
        return Failure("bad_file", list_problems("nothing was imported", list(map(str, error.problems))))
    if isinstance(error, _BAD_INPUT):
        return Failure("bad_input", str(error))
    if isinstance(error, UnicodeError):
        return Failure("bad_input", "what was given is not text in UTF-8")
    return _explain_world(error)


def _explain_world(error: Exception) -> Failure | None:
    if isinstance(error, ConfigError):
        return Failure("bad_configuration", list_problems("the configuration cannot be used", error.problems))
    if isinstance(error, DirectoryNotServed):
        return Failure("not_served", f"{error}: start `onecard serve`, whose server others may use meanwhile")
    if isinstance(error, DatabaseError | EmbeddedServerError):
        return Failure("database", str(error))
    if isinstance(error, SealingError):
        return Failure("sealing", str(error))
    if isinstance(error, asyncpg.PostgresError):  # a full disk, a right that is missing
        return Failure("database", f"the database refused: {error.args[0] if error.args else error}")
    if isinstance(error, OSError):
        return Failure("system", str(error))
    return None
