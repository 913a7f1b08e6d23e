"""Payment providers tell of money that came in; the operator's own systems redeem vouchers and request refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, NoReturn

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from onecard import ledger
from onecard.database.pool import Connection, connection
from onecard.gateways.http.signature import is_signed
from onecard.ledger import Account, TopUpRefusal
from onecard.lines.store import find_card_with_lines
from onecard.payments.actions import redeem
from onecard.payments.bank.model import Payee
from onecard.payments.model import Redeemed, VoucherRefusal
from onecard.payments.payees import BadPayee, make_payee, parse_account
from onecard.payments.refunds import store
from onecard.payments.refunds.actions import change_refund, request_refund
from onecard.payments.refunds.model import (
    Refund,
    RefundedValue,
    RefundRefusal,
    RefundState,
    Verify,
    Wish,
)
from onecard.payments.top_ups import ProviderPayment, take_payment
from onecard.sealing.keys import MasterKey
from onecard.values.gate import Closed
from onecard.values.money import BadMoney, Currency, Money, parse_currency, parse_micros
from onecard.values.phone import E164, BadNumber, parse_msisdn

ID_MOST = 2**63 - 1

Id = Annotated[int, msgspec.Meta(ge=1, le=ID_MOST)]
STORABLE = r"\A[^\x00]*\Z"
"""JSON can say a character that no database keeps."""
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=STORABLE)]
PaymentReference = Annotated[str, msgspec.Meta(min_length=1, max_length=34, pattern=STORABLE)]
"""What a payment is paid back to: it goes where a bank has the account."""
Word = Annotated[str, msgspec.Meta(max_length=140, pattern=STORABLE)]


@dataclass(frozen=True, slots=True)
class PaymentRoutes:
    """What these routes need beside what all routes have."""

    secrets: Mapping[str, bytes]
    """That providers sign with, by their names."""
    clients: Mapping[str, str]
    """Names by the hash of their token."""
    master: MasterKey
    cooling_off: timedelta
    """How long a refund waits whose payee is another than before."""


class TopUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that a provider took, for the account of a card by any of its numbers, or by the account's id."""

    event: Reference
    reference: PaymentReference
    amount: Word
    currency: Word
    number: Word | None = None
    account: Id | None = None


class Voucher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A voucher for the card that has this number."""

    number: Word
    pin: Word
    for_refund: bool = False


class PayeeGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payee, with the account in one of three ways."""

    name: Word
    iban: Word | None = None
    canadian: Word | None = None
    account: Word | None = None
    clearing: Word | None = None
    bic: Word | None = None


class RefundWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refund of an account, named as in `TopUp`. `proof`: how the client made sure of who asks, where it did."""

    event: Reference
    number: Word | None = None
    account: Id | None = None
    value: RefundedValue = RefundedValue.CASH
    amount: Word | None = None
    payee: PayeeGiven | None = None
    proof: Word | None = None


class TopUpAnswer(msgspec.Struct, frozen=True):
    """What became of the money: on the account, or held by a refund since top-ups are closed."""

    account: int
    repeated: bool
    refund: int | None


class VoucherAnswer(msgspec.Struct, frozen=True):
    """What a voucher added."""

    account: int
    voucher: int
    amount: str
    currency: str
    repeated: bool


class RefundAnswer(msgspec.Struct, frozen=True):
    """How far a refund has come. Of the payee there are the last characters of the account."""

    refund: int
    account: int
    value: RefundedValue
    amount: str
    currency: str
    state: RefundState
    reason: str | None
    payee: str | None
    cooling_until: datetime | None
    requested_at: datetime
    closed_at: datetime | None


STATUS_OF_TOP_UP = {
    TopUpRefusal.BAD_AMOUNT: (400, "an amount is more than zero and at most a billion"),
    TopUpRefusal.OTHER_CURRENCY: (422, "the account is kept in another currency"),
    TopUpRefusal.UNKNOWN_ACCOUNT: (422, "there is no such account, or it is closed"),
    TopUpRefusal.CONFLICTING_EVENT: (409, "this event told of another amount before"),
}
STATUS_OF_VOUCHER = {
    VoucherRefusal.BAD_PIN: (400, "a PIN has 16 digits, and the last fits the others"),
    VoucherRefusal.UNKNOWN_PIN: (404, "no voucher has this PIN"),
    VoucherRefusal.USED: (409, "this voucher was used before"),
    VoucherRefusal.EXPIRED: (409, "this voucher has expired"),
    VoucherRefusal.VOID: (409, "this voucher is void"),
    VoucherRefusal.OTHER_CURRENCY: (409, "the voucher is in another currency than the account"),
    VoucherRefusal.LOCKED: (429, "too many wrong PINs were tried: try again in an hour"),
    VoucherRefusal.UNKNOWN_CARD: (422, "no card has this number"),
    VoucherRefusal.CARD_ENDED: (422, "the card has ended"),
    VoucherRefusal.ACCOUNT_CLOSED: (422, "the account of the card is closed"),
}
STATUS_OF_REFUND = {
    RefundRefusal.UNKNOWN_ACCOUNT: (422, "there is no such account of a subscriber"),
    RefundRefusal.NOTHING_TO_REFUND: (409, "nothing is available that could be refunded"),
    RefundRefusal.BAD_AMOUNT: (400, "a refund is more than zero and at most what is available"),
    RefundRefusal.ALREADY_OPEN: (409, "a refund of this account is under way"),
    RefundRefusal.CONFLICTING_EVENT: (409, "this event requested another refund before"),
    RefundRefusal.ERASED: (409, "the subscriber was erased: no payee can be kept for them"),
}
"""The refusals that these routes can meet."""


@post("/payments/top-ups", status_code=200)
async def post_top_up(request: Request[Any, Any, State], state: State) -> TopUpAnswer:
    """A provider tells of a payment. Telling it again changes nothing and gets the first answer."""
    body = await request.body()
    provider = _find_provider(request, state, body)
    try:
        told = msgspec.json.decode(body, type=TopUp)
    except msgspec.DecodeError as error:
        raise HTTPException(status_code=400, detail=str(error)) from None
    amount = _read_amount(told.amount, _read_currency(told.currency))
    now = state.clock.now()
    async with connection(state.pool) as borrowed:
        account = await _find_account(borrowed, told.number, told.account)
        payment = ProviderPayment(provider, told.event, told.reference, account.part, account.id, amount)
        taken = await take_payment(borrowed, now, gates=state.gates(now), payment=payment)
    if isinstance(taken, TopUpRefusal):
        _refuse(*STATUS_OF_TOP_UP[taken])
    return TopUpAnswer(taken.account.id, taken.is_repeated, None if taken.refund is None else taken.refund.id)


def _find_provider(request: Request[Any, Any, State], state: State, body: bytes) -> str:
    """The provider that signed the body; who guesses learns nothing of which providers there are."""
    routes: PaymentRoutes = state.payments
    name = request.headers.get("onecard-provider", "")
    secret = routes.secrets.get(name)
    header = request.headers.get("onecard-signature", "")
    if secret is None or not is_signed(secret, body, header, state.clock.now()):
        raise HTTPException(status_code=401, detail="the message is not signed by a provider known here, now")
    return name


@post("/payments/vouchers/redeem", status_code=200)
async def post_voucher(
    request: Request[Any, Any, State], state: State, data: JSONBody[Voucher]
) -> VoucherAnswer:
    """A client redeems a voucher for a card."""
    actor = _authenticate(request, state)
    now = state.clock.now()
    async with connection(state.pool) as borrowed:
        card = await find_card_with_lines(borrowed, _read_number(data.number))
        if card is None:
            _refuse(*STATUS_OF_VOUCHER[VoucherRefusal.UNKNOWN_CARD])
        redeemed = await redeem(
            borrowed,
            now,
            actor=actor,
            gates=state.gates(now),
            master=state.payments.master,
            part=card.card.part,
            card_id=card.card.id,
            pin=data.pin.replace(" ", "").replace("-", ""),
            for_refund=data.for_refund,
        )
    if isinstance(redeemed, Closed):
        _refuse_closed(redeemed)
    if isinstance(redeemed, VoucherRefusal):
        _refuse(*STATUS_OF_VOUCHER[redeemed])
    return _answer_voucher(redeemed)


def _answer_voucher(redeemed: Redeemed) -> VoucherAnswer:
    amount, _, currency = str(redeemed.amount).partition(" ")
    return VoucherAnswer(redeemed.account.id, redeemed.serial, amount, currency, redeemed.is_repeated)


@post("/payments/refunds", status_code=200)
async def post_refund(
    request: Request[Any, Any, State], state: State, data: JSONBody[RefundWish]
) -> RefundAnswer:
    """A client requests a refund. Requesting it again changes nothing and tells how far it is."""
    actor = _authenticate(request, state)
    payee = _read_payee(data.payee)
    if data.value not in (RefundedValue.CASH, RefundedValue.DEPOSITS):
        raise HTTPException(status_code=400, detail="value: cash or deposits")
    now = state.clock.now()
    async with connection(state.pool) as borrowed, borrowed.transaction():
        account = await _find_account(borrowed, data.number, data.account)
        amount = None if data.amount is None else _read_amount(data.amount, account.currency)
        event_id = ledger.name_event(actor, data.event)
        requested = await request_refund(
            borrowed,
            now,
            actor=actor,
            gates=state.gates(now),
            master=state.payments.master,
            part=account.part,
            wish=Wish(account.id, event_id, data.value, amount, payee),
            cooling_off=state.payments.cooling_off,
        )
        refund = _accept(requested)
        if data.proof and refund.state is RefundState.REQUESTED:
            verified = await change_refund(
                borrowed,
                now,
                actor=actor,
                part=refund.part,
                refund_id=refund.id,
                change=Verify(data.proof),
            )
            refund = _accept(verified)
    return _answer(refund)


@get("/payments/refunds/{refund_id:int}")
async def get_refund(
    request: Request[Any, Any, State], state: State, refund_id: FromPath[int]
) -> RefundAnswer:
    """A client asks how far a refund has come."""
    _authenticate(request, state)
    found = None
    if 0 < refund_id <= ID_MOST:
        async with connection(state.pool) as borrowed:
            part = await store.find_part_of_refund(borrowed, refund_id)
            found = None if part is None else await store.find_refund(borrowed, part, refund_id)
    if found is None:
        raise HTTPException(status_code=404, detail="there is no such refund")
    return _answer(found)


ROUTES: Sequence[HTTPRouteHandler] = (post_top_up, post_voucher, post_refund, get_refund)


def _authenticate(request: Request[Any, Any, State], state: State) -> str:
    """The client that has this bearer token (RFC 6750 section 2.1), as it acts."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    routes: PaymentRoutes = state.payments
    name = routes.clients.get(sha256(token.strip().encode()).hexdigest())
    if scheme.lower() != "bearer" or name is None:
        raise HTTPException(
            status_code=401,
            detail="give the token of a client that may handle payments",
            headers={"www-authenticate": 'Bearer realm="onecard"'},
        )
    return f"client:{name}"


