"""Every granularity, pooling, replacement, reduction and score, with every method that takes it."""

import pytest
import torch

from hf_interpreto.attributions import (
    Granularity,
    GranularityAggregationStrategy,
    InferenceModes,
    IntegratedGradients,
    Occlusion,
    Reduction,
)
from hf_interpreto.errors import TokenizerError, UnknownNameError
from hf_interpreto.granularity import GranularityAggregationStrategy as Pooling
from hf_interpreto.model_wrapping.replacement import REPLACEMENTS
from hf_interpreto.testing import slow_tokenizer, tiny_tokenizer
from tests.attributions.cases import (
    GRADIENT_METHODS,
    METHODS,
    PERTURBATION_METHODS,
    contributions,
    small,
    tiny,
    word_ids,
)
from tests.attributions.situations import SITUATIONS

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
TEXT = "The film, a great one, wasn't long. I loved it!"


@methods
@pytest.mark.parametrize("granularity", ["all_tokens", "token", "word", "sentence", "part_sentence"])
@pytest.mark.parametrize("name", ["bert-classifier", "gpt2", "t5"])
def test_every_granularity_with_every_method(method, granularity, name):
    situation = SITUATIONS[name]
    model, tokenizer = situation.load()
    (output,) = small(method, model, tokenizer, granularity=granularity)(TEXT, [situation.targets[0]])
    assert output.granularity == granularity
    scored = output.attributions[:, : output.n_source]
    assert bool(scored.isfinite().all())
    count = len(output.elements[: output.n_source])
    ids = tokenizer(TEXT).input_ids
    content = len(tokenizer(TEXT, add_special_tokens=False).input_ids)
    # The causal prompt has no tokens of its own at its ends; the encoders' do.
    assert {"all_tokens": count in (len(ids), content), "token": count == content, "sentence": count == 2}.get(
        granularity, 2 < count < content
    )


