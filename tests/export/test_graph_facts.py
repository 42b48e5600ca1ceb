"""What ``edge/graph_bytes.py`` reads without the onnx package is what onnx wrote."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.graph_bytes import graph_facts


def model_with(tensor: onnx.TensorProto, place: str) -> onnx.ModelProto:
    """A model that holds ``tensor`` as an initializer, as a Constant's attribute, or inside an If branch."""
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    nodes, initializers = [constant], []
    if place == "initializer":
        tensor.name = "w"
        nodes, initializers = [helper.make_node("Identity", ["w"], ["y"])], [tensor]
    if place == "branch":
        branch = helper.make_graph([constant], "branch", [], [y])
        nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
        initializers = [numpy_helper.from_array(np.ones((), np.bool_), "c")]
    graph = helper.make_graph(nodes, "g", [], [y], initializers)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


@pytest.mark.parametrize("place", ["initializer", "attribute", "branch"])
@pytest.mark.parametrize("external", [False, True])
def test_external_data_is_seen_wherever_a_tensor_can_be(place: str, external: bool) -> None:
    tensor = numpy_helper.from_array(np.ones(2, np.float32))
    if external:
        onnx.external_data_helper.set_external_data(tensor, location="weights.bin")
        tensor.ClearField("raw_data")
    facts = graph_facts(model_with(tensor, place).SerializeToString())
    assert (facts.ir_version, facts.opset, facts.external_data) == (10, 18, external)
