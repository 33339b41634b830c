"""Saves what a model remembers of a text: python save_cache.py MODEL TEXT OUT [GGUF_FILE]"""
import re, sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

model, text, out, *gguf = sys.argv[1:]
options = {"gguf_file": gguf[0]} if gguf else {}
tokens = AutoTokenizer.from_pretrained(model, **options)(open(text).read(), return_tensors="pt").input_ids[:, :600]
model = AutoModelForCausalLM.from_pretrained(model, **options, dtype=torch.float32).eval()
config, found = model.config, {"q": {}, "k": {}, "v": {}}
d_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
for path, module in model.named_modules():
    if at := re.search(r"(.*)\.([qkv])_(proj|norm)$", path):  # a norm replaces what its projection gave
        module.register_forward_hook(lambda _, __, rows, at=at: found[at[2]].update({at[1]: rows.reshape(-1, d_head)}))
with torch.no_grad():
    model(tokens)
shaped = lambda rows: rows.reshape(tokens.shape[1], -1, d_head).transpose(0, 1).half()
rope = getattr(config, "rope_parameters", None) or {"rope_theta": config.rope_theta, **(config.rope_scaling or {})}
assert rope.get("rope_type", "default") == "default", f"scaled positions cannot be said in this format: {rope}"
about = {"rope": "before", "rope_base": str(rope["rope_theta"]), "rope_layout": "half-split"}
save_file({name: torch.stack([*map(shaped, layers.values())]) for name, layers in found.items()}, out, about)
