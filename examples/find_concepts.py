"""Learn what a classifier's last layer is about, and which concept speaks for which class."""

import torch

from hf_interpreto import ModelWithSplitPoints
from hf_interpreto.concepts import SemiNMFConcepts, TopKInputs
from hf_interpreto.concepts.metrics import FID, MSE, Sparsity
from hf_interpreto.demo import load_demo
from hf_interpreto.demo.emotions import emotion_texts

model, tokenizer = load_demo("classifier")
texts = [sample.text for sample in emotion_texts(300, split="test")]

split = ModelWithSplitPoints(model, tokenizer=tokenizer, split_points=[-1])
granularity = split.activation_granularities.CLS_TOKEN
activations = split.get_activations(texts, activation_granularity=granularity, include_predicted_classes=True)

concepts = SemiNMFConcepts(split, nb_concepts=8)
concepts.fit(activations)
words = TopKInputs(
    concept_explainer=concepts,
    k=4,
    activation_granularity=granularity,
    use_unique_words=True,
    unique_words_kwargs={"count_min_threshold": 3},
).interpret(inputs=texts, concepts_indices="all")

gradients = concepts.concept_output_gradient(texts, activation_granularity=granularity)
importance = torch.stack(gradients).abs().squeeze(2).mean(0)  # (classes, concepts)
for index, name in model.config.id2label.items():
    best = int(importance[index].argmax())
    print(f"{name}: concept {best}, seen in {', '.join(words[best])}")
for metric in (MSE, FID, Sparsity):
    print(f"{metric.__name__}: {metric(concepts).compute(activations):.3f}")
