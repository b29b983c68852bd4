"""Settings of the tests: the product's own, with every file in a directory that goes away."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "SENTINEL_TEST_RUN_DIR" not in os.environ:
    # Before the settings are read, and in the environment, so that workers and children share it.
    os.environ["SENTINEL_TEST_RUN_DIR"] = tempfile.mkdtemp(prefix="sentinel-tests-")
    atexit.register(shutil.rmtree, os.environ["SENTINEL_TEST_RUN_DIR"], ignore_errors=True)
os.environ["SENTINEL_RUN_DIR"] = os.environ["SENTINEL_TEST_RUN_DIR"]

from sentinel_project.settings import *  # noqa: F403
from sentinel_project.settings import DATABASES, RUN_DIR

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: tests with threads and real processes see one database.
    DATABASES["default"]["TEST"] = {"NAME": str(RUN_DIR / "test.sqlite3")}
