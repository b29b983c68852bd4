"""What content finds around it: an environment from an allow-list, and never root (X-20, X-22)."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tasks_app.executors.base import Execution
from tasks_app.executors.params import spelled

ALLOW_ROOT = "SENTINEL_ALLOW_ROOT"

_KEPT = (
    *("PATH", "LANG", "LANGUAGE", "TZ", "LC_ALL", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE"),
    *("LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES", "LC_MONETARY", "LC_NAME"),
    *("LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME"),
)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# What makes the loader, libc, a shell or an interpreter load something else than the content, what
# the run itself is named by, and what bash would overwrite without a word.
_STEERING = re.compile(
    r"(LD_|DYLD_|BASH_|PYTHON|PERL5|PERLLIB|SENTINEL_).*"
    r"|BASHOPTS|CDPATH|ENV|FPATH|GLOBIGNORE|IFS|POSIXLY_CORRECT|PROMPT_COMMAND|PS[0-4]|SHELL"
    r"|SHELLOPTS|ZDOTDIR"
    r"|HOME|OLDPWD|PATH|PWD|TMPDIR"
    r"|EUID|GROUPS|PPID|SHLVL|UID|_"
    r"|GCONV_PATH|GETCONF_DIR|GLIBC_TUNABLES|HOSTALIASES|LOCALDOMAIN|LOCPATH|NLSPATH"
    r"|RES_OPTIONS|RESOLV_HOST_CONF|TZDIR"
    r"|CLASSPATH|_?JAVA_(TOOL_)?OPTIONS|JDK_JAVA_OPTIONS|NODE_OPTIONS|NODE_PATH|RUBYLIB|RUBYOPT"
)


def refused_params(extra: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every extra parameter that may not become a variable (X-20).

    Lists, objects and null are not exported, so they are not judged.
    """
    problems = (_problem(name, value) for name, value in extra.items() if _is_scalar(value))
    return [problem for problem in problems if problem is not None]


def _problem(name: str, value: object) -> str | None:
    if not _NAME.fullmatch(name):
        return f"params: {name!r} is not a valid name of a variable"
    if _STEERING.fullmatch(name):
        return f"params: {name} is reserved, since it would steer how the content runs"
    if not _is_text(str(value)):
        return f"params: the value of {name} holds a NUL or is not valid text"
    return None


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_text(value: str) -> bool:
    """A lone surrogate, which JSON can spell, has no UTF-8 form."""
    return "\0" not in value and not re.search("[\ud800-\udfff]", value)


def environment(
    execution: Execution,
    home: Path,
    worker: Mapping[str, str] | None = None,
    *,
    own: Collection[str] = (),
) -> dict[str, str]:
    """Return the whole environment of ``execution``; of the worker's own only what is harmless.

    Parameters named in ``own`` are the executor's, and no variables.
    """
    variables = {name: execution.extra[name] for name in execution.extra if name not in own}
    return {
        **_inherited(os.environ if worker is None else worker),
        **_exported(variables),
        "HOME": str(home),
        "TMPDIR": str(home),
        "SENTINEL_JOB_ID": str(execution.job_id),
        "SENTINEL_TASK_ID": str(execution.task_id),
        "SENTINEL_ATTEMPT_ID": str(execution.attempt_number),
        "SENTINEL_FENCE": str(execution.fence),
        "SENTINEL_SCHEDULE_TIME": execution.schedule_time.isoformat(),
        "SENTINEL_DATA_TIME": execution.data_time.isoformat(),
    }


def _exported(extra: Mapping[str, Any]) -> dict[str, str]:
    return {name: spelled(value) for name, value in extra.items() if _is_scalar(value)}


def _inherited(worker: Mapping[str, str]) -> dict[str, str]:
    """Return what the worker hands on: its path, time zone and locale.

    The C locale is replaced: in it, content in UTF-8 breaks half of the world's tools.
    """
    found = {name: worker.get(name, "") for name in _KEPT}
    kept = {name: value for name, value in found.items() if value not in ("", "C", "POSIX")}
    return {"PATH": _DEFAULT_PATH, "LANG": "C.UTF-8", **kept}


def root_refusal(user_id: int, worker: Mapping[str, str]) -> str | None:
    """Return why nothing may run as ``user_id``, or None: root needs a word of consent (X-22)."""
    if user_id != 0 or worker.get(ALLOW_ROOT) == "1":
        return None
    return f"The worker runs as root. Run it as another user, or set {ALLOW_ROOT}=1."
