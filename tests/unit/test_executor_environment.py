"""What may become a variable of the content, and what it inherits (X-20, X-22)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.executors.environment import environment, refused_params, root_refusal
from tests.flow.executions import make_execution

HOME = Path("/work/dir")


# fmt: off
STEERING = (
    "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "PATH", "BASH_ENV", "ENV",
    "IFS", "SHELLOPTS", "BASHOPTS", "PS4", "PYTHONPATH", "PYTHONSTARTUP", "PERL5OPT",
    "PERL5LIB", "RUBYOPT", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS",
    "SENTINEL_FENCE", "SENTINEL_ANYTHING", "GLIBC_TUNABLES", "HOME", "TMPDIR", "PWD", "UID",
    "_",
)
# fmt: on


@pytest.mark.parametrize("name", STEERING)
def test_a_name_that_steers_is_refused(name: str) -> None:
    (problem,) = refused_params({name: "x"})

    assert name in problem


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a.b", "a b", "a=b", "BASH_FUNC_ls%%", "día", "a\n", "a\0"]
)
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    (problem,) = refused_params({name: "x"})

    assert "not a valid name" in problem


@pytest.mark.parametrize("name", ["day", "_x", "TZ", "LANG", "PATHS", "MY_PATH", "ENVIRONMENT"])
def test_any_other_name_is_allowed(name: str) -> None:
    assert refused_params({name: "x"}) == []


@pytest.mark.parametrize("value", ["a\0b", "a\ud800"])
def test_a_value_that_cannot_be_a_variable_is_refused(value: str) -> None:
    (problem,) = refused_params({"day": value})

    assert "day" in problem


def test_every_problem_is_named() -> None:
    assert len(refused_params({"PATH": 1, "a-b": True, "fine": 1.5, "nul": "\0"})) == 3


def test_what_is_not_exported_is_not_judged() -> None:
    extra: dict[str, Any] = {"spark.conf": {"a": 1}, "IFS": None, "tables": ["a"]}

    exported = environment(make_execution(root=HOME, extra=extra), HOME, {})

    assert refused_params(extra) == []
    assert extra.keys().isdisjoint(exported)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.booleans()))
def test_accepted_params_leave_what_we_set_alone(extra: dict[str, Any]) -> None:
    plain = environment(make_execution(root=HOME), HOME, {"PATH": "/bin"})
    accepted = {name: value for name, value in extra.items() if not refused_params({name: value})}

    found = environment(make_execution(root=HOME, extra=accepted), HOME, {"PATH": "/bin"})

    changed = {name for name, value in plain.items() if found[name] != value}
    assert changed <= {"LANG", "TZ"}
    assert found.keys() == plain.keys() | accepted.keys()


def test_only_harmless_variables_of_the_worker_are_inherited() -> None:
    worker = {
        "PATH": "/opt/bin",
        "TZ": "Asia/Shanghai",
        "LC_TIME": "de_DE.UTF-8",
        "LANG": "C",
        "HOME": "/home/worker",
        "SENTINEL_SECRET_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "LD_PRELOAD": "/x.so",
    }

    found = environment(make_execution(root=HOME), HOME, worker)

    inherited = {name: value for name, value in found.items() if "SENTINEL_" not in name}
    assert inherited == {
        "PATH": "/opt/bin",
        "TZ": "Asia/Shanghai",
        "LC_TIME": "de_DE.UTF-8",
        "LANG": "C.UTF-8",
        "HOME": "/work/dir",
        "TMPDIR": "/work/dir",
    }


def test_the_run_is_told_who_it_is_and_when_with_an_offset() -> None:
    found = environment(make_execution(root=HOME), HOME, {})

    assert {name: value for name, value in found.items() if "SENTINEL_" in name} == {
        "SENTINEL_JOB_ID": "7",
        "SENTINEL_TASK_ID": "11",
        "SENTINEL_ATTEMPT_ID": "2",
        "SENTINEL_FENCE": "5",
        "SENTINEL_SCHEDULE_TIME": "2026-03-14T09:30:00+08:00",
        "SENTINEL_DATA_TIME": "2026-03-13T09:30:00+08:00",
    }


@pytest.mark.parametrize(
    ("user_id", "worker", "is_refused"),
    [
        pytest.param(0, {}, True, id="root"),
        pytest.param(0, {"SENTINEL_ALLOW_ROOT": "0"}, True, id="root, told not to"),
        pytest.param(0, {"SENTINEL_ALLOW_ROOT": "1"}, False, id="root, told to"),
        pytest.param(1000, {}, False, id="a user"),
    ],
)
def test_root_needs_consent(user_id: int, worker: dict[str, str], is_refused: bool) -> None:
    assert (root_refusal(user_id, worker) is not None) == is_refused
