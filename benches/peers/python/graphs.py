"""Writes the graphs that ONNX Runtime Web and Transformers.js run: `graphs.py <data> <graphs>`.

The house transformer for one token at a time, with ONNX Runtime's own operators: RMS norm, alone and with the sum before
it; attention with rotation and cache; SiLU as a quick gelu. And the product of two matrices.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from given import given

WIDTH, HEADS, LAYERS, VOCABULARY, LONGEST = 64, 4, 2, 97, 128
HEAD = WIDTH // HEADS
OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]


class Graph:
    """Nodes in the order in which they run, and the numbers that they hold."""

    def __init__(self) -> None:
        self.nodes, self.numbers, self.inputs, self.outputs = [], [], [], []

    def node(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[-1], domain=domain, **attributes))
        return outputs[-1]

    def holds(self, name: str, numbers: np.ndarray) -> str:
        self.numbers.append(numpy_helper.from_array(numbers, name))
        return name

    def takes(self, name: str, kind: int, shape: list) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def gives(self, name: str, kind: int, shape: list) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def write(self, path: Path) -> None:
        graph = helper.make_graph(self.nodes, path.stem, self.inputs, self.outputs, self.numbers)
        model = helper.make_model(graph, opset_imports=OPSETS, ir_version=10)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)


def rotation() -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, by position and half of a head."""
    angles = np.outer(np.arange(LONGEST), 10000.0 ** (-np.arange(0, HEAD, 2) / HEAD))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def house_transformer(w: dict[str, np.ndarray], masked: bool) -> Graph:
    """Answers with the next token or, when it is told by a mask what there is, with logits."""
    graph = Graph()
    tokens = graph.takes("input_ids", TensorProto.INT64, [1, 1] if not masked else ["batch_size", "tokens"])
    if masked:
        mask = graph.takes("attention_mask", TensorProto.INT64, ["batch_size", "seen"])
        size = graph.node("Shape", [mask], ["seen_size"], start=1)
        size = graph.node("Cast", [size], ["seen_count"], to=TensorProto.INT32)
        total = graph.node("Squeeze", [size], ["total"])
        last = graph.node("Sub", [size, graph.holds("one", np.array([1], np.int32))], ["last"])
    else:
        last = graph.takes("last", TensorProto.INT32, [1])
        total = graph.takes("total", TensorProto.INT32, [])
    cosines, sines = (graph.holds(name, table) for name, table in zip(["cosines", "sines"], rotation(), strict=True))
    norms = {"epsilon": 1e-6}

    x = graph.node("Gather", [graph.holds("embedding", w["embedding"]), tokens], ["embedded"])
    scale = graph.holds("0.norm1", w["0.norm1"])
    normed = graph.node("SimplifiedLayerNormalization", [x, scale], ["present_conv.0"], axis=-1, stash_type=1, **norms)
    for layer in range(LAYERS):
        cache, own = 2 * layer + 1, f"{layer}."
        # What was normed here stays for the next token, under the name that it has as an output.
        graph.gives(normed, TensorProto.FLOAT, [1, 1, WIDTH])
        before = graph.takes(f"past_conv.{2 * layer}", TensorProto.FLOAT, [1, 1, WIDTH])
        smeared = graph.node("Mul", [before, graph.holds(own + "smear", w[own + "smear"])], [own + "smeared"])
        mixed = graph.node("Add", [normed, smeared], [own + "mixed"])
        parts = ["query", "key", "value"]
        weight = graph.holds(own + "weight", np.concatenate([w[f"{own}{part}.weight"] for part in parts], axis=1))
        bias = graph.holds(own + "bias", np.concatenate([w[f"{own}{part}.bias"] for part in parts]))
        packed = graph.node("MatMul", [mixed, weight], [own + "products"])
        packed = graph.node("Add", [packed, bias], [own + "packed"])
        past = [
            graph.takes(f"past_key_values.{cache}.{part}", TensorProto.FLOAT, [1, HEADS, "past", HEAD])
            for part in parts[1:]
        ]
        present = [f"present.{cache}.{part}" for part in parts[1:]]
        for name in present:
            graph.gives(name, TensorProto.FLOAT, [1, HEADS, "all", HEAD])
        graph.node(
            "GroupQueryAttention",
            [packed, "", "", *past, last, total, cosines, sines],
            [own + "found", *present],
            domain="com.microsoft",
            num_heads=HEADS,
            kv_num_heads=HEADS,
            do_rotary=1,
            rotary_interleaved=0,
        )
        output = graph.node("MatMul", [own + "found", graph.holds(own + "output", w[own + "output"])], [own + "out"])
        scale = graph.holds(own + "norm2", w[own + "norm2"])
        outputs = [own + "normed2", "", "", own + "sum"]
        x = graph.node("SkipSimplifiedLayerNormalization", [output, x, scale], outputs, domain="com.microsoft", **norms)
        up = graph.node("MatMul", [outputs[0], graph.holds(own + "up", w[own + "up"])], [own + "wide"])
        up = graph.node("QuickGelu", [up], [own + "active"], domain="com.microsoft", alpha=1.0)
        down = graph.node("MatMul", [up, graph.holds(own + "down", w[own + "down"])], [own + "narrow"])
        after = f"{layer + 1}.norm1" if layer + 1 < LAYERS else "norm"
        normed = f"present_conv.{2 * layer + 2}" if layer + 1 < LAYERS else "normed"
        outputs = [normed, "", "", own + "sum2"] if layer + 1 < LAYERS else [normed]
        scale = graph.holds(after, w[after])
        graph.node("SkipSimplifiedLayerNormalization", [down, x, scale], outputs, domain="com.microsoft", **norms)
        x = outputs[-1]
    logits = graph.node("MatMul", [normed, graph.holds("head", w["head"])], ["logits"])
    if masked:
        graph.gives(logits, TensorProto.FLOAT, ["batch_size", "tokens", VOCABULARY])
    else:
        graph.node("ArgMax", [logits], ["token"], axis=-1, keepdims=0)
        graph.gives("token", TensorProto.INT64, [1, 1])
    return graph


def product() -> Graph:
    graph = Graph()
    for name in ["a", "b"]:
        graph.takes(name, TensorProto.FLOAT, ["size", "size"])
    graph.node("MatMul", ["a", "b"], ["c"])
    graph.gives("c", TensorProto.FLOAT, ["size", "size"])
    return graph


def main(data: str, folder: str) -> None:
    graphs = Path(folder)
    _, weights = given(data, "w5")
    house_transformer(weights, masked=False).write(graphs / "w5.onnx")
    house_transformer(weights, masked=True).write(graphs / "transformers/onnx/model.onnx")
    config = {
        "model_type": "lfm2",
        "architectures": ["Lfm2ForCausalLM"],
        "layer_types": ["conv", "full_attention"] * LAYERS,
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "num_hidden_layers": 2 * LAYERS,
        "vocab_size": VOCABULARY,
    }
    (graphs / "transformers/config.json").write_text(json.dumps(config, indent=2))
    product().write(graphs / "w6.onnx")


if __name__ == "__main__":
    main(*sys.argv[1:])