@pytest.mark.parametrize("method", GRADIENT_METHODS.values(), ids=GRADIENT_METHODS)
@pytest.mark.parametrize("pooling", [member.value for member in Pooling])
def test_every_pooling_is_that_of_the_token_scores(method, pooling):
    model, tokenizer = tiny("bert", "text-classification")
    settings = {"granularity_aggregation_strategy": pooling}
    (tokens,) = small(method, model, tokenizer, granularity="token", **settings)(TEXT, targets=1)
    (words,) = small(method, model, tokenizer, granularity="word", **settings)(TEXT, targets=1)
    by_position = dict(
        zip((e.tokens[0] for e in tokens.example.elements), tokens.attributions[0].tolist(), strict=True)
    )
    aggregate = GranularityAggregationStrategy.parse(pooling).aggregate
    expected = [aggregate(torch.tensor([by_position[t] for t in e.tokens])) for e in words.example.elements]
    assert max(len(e.tokens) for e in words.example.elements) > 1
    torch.testing.assert_close(words.attributions[0], torch.stack(expected), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", PERTURBATION_METHODS.values(), ids=PERTURBATION_METHODS)
@pytest.mark.parametrize("name", ["bert-classifier", "gemma2", "t5"])
@pytest.mark.parametrize("replacement", [r for r in REPLACEMENTS if r != "bos"] + [9])
def test_every_replacement_with_every_perturbation_method(method, name, replacement):
    situation = SITUATIONS[name]
    model, tokenizer = situation.load()
    names = {"mask": tokenizer.mask_token, "eos": tokenizer.eos_token}
    explainer_arguments = {"replacement": replacement}
    if replacement in names and names[replacement] is None:
        with pytest.raises(
            TokenizerError, match=f"replacement='{replacement}': the tokenizer has no {replacement} token"
        ):
            small(method, model, tokenizer, **explainer_arguments)
        return
    (output,) = small(method, model, tokenizer, **explainer_arguments)(situation.inputs[0], [situation.targets[0]])
    scored = output.attributions[:, : output.n_source]
    assert bool(scored.isfinite().all())
    assert float(scored.abs().max()) > 0
    automatic = "mask" if tokenizer.mask_token is not None else "unk"
    expected = {9: "token 9", "auto": automatic}.get(replacement, replacement)
    assert output.settings["replacement"] == expected


@pytest.mark.parametrize("replacement", ["auto", "mask", "unk", "pad", "delete", "attention", "zero"])
def test_a_linear_model_gives_its_weights_whatever_neutral_thing_replaces_a_word(linear, words, replacement):
    text = "the film was not great"
    (output,) = Occlusion(linear, words, replacement=replacement)(text, targets=[0, 1, 2])
    torch.testing.assert_close(output.attributions, contributions(linear, words, text).T, atol=1e-4, rtol=1e-4)


def test_the_mean_embedding_is_the_mean_over_the_vocabulary(linear, words):
    text = "the film was not great"
    (output,) = Occlusion(linear, words, replacement="mean")(text, targets=1)
    mean = linear.embed_tokens.weight.mean(0) @ linear.classifier.weight[1]
    expected = contributions(linear, words, text)[:, 1] - mean.detach()
    torch.testing.assert_close(output.attributions[0], expected, atol=1e-4, rtol=1e-4)


def test_resampled_words_come_from_the_vocabulary_without_its_specials(linear, words):
    text = "the film was not great"
    (output,) = Occlusion(linear, words, replacement="resample")(text, targets=1)
    ordinary = [i for i in range(len(words)) if i not in words.all_special_ids]
    worths = (linear.embed_tokens.weight[ordinary] @ linear.classifier.weight[1]).detach()
    drawn = contributions(linear, words, text)[:, 1] - output.attributions[0]
    assert bool((drawn >= worths.min()).all())
    assert bool((drawn <= worths.max()).all())
    assert output.n_forward == 6 * 8  # eight backgrounds for each row


@pytest.mark.parametrize("replacement", ["mask", "unk", "delete", "attention", "zero", 17])
@pytest.mark.parametrize("name", ["bert", "gemma2", "gpt2"])
def test_a_replaced_word_is_read_by_a_transformer_as_if_done_by_hand(name, replacement):
    model, tokenizer = tiny(name, "text-classification")
    if replacement == "mask" and tokenizer.mask_token_id is None:
        replacement = "eos"
    (output,) = Occlusion(model, tokenizer, replacement=replacement)("We never had better food", targets=1)
    ids = word_ids(tokenizer, "We never had better food")
    with torch.no_grad():
        whole = _logit(model, ids)
        for element, score in zip(output.example.elements, output.attributions[0].tolist(), strict=True):
            kept = torch.ones(len(ids), dtype=torch.bool)
            kept[list(element.tokens)] = False
            assert score == pytest.approx(whole - _by_hand(model, tokenizer, ids, kept, replacement), abs=2e-4)


def _logit(model, ids, **inputs):
    if model.config.model_type == "bert":
        return float(model(input_ids=ids[None], **inputs).logits[0, 1])
    read = inputs.pop("read", -1)
    return float(model.score(model.base_model(input_ids=ids[None], **inputs)[0][0, read])[1])


def _by_hand(model, tokenizer, ids, kept, replacement):
    if replacement == "delete":
        return _logit(model, ids[kept])
    if replacement == "attention":
        read = {} if model.config.model_type == "bert" else {"read": int(kept.nonzero()[-1])}
        return _logit(model, ids, attention_mask=kept.long()[None], **read)
    if replacement == "zero":
        hook = model.get_input_embeddings().register_forward_hook(lambda _m, _a, out: out * kept[None, :, None])
        try:
            return _logit(model, ids)
        finally:
            hook.remove()
    fill = replacement if isinstance(replacement, int) else getattr(tokenizer, f"{replacement}_token_id")
    return _logit(model, ids.where(kept, fill))


@pytest.mark.parametrize("method", GRADIENT_METHODS.values(), ids=GRADIENT_METHODS)
@pytest.mark.parametrize("reduction", [member.value for member in Reduction])
@pytest.mark.parametrize("input_x_gradient", [True, False])
def test_every_reduction_with_every_gradient_method(method, reduction, input_x_gradient):
    model, tokenizer = tiny("bert", "text-classification")
    settings = {"reduction": reduction, "input_x_gradient": input_x_gradient, "granularity": "token"}
    (output,) = small(method, model, tokenizer, **settings)("We never had better food", targets=1)
    assert bool(output.attributions.isfinite().all())
    assert float(output.attributions.abs().max()) > 0
    if reduction in ("l1", "l2", "max"):
        assert bool((output.attributions >= 0).all())
    assert output.settings["reduction"] == reduction


def test_reductions_of_one_gradient_are_ordered_as_norms_are():
    model, tokenizer = tiny("bert", "text-classification")
    largest, l2, l1, total, mean = (
        IntegratedGradients(model, tokenizer, reduction=r, n_perturbations=8, granularity="token")(
            "We never had better food", targets=1
        )[0].attributions
        for r in ("max", "l2", "l1", "sum", "mean")
    )
    assert bool((largest <= l2).all())
    assert bool((l2 <= l1).all())
    assert bool((total.abs() <= l1 + 1e-5).all())
    torch.testing.assert_close(mean * 32, total, atol=1e-5, rtol=1e-4)


@methods
@pytest.mark.parametrize("mode", ["logits", "softmax", "log_softmax", InferenceModes.SOFTMAX, torch.sigmoid])
def test_every_inference_mode_with_every_method(method, mode):
    model, tokenizer = tiny("bert", "text-classification")
    (output,) = small(method, model, tokenizer, inference_mode=mode)("We never had better food", targets=[0, 1, 2])
    with torch.no_grad():
        logits = model(**tokenizer("We never had better food", return_tensors="pt")).logits[0]
    functions = {"logits": lambda x: x, "softmax": lambda x: x.softmax(-1), "log_softmax": lambda x: x.log_softmax(-1)}
    function = functions.get(mode, mode) if isinstance(mode, str) else mode
    torch.testing.assert_close(output.target_scores, function(logits), atol=1e-5, rtol=1e-4)


def test_wrong_names_are_told_at_once_with_the_nearest_right_one(bert):
    with pytest.raises(UnknownNameError, match="unknown granularity 'words'; did you mean 'word'"):
        Occlusion(*bert, granularity="words")
    with pytest.raises(UnknownNameError, match="unknown pooling 'average'"):
        Occlusion(*bert, granularity_aggregation_strategy="average")
    with pytest.raises(UnknownNameError, match="unknown replacement 'masks'; did you mean 'mask'"):
        Occlusion(*bert, replacement="masks")
    with pytest.raises(UnknownNameError, match="unknown score 'logits_'; did you mean 'logits'"):
        Occlusion(*bert, score="logits_")
    with pytest.raises(ValueError, match="batch_size=0: expected 'auto' or a positive integer"):
        Occlusion(*bert, batch_size=0)
    with pytest.raises(ValueError, match="score and inference_mode mean the same"):
        Occlusion(*bert, score="logit", inference_mode="logits")


def test_words_need_offsets_and_tokens_do_not(bert):
    model, _ = bert
    slow = slow_tokenizer()
    with pytest.raises(TokenizerError, match="granularity='word' needs to know which characters each token covers"):
        Occlusion(model, slow)("Unbelievable, tomorrow!", targets=0)
    (output,) = Occlusion(model, slow, granularity="token")("Unbelievable, tomorrow!", targets=0)
    assert bool(output.attributions.isfinite().all())


def test_upper_case_names_and_members_are_names_too(bert):
    (first,) = Occlusion(*bert, granularity="WORD")("A small dog", targets=0)
    (second,) = Occlusion(*bert, granularity=Granularity.WORD)("A small dog", targets=0)
    assert torch.equal(first.attributions, second.attributions)
    assert tiny_tokenizer("bert").get_vocab() == bert[1].get_vocab()
