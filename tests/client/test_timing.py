"""The pauses before a connection is tried again."""

from __future__ import annotations

import pytest

from comfy_nb.client.timing import TIMING


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 0.3), (2, 0.6), (3, 1.2), (4, 2.4), (5, 4.8), (6, 5.0), (1000, 5.0)]
)
def test_they_double_from_a_third_of_a_second_to_five_and_no_two_clients_are_in_step(
    attempt: int, seconds: float
) -> None:
    pauses = [TIMING.pause(attempt) for _ in range(200)]
    assert 0.7 * seconds <= min(pauses) < 0.9 * seconds
    assert 1.1 * seconds < max(pauses) <= 1.3 * seconds
