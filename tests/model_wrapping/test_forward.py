import threading

import pytest
import torch

from hf_interpreto.model_wrapping.forward import Batch, Forward, Stream
from hf_interpreto.testing import TINY_MODELS, tiny_model
from hf_interpreto.typing import ModelTask
from tests.model_wrapping.oracles import same_state, state_of

CASES = [(name, task) for name, tasks in TINY_MODELS.items() for task in tasks]
ENCODER_DECODERS = ("t5", "bart", "marian")


def _streams(name, task, tokenizer):
    """Two rows of different length for each tower, and where to read."""
    texts = ["The film was a great surprise, and I would see it again.", "It was good."]

    rows = [torch.tensor(tokenizer(text)["input_ids"]) for text in texts]

    towers = [rows]
    if name in ENCODER_DECODERS and task == "text-generation":
        towers.append([torch.tensor([0, 20, 30, 40, 50]), torch.tensor([0, 25, 35])])
    streams = []
    for tower in towers:
        ids = torch.nn.utils.rnn.pad_sequence(tower, batch_first=True, padding_value=tokenizer.pad_token_id or 0)
        lengths = torch.tensor([len(row) for row in tower])
        streams.append(Stream(ids, torch.arange(ids.shape[1]) < lengths[:, None]))
    last = towers[-1]
    if task == "text-classification":
        read = torch.tensor([[len(row) - 1] for row in last])
    else:
        read = torch.tensor([[0, len(row) // 2, len(row) - 1] for row in last])
    return towers, streams, read


def _alone(model, task, towers, read):
    """Plain calls, a row at a time, all logits made and then gathered."""
    found = []
    for b in range(len(read)):
        inputs = dict(zip(("input_ids", "decoder_input_ids"), (tower[b][None] for tower in towers), strict=False))
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        found.append(logits[None] if task == "text-classification" else logits[read[b]])
    return torch.stack(found)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_logits_at_positions_are_those_of_a_plain_call_whatever_the_padding(name, task):
    model, tokenizer = tiny_model(name, task=task)
    towers, streams, read = _streams(name, task, tokenizer)
    expected = _alone(model, task, towers, read)
    with torch.no_grad():
        found = Forward(model, ModelTask(task))(Batch(streams, read, read)).values
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_embeddings_given_by_hook_are_as_good_as_ids(name, task):
    model, tokenizer = tiny_model(name, task=task)
    _, streams, read = _streams(name, task, tokenizer)
    forward = Forward(model, ModelTask(task))
    with torch.no_grad():
        by_ids = forward(Batch(streams, read, read)).values
        for index, stream in enumerate(streams):
            embedded = forward.embed(stream.ids, index)
            stream.edit = lambda output, embedded=embedded: embedded
        by_hook = forward(Batch(streams, read, read)).values
        for stream in streams:
            stream.edit = torch.zeros_like
        changed = forward(Batch(streams, read, read)).values
    assert torch.allclose(by_hook, by_ids, atol=1e-6)
    assert not torch.allclose(changed, by_ids, atol=1e-2)


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "qwen2", "t5", "bart", "marian", "gemma2"])
def test_the_vocabulary_head_sees_only_the_positions_that_are_read(name):
    task = "fill-mask" if name in ("bert", "roberta") else "text-generation"
    model, tokenizer = tiny_model(name, task=task)
    _, streams, read = _streams(name, task, tokenizer)
    seen = []
    handle = model.get_output_embeddings().register_forward_hook(lambda m, args, out: seen.append(out.shape))
    try:
        with torch.no_grad():
            logits = Forward(model, ModelTask(task))(Batch(streams, read, read))
    finally:
        handle.remove()
    assert seen == [(2, 3, model.config.vocab_size)]
    assert logits.hidden.shape[:2] == (2, 3)


@pytest.mark.parametrize("edited", [0, 1])
@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_an_edit_of_one_tower_does_not_touch_the_other_though_they_share_their_embedding(name, edited):
    model, tokenizer = tiny_model(name, task="text-generation")
    towers, streams, read = _streams(name, "text-generation", tokenizer)
    forward = Forward(model, ModelTask.TEXT_GENERATION)
    table = model.get_input_embeddings().weight.detach()
    scale = getattr(model.get_encoder(), "embed_scale", 1.0)
    streams[edited].edit = lambda output: output * 0.5
    with torch.no_grad():
        found = forward(Batch(streams, read, read)).values
        for b in range(2):
            embeddings = [(table[tower[b]] * scale)[None] for tower in towers]
            embeddings[edited] = embeddings[edited] * 0.5
            logits = model(inputs_embeds=embeddings[0], decoder_inputs_embeds=embeddings[1]).logits[0]
            assert torch.allclose(found[b], logits[read[b]], atol=1e-5)


def test_nothing_of_the_model_is_changed_by_a_session_also_when_it_fails():
    model, _ = tiny_model("bert", task="text-classification")
    model.train()
    model.bert.embeddings.dropout.eval()
    model.classifier.bias.requires_grad_(False)
    before = state_of(model)
    forward = Forward(model, ModelTask.TEXT_CLASSIFICATION)
    with forward.session():
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert same_state(before, state_of(model))

    def fail(output):
        raise RuntimeError("inside the model")

    stream = Stream(torch.tensor([[5, 6]]), torch.ones(1, 2, dtype=torch.bool), edit=fail)
    read = torch.zeros(1, 1, dtype=torch.long)
    with pytest.raises(RuntimeError, match="inside the model"), forward.session():
        forward(Batch([stream], read, read))
    assert same_state(before, state_of(model))


def test_a_session_inside_a_session_gives_back_nothing_too_early():
    model, _ = tiny_model("bert", task="text-classification")
    model.train()
    forward = Forward(model, ModelTask.TEXT_CLASSIFICATION)
    with forward.session():
        with forward.session():
            pass
        assert not model.training
        assert not next(model.parameters()).requires_grad
    assert model.training


def test_a_thread_that_had_to_wait_finds_the_model_in_evaluation_mode():
    model, _ = tiny_model("bert", task="text-classification")
    model.train()
    first, second = (Forward(model, ModelTask.TEXT_CLASSIFICATION) for _ in range(2))
    modes = []

    def wait_and_look():
        with second.session():
            modes.append((model.training, next(model.parameters()).requires_grad))

    thread = threading.Thread(target=wait_and_look)
    with first.session():
        thread.start()
        thread.join(timeout=0.2)
        assert modes == []
    thread.join(timeout=10)
    assert modes == [(False, False)]
    assert model.training


def test_the_mean_embedding_is_that_of_the_table():
    for name, task in (("bert", "text-classification"), ("gemma3", "text-generation"), ("t5", "text-generation")):
        model, _ = tiny_model(name, task=task)
        table = model.get_input_embeddings()(torch.arange(model.config.vocab_size)).detach()
        found = Forward(model, ModelTask(task)).mean_embedding()
        assert torch.allclose(found, table.mean(0), atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_an_encoder_decoder_that_classifies_is_read_as_a_plain_call(name):
    model, tokenizer = tiny_model(name, task="text-classification")
    forward = Forward(model, ModelTask.TEXT_CLASSIFICATION)
    assert not forward.is_encoder_decoder
    ids = tokenizer("The film was good.", return_tensors="pt")["input_ids"]
    read = torch.zeros(1, 2, dtype=torch.long)
    with torch.no_grad():
        found = forward(Batch([Stream(ids, torch.ones_like(ids, dtype=torch.bool))], read, read)).values[0]
        assert torch.allclose(found, model(input_ids=ids).logits.expand(2, -1), atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_both_towers_of_an_encoder_decoder_that_classifies_read_the_edited_embeddings(name):
    model, tokenizer = tiny_model(name, task="text-classification")
    ids = tokenizer("The film was good.", return_tensors="pt")["input_ids"]
    place = 2
    assert int((ids == ids[0, place]).sum()) == 1
    stream = Stream(ids, torch.ones_like(ids, dtype=torch.bool))
    stream.edit = lambda output: output * (torch.arange(ids.shape[1]) != place)[:, None]
    read = torch.zeros(1, 1, dtype=torch.long)
    with torch.no_grad():
        found = Forward(model, ModelTask.TEXT_CLASSIFICATION)(Batch([stream], read, read)).values[0]
        model.get_input_embeddings().weight[ids[0, place]] = 0
        assert torch.allclose(found, model(input_ids=ids).logits, atol=1e-5)
