"""The `explain-...` pipelines, used as transformers pipelines are."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    pipeline,
)
from transformers.pipelines.pt_utils import KeyDataset

import hf_interpreto
from hf_interpreto import AttributionOutput, Lime, Occlusion
from hf_interpreto.demo import demo_model_path
from hf_interpreto.errors import InvalidInputError, TaskMismatchError, TokenizerError, UnknownNameError
from hf_interpreto.pipelines import ExplainTextClassificationPipeline
from hf_interpreto.testing import tiny_model

TEXT = "My brother was nervous at first, but now he feels overjoyed."
TEXTS = ["I was delighted by the news.", "She was scared of the dark.", TEXT]
PROMPT = "Maria is a doctor from Spain. It was a cold and rainy day. Every day she"


@pytest.fixture(scope="module")
def classify() -> Any:
    return pipeline("explain-text-classification", model=str(demo_model_path("classifier")), device="cpu")


@pytest.fixture(scope="module")
def write() -> Any:
    return pipeline("explain-text-generation", model=str(demo_model_path("causal")), device="cpu")


def same(left: AttributionOutput, right: AttributionOutput) -> None:
    assert left.elements == right.elements
    torch.testing.assert_close(left.attributions, right.attributions, equal_nan=True, rtol=1e-4, atol=1e-5)


# -- inputs --------------------------------------------------------------------------------------------------


def test_one_text_gives_one_output_and_a_list_a_list(classify: Any) -> None:
    single, several = classify(TEXT), classify(TEXTS)
    assert isinstance(single, AttributionOutput)
    assert [type(output) for output in several] == [AttributionOutput] * 3
    same(single, several[2])
    assert single.top(1)[0][0] == "overjoyed"


def test_a_list_of_one_is_still_a_list(classify: Any) -> None:
    assert len(classify([TEXT])) == 1


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: (text for text in TEXTS),
        lambda: datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 2]}),
        lambda: datasets.Dataset.from_dict({"text": TEXTS})["text"],
        lambda: KeyDataset(datasets.Dataset.from_dict({"review": TEXTS}), "review"),
        lambda: datasets.Dataset.from_dict({"text": TEXTS}).to_iterable_dataset(),
        lambda: datasets.IterableDataset.from_generator(lambda: ({"text": text} for text in TEXTS)),
    ],
    ids=["generator", "dataset", "column", "key dataset", "iterable dataset", "columns unknown"],
)
def test_generators_and_datasets_give_an_iterator_of_the_same_outputs(classify: Any, wrapped: Any) -> None:
    found = classify(wrapped(), method="occlusion")
    assert isinstance(found, Iterator)
    for streamed, listed in zip(found, classify(TEXTS, method="occlusion"), strict=True):
        same(streamed, listed)


def test_an_endless_generator_is_read_only_as_far_as_needed(classify: Any) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield TEXTS[read % 3]

    found = classify(endless(), method="saliency")
    assert read == 0
    next(found)
    assert 0 < read <= 64


def test_a_generator_leaves_gradients_switched_as_they_were_between_its_outputs(classify: Any) -> None:
    with torch.no_grad():
        for _ in classify((text for text in TEXTS), method="saliency"):
            assert not torch.is_grad_enabled()


def test_pairs_and_encodings_go_through(classify: Any) -> None:
    pair = classify(("I was delighted.", "She was scared."))
    assert {"delighted", "scared"} <= set(pair.elements)
    encoded = classify.tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    for found, plain in zip(classify(encoded), classify(TEXTS[:2]), strict=True):
        torch.testing.assert_close(found.attributions, plain.attributions, rtol=1e-4, atol=1e-5)


def test_a_chat_is_one_input_and_a_generator_of_chats_several(write: Any) -> None:
    tokenizer = copy.deepcopy(write.tokenizer)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
    explain = pipeline("explain-text-generation", model=write.model, tokenizer=tokenizer, device="cpu")
    chat = [{"role": "user", "content": "Maria is a doctor from Spain. Every day she"}]
    single = explain(chat, targets="speaks Spanish")
    assert isinstance(single, AttributionOutput)
    assert {"Maria", "doctor", "Spain"} <= set(single.elements)
    assert single.labels == ["speaks", "Spanish"]
    assert [output.labels for output in explain((c for c in [chat, chat]), targets="speaks")] == [["speaks"]] * 2
    assert [output.labels for output in explain([chat, chat], targets="speaks")] == [["speaks"]] * 2


def test_an_empty_list_and_a_number_are_told(classify: Any) -> None:
    with pytest.raises(InvalidInputError, match="empty list"):
        classify([])
    with pytest.raises(InvalidInputError, match="cannot explain a int"):
        classify(3)


# -- arguments -----------------------------------------------------------------------------------------------


def test_arguments_of_the_call_go_before_those_of_the_construction() -> None:
    made = pipeline(
        "explain-text-classification",
        model=str(demo_model_path("classifier")),
        device="cpu",
        method="lime",
        n_perturbations=40,
        granularity="token",
        targets="fear",
        batch_size=7,
    )
    first = made(TEXT)
    assert (first.method, first.settings["n_perturbations"], first.settings["batch_size"]) == ("Lime", 40, 7)
    assert (str(first.granularity), first.labels) == ("token", ["fear"])
    second = made(TEXT, n_perturbations=50, targets=["joy", "fear"], batch_size=3)
    assert (second.settings["n_perturbations"], second.labels, second.settings["batch_size"]) == (
        50,
        ["joy", "fear"],
        3,
    )
    other = made(TEXT, method="integrated_gradients")
    assert other.settings["n_perturbations"] == 40  # which both methods have
    assert made(TEXT, method="occlusion").labels == ["fear"]  # which has no n_perturbations


@pytest.mark.parametrize(
    "method", ["KernelShap", "kernel_shap", "kernel-shap", "kernelshap", hf_interpreto.KernelShap]
)
def test_a_method_has_any_spelling_or_is_a_class(classify: Any, method: Any) -> None:
    assert classify(TEXTS[0], method=method).method == "KernelShap"


def test_a_method_defined_in_user_code_works_by_name_and_takes_its_own_arguments(classify: Any) -> None:
    @dataclass(eq=False, kw_only=True)
    class TwiceOccluded(Occlusion):
        factor: float = 2.0

        def aggregate(self, scores: torch.Tensor, masks: torch.Tensor) -> Any:
            found = super().aggregate(scores, masks)
            found.attributions *= self.factor
            return found

    plain = classify(TEXT, method="occlusion")
    twice = classify(TEXT, method="twice_occluded", factor=3.0)
    torch.testing.assert_close(twice.attributions, 3 * plain.attributions)
    same(twice, classify(TEXT, method=TwiceOccluded, factor=3.0))


def test_unknown_arguments_are_told_with_the_nearest_and_the_accepted() -> None:
    message = r"unknown argument 'granularty'; did you mean 'granularity'\? Accepted: .*batch_size.*targets"
    with pytest.raises(TypeError, match=message):
        pipeline("explain-text-classification", model=str(demo_model_path("classifier")), granularty="token")


def test_unknown_arguments_of_a_call_are_told_for_its_method(classify: Any) -> None:
    with pytest.raises(TypeError, match="method Lime: unknown argument 'tolerance'"):
        classify(TEXT, method="lime", tolerance=0.1)
    with pytest.raises(TypeError, match="unknown argument 'max_new_tokens'"):
        classify(TEXT, max_new_tokens=3)
    with pytest.raises(TypeError, match="got 'joy' without a name"):
        classify(TEXT, "joy")


def test_unknown_methods_labels_and_granularities_are_told_with_the_nearest(classify: Any) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lime'"):
        classify(TEXT, method="lim")
    with pytest.raises(UnknownNameError, match="did you mean 'joy'"):
        classify(TEXT, targets="joyy")
    with pytest.raises(UnknownNameError, match="did you mean 'word'"):
        classify(TEXT, granularity="words")


def test_targets_go_with_their_inputs(classify: Any) -> None:
    found = classify(TEXTS, targets=["joy", ["fear", "anger"], 1], method="saliency")
    assert [output.labels for output in found] == [["joy"], ["fear", "anger"], ["joy"]]
    streamed = classify((text for text in TEXTS), targets=iter(["joy", "fear", "love"]), method="saliency")
    assert [output.labels for output in streamed] == [["joy"], ["fear"], ["love"]]


def test_inputs_share_batches_and_batches_change_nothing(classify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    forward = classify.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        sizes.append(len(kwargs["input_ids"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(classify.model, "forward", counted)
    together = classify(TEXTS, method="occlusion", targets="joy", batch_size=64)
    passes = len(sizes)
    alone = [classify(text, method="occlusion", targets="joy", batch_size=1) for text in TEXTS]
    for left, right in zip(together, alone, strict=True):
        same(left, right)
    assert max(sizes[:passes]) > len(TEXTS[2].split())  # more rows than one text has words
    assert set(sizes[passes:]) == {1}


# -- generation ----------------------------------------------------------------------------------------------


def test_a_generator_writes_as_it_is_told(write: Any) -> None:
    assert write(PROMPT, max_new_tokens=2).labels == write(PROMPT, generation_args={"max_new_tokens": 2}).labels
    config = GenerationConfig(max_new_tokens=2)
    assert write(PROMPT, generation_config=config).labels == write(PROMPT, max_new_tokens=2).labels
    assert len(write(PROMPT)) > len(write(PROMPT, max_new_tokens=2))
    with pytest.raises(TypeError, match="did you mean 'max_new_tokens'"):
        write(PROMPT, max_new_token=2)


def test_several_target_texts_give_a_list_for_their_input(write: Any) -> None:
    found = write([PROMPT, PROMPT], targets=[[" speaks Spanish", " speaks French"], " sings"])
    assert [type(entry) for entry in found] == [list, AttributionOutput]
    assert [output.labels[-1] for output in found[0]] == ["Spanish", "French"]
    assert found[1].labels == ["sings"]
    assert [output.labels[-1] for output in write(PROMPT, targets=["speaks Spanish", "sings"])] == ["Spanish", "sings"]


def test_an_encoder_decoder_is_told_by_its_config() -> None:
    explain = pipeline("explain-text-generation", model=str(demo_model_path("seq2seq")), device="cpu")
    assert type(explain.model).__name__ == "T5ForConditionalGeneration"
    output = explain("The black cat often sleeps in the garden.")
    assert output.labels[:3] == ["Le", "chat", "noir"]
    assert "black" in {element for element, _ in output.top(2, target="noir")}


# -- models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "name", "text"),
    [
        ("text-classification", "deberta-v2", "a great film"),
        ("text-generation", "gpt2", "a great film"),
        ("text-generation", "bart", "a great film"),
        ("token-classification", "bert", "a great film"),
        ("fill-mask", "roberta", "a <mask> film"),
    ],
)
def test_every_task_explains_a_model_in_hand(task: str, name: str, text: str) -> None:
    model, tokenizer = tiny_model(name, task=task)
    explain = pipeline(f"explain-{task}", model=model, tokenizer=tokenizer, device="cpu")
    assert explain.task == f"explain-{task}"
    output = explain(text.replace("<mask>", str(tokenizer.mask_token)))
    assert output.task.value == task
    assert bool(output.attributions.isfinite().any())


def test_a_model_with_another_head_is_refused_by_name_and_in_hand() -> None:
    path = str(demo_model_path("causal"))
    with pytest.raises(TaskMismatchError, match=r"LlamaForCausalLM does text-generation, .* text-classification"):
        pipeline("explain-text-classification", model=path)
    model, tokenizer = tiny_model("bert", task="text-classification")
    with pytest.raises(TaskMismatchError, match="'explain-text-classification' pipeline"):
        pipeline("explain-fill-mask", model=model, tokenizer=tokenizer)
    with pytest.raises(TokenizerError, match="pass tokenizer="):
        ExplainTextClassificationPipeline(model)


def test_dtype_device_map_and_model_kwargs_reach_the_model() -> None:
    path = str(demo_model_path("classifier"))
    half = pipeline("explain-text-classification", model=path, dtype=torch.bfloat16, device_map={"": "cpu"})
    assert half.model.dtype == torch.bfloat16
    assert half(TEXT, method="occlusion").top(1)[0][0] == "overjoyed"
    eager = pipeline("explain-text-classification", model=path, model_kwargs={"attn_implementation": "eager"})
    assert eager.model.config._attn_implementation == "eager"


def test_gradients_flow_though_the_caller_has_switched_them_off(classify: Any) -> None:
    with torch.no_grad():
        assert float(classify(TEXT, method="saliency").attributions.abs().max()) > 0
    assert all(parameter.grad is None for parameter in classify.model.parameters())


def test_saving_leaves_the_config_of_the_model_alone_and_loads_again(classify: Any, tmp_path: Path) -> None:
    classify.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert "custom_pipelines" not in config
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert not list(tmp_path.glob("*.py"))
    same(pipeline("explain-text-classification", model=str(tmp_path), device="cpu")(TEXT), classify(TEXT))


def test_other_pipelines_of_the_same_model_go_on(classify: Any) -> None:
    usual = pipeline("text-classification", model=classify.model, tokenizer=classify.tokenizer, device="cpu")
    before = usual(TEXT)
    classify(TEXT)
    assert usual(TEXT) == before


def test_a_checkpoint_without_a_head_is_loaded_as_transformers_does(tmp_path: Path) -> None:
    _, tokenizer = tiny_model("bert", task="text-classification")
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    model: PreTrainedModel = BertForSequenceClassification(config)
    model.bert.save_pretrained(tmp_path)
    tok: PreTrainedTokenizerBase = tokenizer
    tok.save_pretrained(tmp_path)
    loaded = pipeline("explain-text-classification", model=str(tmp_path), device="cpu")
    assert type(loaded.model) is type(AutoModelForSequenceClassification.from_pretrained(tmp_path))


def test_the_lime_of_a_pipeline_is_that_of_the_class(classify: Any) -> None:
    (direct,) = Lime(classify.model, classify.tokenizer, n_perturbations=64)(TEXT)
    same(classify(TEXT, method="lime", n_perturbations=64), direct)
