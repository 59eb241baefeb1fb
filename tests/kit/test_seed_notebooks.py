"""The seed notebooks' code, with the import renamed and models, data, layers and devices swapped for those at hand."""

import os

import datasets
import pytest
import torch
import transformers

import hf_interpreto as interpreto
from hf_interpreto import KernelShap, Lime, plot_attributions, plot_concepts
from hf_interpreto.attributions.metrics import Deletion, Insertion
from hf_interpreto.concepts import LLMLabels, SemiNMFConcepts
from hf_interpreto.concepts.interpretations import TopKInputs
from hf_interpreto.concepts.metrics import FID, MSE, Sparsity, SparsityRatio
from hf_interpreto.model_wrapping.llm_interface import OpenAILLM
from tests.kit.conftest import KIT
from tests.model_wrapping.llm_server import LLMServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not KIT.is_dir(), reason=f"no kit at {KIT}")]


@pytest.fixture
def texts():
    return datasets.load_dataset("parquet", data_files=str(KIT / "data/emotion_train.parquet"))["train"]["text"][:300]


@pytest.fixture
def base_url():
    with LLMServer() as server:
        yield server.url


def test_the_classification_notebook_runs(texts, base_url):
    dataset = texts
    classes_names = ["sadness", "joy", "love", "anger", "fear", "surprise"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(KIT / "models/emotion-minilm", use_fast=True)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(KIT / "models/emotion-minilm")

    # 1. Attribution
    attribution_explainer = Lime(model, tokenizer)
    attributions = attribution_explainer(
        model_inputs="Love and hate are two sides of the same coin.",
        targets=torch.tensor([[0, 1, 2, 3, 4, 5]]),
    )
    plot_attributions(attributions[0], classes_names=classes_names)
    assert attributions[0].attributions.shape == (6, 11)
    metric = Insertion(model, tokenizer)
    auc, detailed_scores = metric.evaluate(attributions)
    assert 0 <= round(auc, 3) <= 1
    assert len(detailed_scores[0]) == 6

    # 2.1 Split
    split_model = interpreto.ModelWithSplitPoints(model, tokenizer=tokenizer, split_points=[5])
    granularity = split_model.activation_granularities.CLS_TOKEN
    activations = split_model.get_activations(
        inputs=dataset,
        activation_granularity=granularity,
        include_predicted_classes=True,
    )

    # 2.2 Concepts
    concept_explainer = SemiNMFConcepts(split_model, nb_concepts=20)
    concept_explainer.fit(activations)

    # 2.3 Interpretation
    interpretation_method = TopKInputs(
        concept_explainer=concept_explainer,
        k=5,
        activation_granularity=granularity,
        use_unique_words=True,
        unique_words_kwargs={"count_min_threshold": 20, "lemmatize": True},
    )
    topk_words = interpretation_method.interpret(
        inputs=dataset,
        concepts_indices="all",
    )

    # 2.4 Importance
    gradients = concept_explainer.concept_output_gradient(
        inputs=dataset,
        activation_granularity=granularity,
        batch_size=32,
    )
    mean_gradients = torch.stack(gradients).abs().squeeze().mean(0)  # (num_classes, num_concepts)
    assert mean_gradients.shape == (6, 20)
    order = torch.argsort(mean_gradients, descending=True)

    # 2.5 Visualisation
    for target in range(order.shape[0]):
        for i in range(5):
            concept_id = order[target, i].item()
            assert round(mean_gradients[target, concept_id].item(), 3) > 0
            assert isinstance(list(topk_words.get(concept_id, None).keys()), list)
    plot_concepts(
        classes_names=classes_names,
        concepts_importances=mean_gradients,
        concepts_labels={k: list(v.keys()) for k, v in topk_words.items()},
    )

    # 2.6 Evaluation
    fid = FID(concept_explainer).compute(activations)
    ratio = SparsityRatio(concept_explainer).compute(activations)
    assert round(fid, 3) >= 0
    assert 0 < round(ratio, 3) <= 1

    # 2.7 Class-wise concepts and labels
    llm_interface = OpenAILLM(api_key=os.getenv("OPENAI_API_KEY", "key"), model="gpt-4.1-nano", base_url=base_url)
    concepts_interpretations = {}
    concepts_importances = {}
    for target in [0, 1]:
        indices = (activations["predictions"] == target).nonzero(as_tuple=True)[0]
        class_wise_inputs = [dataset[i] for i in indices]
        class_wise_activations = {k: v[indices] for k, v in activations.items()}
        concept_explainer = SemiNMFConcepts(split_model, nb_concepts=20, device="cpu")
        concept_explainer.fit(class_wise_activations)
        gradients = concept_explainer.concept_output_gradient(
            inputs=class_wise_inputs,
            targets=[target],
            activation_granularity=granularity,
            concepts_x_gradients=True,
            batch_size=32,
        )
        concepts_importances[target] = torch.stack(gradients, axis=0).squeeze().abs().mean(dim=0)
        assert concepts_importances[target].shape == (20,)
        important_concept_indices = torch.argsort(concepts_importances[target], descending=True).tolist()
        llm_labels_method = LLMLabels(
            concept_explainer=concept_explainer,
            activation_granularity=granularity,
            llm_interface=llm_interface,
            k_examples=20,
        )
        concepts_interpretations[target] = llm_labels_method.interpret(
            inputs=class_wise_inputs,
            concepts_indices=important_concept_indices,
        )
        assert all(concepts_interpretations[target].get(i, None) for i in important_concept_indices[:5])
    plot_concepts(
        classes_names=classes_names,
        concepts_importances=concepts_importances,
        concepts_labels=concepts_interpretations,
    )


def test_the_generation_notebook_runs(texts, base_url):
    dataset = texts[:100]
    tokenizer = transformers.AutoTokenizer.from_pretrained(KIT / "models/stories-gpt2")
    model = transformers.AutoModelForCausalLM.from_pretrained(KIT / "models/stories-gpt2")

    # 1. Attribution
    attribution_explainer = KernelShap(model, tokenizer)
    attributions = attribution_explainer(
        model_inputs="Alice and Bob enter the bar, ",
        targets="then Alice offers a drink to Bob.",
    )
    plot_attributions(attributions[0])
    metric = Deletion(model, tokenizer)
    auc, detailed_scores = metric.evaluate(attributions)
    assert 0 <= round(auc, 3) <= 1
    assert len(detailed_scores[0]) == len(attributions[0])

    # 2. Concepts
    split_model = interpreto.ModelWithSplitPoints(model, tokenizer=tokenizer, split_points=[2])
    granularity = split_model.activation_granularities.TOKEN
    activations = split_model.get_activations(
        inputs=dataset,
        activation_granularity=granularity,
    )
    concept_explainer = SemiNMFConcepts(split_model, nb_concepts=20)
    concept_explainer.fit(activations)
    llm_interface = OpenAILLM(api_key=os.getenv("OPENAI_API_KEY", "key"), model="gpt-4.1-nano", base_url=base_url)
    interpretation_method = LLMLabels(
        concept_explainer=concept_explainer,
        activation_granularity=granularity,
        llm_interface=llm_interface,
        k_examples=20,
    )
    llm_labels = interpretation_method.interpret(
        inputs=dataset,
        latent_activations=activations,
        concepts_indices="all",
    )
    assert len("\n".join(llm_labels.values()).splitlines()) == 20
    mse = MSE(concept_explainer).compute(activations)
    sparsity = Sparsity(concept_explainer).compute(activations)
    assert round(mse, 3) >= 0
    assert 0 < round(sparsity, 3) <= 20
