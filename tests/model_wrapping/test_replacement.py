import pytest
import torch

from hf_interpreto import Occlusion
from hf_interpreto.errors import TokenizerError, UnknownNameError
from hf_interpreto.model_wrapping.replacement import REPLACEMENTS, Resampling, TokenReplacement, get_replacement
from hf_interpreto.testing import tiny_model, tiny_tokenizer, word_tokenizer
from tests.model_wrapping.oracles import TEXT, build, coalition_scores, example_of, plain_logits, random_keep

TOKENS = ["mask", "unk", "pad", "eos", "bos"]
CLASSIFIERS = ["bert", "roberta", "modernbert", "gpt2", "llama"]
DECODERS = ["gpt2", "llama", "qwen2", "gemma2", "mistral"]


def _classes(name, replacement):
    model, tokenizer = tiny_model(name, task="text-classification")
    task, engine = build(model, tokenizer, replacement=replacement)
    return model, tokenizer, engine, example_of(task, engine, TEXT, [0, 1, 2])


def _classify(model, **inputs):
    """Logits of one row by a plain call; decoders are read at their last place, whatever token stands there."""
    with torch.no_grad():
        if not hasattr(model, "score"):
            return model(**inputs).logits[0].double()
        hidden = model.base_model(**inputs)[0][0]
        last = int(inputs["attention_mask"][0].nonzero()[-1]) if "attention_mask" in inputs else -1
        return model.score(hidden[last]).double()


