"""The closed forms are what the published updates end in; targets, and the module around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.attention import (
    Attention,
    AttentionSpec,
    approximate,
    factors_by_updates,
    gaussian_basis,
    maps_from_matrix,
    matrix_from_maps,
    power_pattern,
    projection,
    targets_from_labels,
)
from training.model import Mmrphys, ModelSpec

WITHOUT_FLOOR = 1e-30


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def maps(seed: int, length: int = 20) -> Tensor:
    """Two clips of 8 non-negative maps of 4 x 4 pixels, as they come from a ReLU."""
    return randn(seed, 2, 8, length, 4, 4).relu()


def target(seed: int, length: int = 20) -> Tensor:
    return targets_from_labels({"bvp": randn(seed, 2, length)}, "bvp", length)


# ----------------------------------------------------------------------------------------- closed forms beside updates


def with_gradient(spec: AttentionSpec, x: Tensor, targets: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """What ``spec`` makes of maps ``x``, and the gradient of a weighted sum of it."""
    x = x.clone().requires_grad_()
    kept = approximate(matrix_from_maps(x, spec.layout), spec, targets, eps)
    kept = maps_from_matrix(kept, x.shape, spec.layout)
    return kept.detach(), torch.autograd.grad(kept, x, randn(9, *x.shape))[0]


@given(
    st.sampled_from(["tsfm", "fsam"]),
    st.sampled_from(["time", "memory"]),
    st.sampled_from([1, 4]),
    st.integers(1, 6),
    st.integers(0, 100),
)
def test_the_closed_form_is_what_updates_end_in(kind: Any, layout: Any, rank: int, steps: int, seed: int) -> None:
    closed = AttentionSpec(kind, layout, steps=steps, rank=rank)
    updates = dataclasses.replace(closed, form="iterative")
    for a, b in zip(*(with_gradient(spec, maps(seed), target(seed + 1)) for spec in (closed, updates)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_gaussians_have_no_closed_form_but_without_their_lower_bound(steps: int) -> None:
    """Weights grow and shares shrink until they meet the bound; without it they are a power method in the span."""
    x, basis = matrix_from_maps(maps(1), "time"), gaussian_basis(20)
    weights = torch.ones(2, basis.shape[1], 1)
    for _ in range(steps):
        weights = torch.nn.functional.normalize(basis.T @ (x @ (x.transpose(1, 2) @ (basis @ weights))), dim=1)
    exact = projection(x, basis @ weights)
    unbounded = factors_by_updates(x, torch.ones(2, basis.shape[1], 1), steps, basis[None], WITHOUT_FLOOR)
    torch.testing.assert_close(unbounded, exact, rtol=1e-5, atol=1e-5 * float(exact.max()))
    published = approximate(x, AttentionSpec("gaussian", steps=steps), None)
    assert float((published - exact).abs().max()) < 0.01 * float(exact.max())


def test_tsfm_keeps_what_moves_with_the_label_and_nothing_else() -> None:
    s = target(2)
    weights = randn(3, 2, 1, 50).abs()
    across = randn(4, 2, 20, 50)
    across -= s @ (s.transpose(1, 2) @ across) / (s * s).sum(dim=1, keepdim=True)
    torch.testing.assert_close(projection(s @ weights + across, s), s @ weights, rtol=1e-4, atol=1e-5)


def test_fsam_keeps_the_strongest_pattern_after_many_steps() -> None:
    x = matrix_from_maps(maps(5), "time")
    pattern, strength, shares = torch.linalg.svd(x)
    strongest = pattern[:, :, :1] * strength[:, None, :1] @ shares[:, :1]
    torch.testing.assert_close(approximate(x, AttentionSpec("fsam", steps=60), None), strongest, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layout", ["time", "memory"])
def test_maps_come_back_from_the_matrix(layout: str) -> None:
    x = maps(6)
    assert torch.equal(maps_from_matrix(matrix_from_maps(x, layout), x.shape, layout), x)
    channels_last = x.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(matrix_from_maps(channels_last, layout), matrix_from_maps(x, layout))


def test_a_row_is_a_moment_or_what_lies_together_in_memory() -> None:
    x = torch.arange(8.0 * 20)[None, :, None].reshape(1, 8, 20, 1, 1)  # channel * 20 + time
    assert matrix_from_maps(x, "time")[0, 3].tolist() == [20.0 * c + 3 for c in range(8)]
    assert matrix_from_maps(x, "memory")[0, 3].tolist() == list(range(24, 32))


def test_gaussians_have_the_widths_and_places_of_the_published_ablation() -> None:
    basis = gaussian_basis(30)
    assert basis.shape == (30, 2 * 30 + 2 * 15 + 2 * 10 + 1)
    assert float(basis[3, 0]) == pytest.approx(np.exp(-0.25 * 9 / 36))
    assert float(basis[3, 60 + 2]) == pytest.approx(np.exp(-0.25 * 1 / 144))
    assert float(basis[3, 90 + 10 + 2]) == pytest.approx(np.exp(-0.25 * 9 / 576))
    assert (basis[:, -1] == 1.0).all()


# --------------------------------------------------------------------------------------------------- published numbers

KINDS = {"tsfm_label_r1": "tsfm", "tsfm_label_r4": "tsfm", "fsam_nmf_r1": "fsam", "tsfm_rbf_r1": "gaussian"}
WITH_MODULE = [name for name, kind in KINDS.items() if kind != "gaussian"]
STEPS = 4


def golden(shared_dir: Path, name: str) -> dict[str, Tensor]:
    held = np.load(shared_dir / f"reference/golden/{name}.npz")
    return {key: torch.from_numpy(np.asarray(held[key], np.float32)) for key in held.files}


def basis_of(kind: str, case: Mapping[str, Tensor]) -> Tensor | None:
    length = case["label"].shape[1]
    if kind == "tsfm":
        return targets_from_labels({"bvp": case["label"]}, "bvp", length)
    return gaussian_basis(length)[None] if kind == "gaussian" else None


@pytest.mark.parametrize("name", KINDS)
def test_updates_give_the_published_reconstruction(shared_dir: Path, name: str) -> None:
    case = golden(shared_dir, name)
    x = matrix_from_maps(case["embedding"], "memory")
    kept = factors_by_updates(x, case["init_bases"], STEPS, basis_of(KINDS[name], case))
    error = (maps_from_matrix(kept, case["embedding"].shape, "memory") - case["reconstruction"]).abs().max()
    assert error <= 1e-5 * case["reconstruction"].abs().max()


@pytest.mark.parametrize("name", WITH_MODULE)
def test_closed_forms_give_the_published_reconstruction(shared_dir: Path, name: str) -> None:
    case = golden(shared_dir, name)
    x, basis = matrix_from_maps(case["embedding"], "memory"), basis_of(KINDS[name], case)
    kept = projection(x, power_pattern(x, case["init_bases"], STEPS) if basis is None else basis)
    error = (maps_from_matrix(kept, case["embedding"].shape, "memory") - case["reconstruction"]).abs().max()
    assert error <= 1e-5 * case["reconstruction"].abs().max()


@pytest.mark.parametrize("form", ["closed", "iterative"])
@pytest.mark.parametrize("name", WITH_MODULE)
def test_the_module_gives_the_published_map_error_and_gradient(shared_dir: Path, name: str, form: Any) -> None:
    case = golden(shared_dir, name)
    rank = case["init_bases"].shape[2]
    module = Attention(16, AttentionSpec(KINDS[name], "memory", "batch", form=form, steps=STEPS, rank=rank))  # type: ignore[arg-type]
    ours = {"pre.weight": "pre_conv_block.0.weight", "pre.bias": "pre_conv_block.0.bias"}
    ours |= {"post.0.weight": "post_conv_block.0.conv.weight", "post.2.weight": "post_conv_block.1.weight"}
    module.load_state_dict({key: case[f"w__{theirs}"] for key, theirs in ours.items()})
    x = case["module_input"].requires_grad_()
    mapped = module.map_of(x, module.targets({"bvp": case["label"]}, "bvp", x.shape[2]))
    ramp = torch.linspace(-1.0, 1.0, mapped.numel()).reshape(mapped.shape)
    (gradient,) = torch.autograd.grad((mapped * ramp).sum(), x)
    for found, wanted in ((mapped, "module_attention"), (gradient, "module_input_grad_of_ramp_sum")):
        assert (found - case[wanted]).abs().max() <= 1e-4 * case[wanted].abs().max(), wanted
    assert float(module.error) == pytest.approx(float(case["module_appx_error"]), rel=1e-4)


# ------------------------------------------------------------------------------------------------------------- targets


def span_of(*labels: Tensor) -> Tensor:
    named = {f"{n}": label for n, label in enumerate(labels)}
    return targets_from_labels(named, "0", labels[0].shape[1], "all")


def test_several_targets_keep_whatever_combines_them() -> None:
    s = span_of(randn(1, 2, 20), randn(2, 2, 20))
    assert s.shape == (2, 20, 2)
    member = s @ randn(3, 2, 2, 50)
    torch.testing.assert_close(projection(member, s), member, rtol=1e-4, atol=1e-5)
    x = randn(4, 2, 20, 50)
    rest = x - projection(x, s)
    torch.testing.assert_close(s.transpose(1, 2) @ rest, torch.zeros(2, 2, 50), rtol=0.0, atol=1e-4)


def test_targets_that_combine_others_change_nothing() -> None:
    a, b = randn(1, 2, 20), randn(2, 2, 20)
    x = randn(4, 2, 20, 50)
    one, two = projection(x, span_of(a)), projection(x, span_of(a, b))
    torch.testing.assert_close(projection(x, span_of(a, a, 3.0 * a + 7.0)), one, rtol=1e-4, atol=1e-5)
    s = span_of(a, b)
    combined = torch.cat([s, s[:, :, :1] + 2.0 * s[:, :, 1:]], dim=2)
    torch.testing.assert_close(projection(x, combined), two, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(one, two, atol=0.1)


def test_a_target_spans_1_to_2_whatever_offset_and_scale_the_label_has() -> None:
    label = randn(1, 2, 20)
    s = span_of(label)
    assert (s.amin(), s.amax()) == (1.0, 2.0)
    torch.testing.assert_close(span_of(30.0 * label - 7.0), s, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.1, -40.0])
def test_a_constant_target_is_a_constraint_to_not_change(level: float) -> None:
    constant = torch.full((2, 20), level)
    constant[:, ::2] *= 1.0 + 1e-7  # rounding
    assert torch.equal(span_of(constant), torch.ones(2, 20, 1))
    x = randn(4, 2, 20, 50)
    torch.testing.assert_close(projection(x, span_of(constant)), x.mean(dim=1, keepdim=True).expand_as(x))


@pytest.mark.parametrize("hole", [float("nan"), float("inf")])
def test_a_missing_target_constrains_nothing_in_its_clip(hole: float) -> None:
    a, b = randn(1, 2, 20), randn(2, 2, 20)
    b[1, 3] = hole
    x = randn(4, 2, 20, 50)
    s = span_of(a, b)
    assert not s[1, :, 1].any()
    kept = projection(x, s)
    torch.testing.assert_close(kept[1:], projection(x, span_of(a))[1:])
    torch.testing.assert_close(kept[:1], projection(x, span_of(a, randn(2, 2, 20)))[:1])
    assert not projection(x, torch.zeros(2, 20, 2)).any()


def test_a_quarter_of_the_rate_is_the_mean_of_5_samples_every_4() -> None:
    """Zeros beyond the ends count in the mean."""
    label = randn(1, 1, 24)
    padded = torch.nn.functional.pad(label, (2, 2))[0]
    means = torch.stack([padded[4 * k : 4 * k + 5].sum() / 5.0 for k in range(6)])
    expected = 1.0 + (means - means.min()) / (means.max() - means.min())
    torch.testing.assert_close(targets_from_labels({"rsp": label}, "rsp", 6)[0, :, 0], expected)


def test_the_own_target_comes_first_and_alone_unless_all_are_asked_for() -> None:
    labels = {"bvp": randn(1, 2, 24), "rsp": randn(2, 2, 24)}
    own = targets_from_labels(labels, "rsp", 6)
    assert own.shape == (2, 6, 1)
    both = targets_from_labels(labels, "rsp", 6, "all")
    assert both.shape == (2, 6, 2)
    assert torch.equal(both[:, :, :1], own)


def test_a_label_that_is_absent_or_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs the label 'rsp' to train; seen \['bvp'\]"):
        targets_from_labels({"bvp": torch.zeros(1, 20)}, "rsp", 20)
    with pytest.raises(ValueError, match="21 samples fits neither 20"):
        targets_from_labels({"bvp": torch.zeros(1, 21)}, "bvp", 20)


# ---------------------------------------------------------------------------------------------------------- the module


def attention(**choice: Any) -> Attention:
    torch.manual_seed(0)
    return Attention(16, AttentionSpec(**choice))


@pytest.mark.parametrize("kind", ["tsfm", "fsam", "gaussian"])
def test_over_its_own_minima_a_clip_does_not_feel_its_neighbour(kind: str) -> None:
    embedding, targets = randn(1, 2, 16, 20, 4, 4), target(2)
    other = torch.cat([embedding[:1], 3.0 * embedding[1:] - 2.0])
    own, batch = attention(kind=kind), attention(kind=kind, minima="batch")
    torch.testing.assert_close(own(embedding, targets)[0], own(other, targets)[0])
    torch.testing.assert_close(own(embedding, targets)[0], own(embedding[:1], targets[:1])[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(batch(embedding, targets)[0], batch(other, targets)[0], atol=0.01)


@pytest.mark.parametrize("form", ["closed", "iterative"])
@pytest.mark.parametrize("kind", ["tsfm", "fsam", "gaussian"])
def test_a_clip_that_is_not_numbers_stays_so_and_leaves_its_neighbour_alone(kind: str, form: str) -> None:
    embedding, targets = randn(1, 2, 16, 20, 4, 4), target(2)
    module = attention(kind=kind, form=form)
    sound = module(embedding, targets)
    embedding[1] = torch.nan
    attended = module(embedding, targets)
    assert attended[1].isnan().all()
    torch.testing.assert_close(attended[0], sound[0])


def test_a_clip_without_any_target_goes_through_unchanged() -> None:
    embedding = randn(1, 2, 16, 20, 4, 4)
    label = randn(2, 2, 20)
    label[0, 0] = torch.nan
    module = attention()
    attended = module(embedding, module.targets({"bvp": label}, "bvp", 20))
    assert torch.equal(attended[0], embedding[0])
    assert not torch.allclose(attended[1], embedding[1], atol=0.1)


def test_the_residual_keeps_the_embedding() -> None:
    embedding, targets = randn(1, 2, 16, 20, 4, 4), target(2)
    kept, alone = (attention(residual=residual)(embedding, targets) for residual in (True, False))
    torch.testing.assert_close(kept, embedding + alone)
    torch.testing.assert_close(alone.mean(dim=(2, 3, 4)), torch.zeros(2, 16), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("kind", ["tsfm", "fsam", "gaussian"])
@pytest.mark.parametrize("form", ["closed", "iterative"])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_and_near(kind: str, form: str, half: torch.dtype) -> None:
    embedding, targets = randn(1, 2, 16, 20, 4, 4), target(2)
    module = attention(kind=kind, form=form)
    exact = module(embedding, targets)
    with torch.autocast("cpu", half):
        embedding = embedding.to(half).requires_grad_()
        attended = module(embedding, targets)
    (gradient,) = torch.autograd.grad(attended.float().square().sum(), embedding)
    assert torch.isfinite(gradient).all()
    assert (attended - exact).abs().mean() < 0.05


# ---------------------------------------------------------------------------------------------------------- in a model


@pytest.mark.parametrize(("fusion", "channels"), [("EF", 3), ("NF", 4), ("LF", 4)])
def test_attention_acts_in_training_and_nowhere_else(fusion: str, channels: int) -> None:
    spec = ModelSpec(9, fusion, channels)
    torch.manual_seed(0)
    model = Mmrphys(spec, AttentionSpec())
    plain = Mmrphys(spec)
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if "attention" not in key})
    frames = 255.0 * torch.rand(2, channels, 25, 9, 9)
    labels = {"bvp": randn(1, 2, 24), "rsp": randn(2, 2, 24)}
    for one in (model.eval(), plain.eval()):
        assert all(torch.equal(wave, plain(frames)[task]) for task, wave in one(frames, labels).items())
    for module in model.train().modules():
        if isinstance(module, torch.nn.Dropout3d):
            module.p = 0.0
    for task, wave in model(frames, labels).items():
        assert not torch.allclose(wave, plain(frames)[task], atol=0.01)


def test_to_train_with_tsfm_labels_that_fit_are_needed() -> None:
    model = Mmrphys(ModelSpec(9, "EF", 3), AttentionSpec()).train()
    frames = 255.0 * torch.rand(1, 3, 25, 9, 9)
    with pytest.raises(ValueError, match="needs the label 'bvp' to train; seen none"):
        model(frames)
    with pytest.raises(ValueError, match="28 samples fits neither 24"):
        model(frames, {"bvp": randn(1, 1, 28), "rsp": randn(1, 1, 28)})
    assert Mmrphys(ModelSpec(9, "EF", 3), AttentionSpec("fsam")).train()(frames)["bvp"].shape == (1, 24)


@pytest.mark.parametrize(("task", "fusion", "adds"), [("bvp", "EF", 328), ("rsp", "EF", 328), ("bvp", "LF", 584)])
def test_attention_adds_as_many_parameters_as_published(task: str, fusion: str, adds: int) -> None:
    spec = ModelSpec(9, fusion, 4, (task,))
    with_it, without = (
        sum(weight.numel() for weight in Mmrphys(spec, choice).parameters()) for choice in (AttentionSpec(), None)
    )
    assert with_it - without == adds


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"kind": "nmf"}, "kind is one of tsfm, fsam, gaussian; seen 'nmf'"),
        ({"layout": "space"}, "layout is one of time, memory"),
        ({"steps": 0}, "1 or more"),
        ({"form": "iterative", "targets": "all"}, "knows one target"),
    ],
)
def test_an_attention_there_is_not_is_refused(choice: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AttentionSpec(**choice)
