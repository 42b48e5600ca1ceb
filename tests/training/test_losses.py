from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.losses import LOSSES, negative_pearson, z_score


def waves(seed: int, clips: int = 3, length: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, clips, length, generator=generator, dtype=torch.float64)
    return a, b


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@given(st.integers(0, 1000), st.floats(0.01, 100.0), st.floats(-100.0, 100.0))
def test_offset_and_positive_scale_of_either_wave_do_not_matter(
    loss: object, seed: int, scale: float, offset: float
) -> None:
    assert callable(loss)
    a, b = waves(seed)
    torch.testing.assert_close(loss(scale * a + offset, b), loss(a, b))
    torch.testing.assert_close(loss(a, scale * b + offset), loss(a, b))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_label_itself_is_best_and_its_inverse_worst(loss: object) -> None:
    assert callable(loss)
    a, b = waves(1)
    assert float(loss(b, b)) == pytest.approx(0.0, abs=1e-12)
    assert float(loss(b, b)) < float(loss(b + 0.5 * a, b)) < float(loss(a, b)) < float(loss(-b, b))


@given(st.integers(0, 1000))
def test_negative_pearson_is_one_minus_the_mean_correlation_of_clips(seed: int) -> None:
    a, b = waves(seed)
    expected = 1.0 - sum(torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(a, b, strict=True)) / len(a)
    torch.testing.assert_close(negative_pearson(a, b), expected)


def test_negative_pearson_looks_along_time_and_not_across_the_batch() -> None:
    """The same samples dealt to the clips in another way give another loss; clips in another order the same."""
    a, b = waves(2)
    torch.testing.assert_close(negative_pearson(a.flip(0), b.flip(0)), negative_pearson(a, b))
    assert not torch.allclose(negative_pearson(a.flip(0), b), negative_pearson(a, b))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_constant_wave_gives_a_finite_loss_and_gradient(loss: object) -> None:
    assert callable(loss)
    prediction = torch.ones(2, 30, requires_grad=True)
    value = loss(prediction, torch.randn(2, 30))
    value.backward()
    assert torch.isfinite(value)
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_z_score_uses_the_sample_deviation_of_each_clip() -> None:
    a, _ = waves(3)
    z = z_score(5.0 * a + 2.0)
    torch.testing.assert_close(z.mean(dim=1), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(z.std(dim=1), torch.ones(3, dtype=torch.float64))
