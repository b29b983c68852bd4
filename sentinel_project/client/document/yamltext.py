"""YAML without its surprises: ``on`` and ``2026-03-02`` are text, and no name is given twice.

What is written here reads back as it was, since every rule of this reader is also a rule of the
writer, which quotes whatever any rule could take for something else.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

_RULES = {
    "bool": (re.compile(r"(?:true|false)\Z"), "tf"),
    "int": (re.compile(r"-?(?:0|[1-9][0-9]*)\Z"), "-0123456789"),
    "float": (re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?\Z"), "-0123456789"),
    "null": (re.compile(r"(?:null|~|)\Z"), ["n", "~", ""]),
}


#: Signs that YAML takes for line breaks, and reads back as spaces.
_OTHER_BREAKS = "\r\x85\u2028\u2029"


class TextError(Exception):
    """The text is no YAML, with the place."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(name) for name, _ in node.value]
        twice = {str(name) for name in names if names.count(name) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{sorted(twice)[0]} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


for _tag, (_pattern, _first) in _RULES.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write text of several lines as a block, as people would; what YAML would fold, escaped."""
    if any(sign in text for sign in _OTHER_BREAKS):
        style: str | None = '"'
    else:
        style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def load(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TextError(" ".join(str(error).split())) from None


def dump(data: Any) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
