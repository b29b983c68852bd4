"""Where a HiveServer2 is and how it is signed in to, as the address of a connection says it."""

from __future__ import annotations

import pytest

from tasks_app.executors.hive.hs2 import Address, read
from tasks_app.executors.queries import Misused

PLAIN = {
    "host": "hs2.example",
    "port": 10000,
    "user": "sentinel",
    "password": "x",
    "database": "default",
    "auth": "none",
    "service": "hive",
    "is_tls": False,
    "ssl_ca": None,
}


@pytest.mark.parametrize(
    ("address", "differs"),
    [
        ("hive://hs2.example", {}),
        ("hive://hs2.example:10015/", {"port": 10015}),
        ("hive://ann@hs2.example/sales", {"user": "ann", "database": "sales"}),
        ("hive://a%40b@[::1]:1/d", {"user": "a@b", "host": "::1", "port": 1, "database": "d"}),
        ("hive://a:w%3Ard@hs2.example", {"user": "a", "password": "w:rd", "auth": "ldap"}),
        ("hive://a:w@hs2.example?auth=none", {"user": "a", "password": "w"}),
        ("hive://hs2.example?auth=nosasl", {"auth": "nosasl"}),
        ("hive://hs2.example?auth=kerberos", {"auth": "kerberos"}),
        ("hive://hs2.example?auth=kerberos&service=h2", {"auth": "kerberos", "service": "h2"}),
        ("hive://hs2.example?tls=true", {"is_tls": True}),
        ("hive://hs2.example?tls=true&ssl_ca=/a/b.pem", {"is_tls": True, "ssl_ca": "/a/b.pem"}),
        ("hive://hs2.example?tls=false", {}),
    ],
)
def test_an_address_is_read(address: str, differs: dict[str, object]) -> None:
    assert read("wh", address) == Address(**{**PLAIN, **differs})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("hive://hs2.example:port/", "the address of wh cannot be read"),
        ("hive://hs2.example:0/", "wh is no address such as hive://user@host:10000/db"),
        ("hive://ann:wo/rd@hs2.example/", "the address of wh cannot be read"),
        ("hive:///sales", "wh is no address such as hive://user@host:10000/db"),
        ("postgres://hs2.example/sales", "wh is no address such as hive://user@host:10000/db"),
        ("hive://hs2.example?auth=magic", "auth is one of none, ldap, kerberos, nosasl"),
        ("hive://hs2.example?auth=", "auth is one of none, ldap, kerberos, nosasl"),
        (
            "hive://hs2.example?ssl=true",
            "may have the options auth, service, ssl_ca, tls",
        ),
        ("hive://hs2.example?tls=yes", "tls is true or false"),
        ("hive://ann@hs2.example?auth=ldap", "auth=ldap needs a password"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_a_right_one(
    address: str, told: str
) -> None:
    with pytest.raises(Misused) as refusal:
        read("wh", address)

    assert refusal.value.reason == "BAD_PARAMS"
    assert str(refusal.value).startswith("params.connection: ")
    assert told in str(refusal.value)
    assert "wo" not in str(refusal.value).replace("password", "")
