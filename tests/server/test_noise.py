"""The starting noise equals torch's, number for number."""

from __future__ import annotations

import numpy as np
import pytest

from comfy_nb.server.diffusion.noise import torch_randn

LATENT = (1, 4, 64, 64)

TORCH = {
    0: [-1.12584, -1.15236, -0.250579, -0.433879, 0.84871],
    42: [1.926915, 1.487284, 0.900717, -2.105521, 0.678418],
    156680208700286: [-0.720985, -1.27273, 1.488394, 1.269109, 0.293578],
}
"""What `torch.manual_seed(seed); torch.randn(1, 4, 64, 64)` begins with."""


@pytest.mark.parametrize("seed", TORCH)
def test_first_numbers_are_torchs(seed):
    noise = torch_randn(LATENT, seed)
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.ravel()[:5], TORCH[seed], atol=2e-6)


def test_it_is_standard_normal():
    noise = torch_randn((8, 4, 64, 64), 3).astype(np.float64)
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1.0) < 0.01
    assert abs((noise**4).mean() - 3.0) < 0.1


def test_only_the_low_32_bits_of_a_seed_count():
    np.testing.assert_array_equal(torch_randn(LATENT, 5), torch_randn(LATENT, 5 + (1 << 32)))
    assert not np.array_equal(torch_randn(LATENT, 5), torch_randn(LATENT, 6))


def test_a_size_off_the_block_redraws_its_last_sixteen():
    # torch fills whole blocks, then makes the last sixteen values anew from sixteen fresh draws.
    short, long = torch_randn((24,), 7), torch_randn((32,), 7)
    np.testing.assert_array_equal(short[:8], long[:8])
    assert not np.isclose(short[8:], long[8:24]).any()
    assert np.isfinite(short).all()


def test_too_few_numbers_are_refused():
    with pytest.raises(ValueError, match="at least 16"):
        torch_randn((1, 4, 1, 1), 0)
