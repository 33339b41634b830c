"""PyTorch on one thread of the processor: `pytorch.py <data>`.

Does, line by line, what standard input asks for: `load <work>`, and then `run <milliseconds>`. Answers are lines of JSON.
"""

import json
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from given import given

Weights = dict[str, Tensor]


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return torch.addmm(w[f"{name}.bias"], x, w[f"{name}.weight"])


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.scale"], w[f"{name}.shift"], 1e-5)


def mlp(w: Weights, x: Tensor, layers: int, between: Callable[[Tensor], Tensor]) -> Tensor:
    for layer in range(layers):
        x = linear(w, str(layer), x)
        if layer < layers - 1:
            x = between(x)
    return x


def transformer(w: Weights, tokens: Tensor) -> Tensor:
    batch, length = tokens.shape
    x = (F.embedding(tokens, w["embedding"]) + w["position"]).view(batch * length, -1)
    for layer in range(2):
        normed = norm(w, f"{layer}.norm1", x)
        parts = [linear(w, f"{layer}.{name}", normed) for name in ("query", "key", "value")]
        query, key, value = (part.view(batch, length, 4, -1).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + linear(w, f"{layer}.output", seen.transpose(1, 2).reshape(batch * length, -1))
        up = F.gelu(linear(w, f"{layer}.up", norm(w, f"{layer}.norm2", x)), approximate="tanh")
        x = x + linear(w, f"{layer}.down", up)
    return linear(w, "head", norm(w, "norm", x))


def induction(w: Weights, x: Tensor) -> Tensor:
    def head(name: str, queries: Tensor, seen: Tensor, causal: bool) -> Tensor:
        query, key, value = (
            (a @ w[f"{name}.{part}"]).unsqueeze(1)
            for a, part in ((queries, "query"), (seen, "key"), (seen, "value"))
        )
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal).squeeze(1)

    x = x + head("first", x, x, causal=True)
    last = x[:, -1:]
    return mlp(w, (last + head("second", last, x, causal=False)).squeeze(1), 4, F.relu)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "w1": lambda w, x, y: F.mse_loss(mlp(w, x, 3, torch.tanh), y),
    "w2": lambda w, x, y: F.cross_entropy(mlp(w, x, 3, F.relu), y),
    "w3": lambda w, tokens, following: F.cross_entropy(transformer(w, tokens), following),
    "w4": lambda w, x, y: F.cross_entropy(induction(w, x), y),
}


class Training:
    def __init__(self, work: str, rate: float, arrays: Weights) -> None:
        names = ("tokens", "next") if work == "w3" else ("x", "y")
        # Classes are counted in 64 bits.
        inputs = [arrays.pop(name) for name in names]
        self.inputs = [x if x.is_floating_point() else x.long() for x in inputs]
        self.weights = {name: array.requires_grad_() for name, array in arrays.items()}
        self.loss = LOSSES[work]
        self.optimizer = torch.optim.SGD(self.weights.values(), lr=rate, fused=True)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.last = self.loss(self.weights, *self.inputs)
        self.last.backward()
        self.optimizer.step()

    def figures(self) -> list[float]:
        return [self.last.item()]


class Writing:
    """The house transformer, greedily from token 0."""

    def __init__(self, w: Weights) -> None:
        self.w = w
        angles = torch.outer(torch.arange(121.0), 10000.0 ** (-torch.arange(0, 16, 2) / 16))
        self.cosines, self.sines = angles.cos(), angles.sin()
        for layer in range(2):
            parts = [(w[f"{layer}.{name}.weight"], w[f"{layer}.{name}.bias"]) for name in ("query", "key", "value")]
            w[f"{layer}.weight"] = torch.cat([weight for weight, _ in parts], 1)
            w[f"{layer}.bias"] = torch.cat([bias for _, bias in parts])

    def rotate(self, x: Tensor, at: int) -> Tensor:
        one, other = x.chunk(2, -1)
        cosines, sines = self.cosines[at], self.sines[at]
        return torch.cat([one * cosines - other * sines, other * cosines + one * sines], -1)

    @torch.inference_mode()
    def step(self) -> None:
        w, token, self.written = self.w, 0, []
        before = [torch.zeros(1, 64) for _ in range(2)]
        keys, values = ([torch.zeros(4, 120, 16) for _ in range(2)] for _ in range(2))
        for at in range(120):
            x = w["embedding"][token : token + 1]
            for layer in range(2):
                normed = F.rms_norm(x, (64,), w[f"{layer}.norm1"], 1e-6)
                smeared, before[layer] = normed + w[f"{layer}.smear"] * before[layer], normed
                packed = torch.addmm(w[f"{layer}.bias"], smeared, w[f"{layer}.weight"])
                query, key, value = packed.view(3, 4, 1, 16)
                keys[layer][:, at] = self.rotate(key, at)[:, 0]
                values[layer][:, at] = value[:, 0]
                seen = keys[layer][:, : at + 1], values[layer][:, : at + 1]
                found = F.scaled_dot_product_attention(self.rotate(query, at), *seen)
                x = x + found.view(1, 64) @ w[f"{layer}.output"]
                up = F.silu(F.rms_norm(x, (64,), w[f"{layer}.norm2"], 1e-6) @ w[f"{layer}.up"])
                x = x + up @ w[f"{layer}.down"]
            token = int((F.rms_norm(x, (64,), w["norm"], 1e-6) @ w["head"]).argmax())
            self.written.append(token)

    def figures(self) -> list[int]:
        return self.written


class Product:
    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.a, self.b = a, b

    def step(self) -> None:
        self.last = self.a @ self.b

    def figures(self) -> list[float]:
        return [self.last.double().mean().item()]


def start(folder: str, work: str) -> Training | Writing | Product:
    rate, arrays = given(folder, work)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if work in LOSSES:
        return Training(work, rate, tensors)
    return Writing(tensors) if work == "w5" else Product(**tensors)


def load(doing: Training | Writing | Product) -> dict:
    """The figures after the first step and after fifty more."""
    doing.step()
    figures = [*doing.figures()]
    for _ in range(50):
        doing.step()
    return {"figures": figures + [*doing.figures()]}


def run(doing: Training | Writing | Product, milliseconds: float) -> dict:
    begun, steps, gone = time.perf_counter(), 0, 0.0
    while gone < milliseconds:
        doing.step()
        steps += 1
        gone = (time.perf_counter() - begun) * 1000
    return {"steps": steps, "time": gone}


def main(folder: str) -> None:
    torch.set_num_threads(1)
    doing = None
    for line in sys.stdin:
        word, argument = line.split()
        if word == "load":
            doing = start(folder, argument)
            answer = load(doing)
        else:
            answer = run(doing, float(argument))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
