"""Statements end where each dialect says they do, and no character is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.rules.sqltext import Dialect, pieces, statements

ALL = list(Dialect)
POSTGRES, MYSQL, SQLITE, HIVE, PRESTO = ALL
DIALECTS = st.sampled_from(ALL)


def split(text: str, dialect: Dialect) -> list[str]:
    return [piece.statement for piece in statements(text, dialect)]


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ;; \n;", []),
        ("a", ["a"]),
        ("a;b", ["a", "b"]),
        (" a ;\n b ; ", ["a", "b"]),
        ("a 'x;y';b", ["a 'x;y'", "b"]),
        ("a 'it''s; me';b", ["a 'it''s; me'", "b"]),
        ('a "x;y";b', ['a "x;y"', "b"]),
        ('a "x"";y";b', ['a "x"";y"', "b"]),
        ("a -- x; 'y\n;b", ["a -- x; 'y", "b"]),
        ("a /* x; 'y */;b", ["a /* x; 'y */", "b"]),
        ("-- only; this\n; /* and; that */", []),
        ("a 'open; b", ["a 'open; b"]),
        ("a /* open; b", ["a /* open; b"]),
        ("a '--' ; b", ["a '--'", "b"]),
        ("größer '🙂;' ; ü", ["größer '🙂;'", "ü"]),
        ("a -- end;", ["a -- end;"]),
    ],
)
def test_every_dialect_splits_alike(text: str, expected: list[str], dialect: Dialect) -> None:
    assert split(text, dialect) == expected


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        pytest.param(POSTGRES, "a $$x;y$$;b", ["a $$x;y$$", "b"], id="dollars"),
        pytest.param(
            POSTGRES, "$f$ x; $$;$$ $g$ ; $f$;b", ["$f$ x; $$;$$ $g$ ; $f$", "b"], id="tag"
        ),
        pytest.param(POSTGRES, "a$b$;c$b$", ["a$b$", "c$b$"], id="dollars of a name"),
        pytest.param(POSTGRES, "$1;$2", ["$1", "$2"], id="parameters"),
        pytest.param(POSTGRES, r"a 'x\';b", [r"a 'x\'", "b"], id="a backslash is itself"),
        pytest.param(POSTGRES, r"a E'x\';y''\';';b", [r"a E'x\';y''\';'", "b"], id="escapes"),
        pytest.param(POSTGRES, r"line'x\';b", [r"line'x\'", "b"], id="a name that ends with e"),
        pytest.param(POSTGRES, "/* /* ; */ ; */ a;b", ["/* /* ; */ ; */ a", "b"], id="nested"),
        pytest.param(POSTGRES, "a `;b", ["a `", "b"], id="no backticks"),
        pytest.param(MYSQL, r"a 'x\';y';b", [r"a 'x\';y'", "b"], id="mysql escapes"),
        pytest.param(MYSQL, r'a "x\";y";b', [r'a "x\";y"', "b"], id="mysql strings"),
        pytest.param(MYSQL, "a `x;y`;b", ["a `x;y`", "b"], id="mysql identifiers"),
        pytest.param(MYSQL, "a # x;\n;b", ["a # x;", "b"], id="mysql hash"),
        pytest.param(MYSQL, "5--1;b", ["5--1", "b"], id="mysql minus minus"),
        pytest.param(MYSQL, "/* /* ; */ a;b", ["/* /* ; */ a", "b"], id="mysql does not nest"),
        pytest.param(
            MYSQL, "/*!40101 SET a=1; */;b", ["/*!40101 SET a=1; */", "b"], id="mysql runs"
        ),
        pytest.param(SQLITE, "a [x;y];b", ["a [x;y]", "b"], id="sqlite brackets"),
        pytest.param(SQLITE, "a `x;y`;b", ["a `x;y`", "b"], id="sqlite backticks"),
        pytest.param(SQLITE, r"a 'x\';b", [r"a 'x\'", "b"], id="sqlite backslash"),
        pytest.param(HIVE, r"a 'x\';y';b", [r"a 'x\';y'", "b"], id="hive escapes"),
        pytest.param(PRESTO, "a [1];b", ["a [1]", "b"], id="presto arrays"),
    ],
)
def test_a_dialect_has_its_own_ways(dialect: Dialect, text: str, expected: list[str]) -> None:
    assert split(text, dialect) == expected


def test_the_body_of_a_trigger_is_one_statement_with_it() -> None:
    trigger = (
        "/* t; */ CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE a SET b = 1;\n"
        " SELECT CASE WHEN 1 THEN 2 END;\nEND"
    )

    assert split(f"{trigger} /* so; */ ; SELECT 1; END;", SQLITE) == [
        f"{trigger} /* so; */",
        "SELECT 1",
        "END",
    ]


def test_a_statement_knows_its_line() -> None:
    found = statements("a;\n\n  b\n;c;\n-- x\nd", POSTGRES)

    assert [(piece.statement, piece.line) for piece in found] == [
        ("a", 1),
        ("b", 3),
        ("c", 4),
        ("-- x\nd", 5),
    ]


def test_a_bare_statement_shows_no_text_of_strings_and_comments() -> None:
    [piece] = statements("WITH x AS (SELECT 'insert' /* delete */) SELECT 1", POSTGRES)

    assert piece.bare == "WITH x AS (SELECT ''  ) SELECT 1"


@given(st.text(alphabet=";'\"`[]$eE\\-#/*\n abEND!", max_size=60), DIALECTS)
def test_the_pieces_are_the_text(text: str, dialect: Dialect) -> None:
    assert "".join(piece.text for piece in pieces(text, dialect)) == text


_SAFE = st.text(alphabet="abc;-/*# \n", max_size=6)


def quoted(text: str) -> str:
    return f"'{text}'"


#: Parts that every dialect reads alike, whatever stands beside them.
PARTS = st.one_of(
    st.text(alphabet="abcxyz019 \n", min_size=1, max_size=8),
    _SAFE.map(quoted),
    _SAFE.map(lambda text: f'"{text}"'),
    st.text(alphabet="ab;' \n", max_size=6).map(lambda text: f"/* {text} */"),
    st.text(alphabet="ab;' ", max_size=6).map(lambda text: f"-- {text}\n"),
)
STATEMENTS = st.lists(PARTS, min_size=1, max_size=6).map(lambda parts: "x " + " ".join(parts))


@given(st.lists(STATEMENTS, max_size=6), DIALECTS)
def test_what_was_joined_is_split_again(given_statements: list[str], dialect: Dialect) -> None:
    joined = "".join(f"{statement}\n;" for statement in given_statements)

    assert split(joined, dialect) == [statement.strip() for statement in given_statements]


@pytest.mark.parametrize(
    "unit", ["'", "/*", "$$", "$a$", "E'\\", "[", "--", "create trigger ;", "''"]
)
def test_much_of_anything_is_split_in_one_pass(unit: str) -> None:
    text = unit * (2**15 // len(unit))

    for dialect in ALL:
        assert sum(len(piece.text) for piece in pieces(text, dialect)) == len(text)
