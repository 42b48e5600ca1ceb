"""A foreign network of our own making, packed by its card and run as any bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import load_bundle
from edge.cli import main
from edge.errors import InputError
from edge.runtimes.onnxrt import open_runtime
from export.foreign import bundle_from_foreign

T, S = 40, 9
CARD = {
    "name": '"ours"', "layout": '"NCTHW"', "frames": str(T), "fps": "30.0", "size": str(S), "channels": '["rgb"]',
    "tasks": '{ bvp = "wave" }', "input": '"raw"',
}  # fmt: skip


def network(path: Path, shape: list[Any], weights: np.ndarray, opset: int = 18, **tensor: Any) -> Path:
    """``wave``: the weighted mean of all that belongs to a frame, ``[N, T]`` or, without N, ``[T, 1]``."""
    axes = [axis for axis, n in enumerate(shape) if n not in (T, "n", 1)]
    held = numpy_helper.from_array(weights.astype(np.float32), "w")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    nodes = [helper.make_node("Mul", ["x", "w"], ["m"])]
    constants = [held]
    if opset >= 18:
        constants.append(numpy_helper.from_array(np.array(axes, np.int64), "axes"))
        nodes.append(helper.make_node("ReduceMean", ["m", "axes"], ["wave"], keepdims=0))
    else:
        nodes.append(helper.make_node("ReduceMean", ["m"], ["wave"], axes=axes, keepdims=0))
    out = helper.make_tensor_value_info("wave", TensorProto.FLOAT, [n for n in shape if n in (T, "n", 1)])
    graph = helper.make_graph(nodes, "g", inputs, [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    if tensor:
        onnx.external_data_helper.set_external_data(model.graph.initializer[0], **tensor)
        model.graph.initializer[0].ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    return path


def card(path: Path, **changes: str) -> Path:
    path.write_text("\n".join(f"{key} = {value}" for key, value in (CARD | changes).items()))
    return path


def expected(frames: np.ndarray, weights: np.ndarray, transform: str, output: str) -> np.ndarray:
    """By rPPG-Toolbox's definitions, in double precision; weights ``[C, 1, S, S]``."""
    x = frames.astype(np.float64)
    if transform == "diff_normalized":
        x = (x[:, 1:] - x[:, :-1]) / (x[:, 1:] + x[:, :-1] + 1e-7)
        x /= x.std()
    else:
        x = x[:, :-1]
        x = (x - x.mean()) / x.std() if transform == "standardized" else x / 255.0
    wave = (x * weights).mean(axis=(0, 2, 3))
    return np.cumsum(wave - wave.mean()) if output == "derivative" else wave


