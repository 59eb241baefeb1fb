"""Explain a classifier with several methods, and see which one is the most faithful.

Run it with any sequence classifier: `python examples/explain_a_classifier.py [model id or folder] [text]`.
"""

import sys

from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_interpreto import IntegratedGradients, KernelShap, Lime, Occlusion, Saliency
from hf_interpreto.attributions.metrics import Comprehensiveness, Deletion, Insertion
from hf_interpreto.demo import CLASSIFIER_EXAMPLE, demo_model_path

name = sys.argv[1] if len(sys.argv) > 1 else str(demo_model_path("classifier"))
text = sys.argv[2] if len(sys.argv) > 2 else CLASSIFIER_EXAMPLE.text
model = AutoModelForSequenceClassification.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)

for method in (Occlusion, Lime, KernelShap, IntegratedGradients, Saliency):
    (output,) = method(model, tokenizer)(text)
    print(output)
    # Another replacement than the one that the perturbation methods used is the fairer test.
    for metric in (Insertion, Deletion, Comprehensiveness):
        value, details = metric(model, tokenizer, replacement="unk").evaluate(output)
        better = "higher" if metric.higher_is_better else "lower"
        print(f"  {metric.__name__}: {value:.3f} ({better} is better; random order {details.random_value:.3f})")
    print()
