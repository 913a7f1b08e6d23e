"""Staff at the command line."""

from __future__ import annotations

from cli.terminal import Terminal

ADD = ("staff", "add", "bob", "--roles", "care, engineer", "--name", "Bob", "--actor", "staff:root")


def test_staff_are_added_listed_changed_reset_and_deactivated(terminal: Terminal) -> None:
    assert "add the first" in terminal.tell("staff", "list")
    added = terminal.ask(*ADD)
    assert (added["login"], added["roles"], added["enrolled"]) == ("bob", ["care", "engineer"], False)
    assert len(added["one_time_password"].replace("-", "")) == 16
    assert "somebody has, or had, this login" in terminal.fail(*ADD)
    assert terminal.ask("staff", "roles", "bob", "sales")["roles"] == ["sales"]
    assert terminal.ask("staff", "reset", "bob")["one_time_password"] != added["one_time_password"]
    assert "another person" in terminal.fail("staff", "reset", "bob", "--actor", "staff:bob")
    assert terminal.ask("staff", "deactivate", "bob")["deactivated_at"]
    assert [row["login"] for row in terminal.ask("staff", "list")["staff"]] == ["bob"]
    assert "deactivated" in terminal.fail("staff", "roles", "bob", "care")


def test_a_role_that_does_not_exist_is_told(terminal: Terminal) -> None:
    assert "there is no role 'boss'" in terminal.misuse(
        "staff", "add", "bob", "--roles", "boss", "--name", "B"
    )
    assert "one role at least" in terminal.fail("staff", "add", "bob", "--roles", ",", "--name", "B")
