import copy
import threading
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

from hf_interpreto.errors import SplitPointError, TaskMismatchError, TokenizerError
from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints
from hf_interpreto.testing import TINY_MODELS, tiny_model
from tests.model_wrapping.oracles import same_state, state_of

TEXT = "The film was a great surprise, and I would see it again tomorrow."
TEXTS = [TEXT, "It was slow. Don't go.", "Good"]
ENCODER_DECODERS = ("t5", "bart", "marian")
CASES = [(name, task) for name, tasks in TINY_MODELS.items() for task in tasks]


def hidden_states(model, tokenizer, **inputs):
    inputs = inputs or dict(tokenizer(TEXT, return_tensors="pt"))
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True)


@contextmanager
def calls_of(model):
    """How often each module runs."""
    counts = Counter()

    def count(name):
        return lambda *_: counts.update([name])

    handles = [module.register_forward_hook(count(name)) for name, module in model.named_modules()]
    yield counts
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(("name", "task"), [case for case in CASES if case[0] not in ENCODER_DECODERS])
def test_layer_numbers_are_the_hidden_states_of_transformers_bit_for_bit(name, task):
    model, tokenizer = tiny_model(name, task=task)
    expected = hidden_states(model, tokenizer).hidden_states
    split_model = ModelWithSplitPoints(model, [0, 1], tokenizer=tokenizer)
    found = split_model.get_activations(TEXT, "all_tokens")
    first, second = split_model.split_points
    assert torch.equal(found[first], expected[1][0])
    # The last hidden state of many decoders is taken behind the final norm; what goes in there is the last layer's.
    if name in ("bert", "distilbert", "roberta", "albert", "electra", "deberta-v2"):
        assert torch.equal(found[second], expected[2][0])


@pytest.mark.parametrize(("name", "norm"), [("gpt2", "transformer.ln_f"), ("llama", "model.norm")])
def test_the_final_norm_is_the_last_hidden_state_bit_for_bit(name, norm):
    model, tokenizer = tiny_model(name)
    expected = hidden_states(model, tokenizer).hidden_states
    split_model = ModelWithSplitPoints(model, [norm, 0], tokenizer=tokenizer)
    found = split_model.get_activations(TEXT, "all_tokens")
    assert torch.equal(found[norm], expected[-1][0])
    assert split_model.split_points[1] == norm


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_both_towers_are_the_hidden_states_of_transformers_bit_for_bit(name):
    model, tokenizer = tiny_model(name)
    inputs = dict(tokenizer(TEXT, return_tensors="pt"))
    moved = inputs["input_ids"].roll(1, dims=1)
    moved[:, 0] = model.config.decoder_start_token_id
    output = hidden_states(model, tokenizer, input_ids=inputs["input_ids"], decoder_input_ids=moved)
    stack = {"t5": "{}.block.0", "bart": "model.{}.layers.0", "marian": "model.{}.layers.0"}[name]
    points = [stack.format("decoder"), stack.format("encoder")]
    found = ModelWithSplitPoints(model, points, tokenizer=tokenizer).get_activations(TEXT, "all_tokens")
    assert list(found) == points[::-1]
    assert torch.equal(found[points[1]], output.encoder_hidden_states[1][0])
    assert torch.equal(found[points[0]], output.decoder_hidden_states[1][0])


@pytest.mark.parametrize(("name", "task"), CASES)
def test_numbers_count_from_either_end_or_name_both_towers(name, task):
    model, tokenizer = tiny_model(name, task=task)
    if name in ENCODER_DECODERS:
        with pytest.raises(SplitPointError, match=r"layer -1 may be '.*encoder\..*1' or '.*decoder\..*1'"):
            ModelWithSplitPoints(model, [-1], tokenizer=tokenizer)
        return
    split_model = ModelWithSplitPoints(model, [-1, -2, 0], tokenizer=tokenizer)
    assert len(split_model.split_points) == 2
    assert ModelWithSplitPoints(model, [1, 0], tokenizer=tokenizer).split_points == split_model.split_points
    assert ModelWithSplitPoints(model, np.int64(1), tokenizer=tokenizer).split_points == split_model.split_points[1:]
    with pytest.raises(SplitPointError, match=r"no layer 2; the model has 2, 0 to 1 \(or -2 to -1\)"):
        ModelWithSplitPoints(model, 2, tokenizer=tokenizer)
    with pytest.raises(SplitPointError, match="no layer -3"):
        ModelWithSplitPoints(model, -3, tokenizer=tokenizer)


