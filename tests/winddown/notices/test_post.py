"""How notices go: made when they are due, sent channel by channel, corrected when dates change, and proved."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest

import shop
from onecard.audit import list_records
from onecard.database.pool import Database, connection
from onecard.subscribers.actions import erase_subscriber
from onecard.switching.model import TextRefusal
from onecard.values.gate import Capability
from onecard.values.language import Language
from onecard.winddown.model import Extension, HostCut, Notice, NoticeKind, Stay
from onecard.winddown.notices.actions import enter_bounce
from onecard.winddown.notices.model import NoticeRefusal, Outcome, PostRules
from payments.treasury import Treasury, credit, debit
from winddown.notices.post import (
    ALL,
    ANNOUNCEMENT,
    PAGE,
    Post,
    local,
    make_plan,
    open_post,
    words_of,
)

WORDS = (
    "Maple Bridge奉命终止服务，自2026年9月1日起停止。如需保留号码，请于2026年8月31日前（含当日）转网。"
    f"自2026年6月1日起可申请退还余额。全部日期：{PAGE}"
)
WANG = "wang.fang@example.com"


async def test_nothing_is_told_before_its_time(database: Database) -> None:
    async with open_post(database) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T12:59:59")
        assert (await post.notices(), post.heard) == ((), [])
        await post.move_to("2026-05-01T13:00")
        assert [one.kind for one in await post.notices()] == [NoticeKind.ANNOUNCEMENT]
        assert [words for _, words in post.heard] == [WORDS, WORDS]


async def test_everybody_is_told_once_however_many_nodes_there_are(database: Database) -> None:
    async with open_post(database) as post:
        post.open_node()
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        for _ in range(5):
            await post.tick()
        assert len(post.heard) == len({card for card, _ in post.heard}) == 2
        assert len(await post.notices()) == 1


async def test_a_text_without_a_receipt_gives_way_to_an_e_mail(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        await post.tick(hours=23)
        assert (await post.states(1), post.mail.received) == ([("sent", "text")], [])
        await post.tick(hours=1)
        assert await post.states(1) == [("reached", "email")]
        [mail] = post.mail.received
        assert mail["To"] == WANG
        assert mail["From"] == "Maple Bridge <notices@maple.example>"
        assert mail["Content-Language"] == "zh-Hans"
        assert "时间（北美东部时间）" in words_of(mail)
        assert await post.attempts(1) == [("text", "no_receipt", ""), ("email", "accepted", "250")]


async def test_the_evidence_holds_the_hash_of_the_exact_words(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        await post.tick(hours=24)
        [mail] = post.mail.received
        rows = await post.fetch("SELECT sha256, language FROM notice_attempt ORDER BY number")
        assert [row["sha256"] for row in rows] == [
            sha256(words.encode()).digest() for words in (post.heard[0][1], words_of(mail))
        ]
        assert {row["language"] for row in rows} == {"zh-Hans"}


async def test_an_e_mail_is_written_with_details_that_one_record_says_were_opened(database: Database) -> None:
    async with open_post(database) as post:
        post.refusal = TextRefusal.NO_ROUTE
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        async with connection(database.pool) as borrowed:
            records = [
                one for one in await list_records(borrowed, "notice:1") if one.action == "read_contacts"
            ]
        ids = {row["id"] for row in await post.fetch("SELECT id FROM subscriber")}
        assert {one for record in records for one in record.detail["subscribers"]} == ids
        assert {record.detail["reason"] for record in records} == {"e-mails"}


@pytest.mark.parametrize(
    ("answer", "detail"),
    [("550 5.1.1 <wang.fang@example.com> is not here", "550 5.1.1"), ("554 go away", "554")],
)
async def test_a_refused_e_mail_gives_way_to_a_letter_and_no_address_is_written_down(
    database: Database, answer: str, detail: str
) -> None:
    async with open_post(database, cards=1) as post:
        post.refusal = TextRefusal.NO_ROUTE
        post.mail.answers[WANG] = answer
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert await post.attempts(1) == [("text", "refused", "no_route"), ("email", "refused", detail)]
        assert await post.states(1) == [("waiting", "letter")]


async def test_what_a_mail_server_refuses_for_the_moment_is_tried_again_for_a_day(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        post.refusal = TextRefusal.NO_ROUTE
        post.mail.answers[WANG] = "451 4.7.1 greylisted"
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert (await post.attempts(1))[1:] == [("email", "failed", "451 4.7.1")]
        del post.mail.answers[WANG]
        await post.tick(minutes=1)
        assert await post.states(1) == [("reached", "email")]


async def test_who_no_mail_server_takes_an_e_mail_for_within_a_day_gets_a_letter(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        post.refusal = TextRefusal.NO_ROUTE
        post.mail.answers[WANG] = "451 4.7.1 greylisted"
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        for _ in range(24):
            assert await post.states(1) == [("waiting", "email")]
            await post.tick(hours=1)
        assert await post.states(1) == [("waiting", "letter")]


async def test_a_mail_server_that_is_away_loses_nobody(database: Database) -> None:
    async with open_post(database) as post:
        post.refusal = TextRefusal.NO_ROUTE
        post.posts.clear()
        port, post.mail.port = post.mail.port, 1
        post.open_node()
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert await post.states(1) == [("waiting", "email")] * 2
        post.posts.clear()
        post.mail.port = port
        post.open_node()
        await post.tick(minutes=2)
        assert await post.states(1) == [("reached", "email")] * 2


async def test_without_a_mail_server_the_letter_is_next(database: Database) -> None:
    async with open_post(database, cards=1, mail=False) as post:
        post.refusal = TextRefusal.NO_ROUTE
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert (await post.attempts(1))[-1] == ("email", "refused", "no mail server")
        assert await post.states(1) == [("waiting", "letter")]


async def test_a_queue_that_is_full_for_the_moment_is_tried_again(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        post.refusal = TextRefusal.QUEUE_FULL
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert await post.states(1) == [("waiting", "text")]
        post.refusal = None
        await post.tick(minutes=1)
        assert await post.states(1) == [("sent", "text")]


async def test_nobody_is_woken_unless_it_is_urgent(database: Database) -> None:
    """Nine o'clock in Toronto is six in Vancouver, where the numbers are from."""
    async with open_post(database, cards=1) as post:
        early = Notice("sales end", local("2026-05-02T09:00"), ALL)
        await post.start(make_plan(early))
        await post.move_to("2026-05-02T09:00")
        assert (await post.states(1), post.heard) == ([("waiting", "text")], [])
        await post.move_to("2026-05-02T11:59:59")
        assert post.heard == []
        await post.move_to("2026-05-02T12:00")
        assert len(post.heard) == 1
        await post.move_to("2026-05-03T02:00")
        cut = HostCut(local("2026-05-20T00:00"), frozenset({Capability.DATA}), local("2026-05-04").date())
        await post.amend(cut)
        await post.tick()
        assert len(post.heard) == 2
        assert post.heard[1][1].startswith("Maple Bridge紧急通知：自2026年5月20日起，网络停止移动数据。")


