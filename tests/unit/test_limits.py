"""What a run may use, as SENTINEL_LIMITS says it (X-20)."""

from __future__ import annotations

import pytest

from sentinel_project.checks import check_settings
from tasks_app.rules.limits import NO_LIMITS, Limits, limits_of, parse


def test_nothing_said_is_no_limit() -> None:
    assert limits_of(parse(""), "shell", 1) == NO_LIMITS
    assert NO_LIMITS.words() == {}


def test_the_more_specific_entry_wins_name_by_name() -> None:
    table = parse(
        '{"*": {"nice": 5, "cpu": 60}, "*@2": {"cpu": 50}, "shell": {"memory": "2G", "cpu": 40},'
        ' "shell@2": {"memory": "512M"}}'
    )

    assert limits_of(table, "java", 1) == Limits(nice=5, cpu=60)
    assert limits_of(table, "java", 2) == Limits(nice=5, cpu=50)
    assert limits_of(table, "shell", 1) == Limits(nice=5, cpu=40, memory=2 * 2**30)
    assert limits_of(table, "shell", 2) == Limits(nice=5, cpu=40, memory=512 * 2**20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "must be an object such as"),
        ('{"shell": 1}', "must be an object such as"),
        ('{"": {}}', "must be a job type or"),
        ('{"shell@x": {}}', "must be a job type or"),
        ('{"shell": {"ram": 1}}', "unknown limit 'ram'; known: cpu, memory, openFiles"),
        ('{"shell": {"cpu": 0}}', "cpu must be an integer from 1"),
        ('{"shell": {"cpu": true}}', "cpu must be an integer from 1"),
        ('{"shell": {"nice": 20}}', "nice must be an integer from 0 to 19"),
        ('{"shell": {"memory": "2GB"}}', "memory must be an integer"),
    ],
)
def test_a_silly_limit_keeps_every_process_from_starting(
    text: str, words: str, settings: object
) -> None:
    settings.SENTINEL_LIMITS = text  # type: ignore[attr-defined]

    (fault,) = check_settings(None)

    assert fault.id == "sentinel.E007"
    assert words in fault.msg
