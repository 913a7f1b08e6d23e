"""Subscribers at the command line: looked at with a reason, changed, found by name, erased."""

from __future__ import annotations

from cli.terminal import CANADIAN, Terminal


def test_contact_details_are_shown_for_a_reason_changed_and_erased(terminal: Terminal) -> None:
    sold = terminal.sell()
    shown = terminal.ask("subscriber", "show", CANADIAN, "--reason", "a call for help", "--actor", "staff:al")
    assert shown["subscriber"] == sold["subscriber"]
    assert shown["name"] in terminal.tell("subscriber", "show", CANADIAN, "--reason", "to see it on screen")

    terminal.tell(
        "subscriber", "change", CANADIAN, "--name", "Zhou Lan", "--address", "1 Main Street, Regina SK"
    )
    changed = terminal.ask("subscriber", "show", CANADIAN, "--reason", "to see the change")
    assert (changed["name"], changed["email"], changed["postal_address"]) == (
        "Zhou Lan",
        shown["email"],
        "1 Main Street, Regina SK",
    )
    assert [card["card"] for card in terminal.ask("subscriber", "find", "lan zhou")["cards"]] == [
        sold["card"]
    ]
    assert terminal.ask("subscriber", "find", shown["name"])["cards"] == []

    assert "--confirm" in terminal.misuse("subscriber", "erase", CANADIAN)
    terminal.tell("subscriber", "erase", CANADIAN, "--confirm")
    assert "erased" in terminal.fail("subscriber", "show", CANADIAN, "--reason", "too late")
    assert terminal.ask("subscriber", "find", "Zhou Lan")["cards"] == []


def test_a_subscriber_is_spoken_to_in_another_language(terminal: Terminal) -> None:
    terminal.sell()
    assert terminal.ask("subscriber", "language", CANADIAN, "zh-Hant")["language"] == "zh-Hant"
    [card] = terminal.ask("card", "list")["cards"]
    assert card["language"] == "zh-Hant"


def test_nothing_is_changed_where_nothing_or_nonsense_is_given(terminal: Terminal) -> None:
    terminal.sell()
    assert "give --name" in terminal.misuse("subscriber", "change", CANADIAN)
    said = terminal.fail("subscriber", "change", CANADIAN, "--email", "not an address of Zhou Lan")
    assert "Zhou" not in said
    assert "1 to 200" in terminal.misuse("subscriber", "show", CANADIAN, "--reason", " ")
