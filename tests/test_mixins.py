"""`model.explain` on models that stay what they were."""

import copy
import inspect
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
    LlamaForCausalLM,
    PreTrainedModel,
    Trainer,
    pipeline,
)

from hf_interpreto import (
    AttributionOutput,
    ExplainableMixin,
    ExplainableModelForCausalLM,
    ExplainableModelForMaskedLM,
    ExplainableModelForSeq2SeqLM,
    ExplainableModelForSequenceClassification,
    ExplainableModelForTokenClassification,
    KernelShap,
    make_explainable,
)
from hf_interpreto.demo import demo_model_path, load_demo
from hf_interpreto.errors import TaskMismatchError, TokenizerError, UnknownNameError
from hf_interpreto.testing import tiny_model

TEXT = "I was delighted by the news."
CLASSIFIER = demo_model_path("classifier")


@pytest.fixture
def model() -> Any:
    return ExplainableModelForSequenceClassification.from_pretrained(CLASSIFIER)


def test_a_model_explains_as_the_method_does(model: Any) -> None:
    plain, tokenizer = load_demo("classifier")
    (direct,) = KernelShap(plain, tokenizer)(TEXT, ["joy"])
    found = model.explain(TEXT, method="kernelshap", targets="joy")
    assert isinstance(found, AttributionOutput)
    torch.testing.assert_close(found.attributions, direct.attributions)
    assert [output.top(1)[0][0] for output in model.explain([TEXT, "She was scared."])] == ["delighted", "scared"]
    assert next(model.explain(text for text in [TEXT])).top(1)[0][0] == "delighted"


def test_hyper_parameters_and_generation_arguments_are_told_apart() -> None:
    model = ExplainableModelForCausalLM.from_pretrained(demo_model_path("causal"))
    prompt = "Maria is a doctor from Spain. Every day she"
    output = model.explain(prompt, method="occlusion", granularity="token", max_new_tokens=2, window=2)
    assert (str(output.granularity), output.settings["window"]) == ("token", 2)
    assert output.text[output.source_length :].startswith(" speaks S")
    assert len(output) == 2
    with pytest.raises(TypeError, match="unknown argument 'windw'; did you mean 'window'"):
        model.explain(prompt, method="occlusion", windw=2)
    with pytest.raises(UnknownNameError, match="did you mean 'occlusion'"):
        model.explain(prompt, method="oclusion")


def test_the_model_is_of_its_own_class_by_its_own_name(model: Any) -> None:
    assert isinstance(model, BertForSequenceClassification)
    assert isinstance(model, PreTrainedModel)
    assert isinstance(model, ExplainableMixin)
    assert type(model).__name__ == "BertForSequenceClassification"
    assert inspect.signature(model.forward) == inspect.signature(BertForSequenceClassification.forward.__get__(model))
    other = ExplainableModelForSequenceClassification.from_pretrained(CLASSIFIER)
    assert type(other) is type(model)


def test_making_a_model_explainable_touches_none_of_its_state() -> None:
    model, tokenizer = load_demo("classifier")
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    keys = set(model.__dict__)
    made = make_explainable(model, tokenizer)
    assert made is model
    assert model.training
    assert set(model.__dict__) - keys == {"_hf_interpreto_tokenizer"}
    made.explain(TEXT)
    made.explain(TEXT, method="saliency")
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert set(model.__dict__) - keys == {"_hf_interpreto_tokenizer"}


def test_making_it_twice_only_changes_the_tokenizer(model: Any) -> None:
    kind, (_, tokenizer) = type(model), load_demo("classifier")
    assert type(make_explainable(model, tokenizer)) is kind
    assert model.__dict__["_hf_interpreto_tokenizer"] is tokenizer


