"""``python -m sentinel_project.client.cli``."""

from __future__ import annotations

import sys

from sentinel_project.client.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