# -- by hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", ["mask", "unk", "pad", 42])
@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert"])
def test_a_token_stands_in_every_removed_place(name, replacement):
    model, tokenizer, engine, example = _classes(name, replacement)
    token = replacement if isinstance(replacement, int) else getattr(tokenizer, f"{replacement}_token_id")
    keep = random_keep(example)
    found = coalition_scores(engine, example, keep)
    for row, score in zip(example.keep_tokens(keep), found, strict=True):
        ids = example.ids.where(row, token)[None]
        expected = _classify(model, input_ids=ids, attention_mask=torch.ones_like(ids))
        assert torch.allclose(score, expected, atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_deleted_tokens_are_left_out_of_a_plain_call(name):
    model, tokenizer, engine, example = _classes(name, "delete")
    keep = random_keep(example)
    found = coalition_scores(engine, example, keep)
    for row, score in zip(example.keep_tokens(keep), found, strict=True):
        ids = example.ids[row]
        if not len(ids):
            ids = torch.tensor([tokenizer.bos_token_id])
        assert torch.allclose(score, _classify(model, input_ids=ids[None]), atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_tokens_hidden_from_attention_keep_their_places_in_a_plain_call(name):
    model, _, engine, example = _classes(name, "attention")
    keep = random_keep(example)
    found = coalition_scores(engine, example, keep)
    for row, score in zip(example.keep_tokens(keep), found, strict=True):
        ids, mask = example.ids.clone(), row.clone()
        if not row.any():  # something must be read
            ids[0], mask[0] = engine.replacement.anchor_id, True
        expected = _classify(model, input_ids=ids[None], attention_mask=mask.long()[None])
        assert torch.allclose(score, expected, atol=1e-5)


@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_embeddings_are_replaced_as_in_a_plain_call_on_embeddings(name, replacement):
    model, _, engine, example = _classes(name, replacement)
    table = model.get_input_embeddings().weight.detach()
    fill = table.mean(0) if replacement == "mean" else torch.zeros(table.shape[1])
    keep = random_keep(example, rows=6)
    found = coalition_scores(engine, example, keep)
    for row, score in zip(example.keep_tokens(keep), found, strict=True):
        embeddings = table[example.ids].where(row[:, None], fill)[None]
        expected = _classify(model, inputs_embeds=embeddings)
        assert torch.allclose(score, expected, atol=1e-5)


def test_resampled_scores_are_the_mean_over_fixed_backgrounds_of_ordinary_tokens():
    model, tokenizer, engine, example = _classes("bert", "resample")
    replacement = engine.replacement
    assert isinstance(replacement, Resampling)
    assert not set(replacement.candidates.tolist()) & set(tokenizer.all_special_ids)
    keep = random_keep(example, rows=5)
    found = coalition_scores(engine, example, keep)
    rows = replacement.apply(example.ids, torch.zeros(replacement.draws, len(example.ids), dtype=torch.bool)).ids
    assert len(rows.unique(dim=0)) == replacement.draws
    for row, score in zip(example.keep_tokens(keep), found, strict=True):
        each = [_classify(model, input_ids=example.ids.where(row, background)[None]) for background in rows]
        assert torch.allclose(score, torch.stack(each).mean(0), atol=1e-5)


def test_resampling_follows_its_seed():
    model, tokenizer = tiny_model("bert", task="text-classification")
    found = []
    for seed in (0, 0, 1):
        task, engine = build(model, tokenizer, replacement="resample", seed=seed)
        example = example_of(task, engine, TEXT, 0)
        found.append(coalition_scores(engine, example, torch.zeros(1, len(example.players), dtype=torch.bool)))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


# -- generation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DECODERS)
def test_deletion_before_and_inside_a_continuation_equals_plain_calls_on_what_is_left(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer, replacement="delete", granularity="token")
    example = example_of(task, engine, "The film was", "very good indeed")
    keep = random_keep(example, rows=6)
    anchor = engine.replacement.anchor_id
    found = coalition_scores(engine, example, keep)
    for kept, score in zip(example.keep_tokens(keep), found, strict=True):
        for t, position in enumerate(example.positions.tolist()):
            before = example.ids[:position][kept[:position]]
            # Where nothing is left before the first target, an anchor begins the row, for all its targets.
            first = int(example.positions[0])
            if not bool(kept[:first].any()):
                before = torch.cat([torch.tensor([anchor]), before])
            with torch.no_grad():
                logits = model(input_ids=before[None]).logits[0, -1].double()
            expected = logits.log_softmax(-1)[example.target_ids[t]]
            assert score[t] == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_hidden_tokens_of_a_continuation_are_masked_in_a_plain_call(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer, replacement="attention", granularity="token")
    example = example_of(task, engine, "The film was", "very good indeed")
    keep = random_keep(example)
    found = coalition_scores(engine, example, keep)
    for kept, score in zip(example.keep_tokens(keep), found, strict=True):
        ids, mask = example.ids[: example.n_input].clone(), kept.clone()
        if not kept[: int(example.positions[0])].any():
            ids[0], mask[0] = engine.replacement.anchor_id, True
        with torch.no_grad():
            logits = model(input_ids=ids[None], attention_mask=mask.long()[None]).logits[0].double()
        for t, position in enumerate(example.positions.tolist()):
            last = max(i for i in range(position) if mask[i])
            expected = logits[last].log_softmax(-1)[example.target_ids[t]]
            assert score[t] == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("replacement", ["unk", "delete", "attention", "zero", "mean"])
@pytest.mark.parametrize("name", ["t5", "bart"])
def test_both_towers_of_an_encoder_decoder_are_perturbed_as_by_hand(name, replacement):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer, replacement=replacement, granularity="token")
    example = example_of(task, engine, "The film was", "very good")
    n = example.n_encoder
    table = model.get_input_embeddings().weight.detach()
    fill = table.mean(0) if replacement == "mean" else torch.zeros(table.shape[1])
    keep = random_keep(example, rows=8)
    found = coalition_scores(engine, example, keep)
    for kept, score in zip(example.keep_tokens(keep), found, strict=True):
        source, target = example.ids[:n], example.ids[n:-1]
        above, below = kept[:n], kept[n:]
        read = example.positions - n - 1
        inputs = {"input_ids": source[None], "decoder_input_ids": target[None]}
        if replacement == "unk":
            unk = tokenizer.unk_token_id
            inputs = {"input_ids": source.where(above, unk)[None], "decoder_input_ids": target.where(below, unk)[None]}
        elif replacement == "delete":
            inputs = {"input_ids": source[above][None], "decoder_input_ids": target[below][None]}
            read = below.cumsum(0)[read] - 1
        elif replacement == "attention":
            inputs |= {"attention_mask": above.long()[None], "decoder_attention_mask": below.long()[None]}
            read = torch.stack([below[: r + 1].nonzero()[-1, 0] for r in read])
        else:
            scale = getattr(model.get_encoder(), "embed_scale", 1.0)
            inputs = {
                "inputs_embeds": (table[source].where(above[:, None], fill) * scale)[None],
                "decoder_inputs_embeds": (table[target].where(below[:, None], fill) * scale)[None],
            }
        with torch.no_grad():
            logits = model(**inputs).logits[0, read].double().log_softmax(-1)
        expected = logits.gather(-1, example.target_ids[:, None])[:, 0]
        assert torch.allclose(score, expected, atol=1e-4)


@pytest.mark.parametrize("replacement", [r for r in REPLACEMENTS if r not in TOKENS])
@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bert"])
def test_every_kind_of_replacement_gives_finite_scores_also_where_nothing_is_kept(name, replacement):
    task_name = "text-classification" if name == "bert" else "text-generation"
    model, tokenizer = tiny_model(name, task=task_name)
    for granularity in ("word", "all_tokens"):
        task, engine = build(model, tokenizer, replacement=replacement, granularity=granularity)
        example = example_of(task, engine, TEXT, 0 if name == "bert" else "very good")
        keep = random_keep(example, rows=4)
        found = coalition_scores(engine, example, keep)
        assert found.isfinite().all()
        expected = plain_logits(model, example)
        if name != "bert":
            expected = expected.log_softmax(-1)
        expected = expected.gather(-1, example.target_ids[:, None])[:, 0].double()
        assert torch.allclose(found[0], expected, atol=1e-4)
        assert not torch.allclose(found[-1], expected, atol=1e-3)


# -- by name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"), [("bert", "mask"), ("gemma2", "mask"), ("t5", "unk"), ("llama", "unk"), ("qwen2", "eos")]
)
def test_the_automatic_replacement_is_the_mask_else_the_unknown_else_the_end_token(name, expected):
    tokenizer = tiny_tokenizer(name)
    found = get_replacement("auto", tokenizer)
    assert found.name == expected
    assert found.token_id == getattr(tokenizer, f"{expected}_token_id")


