"""Explain every word that a language model writes, and keep the result.

Run it with any causal or encoder-decoder model: `python examples/explain_a_generation.py [model id or folder] [text]`.
"""

import sys
import tempfile
from pathlib import Path

from transformers import pipeline

import hf_interpreto  # noqa: F401 -- registers the tasks
from hf_interpreto import AttributionOutput
from hf_interpreto.demo import CAUSAL_EXAMPLE, demo_model_path

name = sys.argv[1] if len(sys.argv) > 1 else str(demo_model_path("causal"))
text = sys.argv[2] if len(sys.argv) > 2 else CAUSAL_EXAMPLE.text

explain = pipeline("explain-text-generation", model=name, method="occlusion", max_new_tokens=8)
output = explain(text)
for label in output.labels:
    print(f"{label!r} is owed to {output.top(2, target=label)}")

folder = Path(tempfile.mkdtemp())
output.save(folder / "output.json")
output.to_html(folder / "page.html")
output.to_png(folder / "picture.png")
print(AttributionOutput.load(folder / "output.json").to_pandas().head())
print(f"The page: {folder / 'page.html'}")
