"""The bytes between a pipe and the store, however they come and go (X-30)."""

from __future__ import annotations

from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from logs_app.buffer import TAIL, Buffer

# Bytes are printed; a pair is a flush of at most so many bytes, and whether it got through.
STEPS = st.lists(
    st.one_of(st.binary(max_size=40), st.tuples(st.integers(1, 30), st.booleans())), max_size=40
)


@given(steps=STEPS, memory=st.integers(0, 60))
def test_what_goes_in_comes_out_in_order_at_its_offset(
    steps: list[bytes | tuple[int, bool]], memory: int
) -> None:
    printed, written = b"", b""

    with closing(Buffer(10_000, memory=memory)) as buffer:
        for step in steps:
            if isinstance(step, bytes):
                buffer.add(step)
                printed += step
                continue
            limit, got_through = step
            data = buffer.offer(limit)
            assert buffer.start == len(written)
            assert buffer.offer(limit + 1) == data
            if got_through:
                buffer.forget()
                written += data
        assert len(buffer) == len(printed) - len(written)
        for offset, data in buffer.rest(7):
            assert offset == len(written)
            written += data

    assert written == printed


@given(
    pieces=st.lists(st.integers(0, 2 * TAIL), max_size=6),
    cap=st.integers(0, TAIL),
    seed=st.binary(),
)
def test_past_the_cap_the_head_a_count_and_the_last_bytes_are_left(
    pieces: list[int], cap: int, seed: bytes
) -> None:
    printed = b""

    with closing(Buffer(cap)) as buffer:
        for size in pieces:
            piece = (seed + bytes(range(251))) * (size // 251 + 1)
            buffer.add(piece[:size])
            printed += piece[:size]
        left = b"".join(data for _, data in buffer.rest(TAIL))
        dropped = buffer.dropped

    assert dropped == max(0, len(printed) - cap - TAIL)
    marker = b"\n[%d bytes dropped]\n" % dropped if dropped else b""
    assert left == printed[:cap] + marker + printed[cap + dropped :]