def test_a_layer_that_runs_again_is_named_with_its_call():
    model, tokenizer = tiny_model("albert")
    group = "albert.encoder.albert_layer_groups.0"
    split_model = ModelWithSplitPoints(model, [1, f"{group}.albert_layers.0.ffn#0"], tokenizer=tokenizer)
    assert split_model.split_points == [f"{group}.albert_layers.0.ffn#0", f"{group}#1"]
    with calls_of(model) as calls:
        ModelWithSplitPoints(model, [0], tokenizer=tokenizer).get_activations(TEXT)
    assert calls[group] == 2, "one call while it is made, one for the text"
    with pytest.raises(SplitPointError, match=f"runs for 2 layers.*'{group}#0' to '{group}#1'"):
        ModelWithSplitPoints(model, group, tokenizer=tokenizer)
    with pytest.raises(SplitPointError, match="does not run as many as 3 times"):
        ModelWithSplitPoints(model, f"{group}#2", tokenizer=tokenizer)
    with pytest.raises(SplitPointError, match="number of a call"):
        ModelWithSplitPoints(model, f"{group}#last", tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("bert", ["bert.encoder.layer.0.attention", "bert.encoder.layer.0.output", "bert.embeddings", "bert.encoder"]),
        ("gpt2", ["transformer.h.1.mlp", "transformer.h.1.attn", "transformer.wte", "transformer.h.0"]),
        ("llama", ["model.layers.0.self_attn", "model.layers.0.mlp.down_proj", "model.layers.1.mlp"]),
        ("t5", ["encoder.block.0.layer.0.SelfAttention", "encoder.block.1.layer.1", "decoder.block.0.layer.1"]),
        ("deberta-v2", ["deberta.encoder.layer.0.attention.self", "deberta.encoder.layer.1"]),
    ],
)
def test_any_module_with_a_vector_for_each_token_can_be_named(name, points):
    model, tokenizer = tiny_model(name)
    split_model = ModelWithSplitPoints(model, points, tokenizer=tokenizer)
    assert sorted(split_model.split_points) == sorted(points)
    found = split_model.get_activations(TEXT, "all_tokens")
    kept, order = {}, []

    def keep(path):
        def hook(_module, _args, output):
            kept[path] = output if isinstance(output, torch.Tensor) else output[0]
            order.append(path)

        return hook

    handles = [model.get_submodule(path).register_forward_hook(keep(path)) for path in points]
    inputs = dict(tokenizer(TEXT, return_tensors="pt"))
    if name == "t5":
        inputs["decoder_input_ids"] = model._shift_right(inputs["input_ids"])
    with torch.no_grad():
        model(**inputs)
    for handle in handles:
        handle.remove()
    assert list(found) == order
    assert all(torch.equal(found[path], kept[path][0]) for path in points)
    assert all(split_model.latent_shape(path) == found[path].shape[1:] for path in points)


def test_a_wrong_name_is_answered_with_near_ones(gpt2):
    model, tokenizer = gpt2
    with pytest.raises(SplitPointError, match=r"did you mean 'transformer\.h\.1\.mlp'"):
        ModelWithSplitPoints(model, "h.1.mlp", tokenizer=tokenizer)
    with pytest.raises(SplitPointError, match=r"'transformer\.h\.1\.mlp'"):
        ModelWithSplitPoints(model, ["transformer.h.1.mpl"], tokenizer=tokenizer)
    with pytest.raises(SplitPointError, match="lists them"):
        ModelWithSplitPoints(model, "zzzzzzzz", tokenizer=tokenizer)
    for wrong in (True, 1.0, None):
        with pytest.raises(SplitPointError, match="expected layer numbers"):
            ModelWithSplitPoints(model, [wrong], tokenizer=tokenizer)
    with pytest.raises(SplitPointError, match="got none"):
        ModelWithSplitPoints(model, [], tokenizer=tokenizer)


def test_modules_without_a_vector_for_each_token_are_refused(bert, gpt2):
    with pytest.raises(SplitPointError, match=r"gives \(1, 32\).*vector for each token"):
        ModelWithSplitPoints(bert[0], "bert.pooler", tokenizer=bert[1])
    with pytest.raises(SplitPointError, match="does not run when"):
        ModelWithSplitPoints(gpt2[0], "transformer.h", tokenizer=gpt2[1])


