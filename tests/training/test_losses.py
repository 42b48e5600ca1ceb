from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.losses import (
    LOSSES,
    negative_pearson,
    negative_pearson_batch_axis,
    negative_pearson_whole_batch,
    normalised_label,
    smooth_l1,
    z_score,
)


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


# -------------------------------------------------------------------------------------------- labels that say nothing


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("missing", [float("nan"), float("inf"), float("-inf")])
def test_a_clip_with_a_hole_in_its_label_does_not_count(loss: object, missing: float) -> None:
    assert callable(loss)
    prediction, label = waves(4)
    expected = loss(prediction[[0, 2]], label[[0, 2]])
    label[1, 7] = missing
    prediction.requires_grad_()
    value = loss(prediction, label)
    value.backward()
    torch.testing.assert_close(value, expected)
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[1].any()
    assert prediction.grad[0].any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("level", [0.0, 0.1, -37.3])
def test_a_clip_with_a_constant_label_does_not_count(loss: object, level: float) -> None:
    assert callable(loss)
    prediction, label = (wave.float() for wave in waves(5))
    expected = loss(prediction[1:], label[1:])
    label[0] = level
    label[0, ::2] *= 1.0 + 1e-7  # rounding
    torch.testing.assert_close(loss(prediction, label), expected)


def test_a_normalised_label_is_0_where_constant_and_missing_where_it_was() -> None:
    _, label = (wave.float() for wave in waves(6, clips=4))
    expected = z_score(label)
    label[1] = 0.3
    label[1, ::2] *= 1.0 + 1e-7  # rounding
    label[2, 5] = torch.nan
    label[3, 5] = torch.inf
    found = normalised_label(label)
    torch.testing.assert_close(found[0], expected[0])
    assert not found[1].any()
    assert not torch.isfinite(found[2:]).all(dim=1).any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_without_any_label_the_loss_is_0_and_so_is_its_gradient(loss: object) -> None:
    assert callable(loss)
    prediction = torch.randn(2, 30, requires_grad=True)
    label = torch.stack([torch.ones(30), torch.full((30,), torch.nan)])
    value = loss(prediction, label)
    value.backward()
    assert value.item() == 0.0
    assert prediction.grad is not None
    assert not prediction.grad.any()


# ---------------------------------------------------------------------------------------------------------- only replay


@given(st.integers(0, 1000))
def test_the_batch_axis_form_correlates_the_clips_at_each_sample(seed: int) -> None:
    a, b = waves(seed, clips=4)
    za, zb = z_score(a), z_score(b)
    pairs = zip(za.T, zb.T, strict=True)
    expected = 1.0 - sum(torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs) / a.shape[1]
    torch.testing.assert_close(negative_pearson_batch_axis(a, b), expected)
    torch.testing.assert_close(negative_pearson_batch_axis(2.0 * a + 1.0, b), negative_pearson_batch_axis(a, b))
    scaled = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64) * a
    torch.testing.assert_close(negative_pearson_batch_axis(scaled, b), negative_pearson_batch_axis(a, b))


def test_the_batch_axis_form_is_blind_to_the_order_of_time() -> None:
    """The quirk itself: what it compares is not a waveform."""
    a, b = waves(6, clips=4)
    shuffled = torch.randperm(a.shape[1], generator=torch.Generator().manual_seed(0))
    for loss in (negative_pearson_batch_axis, negative_pearson_whole_batch):
        torch.testing.assert_close(loss(a[:, shuffled], b[:, shuffled]), loss(a, b))
        assert float(loss(a[:1], b[:1])) == pytest.approx(1.0)


def test_over_the_whole_batch_clips_keep_their_amplitudes() -> None:
    a, b = waves(7, clips=4)
    centred = a - a.mean(dim=0), b - b.mean(dim=0)
    expected = 1.0 - torch.cosine_similarity(*centred, dim=0).mean()
    torch.testing.assert_close(negative_pearson_whole_batch(a, b), expected)
    scaled = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64) * a
    assert not torch.allclose(negative_pearson_whole_batch(scaled, b), expected)


# ------------------------------------------------------------------------------------------------------- half precision


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_half_precision_is_computed_in_single(loss: object, kind: torch.dtype) -> None:
    assert callable(loss)
    prediction, label = (wave.to(kind) for wave in waves(8))
    value = loss(prediction, label.float())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(prediction.float(), label.float()))


def test_a_wave_that_is_flat_in_half_precision_is_not_blown_up() -> None:
    """A ripple of 1e-5, a hundredth of the lower bound, stays a hundredth."""
    label = torch.sin(torch.arange(40.0))[None]
    ripple = (1e-5 * label).half()
    flat = float(smooth_l1(torch.zeros(1, 40).half(), label))
    assert float(smooth_l1(ripple, label)) == pytest.approx(flat, rel=0.05)
    assert float(smooth_l1(ripple.float(), label)) < 0.01 * flat


def test_predictions_in_half_precision_are_cut_off_at_10_deviations() -> None:
    spike = torch.zeros(1, 400)
    spike[0, 5] = 100.0
    label = torch.sin(torch.arange(400.0))[None]
    expected = torch.nn.functional.smooth_l1_loss(z_score(spike).clamp(max=10.0), z_score(label))
    torch.testing.assert_close(smooth_l1(spike.half(), label), expected, rtol=1e-3, atol=0.0)
    assert float(smooth_l1(spike, label)) > 1.01 * float(expected)
