"""The command line `onecard`: one command does one thing, says what it did, and ends."""


def main() -> None:
    """Run the command that the arguments name, and exit: 0 done, 1 refused or failed, 2 misuse."""
    from onecard.cli.app import app

    app()
