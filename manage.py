#!/usr/bin/env python
"""Django's command line; see ``manage.py help`` for Sentinel's own commands."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sentinel_project.settings")
    execute_from_command_line(sys.argv)
