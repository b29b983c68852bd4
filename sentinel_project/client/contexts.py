"""Where the command line finds whom to call and as whom: environment, contexts, or the demo's file.

A file that holds a key must be its owner's alone, as ssh asks of its keys.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sentinel_project.client.signing import TokenForm

_ROOT = Path(__file__).resolve().parents[2]
_TOO_OPEN = stat.S_IRWXG | stat.S_IRWXO


class ContextError(Exception):
    """It cannot be told whom to call, or as whom."""


@dataclass(frozen=True, slots=True)
class Context:
    """An installation, and an app that calls it. ``user`` empty: the login name."""

    url: str
    app: str
    key: str = field(repr=False)
    user: str = ""
    token: TokenForm = TokenForm.STRONG


@dataclass(frozen=True, slots=True)
class Contexts:
    """The contexts of one person; ``current`` is used where none is named."""

    current: str = ""
    known: Mapping[str, Context] = field(default_factory=dict)

    def named(self, name: str) -> Context:
        if name not in self.known:
            listed = ", ".join(sorted(self.known)) or "none"
            raise ContextError(f"there is no context {name!r}; there are: {listed}")
        return self.known[name]


def contexts_path(env: Mapping[str, str]) -> Path:
    if given := env.get("SENTINEL_CONTEXTS"):
        return Path(given)
    home = env.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "sentinel" / "contexts.json"


def load(path: Path) -> Contexts:
    """Return the contexts of ``path``; none if there is no such file."""
    if not path.exists():
        return Contexts()
    content = _private_json(path)
    try:
        known = {name: _context(words) for name, words in content["contexts"].items()}
        return Contexts(str(content.get("current", "")), known)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContextError(f"{path} is no file of contexts: {error!r}") from None


def _context(words: Mapping[str, str]) -> Context:
    form = TokenForm(words.get("token", TokenForm.STRONG))
    return Context(words["url"], words["app"], words["key"], words.get("user", ""), form)


def save(path: Path, contexts: Contexts) -> None:
    """Write the contexts to a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {
        "current": contexts.current,
        "contexts": {name: asdict(each) for name, each in sorted(contexts.known.items())},
    }
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def chosen(name: str, env: Mapping[str, str]) -> Context:
    """Return the context ``name``; without one the environment's, the current, or the demo's.

    SENTINEL_USER and SENTINEL_TOKEN change who acts and the token's form in any of them.
    """
    found = _from_file(name, env) if name else _from_environment(env) or _from_file("", env)
    user = env.get("SENTINEL_USER") or found.user
    try:
        form = TokenForm(env.get("SENTINEL_TOKEN") or found.token)
    except ValueError:
        raise ContextError("SENTINEL_TOKEN must be v1 or v2") from None
    return Context(found.url, found.app, found.key, user, form)


def _from_environment(env: Mapping[str, str]) -> Context | None:
    words = ("SENTINEL_URL", "SENTINEL_APP", "SENTINEL_KEY")
    url, app, key = (env.get(word, "") for word in words)
    missing = [word for word in words if not env.get(word)]
    if len(missing) == len(words):
        return None
    if missing:
        raise ContextError(f"{' and '.join(missing)} must be set too")
    return Context(url, app, key)


def _from_file(name: str, env: Mapping[str, str]) -> Context:
    contexts = load(contexts_path(env))
    if name or contexts.current:
        return contexts.named(name or contexts.current)
    demo = Path(env.get("SENTINEL_RUN_DIR") or _ROOT / "run") / "credentials.json"
    if demo.exists():
        content = _private_json(demo)
        return Context(content["url"], content["app"]["name"], content["app"]["key"])
    raise ContextError(
        "whom shall I call? Set SENTINEL_URL, SENTINEL_APP and SENTINEL_KEY,"
        " or make a context: sentinel context add NAME --url URL --app APP"
    )


def _private_json(path: Path) -> Any:
    try:
        if path.stat().st_mode & _TOO_OPEN:
            raise ContextError(f"{path} holds a key and others can read it: chmod 600 {path}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ContextError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ContextError(f"{path} is no JSON: {error}") from None
