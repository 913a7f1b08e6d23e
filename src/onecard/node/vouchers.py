"""Top up by a text to the service code: redeem the PIN, and say what came of it."""

from __future__ import annotations

from onecard.database.pool import Pool, connection
from onecard.messages.commands import write_amount
from onecard.messages.phrases import Phrase, say
from onecard.payments.actions import redeem
from onecard.payments.model import Redeemed, VoucherRefusal
from onecard.sealing.keys import MasterKey
from onecard.switching.model import CardEntry
from onecard.values.clock import Clock
from onecard.values.gate import Closed, GatesAt
from onecard.values.language import Language

PHRASES = {
    VoucherRefusal.BAD_PIN: Phrase.VOUCHER_BAD_PIN,
    VoucherRefusal.UNKNOWN_PIN: Phrase.VOUCHER_UNKNOWN,
    VoucherRefusal.USED: Phrase.VOUCHER_USED,
    VoucherRefusal.EXPIRED: Phrase.VOUCHER_EXPIRED,
    VoucherRefusal.VOID: Phrase.VOUCHER_VOID,
    VoucherRefusal.OTHER_CURRENCY: Phrase.VOUCHER_OTHER_CURRENCY,
    VoucherRefusal.LOCKED: Phrase.VOUCHER_LOCKED,
    VoucherRefusal.UNKNOWN_CARD: Phrase.VOUCHER_NO_ACCOUNT,
    VoucherRefusal.CARD_ENDED: Phrase.VOUCHER_NO_ACCOUNT,
    VoucherRefusal.ACCOUNT_CLOSED: Phrase.VOUCHER_NO_ACCOUNT,
}
"""What a subscriber is told of each refusal to redeem."""


class VoucherDesk:
    """Redeems the PINs that subscribers send."""

    def __init__(
        self, pool: Pool, master: MasterKey, clock: Clock, *, gates: GatesAt, service_code: str
    ) -> None:
        self._gates = gates
        self._pool = pool
        self._master = master
        self._clock = clock
        self._service_code = service_code

    async def redeem(self, entry: CardEntry, pin: str) -> str:
        """Top up the card's account; returns the answer. Sent again, it adds nothing and says so."""
        now = self._clock.now()
        async with connection(self._pool) as borrowed:
            outcome = await redeem(
                borrowed,
                now,
                actor=f"subscriber:{entry.card.subscriber_id}",
                gates=self._gates(now),
                master=self._master,
                part=entry.card.part,
                card_id=entry.card.id,
                pin=pin,
            )
        if isinstance(outcome, Closed):
            return say(Phrase.TOP_UPS_ENDED, entry.language)
        if isinstance(outcome, VoucherRefusal):
            return say(PHRASES[outcome], entry.language, code=self._service_code)
        return word(outcome, entry.language)


def word(redeemed: Redeemed, language: Language) -> str:
    """What a voucher added, and what is on the account now, in the words of a language."""
    return say(
        Phrase.VOUCHER_YOURS if redeemed.is_repeated else Phrase.TOPPED_UP,
        language,
        amount=write_amount(redeemed.amount, language),
        balance=write_amount(redeemed.account.available, language),
    )
