"""What every peer starts from, as `native write` left it."""

import json
from pathlib import Path

import numpy as np


def given(folder: str, work: str) -> tuple[float, dict[str, np.ndarray]]:
    """The rate, and the arrays of a work by name."""
    path = Path(folder) / work
    manifest = json.loads(path.with_suffix(".json").read_text())
    words = np.fromfile(path.with_suffix(".bin"), dtype="<u4")
    arrays = {}
    for name, array in manifest["arrays"].items():
        shape, start = array["shape"], array["start"]
        numbers = words[start : start + int(np.prod(shape))].view(f"<{array['type'][0]}4")
        arrays[name] = numbers.reshape(shape).copy()
    return manifest["rate"], arrays
