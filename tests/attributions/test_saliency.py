import pytest
import torch

from hf_interpreto.attributions import Saliency
from hf_interpreto.errors import UnknownNameError
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import counted, tiny

TEXT = "the film was great"


def embedding_gradients(model, tokenizer, text, label):
    """The gradient of a logit with respect to the embeddings `(l, d)`, by autograd alone."""
    inputs = tokenizer(text, return_tensors="pt")
    embeddings = model.get_input_embeddings()(inputs.pop("input_ids")).detach().requires_grad_()
    model(inputs_embeds=embeddings, **inputs).logits[0, label].backward(inputs=[embeddings])
    return embeddings.grad[0]


def test_a_linear_model_gives_the_norm_of_its_weights_to_every_word(linear, words):
    (output,) = Saliency(linear, words)(TEXT, targets=[0, 1, 2])
    norms = linear.classifier.weight.detach().norm(dim=1)
    torch.testing.assert_close(output.attributions, norms[:, None].expand(-1, 4))


@pytest.mark.parametrize(
    ("reduction", "norm"),
    [
        ("l2", lambda g: g.norm(dim=-1)),
        ("l1", lambda g: g.abs().sum(-1)),
        ("max", lambda g: g.abs().amax(-1)),
        ("sum", lambda g: g.sum(-1)),
        ("mean", lambda g: g.mean(-1)),
    ],
)
def test_every_reduction_is_that_of_the_gradient(bert, reduction, norm):
    model, tokenizer = bert
    explainer = Saliency(model, tokenizer, reduction=reduction, granularity="all_tokens")
    (output,) = explainer("We never had better food", targets=1)
    gradients = embedding_gradients(model, tokenizer, "We never had better food", 1)
    torch.testing.assert_close(output.attributions[0], norm(gradients), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [
        ("mean", lambda x: x.mean()),
        ("sum", lambda x: x.sum()),
        ("max", lambda x: x.max()),
        ("min", lambda x: x.min()),
        ("signed_max", lambda x: x[x.abs().argmax()]),
        ("first", lambda x: x[0]),
        ("last", lambda x: x[-1]),
    ],
)
@pytest.mark.parametrize("reduction", ["sum", "l2"])
def test_every_pooling_is_that_of_the_words_tokens(bert, pooling, pooled, reduction):
    model, tokenizer = bert
    text = "Unbelievable misunderstanding, tomorrow"
    explainer = Saliency(model, tokenizer, granularity_aggregation_strategy=pooling, reduction=reduction)
    (output,) = explainer(text, targets=1)
    gradients = embedding_gradients(model, tokenizer, text, 1)
    tokens = gradients.sum(-1) if reduction == "sum" else gradients.norm(dim=-1)
    expected = torch.stack([pooled(tokens[list(e.tokens)]) for e in output.example.elements])
    assert any(len(e.tokens) > 1 for e in output.example.elements)
    torch.testing.assert_close(output.attributions[0], expected, atol=1e-5, rtol=1e-4)


def test_a_word_that_the_model_ignores_gets_nothing(words):
    model = pair_game_classifier(words, {"great": 2.0})
    model.word_weights.data[words.convert_tokens_to_ids("film")] = 0
    (output,) = Saliency(model, words, input_x_gradient=True)("great film", targets=1)
    assert output.attributions[0, 0] > 0
    assert output.attributions[0, 1] == 0


def test_scores_of_a_transformer_are_positive_and_differ(bert):
    (output,) = Saliency(*bert)("We never had better food", targets=0)
    assert bool((output.attributions > 0).all())
    assert output.attributions.std() > 0


def test_one_pass_forward_and_one_back_for_each_target_and_none_for_the_score(bert):
    model, tokenizer = bert
    with counted(model) as rows:
        (output,) = Saliency(model, tokenizer)(TEXT, targets=[0, 2])
    assert (output.n_forward, output.n_backward) == (sum(rows), 2) == (1, 2)
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    torch.testing.assert_close(output.target_scores, logits[[0, 2]])


def test_a_generator_is_differentiated_at_each_of_its_tokens():
    model, tokenizer = tiny("gpt2", "text-generation")
    explainer = Saliency(model, tokenizer, granularity="token", score="logit")
    (output,) = explainer("I felt sad and", targets=" calm and happy")
    ids = output.example.ids
    n = output.n_source
    for row, position in enumerate(range(n, len(ids))):
        embeddings = model.get_input_embeddings()(ids[None, :position]).detach().requires_grad_()
        model(inputs_embeds=embeddings).logits[0, -1, ids[position]].backward(inputs=[embeddings])
        expected = embeddings.grad[0].norm(dim=-1)
        torch.testing.assert_close(output.attributions[row, :position], expected, atol=1e-5, rtol=1e-4)


def test_an_unknown_reduction_is_named(bert):
    with pytest.raises(UnknownNameError, match="unknown reduction 'l3'"):
        Saliency(*bert, reduction="l3")
