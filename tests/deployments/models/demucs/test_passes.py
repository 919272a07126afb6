"""The sum of overlapping chunks, which keeps only the frames that are still open."""

import torch

from deployments.models.demucs.passes import RollingSum


def test_a_rolling_sum_keeps_no_more_than_what_is_open() -> None:
    total = RollingSum(1, "cpu")
    ones = torch.ones(1, 2, 10)
    taken = []
    for start in range(-4, 100, 4):
        total.reserve(start + 10)
        total.add(start, ones, torch.ones(1, 1, 10))
        taken.append(total.take(start + 4))
        assert total._buffer.shape[-1] <= 10
    assert set(torch.cat(taken, dim=-1)[0, 0, 10:].tolist()) == {2, 3}
