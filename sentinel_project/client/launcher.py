"""Writes the command ``sentinel``: a small program that runs this checkout from anywhere.

    python -m sentinel_project.client.launcher .venv/bin/sentinel

The project is not a package that is installed, so that a checkout is enough and nothing is built.
The first lines are a shell's, since the path of an interpreter may be too long for ``#!``.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_PROGRAM = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys

sys.path.insert(0, {root!r})

from sentinel_project.client.cli.main import main

sys.exit(main())
"""


def write(path: Path) -> None:
    """Write the program to ``path``, with this interpreter and this checkout in it."""
    root = str(Path(__file__).resolve().parents[2])
    # The link in .venv, not what it leads to: that one knows the libraries.
    text = _PROGRAM.format(python=shlex.quote(str(Path(sys.executable).absolute())), root=root)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    fresh.replace(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
