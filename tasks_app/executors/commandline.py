"""Command lines of clients by an operator's template, word by word: no shell reads them (X-20)."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A setting such as ``/opt/spark/bin/spark-submit --verbose {options} {content} {args}``.

    A word that is one of ``slots`` is replaced by the words of a run. A template that has none of
    them is the beginning of the command, and all slots follow in their order.
    """

    setting: str
    default: str
    slots: tuple[str, ...]

    def words(self, **given: Sequence[str]) -> list[str]:
        """Return the command line of a run, that gives words for every slot."""
        filled = {f"{{{slot}}}": list(given[slot]) for slot in self.slots}
        return [each for word in self._template() for each in filled.get(word, [word])]

    def lack(self) -> str | None:
        """Return why this machine cannot run it, or None."""
        try:
            words = self._template()
        except ValueError as error:
            return f"{self.setting} cannot be cut into words: {error}"
        missing = [slot for slot in self._slots() if words.count(slot) != 1]
        if missing:
            return f"{self.setting} must have {', '.join(missing)} once, each as a word of its own"
        if shutil.which(words[0]) is None:
            return f"there is no program {words[0]}, see {self.setting}"
        return None

    def _template(self) -> list[str]:
        words = shlex.split(os.environ.get(self.setting) or self.default)
        return words if set(words) & set(self._slots()) else [*words, *self._slots()]

    def _slots(self) -> list[str]:
        return [f"{{{slot}}}" for slot in self.slots]
