import json

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, BertForQuestionAnswering, BertForSequenceClassification

from hf_interpreto.errors import InvalidInputError, TaskMismatchError, TokenizerError
from hf_interpreto.granularity import Granularity
from hf_interpreto.model_wrapping.inputs import as_inputs
from hf_interpreto.model_wrapping.loading import load_model, load_tokenizer, make_task
from hf_interpreto.model_wrapping.tasks import TaskOptions, detect_task, unwrap
from hf_interpreto.testing import TINY_MODELS, linear_text_classifier, slow_tokenizer, tiny_model, tiny_tokenizer
from hf_interpreto.typing import ModelTask
from tests.model_wrapping.oracles import TEXT, build, example_of

CASES = [(name, task) for name, tasks in TINY_MODELS.items() for task in tasks]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_task_is_told_from_the_model(name, task):
    model, tokenizer = tiny_model(name, task=task)
    assert detect_task(model) is ModelTask(task)
    made = make_task(model, tokenizer, TaskOptions())
    assert made.kind is ModelTask(task)
    assert made.default_score == ("logit" if "classification" in task else "logprob")


def test_classes_of_ones_own_are_known_by_their_ancestor_or_their_name(words):
    class Mine(BertForSequenceClassification):
        pass

    model, _ = tiny_model("bert", task="text-classification")
    assert detect_task(Mine(model.config)) is ModelTask.TEXT_CLASSIFICATION
    assert detect_task(linear_text_classifier(words)) is ModelTask.TEXT_CLASSIFICATION


class _Peft(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.base = model

    def get_base_model(self):
        return self.base


def _compiled(model):
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, _Peft, _compiled, lambda m: _Peft(nn.DataParallel(_compiled(m)))])
def test_what_is_put_around_a_model_is_looked_through(wrap):
    model, tokenizer = tiny_model("bert", task="text-classification")
    wrapped = wrap(model)
    assert unwrap(wrapped) is model
    assert make_task(wrapped, tokenizer, TaskOptions()).model is model


@pytest.mark.parametrize("make", [AutoModel.from_config, BertForQuestionAnswering])
def test_a_model_without_a_head_that_can_be_explained_is_refused(make):
    config = tiny_model("bert")[0].config
    with pytest.raises(TaskMismatchError, match=r"model: Bert\w+ has no head that can be explained\. Load it with"):
        detect_task(make(config))


def test_a_model_of_another_task_is_told_its_own():
    model, tokenizer = tiny_model("gpt2", task="text-generation")
    message = r"GPT2LMHeadModel does text-generation, and this call explains text-classification\. Use"
    with pytest.raises(TaskMismatchError, match=message):
        make_task(model, tokenizer, TaskOptions(), ModelTask.TEXT_CLASSIFICATION)
    assert make_task(model, tokenizer, TaskOptions(), ModelTask.TEXT_GENERATION).kind is ModelTask.TEXT_GENERATION


@pytest.mark.parametrize(
    ("name", "length"), [("bert", 64), ("roberta", 64), ("gpt2", 64), ("llama", 64), ("bart", 64), ("t5", None)]
)
def test_the_limit_is_the_models_own_or_the_tokenizers_if_that_is_shorter(name, length):
    model, tokenizer = tiny_model(name)
    assert make_task(model, tokenizer, TaskOptions()).max_length == length
    tokenizer.model_max_length = 10**30
    positions = {"bert": 64, "roberta": 64, "gpt2": 128, "llama": 128, "bart": 128, "t5": None}[name]
    assert make_task(model, tokenizer, TaskOptions()).max_length == positions
    tokenizer.model_max_length = 10
    assert make_task(model, tokenizer, TaskOptions()).max_length == (None if name == "t5" else 10)


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "modernbert", "gpt2"])
def test_a_text_of_just_the_limit_goes_through_the_model(name):
    model, tokenizer = tiny_model(name, task="text-classification")
    tokenizer.model_max_length = 10**30
    task, engine = build(model, tokenizer)
    ids = torch.randint(20, 200, (task.max_length,), generator=torch.Generator().manual_seed(0))
    example = example_of(task, engine, {"input_ids": ids})
    assert engine.logits([example])[0].isfinite().all()


@pytest.mark.parametrize("granularity", ["word", "sentence", "part_sentence"])
def test_units_of_text_need_a_fast_tokenizer(bert, granularity):
    task, engine = build(bert[0], slow_tokenizer(), granularity=granularity)
    with pytest.raises(TokenizerError, match=rf"granularity='{granularity}' needs to know which characters.*slow"):
        example_of(task, engine, "The Film was Good")