def test_saving_writes_what_the_plain_model_writes(model: Any, tmp_path: Path) -> None:
    plain = AutoModelForSequenceClassification.from_pretrained(CLASSIFIER)
    plain.save_pretrained(tmp_path / "plain")
    model.save_pretrained(tmp_path / "explainable")
    names = {path.name for path in (tmp_path / "plain").iterdir()}
    assert {path.name for path in (tmp_path / "explainable").iterdir()} == names
    for name in names:
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "explainable" / name).read_bytes(), name
    config = json.loads((tmp_path / "explainable" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "explainable")
    assert type(loaded) is BertForSequenceClassification
    again = type(model).from_pretrained(tmp_path / "explainable")
    assert type(again) is type(model)


def test_pickling_goes_by_the_own_class_and_comes_back_explainable(model: Any) -> None:
    data = pickle.dumps(model)
    assert b"Explainable" not in data
    loaded = pickle.loads(data)
    assert type(loaded) is type(model)
    torch.testing.assert_close(loaded.explain(TEXT).attributions, model.explain(TEXT).attributions)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert type(torch.load(file, weights_only=False)) is type(model)


def test_a_deep_copy_is_explainable_and_shares_nothing(model: Any) -> None:
    copied = copy.deepcopy(model)
    assert type(copied) is type(model)
    with torch.no_grad():
        copied.classifier.weight.zero_()
    assert bool(model.classifier.weight.any())
    assert float(model.explain(TEXT).attributions.abs().max()) > float(copied.explain(TEXT).attributions.abs().max())


def test_transformers_takes_it_for_the_plain_model(model: Any, caplog: pytest.LogCaptureFixture) -> None:
    plain, tokenizer = load_demo("classifier")
    usual = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    assert usual(TEXT) == pipeline("text-classification", model=plain, tokenizer=tokenizer, device="cpu")(TEXT)
    explain = pipeline("explain-text-classification", model=model, tokenizer=tokenizer, device="cpu")
    assert explain(TEXT).top(1)[0][0] == "delighted"
    assert "not supported" not in caplog.text
    assert Trainer(model=model).model is model


def test_a_generator_generates_as_before() -> None:
    plain, tokenizer = load_demo("causal")
    inputs = tokenizer("Maria is a doctor from Spain. Every day she", return_tensors="pt")
    inputs.pop("token_type_ids", None)
    before = plain.generate(**inputs, max_new_tokens=4, do_sample=False)
    made = make_explainable(plain, tokenizer)
    assert isinstance(made, LlamaForCausalLM)
    assert made.can_generate()
    assert torch.equal(made.generate(**inputs, max_new_tokens=4, do_sample=False), before)
    assert made.to(torch.float64).explain("Every day she", max_new_tokens=1).n_forward > 0


@pytest.mark.parametrize(
    ("loader", "name", "task", "text"),
    [
        (ExplainableModelForSequenceClassification, "distilbert", "text-classification", "a great film"),
        (ExplainableModelForCausalLM, "llama", "text-generation", "a great film"),
        (ExplainableModelForSeq2SeqLM, "bart", "text-generation", "a great film"),
        (ExplainableModelForTokenClassification, "bert", "token-classification", "a great film"),
        (ExplainableModelForMaskedLM, "bert", "fill-mask", "a [MASK] film"),
    ],
)
def test_each_loader_loads_and_saves_its_head(loader: Any, name: str, task: str, text: str, tmp_path: Path) -> None:
    plain, tokenizer = tiny_model(name, task=task)
    plain.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = loader.from_pretrained(tmp_path)
    assert isinstance(model, type(plain))
    assert model.explain(text, targets="film" if task == "text-generation" else None).task.value == task
    model.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["architectures"] == [type(plain).__name__]


def test_loading_takes_what_transformers_takes() -> None:
    model, info = ExplainableModelForSequenceClassification.from_pretrained(
        CLASSIFIER, dtype=torch.bfloat16, output_loading_info=True, tokenizer=str(CLASSIFIER)
    )
    assert model.dtype == torch.bfloat16
    assert not info["missing_keys"]


def test_a_wrong_head_names_the_loader_that_fits() -> None:
    with pytest.raises(TaskMismatchError, match=r"LlamaForCausalLM; use ExplainableModelForCausalLM\.from_pretrained"):
        ExplainableModelForSequenceClassification.from_pretrained(demo_model_path("causal"))
    with pytest.raises(TaskMismatchError, match="use ExplainableModelForSeq2SeqLM"):
        ExplainableModelForCausalLM.from_pretrained(demo_model_path("seq2seq"))
    with pytest.raises(TaskMismatchError, match="use ExplainableModelForSequenceClassification"):
        ExplainableModelForSeq2SeqLM.from_pretrained(CLASSIFIER)


def test_what_cannot_explain_is_refused() -> None:
    model, _ = load_demo("classifier")
    with pytest.raises(TypeError, match="expected a transformers model, got Linear"):
        make_explainable(torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(TaskMismatchError, match="BertModel has no head"):
        make_explainable(model.bert)
    with pytest.raises(TypeError, match=r"call ExplainableModelForCausalLM\.from_pretrained"):
        ExplainableModelForCausalLM()


def test_a_missing_tokenizer_is_found_beside_the_model_or_told(tmp_path: Path) -> None:
    model, _ = load_demo("classifier")
    assert make_explainable(model).explain(TEXT).top(1)[0][0] == "delighted"
    model.save_pretrained(tmp_path)
    with pytest.raises(TokenizerError, match="none could be loaded from"):
        ExplainableModelForSequenceClassification.from_pretrained(tmp_path)
    scratch, _ = tiny_model("bert", task="text-classification")
    with pytest.raises(TokenizerError, match="make_explainable\\(model, tokenizer\\)"):
        make_explainable(scratch).explain(TEXT)


def test_the_mixin_serves_a_class_of_ones_own(tmp_path: Path) -> None:
    class Judge(ExplainableMixin, BertForSequenceClassification):
        pass

    judge = Judge.from_pretrained(CLASSIFIER)
    assert judge.explain(TEXT).top(1)[0][0] == "delighted"
    judge.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["Judge"]