@pytest.mark.parametrize(
    ("layout", "shape", "opset"),
    [("NCTHW", ["n", 3, T, S, S], 18), ("NTHWC", [1, T, S, S, 3], 17), ("TCHW", [T, 3, S, S], 18)],
)
@pytest.mark.parametrize("transform", ["raw", "diff_normalized", "standardized"])
@pytest.mark.parametrize("output", ["signal", "derivative"])
def test_the_bundle_gives_what_the_network_gives_on_transformed_frames(
    tmp_path: Path, layout: str, shape: list[Any], opset: int, transform: str, output: str
) -> None:
    weights = np.random.default_rng(1).uniform(-1, 1, (3, 1, S, S))
    order = ["CTHW".index(letter) for letter in layout.replace("N", "")]
    onnx_file = network(tmp_path / "net.onnx", shape, weights.transpose(order), opset)
    toml = card(
        tmp_path / "card.toml", layout=f'"{layout}"', input=f'"{transform}"', output=f'"{output}"',
        scale="{ rgb = 0.00392156862745098 }",
    )  # fmt: skip
    bundle_from_foreign(onnx_file, toml, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.input_shape == (3, T + 1, S, S)
    clip = np.random.default_rng(2).uniform(20, 250, (1, 3, T + 1, S, S)).astype(np.float32)
    wave = open_runtime(bundle, "exact", "auto").infer(clip)["bvp"][0]
    wanted = expected(clip[0], weights, transform, output)
    np.testing.assert_allclose(wave, wanted, atol=2e-5 * max(1.0, np.abs(wanted).max()))


def test_both_modalities_are_transformed_apart(tmp_path: Path) -> None:
    weights = np.concatenate([np.zeros((3, 1, S, S)), np.ones((1, 1, S, S))])
    onnx_file = network(tmp_path / "net.onnx", ["n", 4, T, S, S], weights)
    toml = card(tmp_path / "card.toml", channels='["rgb", "thermal"]', input='"standardized"', tasks='{rsp="wave"}')
    bundle_from_foreign(onnx_file, toml, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    clip = np.random.default_rng(2).uniform(20, 40, (1, 4, T + 1, S, S)).astype(np.float32)
    wave = open_runtime(bundle, "exact", "auto").infer(clip)["rsp"][0]
    np.testing.assert_allclose(wave, expected(clip[0, 3:], weights[3:], "standardized", "signal") / 4, atol=1e-5)


def test_the_command_packs_and_run_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = np.broadcast_to(np.array([-0.5, 1.0, -0.5]).reshape(3, 1, 1, 1), (3, 1, S, S))
    onnx_file, toml = network(tmp_path / "net.onnx", ["n", 3, T, S, S], weights), card(tmp_path / "card.toml")
    bundle, sink = str(tmp_path / "bundle"), f"jsonl:{tmp_path / 'out.jsonl'}"
    assert main(["export", str(onnx_file), "--card", str(toml), "--out", bundle]) == 0
    assert "ours" in capsys.readouterr().out
    scene = "synthetic:?seconds=8&seed=1&width=320&height=240"
    assert main(["run", "--bundle", bundle, "--rgb", scene, "--thermal", "none", "--sink", sink, "--speed", "max"]) == 0
    assert (tmp_path / "out.jsonl").read_text().count('"numerics"') >= 8
    assert main(["export", str(onnx_file), "--card", str(toml), "--out", bundle, "--precision", "int8"]) == 2
    assert main(["export", str(onnx_file), "--out", bundle]) == 2
    assert "--card" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"layout": '"NTCHW"'}, r"its input is \[None, 3, 40, 9, 9\], the card says NTCHW"),
        ({"frames": "60"}, "the card says"),
        ({"size": "18"}, "the card says"),
        ({"size": "10"}, "not the card of a network"),
        ({"channels": '["rgb", "thermal"]'}, "the card says"),
        ({"channels": '["thermal", "rgb"]'}, "wanted rgb, thermal or both"),
        ({"layout": '"NCHW"'}, "wanted C, T, H, W"),
        ({"tasks": '{ bvp = "pulse" }'}, r"outputs \['wave'\], the card wants 'pulse'"),
        ({"input": '"fft"'}, "not the card of a network"),
        ({"scale": "{ rgb = 0.0 }"}, "factors above 0"),
        ({"scale": "{ thermal = 2.0 }"}, "a scale for thermal, which is not among the channels"),
        ({"tasks": '{ bvp = "wave", rsp = "wave" }'}, "one output for several tasks"),
        ({"spare": "1"}, "spare"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    onnx_file = network(tmp_path / "net.onnx", ["n", 3, T, S, S], np.ones((3, 1, S, S)))
    with pytest.raises(InputError, match=says) as caught:
        bundle_from_foreign(onnx_file, card(tmp_path / "card.toml", **changes), tmp_path / "bundle")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("kind", ["path", "file", "hard link", "symbolic link"])
def test_weights_in_another_file_are_refused(tmp_path: Path, kind: str) -> None:
    """Even where they lie beside it, and however the file came there: a hard link looks like any file."""
    weights, beside = np.ones((3, 1, S, S), np.float32), tmp_path / "weights.bin"
    (tmp_path / "elsewhere").write_bytes(weights.tobytes())
    {
        "path": lambda: None,
        "file": lambda: beside.write_bytes(weights.tobytes()),
        "hard link": lambda: beside.hardlink_to(tmp_path / "elsewhere"),
        "symbolic link": lambda: beside.symlink_to(tmp_path / "elsewhere"),
    }[kind]()
    location = "/etc/passwd" if kind == "path" else "weights.bin"
    onnx_file = network(tmp_path / "n.onnx", ["n", 3, T, S, S], weights, location=location)
    with pytest.raises(InputError, match="weights in another file"):
        bundle_from_foreign(onnx_file, card(tmp_path / "card.toml"), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_card_has_the_hash_of_the_file(tmp_path: Path) -> None:
    onnx_file = network(tmp_path / "n.onnx", ["n", 3, T, S, S], np.ones((3, 1, S, S)))
    bundle = bundle_from_foreign(onnx_file, card(tmp_path / "card.toml"), tmp_path / "bundle")
    assert bundle.manifest.card["network_sha256"] == hashlib.sha256(onnx_file.read_bytes()).hexdigest()


@pytest.mark.parametrize("shape", [["n", 3, T, S, S], [1, 3, T, S, S], [2, 3, T, S, S]])
def test_weights_listed_among_the_inputs_are_weights(tmp_path: Path, shape: list[Any]) -> None:
    """As files of IR version 3 have them; here before the input itself."""
    weights = np.random.default_rng(1).uniform(-1, 1, (3, 1, S, S))
    onnx_file = network(tmp_path / "n.onnx", shape, weights)
    model = onnx.load(onnx_file)
    frames = model.graph.input.pop()
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    model.graph.input.append(frames)
    onnx_file.write_bytes(model.SerializeToString())
    if shape[0] == 2:
        with pytest.raises(InputError, match=r"its input is \[2, 3, 40, 9, 9\], the card says NCTHW"):
            bundle_from_foreign(onnx_file, card(tmp_path / "card.toml"), tmp_path / "bundle")
        return
    bundle = bundle_from_foreign(onnx_file, card(tmp_path / "card.toml"), tmp_path / "bundle")
    clip = np.random.default_rng(2).uniform(20, 250, (1, 3, T + 1, S, S)).astype(np.float32)
    wave = open_runtime(bundle, "exact", "auto").infer(clip)["bvp"][0]
    np.testing.assert_allclose(wave, (clip[0, :, :-1] * weights).mean(axis=(0, 2, 3)), rtol=1e-4, atol=1e-3)


def test_one_number_a_clip_is_refused(tmp_path: Path) -> None:
    onnx_file = network(tmp_path / "n.onnx", ["n", 3, T, S, S], np.ones((3, 1, S, S)))
    model = onnx.load(onnx_file)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.array([1, 2, 3, 4], np.int64), "axes"))
    onnx_file.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="does not") as caught:
        bundle_from_foreign(onnx_file, card(tmp_path / "card.toml"), tmp_path / "bundle")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_networks_end_in_one_line_or_a_bundle_that_loads(tmp_path: Path, count: int) -> None:
    whole = network(tmp_path / "n.onnx", ["n", 3, T, S, S], np.ones((3, 1, S, S))).read_bytes()
    toml, damaged, rng, refused = card(tmp_path / "card.toml"), tmp_path / "d.onnx", np.random.default_rng(3), []
    for _ in range(count):
        changed = bytearray(whole)
        place = int(rng.integers(len(whole)))
        changed[place] ^= int(rng.integers(1, 256))
        damaged.write_bytes(changed)
        try:
            bundle_from_foreign(damaged, toml, tmp_path / "bundle")
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > count // 20
    assert not [says for says in refused if "\n" in says]
    assert load_bundle(tmp_path / "bundle").tasks == ("bvp",)
    assert onnxruntime.InferenceSession(load_bundle(tmp_path / "bundle").files["window.fp32.onnx"])


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (("RandomNormalLike", ["wave"]), "other values for the same clip"),
        (("CumSum", ["wave", "zero"]), "mixes the clips of a batch"),
    ],
)
def test_a_network_that_is_no_function_of_one_clip_is_refused(
    tmp_path: Path, node: tuple[str, list[str]], says: str
) -> None:
    weights = np.random.default_rng(1).uniform(-1, 1, (3, 1, S, S))
    path = network(tmp_path / "net.onnx", ["n", 3, T, S, S], weights)
    model = onnx.load(path)
    operator, inputs = node
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "zero"))
    extra = {"reverse": 1} if operator == "CumSum" else {}
    model.graph.node.append(helper.make_node(operator, inputs, ["other"], **extra))
    model.graph.output[0].name = "other"
    path.write_bytes(model.SerializeToString())
    toml = card(tmp_path / "card.toml", tasks='{ bvp = "other" }')
    with pytest.raises(InputError, match=says):
        bundle_from_foreign(path, toml, tmp_path / "bundle")