def test_the_pass_ends_at_the_last_split_point_unless_classes_are_wanted(bert):
    model, tokenizer = bert
    first, second = "bert.encoder.layer.0", "bert.encoder.layer.1"
    split_model = ModelWithSplitPoints(model, [0], tokenizer=tokenizer, batch_size=2)
    with calls_of(model) as calls:
        split_model.get_activations(TEXTS)
    assert (calls[first], calls[second], calls["classifier"]) == (2, 0, 0)
    with calls_of(model) as calls:
        split_model.get_activations(TEXTS, include_predicted_classes=True)
    assert (calls[first], calls[second], calls["classifier"]) == (2, 2, 2)


def test_the_decoder_never_runs_for_the_encoders_activations(t5):
    model, tokenizer = t5
    split_model = ModelWithSplitPoints(model, "encoder.block.1", tokenizer=tokenizer)
    with calls_of(model) as calls:
        split_model.get_activations(TEXTS)
    assert calls["encoder.block.1"] > 0
    assert calls["decoder.block.0"] == 0


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_model_and_tokenizer_stay_as_they_were_also_after_an_error(name):
    model, tokenizer = tiny_model(name)
    model.train()
    next(model.parameters()).requires_grad_(False)
    before, settings = state_of(model), copy.deepcopy(tokenizer.init_kwargs)
    vocabulary, pad = len(tokenizer), tokenizer.pad_token
    path = {"bert": "bert.encoder.layer.1", "gpt2": "transformer.h.1", "t5": "encoder.block.1"}[name]
    split_model = ModelWithSplitPoints(model, path, tokenizer=tokenizer)
    first = split_model.get_activations(TEXTS, "word")[path]
    assert torch.equal(first, split_model.get_activations(TEXTS, "word")[path]), "dropout is off"
    split_model.run_with_edit(TEXTS, path, lambda hidden: hidden)
    with pytest.raises(ValueError, match="expected activations"):
        split_model.run_with_edit(TEXTS, path, lambda hidden: hidden[:, :1])
    with pytest.raises(ZeroDivisionError):
        split_model.run_with_edit(TEXTS, path, lambda hidden: hidden / (1 // 0))
    assert same_state(before, state_of(model))
    assert (len(tokenizer), tokenizer.pad_token, tokenizer.init_kwargs) == (vocabulary, pad, settings)


def test_threads_share_a_model_without_mixing_their_rows(gpt2):
    model, tokenizer = gpt2
    models = [ModelWithSplitPoints(model, [i % 2], tokenizer=tokenizer) for i in range(4)]
    expected = [m.get_activations(TEXTS)[m.split_points[0]] for m in models]
    found = [None] * 4

    def work(i):
        for _ in range(3):
            found[i] = models[i].get_activations(TEXTS)[models[i].split_points[0]]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_an_edit_that_changes_nothing_gives_the_logits_of_the_model(name, task):
    model, tokenizer = tiny_model(name, task=task)
    last = [path for path, module in model.named_modules() if type(module).__name__.endswith(("Layer", "Block"))][-1]
    if name == "albert":
        last = "albert.encoder.albert_layer_groups.0#0"
    inputs = dict(tokenizer(TEXT, return_tensors="pt"))
    if name in ENCODER_DECODERS and task == "text-generation":
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(inputs["input_ids"])
    with torch.no_grad():
        expected = model(**inputs).logits
    found = ModelWithSplitPoints(model, last, tokenizer=tokenizer).run_with_edit(TEXT, None, lambda hidden: hidden)
    assert torch.allclose(found if task != "text-classification" else found[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "step", "tolerance"),
    # T5 takes its norms in float32 whatever the model's dtype, so that small steps drown.
    [
        ("bert", 1e-5, 1e-5),
        ("gpt2", 1e-5, 1e-5),
        ("deberta-v2", 1e-5, 1e-5),
        ("albert", 1e-5, 1e-5),
        ("t5", 1e-4, 1e-2),
    ],
)
def test_gradients_at_a_split_point_are_those_of_finite_differences(name, step, tolerance):
    model, tokenizer = tiny_model(name, task="text-classification", dtype=torch.float64)
    path = "transformer.encoder.block.0" if name == "t5" else 0
    split_model = ModelWithSplitPoints(model, path, tokenizer=tokenizer)
    kept = []

    def leaf(hidden):
        kept.append(hidden.detach().requires_grad_())
        return kept[0]

    logits = split_model.run_with_edit(TEXTS, path, leaf)
    assert logits.shape == (3, 1, 3)
    (gradient,) = torch.autograd.grad(logits.sum(), kept)
    assert gradient.dtype == torch.float64
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    up, down = (split_model.run_with_edit(TEXTS, path, lambda h, e=e: h + e * direction).sum() for e in (step, -step))
    assert torch.allclose((gradient * direction).sum(), (up - down) / (2 * step), rtol=tolerance)
    lengths = [len(tokenizer(text)["input_ids"]) for text in TEXTS]
    if name != "t5":
        assert all(not gradient[i, n:].any() for i, n in enumerate(lengths)), "padding is never read"
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_in_training_is_run_without_dropout_and_with_frozen_parameters():
    model, tokenizer = tiny_model("bert", task="text-classification")
    split_model = ModelWithSplitPoints(model, 0, tokenizer=tokenizer)
    expected = split_model.run_with_edit(TEXTS, 0, lambda hidden: hidden)
    model.train()
    found = split_model.run_with_edit(TEXTS, 0, lambda hidden: hidden)
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert split_model.run_with_edit(TEXTS, 0, lambda hidden: hidden.clone().requires_grad_()).requires_grad


def test_what_later_modules_do_in_place_never_shows_in_a_row():
    model, tokenizer = tiny_model("bert", task="text-classification")
    split_model = ModelWithSplitPoints(model, 0, tokenizer=tokenizer)
    (path,) = split_model.split_points
    expected = split_model.get_activations(TEXT)[path]

    def add(_module, args):
        args[0].add_(1)

    model.bert.encoder.layer[1].register_forward_pre_hook(add)
    found = split_model.get_activations(TEXT, include_predicted_classes=True)
    assert torch.equal(found[path], expected)


def test_the_edit_of_a_half_precision_model_sees_float32():
    model, tokenizer = tiny_model("gpt2", dtype=torch.bfloat16)
    split_model = ModelWithSplitPoints(model, 0, tokenizer=tokenizer)
    seen = []
    logits = split_model.run_with_edit(TEXT, 0, lambda hidden: seen.append(hidden.dtype) or hidden)
    assert seen == [torch.float32]
    assert logits.dtype == torch.bfloat16


def test_edits_of_several_split_points_say_which(gpt2):
    model, tokenizer = gpt2
    split_model = ModelWithSplitPoints(model, [0, 1], tokenizer=tokenizer)
    assert split_model.latent_shape(-1) == split_model.latent_shape("transformer.h.0") == (32,)
    with pytest.raises(SplitPointError, match=r"split at transformer.h.0, transformer.h.1; say which"):
        split_model.run_with_edit(TEXT, None, lambda hidden: hidden)
    with pytest.raises(SplitPointError, match=r"'transformer\.h\.0\.mlp' is not one of them"):
        split_model.latent_shape("transformer.h.0.mlp")


def test_a_model_is_loaded_by_its_folder(tmp_path, bert):
    model, tokenizer = bert
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    expected = ModelWithSplitPoints(model, -1, tokenizer=tokenizer).get_activations(TEXTS)
    for options in ({}, {"automodel": AutoModelForSequenceClassification}, {"tokenizer": str(tmp_path)}):
        split_model = ModelWithSplitPoints(tmp_path, [-1], **options)
        found = split_model.get_activations(TEXTS)
        assert type(split_model.model) is type(model)
        assert all(torch.equal(found[path], expected[path]) for path in expected)
    half = ModelWithSplitPoints(str(tmp_path), -1, dtype=torch.bfloat16, device_map="cpu")
    assert half.model.dtype == torch.bfloat16


def test_what_cannot_be_used_is_refused_at_once(bert):
    model, tokenizer = bert
    with pytest.raises(TokenizerError, match=r"pass tokenizer=\.\.\."):
        ModelWithSplitPoints(model, [-1])
    with pytest.raises(TypeError, match="device_map: for a model loaded by its id"):
        ModelWithSplitPoints(model, [-1], tokenizer=tokenizer, device_map="cpu")
    with pytest.raises(TypeError, match="automodel, dtype"):
        ModelWithSplitPoints(model, -1, tokenizer=tokenizer, automodel=AutoModelForMaskedLM, dtype=torch.float16)
    with pytest.raises(TaskMismatchError, match="no head"):
        ModelWithSplitPoints(model.bert, [-1], tokenizer=tokenizer)
    with pytest.raises(ValueError, match="batch_size"):
        ModelWithSplitPoints(model, [-1], tokenizer=tokenizer, batch_size="large")
