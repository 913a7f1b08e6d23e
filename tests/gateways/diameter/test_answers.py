"""What is kept of answers: known again, bounded, and not for ever."""

from __future__ import annotations

from onecard.gateways.diameter.answers import KeptAnswers, Key
from onecard.gateways.diameter.messages import CreditControlAnswer


def key(number: int, host: str = "pgw") -> Key:
    return Key(host, number, "session", number)


def answer(code: int = 2001) -> CreditControlAnswer:
    return CreditControlAnswer(result_code=code)


def kept(answers_most: int = 10) -> KeptAnswers[str]:
    return KeptAnswers(answers_most=answers_most, keep_seconds=60.0)


def test_an_answer_is_found_by_its_key_alone() -> None:
    answers = kept()
    answers.keep(key(1), answer(4012), 0.0)
    assert answers.find(key(1), 1.0) == answer(4012)
    assert answers.find(key(2), 1.0) is None
    assert answers.find(key(1, "other"), 1.0) is None


def test_who_repeats_while_the_first_is_answered_waits_with_it() -> None:
    answers = kept()
    assert not answers.wait(key(1), "first")
    assert answers.wait(key(1), "second")
    assert answers.keep(key(1), answer(), 0.0) == ["first", "second"]


def test_an_answer_that_was_given_up_is_worked_on_anew() -> None:
    answers = kept()
    answers.wait(key(1), "first")
    assert answers.give_up(key(1)) == ["first"]
    assert not answers.wait(key(1), "again")


def test_the_oldest_answers_go_first_and_none_outlives_its_time() -> None:
    answers = kept(answers_most=2)
    for number in (1, 2, 3):
        answers.keep(key(number), answer(), float(number))
    assert len(answers) == 2
    assert answers.find(key(1), 4.0) is None
    assert answers.find(key(2), 61.9) is not None
    assert answers.find(key(2), 62.0) is None
    answers.keep(key(4), answer(), 100.0)
    assert len(answers) == 1