@pytest.mark.parametrize(("name", "missing"), [("gpt2", "mask"), ("llama", "mask"), ("t5", "mask"), ("llama", "pad")])
def test_a_token_that_the_tokenizer_does_not_have_is_told_with_other_ways(name, missing):
    with pytest.raises(TokenizerError, match=rf"replacement='{missing}': the tokenizer has no {missing} token\. Use"):
        get_replacement(missing, tiny_tokenizer(name))


def test_a_tokenizer_without_any_special_token_is_told():
    tokenizer = word_tokenizer(["a"], mask_token=None, pad_token=None, boundaries=False)
    tokenizer.unk_token = None
    with pytest.raises(TokenizerError, match="has no mask or unk or eos or pad or bos token"):
        get_replacement("auto", tokenizer)
    assert get_replacement("delete", tokenizer).anchor_id == 0


@pytest.mark.parametrize(("given", "near"), [("masks", "mask"), ("deletion", "delete"), ("resampled", "resample")])
def test_an_unknown_replacement_is_told_with_the_nearest(given, near):
    with pytest.raises(UnknownNameError, match=f"unknown replacement '{given}'; did you mean '{near}'"):
        get_replacement(given, tiny_tokenizer("bert"))


@pytest.mark.parametrize("value", [True, None, 1.5])
def test_what_is_no_replacement_is_refused(value):
    with pytest.raises(UnknownNameError, match="unknown replacement"):
        get_replacement(value, tiny_tokenizer("bert"))


@pytest.mark.parametrize("token", [-1, 10**6])
def test_a_token_id_beyond_the_vocabulary_is_refused(token):
    tokenizer = tiny_tokenizer("bert")
    with pytest.raises(TokenizerError, match=rf"replacement={token}: token ids go from 0 to {len(tokenizer) - 1}"):
        get_replacement(token, tokenizer)


def test_a_replacement_object_is_taken_as_it_is_and_tells_its_name():
    given = TokenReplacement(0, 5, "five")
    assert get_replacement(given, tiny_tokenizer("bert")) is given
    assert given.name == "five"
    for name in ("mask", "unk", "pad", "delete", "attention", "zero", "mean", "resample"):
        assert get_replacement(name, tiny_tokenizer("bert")).name == name
    assert get_replacement(7, tiny_tokenizer("bert")).name == "token 7"


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_a_replacement_never_changes_its_inputs_nor_what_it_keeps(name):
    tokenizer = tiny_tokenizer("roberta")
    replacement = get_replacement(name, tokenizer)
    ids = torch.arange(10, 16)
    keep = torch.rand(replacement.draws * 3, 6, generator=torch.Generator().manual_seed(0)) < 0.5
    keep[:, 0] = True
    before = ids.clone(), keep.clone()
    rows = replacement.apply(ids, keep)
    assert torch.equal(ids, before[0])
    assert torch.equal(keep, before[1])
    for b in range(len(keep)):
        kept = ids[keep[b]].tolist()
        if rows.origin is None:
            assert rows.ids[b][keep[b]].tolist() == kept
            assert bool(rows.attention[b][keep[b]].all())
        else:
            assert rows.ids[b][rows.attention[b]].tolist() == kept


def test_the_mean_embedding_is_computed_once_a_session_and_follows_the_weights():
    model, tokenizer = tiny_model("bert", task="text-classification")
    calls = []
    handle = model.get_input_embeddings().register_forward_hook(lambda module, args, out: calls.append(args[0].dim()))
    explainer = Occlusion(model, tokenizer, replacement="mean", batch_size=1)
    (before,) = explainer("The cat sat on the mat.", targets=0)
    assert calls.count(1) == 1
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.vocab_size - 1, 0] += 500
    (after,) = explainer("The cat sat on the mat.", targets=0)
    handle.remove()
    assert not torch.allclose(before.attributions, after.attributions)


def test_drawn_rows_count_towards_the_batch_size():
    model, tokenizer = tiny_model("bert", task="text-classification")
    rows = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    Occlusion(model, tokenizer, replacement="resample", batch_size=16)("The cat sat on the mat.", targets=0)
    handle.remove()
    assert max(rows) == 16
