"""Takes secrets out of a stream of bytes that comes in pieces cut anywhere.

However it is cut, the same comes out. Nothing is held back but what may be the beginning of a
secret, so that a line without one is seen at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MASK = b"***"
#: Shorter ones are found in ordinary text; masking them would spoil it and hide nothing.
SHORTEST = 4


class Masker:
    """Feed it pieces, and write what it returns instead; at the end, what ``finish`` returns."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = tuple({each for each in secrets if len(each) >= SHORTEST})
        self._kept = b""
        #: How many bytes at the start of what is kept lie behind a mask already.
        self._covered = 0

    def feed(self, data: bytes) -> bytes:
        """Return what may be shown by now."""
        if not self._secrets:
            return data
        self._kept += data
        return self._shown(self._open_at())

    def finish(self) -> bytes:
        """Return the rest: nothing comes any more that could make a secret of it."""
        return self._shown(len(self._kept))

    def _open_at(self) -> int:
        """Return where the first beginning of a secret is that the next piece may complete."""
        return min(self._begun(secret) for secret in self._secrets)

    def _begun(self, secret: bytes) -> int:
        """Return where the end of what is kept is a beginning of ``secret``.

        Its first bytes are looked for, so that the cost is not that of comparing at every place.
        """
        size = len(self._kept)
        at = max(0, size - len(secret) + 1)
        while 0 <= (at := self._kept.find(secret[:1], at)) < size:
            if secret.startswith(self._kept[at : at + SHORTEST]) and secret.startswith(
                self._kept[at:]
            ):
                return at
            at += 1
        return size

    def _shown(self, end: int) -> bytes:
        """Mask up to ``end``; a secret that goes on behind it is masked there, and remembered."""
        out, at = [], self._covered
        for start, stop in self._spans():
            if start >= end:
                break
            if start >= at:
                out += [self._kept[at:start], MASK]
            at = max(at, stop)
        out.append(self._kept[at:end])
        self._kept, self._covered = self._kept[end:], max(0, at - end)
        return b"".join(out)

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Yield where secrets are, in order; they may overlap."""
        found = []
        for secret in self._secrets:
            at = self._kept.find(secret)
            while at >= 0:
                found.append((at, at + len(secret)))
                at = self._kept.find(secret, at + 1)
        return iter(sorted(found))
