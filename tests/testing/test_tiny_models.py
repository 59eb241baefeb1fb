import hashlib
import inspect
import subprocess
import sys

import pytest
import torch

from hf_interpreto.testing import TINY_MODELS, tiny_model

TEXT = "I didn't like the film; it was not as good as the book!"
OTHER = "The children went out to play in the garden, and they were happy."
CASES = [(name, task) for name, tasks in TINY_MODELS.items() for task in tasks]
LANGUAGE_MODELS = [name for name, tasks in TINY_MODELS.items() if "text-generation" in tasks]
PADDED = {"qwen2": 16, "deberta-v2": 8}


def _logits(model, tokenizer, text, **changes):
    inputs = dict(tokenizer(text, return_tensors="pt")) | changes
    if type(model).__name__.endswith(("ConditionalGeneration", "MTModel")):
        inputs["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id, 20, 30]])
    with torch.no_grad():
        return model(**inputs).logits


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_forward_gives_finite_varied_logits_of_the_shape_of_the_task(name, task):
    model, tokenizer = tiny_model(name, task=task, num_labels=4)
    logits = _logits(model, tokenizer, TEXT)
    length = tokenizer(TEXT, return_tensors="pt").input_ids.shape[1]
    vocabulary = len(tokenizer) + PADDED.get(name, 0)
    expected = {
        "text-classification": (1, 4),
        "token-classification": (1, length, 4),
        "fill-mask": (1, length, vocabulary),
        "text-generation": (1, 3 if model.config.is_encoder_decoder else length, vocabulary),
    }[task]
    assert logits.shape == expected
    assert torch.isfinite(logits).all()
    assert logits.std() > 0.1
    assert logits.softmax(dim=-1).max() < 0.9999
    assert not model.training


@pytest.mark.parametrize(("name", "task"), CASES)
def test_most_tokens_in_reach_change_the_output(name, task):
    model, tokenizer = tiny_model(name, task=task)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    before = _logits(model, tokenizer, TEXT)
    changes = []
    reach = 2 * (model.config.sliding_window - 1) if name == "mistral" else ids.shape[1]
    for position in range(max(1, ids.shape[1] - 1 - reach), ids.shape[1] - 1):
        changed = ids.clone()
        changed[0, position] = 40 if changed[0, position] != 40 else 41
        changes.append((_logits(model, tokenizer, TEXT, input_ids=changed) - before).abs().max().item())
    assert sorted(changes)[len(changes) // 4] > 1e-3


@pytest.mark.parametrize("name", TINY_MODELS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_gives_others(name):
    first, _ = tiny_model(name, seed=3)
    again, _ = tiny_model(name, seed=3)
    other, _ = tiny_model(name, seed=4)
    trained = [key for key, parameter in first.named_parameters() if parameter.requires_grad]
    weights, same, others = first.state_dict(), again.state_dict(), other.state_dict()
    assert all(torch.equal(weights[key], same[key]) for key in weights)
    assert not any(torch.equal(weights[key], others[key]) for key in trained)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_the_global_random_state_is_left_as_it_was(name):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    tiny_model(name)
    assert torch.equal(torch.rand(3), expected)


def _fingerprint():
    digest = hashlib.sha256()
    for name in TINY_MODELS:
        model, tokenizer = tiny_model(name)
        digest.update(tokenizer.backend_tokenizer.to_str().encode())
        for weight in model.state_dict().values():
            digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def test_weights_and_vocabularies_are_the_same_in_another_process(pytestconfig):
    code = "\n".join(
        (
            "import hashlib",
            "from hf_interpreto.testing import *",
            inspect.getsource(_fingerprint),
            "print(_fingerprint())",
        )
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=pytestconfig.rootpath
    )
    assert run.stdout.strip() == _fingerprint()


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_language_models_generate_text_that_depends_on_the_prompt(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    written = []
    for text in (TEXT, OTHER):
        inputs = tokenizer(text, return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0]
        written.append(ids[1:] if model.config.is_encoder_decoder else ids[inputs.input_ids.shape[1] :])
    assert 1 <= len(written[0]) <= 8
    assert len(written[0].unique()) >= 3
    assert written[0].tolist() != written[1].tolist()


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_cached_and_uncached_generation_agree(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    inputs = tokenizer(TEXT, return_tensors="pt")
    cached, uncached = (
        model.generate(**inputs, max_new_tokens=6, do_sample=False, use_cache=use_cache) for use_cache in (True, False)
    )
    assert torch.equal(cached, uncached)


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "mistral", "modernbert"])
def test_the_sliding_window_is_shorter_than_an_ordinary_sentence(name):
    model, tokenizer = tiny_model(name)
    length = tokenizer(TEXT, return_tensors="pt").input_ids.shape[1]
    window = model.config.local_attention if name == "modernbert" else model.config.sliding_window
    assert window < length


def test_a_token_out_of_reach_of_mistrals_window_cannot_change_the_output():
    model, tokenizer = tiny_model("mistral", task="text-generation")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    changed = ids.clone()
    changed[0, 1] = 40
    last, last_changed = (_logits(model, tokenizer, TEXT, input_ids=i)[0, -1] for i in (ids, changed))
    assert torch.equal(last, last_changed)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_only_the_known_families_pad_their_vocabulary(name):
    model, tokenizer = tiny_model(name)
    assert model.get_input_embeddings().weight.shape[0] - len(tokenizer) == PADDED.get(name, 0)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_encoder_decoders_share_their_embeddings_with_the_head():
    for name in ("bart", "marian", "t5"):
        model, _ = tiny_model(name, task="text-generation")
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_half_precision_weights_are_the_rounded_ones(name):
    full, _ = tiny_model(name, task="text-classification")
    half, tokenizer = tiny_model(name, task="text-classification", dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    for (key, weight), (_, rounded) in zip(full.named_parameters(), half.named_parameters(), strict=True):
        torch.testing.assert_close(rounded, weight.to(rounded.dtype), msg=key)
    assert torch.isfinite(_logits(half, tokenizer, TEXT)).all()


def test_labels_and_problem_type_reach_the_config():
    model, _ = tiny_model(
        "roberta", task="text-classification", num_labels=5, problem_type="multi_label_classification"
    )
    assert (model.config.num_labels, len(model.config.id2label)) == (5, 5)
    assert model.config.problem_type == "multi_label_classification"


def test_an_unknown_name_or_task_is_refused_with_what_is_known():
    with pytest.raises(ValueError, match=r"unknown tiny model 'brt'.*bert"):
        tiny_model("brt")
    with pytest.raises(ValueError, match=r"'marian' has no task 'fill-mask'.*text-generation"):
        tiny_model("marian", task="fill-mask")
