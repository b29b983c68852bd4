"""Run seeds one after the other, each in a process of its own; exit 1 if anything was violated.

By default every stack that can be had here gets its turn, seed by seed, until the time is over.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_BENCH = Path(__file__).resolve().parents[1]
_RUN_WITHIN = 600


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", default="", help="some of embedded,rabbitmq,redis")
    parser.add_argument("--seeds", default="", help="such as 7 or 1-20; then time is no limit")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=45, help="of faults in each run")
    return parser.parse_args()


def available() -> list[str]:
    """Return the stacks that can be had on this machine, and say what is left out."""
    found = ["embedded"]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        print("left out: rabbitmq and redis, for there is no PostgreSQL server", file=sys.stderr)
        return found
    try:
        socket.create_connection(("127.0.0.1", 5672), timeout=2).close()
        found.append("rabbitmq")
    except OSError:
        print("left out: rabbitmq, for none answers on 5672", file=sys.stderr)
    return [*found, "redis"]


def _turns(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    stacks = options.stacks.split(",") if options.stacks else available()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1) if first else itertools.count(1)
    return ((stack, seed) for seed in seeds for stack in stacks)


def _run(stack: str, seed: int, seconds: float) -> bool:
    command = [sys.executable, "-m", "chaos.run", "--stack", stack, "--seed", str(seed)]
    command += ["--seconds", str(seconds)]
    env = os.environ | {"PYTHONPATH": str(_BENCH)}
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=_RUN_WITHIN, check=False
        )
    except subprocess.TimeoutExpired:
        failure = f"no end within {_RUN_WITHIN} s"
    else:
        if done.stdout:
            print(done.stdout.strip(), flush=True)
            return done.returncode == 0
        failure = done.stderr[-2000:]
    print(json.dumps({"seed": seed, "stack": stack, "ok": False, "error": failure}), flush=True)
    return False


def main() -> int:
    options = _options()
    began, results = time.monotonic(), []
    for stack, seed in _turns(options):
        results.append(_run(stack, seed, options.seconds))
        if not options.seeds and time.monotonic() - began > options.minutes * 60:
            break
    bad = results.count(False)
    print(f"{len(results)} runs, {bad} with violations", file=sys.stderr)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
