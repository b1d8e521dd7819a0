"""Threads that share pieces of work: each piece once a round, and no error lost."""

from __future__ import annotations

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from ntkbound.models.native.crew import ROUND, Crew, Rounds, claim, done  # noqa: E402


@numba.njit(nogil=True)
def mark(board, patience, log):  # type: ignore[no-untyped-def]
    piece = claim(board, patience)
    while piece >= 0:
        log[piece, board[ROUND]] += 1
        done(board)
        piece = claim(board, patience)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_piece_is_done_once_in_every_round(threads: int) -> None:
    pieces, count = 37, 200
    log = np.zeros((pieces, count), dtype=np.int64)
    rounds = Rounds(Crew(threads), mark, pieces, [(log,)] * threads)
    for number in range(count):
        rounds.run(number)
        assert (log[:, number] == 1).all()  # finished when run() returns
    assert (log == 1).all()


def test_the_error_of_a_helper_ends_the_round() -> None:
    def work(board: np.ndarray, patience: int, fails: bool) -> None:
        while (piece := claim(board, patience)) >= 0:
            if fails:
                raise RuntimeError(f"piece {piece} failed")
            if piece == 1:
                return  # as a thread that is never scheduled again
            done(board)

    rounds = Rounds(Crew(2), work, 3, [(False,), (True,)])
    with pytest.raises(RuntimeError, match="failed"):
        rounds.run()


def test_shared_jobs_raise_what_a_helper_raised() -> None:
    def work(number: int) -> None:
        if number == 1:
            raise RuntimeError("one")

    with pytest.raises(RuntimeError, match="one"):
        Crew(2).share(work, [(0,), (1,)])
