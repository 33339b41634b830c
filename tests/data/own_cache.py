"""Writes the small caches beside it, with numpy and safetensors: python own_cache.py

Two layers, two heads of keys, four of queries, 24 tokens, 8 numbers a head. What a reader must make of them is computed
here too, in double precision, from the same rounded numbers.
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

LAYERS, QUERY_HEADS, KEY_HEADS, TOKENS, D_HEAD, BASE = 2, 4, 2, 24, 8, 500.0
HELD_OUT, KEPT = 8, 4
here = pathlib.Path(__file__).parent
random = np.random.default_rng(3)


def normal(heads, deviation, dtype):
    return random.normal(0.2, deviation, (LAYERS, heads, TOKENS, D_HEAD)).astype(dtype)


def turn(rows, positions):
    """Half-split pairs by their positions."""
    half = D_HEAD // 2
    angles = positions[:, None] * BASE ** (-np.arange(half) / half)
    low, high = rows[..., :half], rows[..., half:]
    return np.concatenate(
        [low * np.cos(angles) - high * np.sin(angles), high * np.cos(angles) + low * np.sin(angles)], -1
    )


def softmax(scores):
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def interleave(rows):
    """The same channels, the halves of each pair side by side."""
    half = D_HEAD // 2
    return np.ascontiguousarray(np.stack([rows[..., :half], rows[..., half:]], -1).reshape(rows.shape))


q, k, v = normal(QUERY_HEADS, 1.5, np.float16), normal(KEY_HEADS, 1.0, np.float16), normal(KEY_HEADS, 1.0, np.float32)
positions = np.arange(TOKENS)
turned_q, turned_k, values = (turn(q.astype(np.float64), positions), turn(k.astype(np.float64), positions), v.astype(np.float64))
shared = np.repeat(turned_k, QUERY_HEADS // KEY_HEADS, 1)
shared_values = np.repeat(values, QUERY_HEADS // KEY_HEADS, 1)
scores = turned_q @ shared.swapaxes(-1, -2) / np.sqrt(D_HEAD)
ahead = positions[None, :] > positions[:, None]
attention = softmax(np.where(ahead, -np.inf, scores))

# StreamingLLM with four sinks keeps the first four tokens alone when four are kept.
context = TOKENS - HELD_OUT
lost = (positions >= KEPT) & (positions < context)
whole = (attention @ shared_values)[:, :, context:]
kept = (softmax(np.where(ahead | lost, -np.inf, scores)) @ shared_values)[:, :, context:]
errors = np.linalg.norm((kept - whole).reshape(LAYERS, QUERY_HEADS, -1), axis=-1)
errors /= np.linalg.norm(whole.reshape(LAYERS, QUERY_HEADS, -1), axis=-1)

about = {"rope": "before", "rope_base": str(BASE), "rope_layout": "half-split"}
save_file({"q": q, "k": k, "v": v}, here / "own-cache.safetensors", about)
about["rope_layout"] = "interleaved"
save_file({"q": interleave(q), "k": interleave(k), "v": v}, here / "own-cache-interleaved.safetensors", about)
save_file({"attn": attention.astype(np.float16), "k": turned_k.astype(np.float32), "v": v}, here / "own-cache-after.safetensors")
expected = {
    "keys": turned_k.ravel().tolist(),
    "sink": attention[:, :, context:, 0].mean(-1).ravel().tolist(),
    "streaming": errors.ravel().tolist(),
}
rounded = {name: [round(number, 7) for number in numbers] for name, numbers in expected.items()}
(here / "own-cache.json").write_text(json.dumps({"held_out": HELD_OUT, "kept": KEPT, **rounded}) + "\n")
