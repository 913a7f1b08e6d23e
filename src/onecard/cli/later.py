"""The command line with its clock ahead: ``python -m onecard.cli.later SECONDS COMMAND ...``.

For demonstrations and rehearsals. It needs no more rights than `onecard` itself does, and less honesty: on a database
that is in earnest, what it writes bears times that have not come.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from onecard.cli.app import app
from onecard.cli.options import Options
from onecard.values.clock import ClockAhead

if __name__ == "__main__":
    ahead = timedelta(seconds=int(sys.argv[1]))
    app(sys.argv[2:], prog_name="onecard", obj=Options(clock=ClockAhead(ahead)))