async def test_a_stay_withdraws_what_was_not_told_and_corrects_what_was(database: Database) -> None:
    async with open_post(database, texts_a_second=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert len(post.heard) == 1  # the other one's turn comes in a second
        told = post.heard[0][0]
        await post.stay(Stay(local("2026-05-02T00:00")))
        await post.tick()
        announcement, correction = await post.notices()
        assert announcement.withdrawn_at is not None
        assert correction.kind is NoticeKind.CORRECTION
        assert sorted(await post.states(announcement.id)) == [("sent", "text"), ("withdrawn", "text")]
        assert [card for card, _ in post.heard] == [told, told]
        assert "原定2026年6月1日，现暂停执行，日期未定" in post.heard[1][1]


async def test_after_a_stay_the_new_dates_go_to_those_who_were_told_and_the_notice_to_the_others(
    database: Database,
) -> None:
    async with open_post(database, texts_a_second=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        told = post.heard[0][0]
        await post.fetch("UPDATE notice_recipient SET state = 'reached' WHERE state = 'sent'")
        await post.stay(Stay(local("2026-05-02T00:00")))
        await post.tick()
        await post.move_to("2026-05-11T12:00")
        await post.lift("2026-05-12T00:00")
        for _ in range(4):
            await post.tick()
        kinds = [(one.kind.value, one.withdrawn_at is None) for one in await post.notices()]
        assert kinds == [
            ("announcement", False),
            ("correction", False),
            ("correction", True),
            ("announcement", True),
        ]
        later = [words for card, words in post.heard[2:] if card == told]
        assert len(later) == 1
        assert "此前暂停，现自2026年6月11日起" in later[0]
        [other] = [words for card, words in post.heard if card != told]
        assert "自2026年9月11日起停止" in other


async def test_an_extension_is_told_with_the_old_date_and_the_new_one(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        await post.amend(Extension(local("2026-05-01T13:00"), timedelta(days=30), frozenset({"sales end"})))
        await post.tick()
        [_, correction, for_newcomers] = await post.notices()
        assert correction.dates == {"sales end": local("2026-07-01")}
        assert "原定2026年6月1日，改为自2026年7月1日起" in post.heard[-1][1]
        await post.tick(hours=1)
        assert len(post.heard) == 2
        assert await post.states(for_newcomers.id) == []


async def test_newcomers_are_told_until_all_that_is_told_has_come(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        async with connection(database.pool) as borrowed:
            await shop.sell(borrowed)
        await post.tick(minutes=1)
        assert len(post.heard) == 2
        await post.move_to("2026-09-01T12:00")
        async with connection(database.pool) as borrowed:
            await shop.sell(borrowed)
        await post.tick(minutes=1)
        assert len(await post.states(1)) == 2


async def test_of_refunds_only_those_are_told_who_have_money(database: Database) -> None:
    async with open_post(database) as post:
        refund = Notice("sales end", local("2026-05-01T13:00"), ALL, NoticeKind.REFUND)
        await post.fetch(
            "UPDATE account SET available = 1 WHERE id = (SELECT min(account_id) FROM subscriber)"
        )
        await post.start(make_plan(refund))
        await post.move_to("2026-05-01T13:00")
        assert len(post.heard) == 1
        assert "领款码" in post.heard[0][1]


async def test_who_was_erased_is_told_by_text_or_named_as_not_reached(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        [row] = await post.fetch("SELECT part, id FROM subscriber")
        async with connection(database.pool) as borrowed:
            await erase_subscriber(
                borrowed, post.clock.now(), actor=shop.STAFF, part=row["part"], subscriber_id=row["id"]
            )
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert len(post.heard) == 1
        await post.tick(hours=24)
        assert (await post.attempts(1))[-1] == ("email", "no_address", "")
        assert await post.states(1) == [("waiting", "letter")]


async def test_a_language_that_a_notice_does_not_have_is_replaced_by_its_first(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        english = Notice("sales end", local("2026-05-01T13:00"), (Language.ENGLISH, Language.FRENCH))
        await post.start(make_plan(english))
        await post.move_to("2026-05-01T13:00")
        assert post.heard[0][1] == (
            "Maple Bridge, from Jun 1, 2026: No more SIM card sales and top-ups. Plans renew free of charge."
            f" You can ask for your balance to be paid back. Details: {PAGE}"
        )


async def test_no_notice_is_made_while_there_is_nothing_to_put_in_a_place_of_its_words(
    database: Database,
) -> None:
    async with open_post(database, page=None) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert (await post.notices(), post.heard) == ((), [])
        post.posts.clear()
        post.open_node()
        await post.tick()
        assert len(post.heard) == 2


async def test_a_wrong_date_is_not_told_on_while_the_words_of_its_correction_are_missing(
    database: Database,
) -> None:
    async with open_post(database, texts_a_second=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        post.posts.clear()
        post.open_node(page=None)
        await post.stay(Stay(local("2026-05-02T00:00")))
        for _ in range(3):
            await post.tick()
        assert len(post.heard) == 1
        assert sorted(await post.states(1)) == [("sent", "text"), ("withdrawn", "text")]


async def test_whom_a_node_took_that_died_is_told_by_another(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        await post.start(make_plan(ANNOUNCEMENT))
        await post.fetch("SELECT 1")
        post.refusal = TextRefusal.QUEUE_FULL
        await post.move_to("2026-05-01T13:00")
        post.refusal = None
        await post.fetch(
            "UPDATE notice_recipient SET state = 'sending', due_at = due_at + interval '5 minutes'"
        )
        await post.tick(minutes=1)
        assert post.heard == []
        await post.tick(minutes=5)
        assert len(post.heard) == 1


async def test_the_regulator_gets_a_copy_in_every_language(database: Database) -> None:
    async with open_post(database, cards=1, regulator="notices@crtc.example") as post:
        post.mail.answers["notices@crtc.example"] = "451 4.3.0 later"
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        assert post.mail.received == []
        del post.mail.answers["notices@crtc.example"]
        await post.tick(minutes=10)
        [mail] = post.mail.received
        assert mail["To"] == "notices@crtc.example"
        assert all(f"[{language.value}, text]" in words_of(mail) for language in Language)
        [copy] = await post.fetch("SELECT * FROM notice_copy")
        assert (copy["sent_at"], copy["attempts"], copy["detail"]) == (post.clock.now(), 2, "250")
        await post.tick(minutes=10)
        assert len(post.mail.received) == 1


async def bounce(post: Post, reference: str) -> Outcome | NoticeRefusal:
    async with connection(post.database.pool) as borrowed:
        return await enter_bounce(
            borrowed,
            post.clock.now(),
            actor=shop.STAFF,
            reference=reference,
            detail="550 5.1.1",
            rules=PostRules(),
        )


async def test_an_e_mail_that_bounces_later_gives_way_to_a_letter(database: Database) -> None:
    async with open_post(database, cards=1) as post:
        post.refusal = TextRefusal.NO_ROUTE
        await post.start(make_plan(ANNOUNCEMENT))
        await post.move_to("2026-05-01T13:00")
        [mail] = post.mail.received
        reference = mail["Message-ID"].removeprefix("<notice.").partition("@")[0]
        outcome = await bounce(post, reference)
        assert isinstance(outcome, Outcome)
        assert await post.states(1) == [("waiting", "letter")]
        assert (await post.attempts(1))[-1] == ("email", "bounced", "550 5.1.1")
        assert await bounce(post, reference) is NoticeRefusal.NOT_REACHED_BY_IT


@pytest.mark.parametrize("reference", ["", "1.2.3", "9.1.1.0.1", f"1.{2**40}.1.0.1", "a.b.c.d.e"])
async def test_a_bounce_of_nothing_we_sent_is_refused(database: Database, reference: str) -> None:
    async with open_post(database, cards=1) as post:
        assert await bounce(post, reference) is NoticeRefusal.UNKNOWN_ATTEMPT


async def test_who_is_paid_back_is_told_once_a_payment_with_the_amount(database: Database) -> None:
    async with open_post(database, cards=0) as post, connection(database.pool) as borrowed:
        await post.start(make_plan())
        treasury = Treasury(database, borrowed, post.clock)
        await treasury.approve(await treasury.earn(12_345_678))
        await post.move_to("2026-06-02T13:00")
        assert await post.notices() == ()
        [order] = await treasury.pay_out()
        await treasury.book(debit(order))
        await post.tick()
        await post.tick(hours=1)
        assert [words for _, words in post.heard] == [f"Maple Bridge：您的退款CA$12.35已支付。凭证：{PAGE}"]
        await treasury.book(credit(order))
        await post.tick()
        await post.tick(hours=1)
        assert [words for _, words in post.heard[1:]] == [
            f"Maple Bridge：您的退款CA$12.35未能付至所填账户，请核对：{PAGE}"
        ]
        assert [one.kind for one in await post.notices()] == [
            NoticeKind.REFUND_PAID,
            NoticeKind.REFUND_RETURNED,
        ]