async def _find_account(borrowed: Connection, number: str | None, account_id: int | None) -> Account:
    """The account of a card, or the one of this id; both are not to be given."""
    if (number is None) == (account_id is None):
        raise HTTPException(status_code=400, detail="give a number, or an account")
    found: Account | None = None
    if number is not None:
        card = await find_card_with_lines(borrowed, _read_number(number))
        if card is not None:
            found = await ledger.find_account(borrowed, card.card.part, card.card.account_id)
    else:
        assert account_id is not None
        part = await store.find_part_of_account(borrowed, account_id)
        found = None if part is None else await ledger.find_account(borrowed, part, account_id)
    if found is None:
        _refuse(*STATUS_OF_TOP_UP[TopUpRefusal.UNKNOWN_ACCOUNT])
    return found


def _refuse(status: int, detail: str) -> NoReturn:
    raise HTTPException(status_code=status, detail=detail)


def _read_number(text: str) -> E164:
    try:
        return parse_msisdn(text)
    except BadNumber as error:
        raise HTTPException(status_code=400, detail=str(error)) from None


def _read_currency(text: str) -> Currency:
    try:
        return parse_currency(text)
    except BadMoney as error:
        raise HTTPException(status_code=400, detail=str(error)) from None


def _read_amount(text: str, currency: Currency) -> Money:
    try:
        return Money(parse_micros(text), currency)
    except BadMoney as error:
        raise HTTPException(status_code=400, detail=str(error)) from None


def _read_payee(given: PayeeGiven | None) -> Payee | None:
    if given is None:
        return None
    try:
        account = parse_account(
            iban=given.iban,
            canadian=given.canadian,
            account=given.account,
            clearing=given.clearing,
            bic=given.bic,
        )
        return make_payee(given.name, account)
    except BadPayee as error:
        raise HTTPException(status_code=400, detail=f"payee: {error}") from None


def _refuse_closed(closed: Closed) -> NoReturn:
    _refuse(409, f"{closed.capability.value} is closed by the order to stop, or not open yet")


def _accept(answer: Refund | RefundRefusal | Closed) -> Refund:
    if isinstance(answer, Closed):
        _refuse_closed(answer)
    if isinstance(answer, RefundRefusal):
        _refuse(*STATUS_OF_REFUND[answer])
    return answer


def _answer(refund: Refund) -> RefundAnswer:
    amount, _, currency = str(refund.amount).partition(" ")
    return RefundAnswer(
        refund.id,
        refund.account_id,
        refund.value,
        amount,
        currency,
        refund.state,
        refund.reason,
        refund.payee_shown,
        refund.cooling_until,
        refund.requested_at,
        refund.closed_at,
    )
