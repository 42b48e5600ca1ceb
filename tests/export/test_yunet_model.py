"""The detector ``yunet`` on a model in YuNet's form that a few lines can write: it takes red squares for faces."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.faces import Detector, detector_by_name

STRIDES = (8, 16, 32)
FINDS_AT = 16
"""The stride whose cells answer; a face is two cells wide there."""


def head(stride: int, name: str, weights: np.ndarray, bias: np.ndarray) -> tuple[list[onnx.NodeProto], list[object]]:
    """Nodes and constants of one output ``[1, cells, channels]``: a linear map of each cell's mean colour (B, G, R)."""
    made = f"{name}_{stride}"
    nodes = [
        helper.make_node("Conv", [f"pool_{stride}", f"{made}.w", f"{made}.b"], [f"{made}.map"]),
        helper.make_node("Transpose", [f"{made}.map"], [f"{made}.last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", [f"{made}.last", f"{made}.shape"], [made]),
    ]
    constants = {
        f"{made}.w": weights.reshape(len(bias), 3, 1, 1).astype(np.float32),
        f"{made}.b": bias.astype(np.float32),
        f"{made}.shape": np.array([1, -1, len(bias)], np.int64),
    }
    return nodes, [numpy_helper.from_array(value, key) for key, value in constants.items()]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    nodes, constants, outputs = [], [], []
    for stride in STRIDES:
        size = [stride, stride]
        nodes.append(helper.make_node("AveragePool", ["input"], [f"pool_{stride}"], kernel_shape=size, strides=size))
        red = np.array([0.0, 0.0, 1.0 / 255.0]) * (stride == FINDS_AT)
        box = np.array([0.5, 0.5, np.log(2.0), np.log(2.0)])
        for name, weights, bias in (
            ("cls", red, np.zeros(1)),
            ("obj", red, np.zeros(1)),
            ("bbox", np.zeros((4, 3)), box),
            ("kps", np.zeros((10, 3)), np.zeros(10)),
        ):
            more, values = head(stride, name, weights, bias)
            nodes += more
            constants += values
            cells = (320 // stride) ** 2
            outputs.append(helper.make_tensor_value_info(f"{name}_{stride}", TensorProto.FLOAT, [1, cells, len(bias)]))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 320, 320])
    graph = helper.make_graph(nodes, "red squares", [given], outputs, constants)
    path = tmp_path_factory.mktemp("yunet") / "red.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)
    return detector_by_name(f"yunet:{path}")


def picture(side: int, colour: tuple[int, int, int]) -> np.ndarray:
    image = np.zeros((side, side, 3), np.uint8)
    cell = side * FINDS_AT // 320
    image[6 * cell : 7 * cell, 10 * cell : 11 * cell] = colour
    return image


@pytest.mark.parametrize("side", [320, 640])
def test_a_face_is_where_the_model_says_in_pixels_of_the_picture(detector: Detector, side: int) -> None:
    (face,) = detector.detect(picture(side, (255, 0, 0)))
    scale = side / 320
    assert face.box.centre == pytest.approx((168 * scale, 104 * scale), abs=0.5)
    assert (face.box.w, face.box.h) == pytest.approx((32 * scale, 32 * scale), rel=0.01)
    assert face.score == pytest.approx(1.0, abs=0.01)


def test_colours_come_in_the_models_order(detector: Detector) -> None:
    assert detector.detect(picture(320, (0, 0, 255))) == []