@pytest.mark.parametrize("granularity", ["token", "all_tokens"])
def test_tokens_of_a_slow_tokenizer_can_be_explained(bert, granularity):
    tokenizer = slow_tokenizer()
    task, engine = build(bert[0], tokenizer, granularity=granularity)
    example = example_of(task, engine, "The Film was Good")
    tokens = tokenizer.convert_ids_to_tokens(example.ids.tolist())
    assert [element.text for element in example.elements] == (tokens if granularity == "all_tokens" else tokens[1:-1])


@pytest.mark.parametrize("granularity", list(Granularity))
def test_an_example_survives_json(bert, granularity):
    task, engine = build(*bert, granularity=granularity)
    example = example_of(task, engine, ("I was sad. It rained.", "But then, joy!"), [0, 2])
    again = type(example).from_dict(json.loads(json.dumps(example.to_dict())))
    assert again.to_dict() == example.to_dict()
    assert again.elements == example.elements
    assert again.rows == example.rows
    assert torch.equal(again.ids, example.ids)
    assert torch.equal(again.attributable, example.attributable)


# -- loading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "task"), [("bert", "fill-mask"), ("gpt2", "text-generation"), ("t5", "text-generation")]
)
def test_a_folder_is_loaded_with_the_head_that_its_config_names(tmp_path, name, task):
    model, tokenizer = tiny_model(name, task=task)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path))
    assert type(loaded) is type(model)
    assert load_tokenizer(str(tmp_path))(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"]
    assert load_model(str(tmp_path), task=task, dtype=torch.bfloat16).dtype is torch.bfloat16


def test_a_folder_without_a_head_is_refused(tmp_path):
    AutoModel.from_config(tiny_model("bert")[0].config).save_pretrained(tmp_path)
    with pytest.raises(TaskMismatchError, match=r"names 'BertModel', which has no head that can be explained\. Say"):
        load_model(str(tmp_path))


def test_a_config_without_an_architecture_is_refused(tmp_path):
    AutoConfig.for_model("bert").save_pretrained(tmp_path)
    with pytest.raises(TaskMismatchError, match="names 'no architecture'"):
        load_model(str(tmp_path))


# -- what users hand in ------------------------------------------------------------------------------


def test_single_inputs_are_told_from_many():
    chat = [{"role": "user", "content": "Hi"}]
    for single in ("text", ("a", "b"), chat, {"text": "a"}):
        items, alone = as_inputs(single)
        assert alone
        assert list(items) == [single]
    for many in (["a", "b"], [("a", "b")], [chat, chat], ("a", "b", "c")):
        items, alone = as_inputs(many)
        assert not alone
        assert list(items) == list(many)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("return_tensors", [None, "pt"])
def test_a_padded_batch_of_many_gives_each_row_alone(bert, side, return_tensors):
    model, tokenizer = bert[0], tiny_tokenizer("bert")
    tokenizer.padding_side = side
    texts = ["a good film", "it was", "the book was very slow"]
    task, engine = build(model, tokenizer)
    rows, _ = as_inputs(tokenizer(texts, padding=True, return_tensors=return_tensors))
    examples = task.examples(list(rows), [0] * 3, engine)
    for example, text in zip(examples, texts, strict=True):
        assert torch.equal(example.ids, example_of(task, engine, text, 0).ids)
        assert [e.text for e in example.elements] == text.split()


def test_a_batch_that_is_not_padded_and_a_list_of_encodings_are_taken_row_by_row():
    tokenizer = tiny_tokenizer("bert")
    ragged, _ = as_inputs(tokenizer(["a film", "it was the film"]))
    assert [len(row["input_ids"]) for row in ragged] == [4, 6]
    listed, _ = as_inputs([tokenizer(["a film", "it"]), "text", tokenizer("one row")])
    assert len(list(listed)) == 4
    single, _ = as_inputs(tokenizer("a film"))
    assert len(list(single)) == 1


def test_generators_are_not_read_before_they_are_needed():
    def texts():
        pytest.fail("read too early")
        yield "a"

    items, alone = as_inputs(texts())
    assert not alone
    assert iter(items)


def test_a_dataset_gives_its_column_of_texts():
    datasets = pytest.importorskip("datasets")
    items, _ = as_inputs(datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}))
    assert list(items) == ["a", "b"]
    with pytest.raises(InvalidInputError, match=r"no column 'text'; it has \['review'\]\. Pass one of them"):
        as_inputs(datasets.Dataset.from_dict({"review": ["a"]}))


@pytest.mark.parametrize("value", [3, None, 1.5, object()])
def test_what_is_no_input_is_refused(value):
    with pytest.raises(InvalidInputError, match=rf"cannot explain a {type(value).__name__}\. Accepted: a string"):
        as_inputs(value)
