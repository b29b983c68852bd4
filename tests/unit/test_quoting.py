"""A value in a script reaches the command as it is, or the script is refused (X-20, D-86)."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel_project.errors import InvalidParameters
from tasks_app.rules.substitution import Values, parse

AT = datetime(2026, 3, 14, tzinfo=UTC)
NASTY = "a  b; $(touch hit) `touch hit` 'q' \"d\" \\n $HOME # * é"


def script_of(text: str, value: str) -> str:
    params = {"p": value}
    told = Values(
        job_id=1, task_id=1, attempt_number=1, schedule_time=AT, data_time=AT, params=params
    )
    return parse(text, params).render(told, is_shell=True)


def printed(script: str) -> str:
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=10)
    assert done.stderr == b""
    return done.stdout.decode()


PLACES = [
    pytest.param("printf %s ${p}", "{}", id="a word"),
    pytest.param("printf %s x${p}y", "x{}y", id="part of a word"),
    pytest.param('printf %s "x ${p}"', "x {}", id="in double quotes"),
    pytest.param("printf %s 'x ${p}'", "x {}", id="in single quotes"),
    pytest.param('v=${p}; printf %s "$v"', "{}", id="an assignment"),
    pytest.param("cat <<EOF\n<${p}>\nEOF", "<{}>\n", id="a here-document"),
    pytest.param("cat <<'EOF'\n<${p}>\nEOF", "<{}>\n", id="a literal here-document"),
    pytest.param('cat <<-E <<-"F"\n\tE\n\t<${p}>\n\tF\n', "<{}>\n", id="two here-documents"),
    pytest.param("# ${p}\nprintf %s ${p}", "{}", id="behind a comment"),
    pytest.param("printf %s $(printf %s ${p})", None, id="in a substitution"),
    pytest.param('x="$(date +%F)"; printf %s "${p}"', "{}", id="behind a simple substitution"),
    pytest.param("echo $((1 + 2)) $# ${#x} >/dev/null; printf %s ${p}", "{}", id="arithmetic"),
    pytest.param("printf %s%s $'it\\'s' ${p}", "it's{}", id="behind an escaped quote"),
    pytest.param("printf %s `echo x` ${p}", "x{}", id="behind backticks"),
    pytest.param("if [[ a == ${p} ]]; then :; fi; printf %s ${p}", "{}", id="a condition"),
    pytest.param("f() { printf %s ${p}; }; f <<<x", "{}", id="a function"),
    pytest.param("case a in a) printf %s ${p};; esac", "{}", id="a case"),
]


@pytest.mark.parametrize(("text", "expected"), PLACES)
def test_a_nasty_value_is_one_value_wherever_it_stands(text: str, expected: str | None) -> None:
    out = printed(script_of(text, NASTY))

    if expected is not None:
        assert out == expected.format(NASTY)


@pytest.mark.parametrize(
    "text",
    [
        'echo "$(echo ${p})"',
        'echo "`echo ${p}`"',
        "echo `echo ${p}`",
        "echo $'${p}'",
        "echo $((1 + ${p}))",
        "(( x = ${p} ))",
        "echo $[ ${p} ]",
        "echo $${p}",
        'echo "$${p}"',
        'echo "$(case x in x) echo y;; esac) ${p}"',
        'echo "$(echo "a)") ${p}"',
        'cat <<A "x\n${p}"\nA\n',
        "cat <<$x\n${p}\n",
        'cat <<E"O"F\nhi\nEOF\necho ${p}\n',
        "cat <<'E'OF\nhi\nEOF\necho ${p}\n",
        "cat <<E\\OF\nhi\nEOF\necho ${p}\n",
        "shopt -s extglob\necho !(#a) ${p}",
    ],
)
def test_where_nobody_can_tell_a_nasty_value_is_refused_and_a_plain_one_is_not(text: str) -> None:
    with pytest.raises(InvalidParameters, match=r"line \d+, column \d+: its value cannot be"):
        script_of(text, NASTY)

    assert "2026-03-14 09:30:00" in script_of(text, "2026-03-14 09:30:00")


@pytest.mark.parametrize("text", ["# ${p}", "cat <<E\n${p}\nE"])
def test_a_value_of_two_lines_is_refused_where_a_line_is_all(text: str) -> None:
    with pytest.raises(InvalidParameters, match="cannot be quoted"):
        script_of(text, "a\ntouch hit")


def test_a_value_that_ends_a_here_document_is_seen_to_do_so() -> None:
    script = script_of("cat <<E\n${p}\nprintf %s ${p}", "E")

    assert printed(script) == "E"


SAFE = st.sampled_from(
    ["x", " ", "\n: ", "'a'", '"b"', "${u}", "$(:)", "# c\n: ", "\\'", '\\"', '"$(: x)"', "$'\\''"]
)


@settings(max_examples=60)
@given(st.lists(SAFE, max_size=5), st.text(alphabet="a '\"\\$`;()#*\n!<>&|{}", max_size=12))
def test_a_value_behind_any_text_never_runs(before: list[str], value: str) -> None:
    lead = "".join(before)
    text = f": {lead}\nprintf '<%s>' ${{p}}"
    checked = subprocess.run(["bash", "-nc", f": {lead}\n:"], capture_output=True, check=False)
    if checked.returncode or checked.stderr:
        return

    assert printed(script_of(text, value)).endswith(f"<{value}>")
