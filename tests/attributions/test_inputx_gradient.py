import torch

from hf_interpreto.attributions import InputxGradient, IntegratedGradients, Saliency, find_method
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import contributions, tiny
from tests.attributions.test_saliency import embedding_gradients

TEXT = "the film was not great"


def test_a_linear_model_gives_its_weights(linear, words):
    (output,) = InputxGradient(linear, words)(TEXT, targets=[0, 1, 2])
    torch.testing.assert_close(output.attributions, contributions(linear, words, TEXT).T, atol=1e-5, rtol=1e-4)


def test_it_is_the_embedding_times_its_gradient(bert):
    model, tokenizer = bert
    (output,) = InputxGradient(model, tokenizer, granularity="all_tokens")(TEXT, targets=2)
    gradients = embedding_gradients(model, tokenizer, TEXT, 2)
    embeddings = model.get_input_embeddings()(tokenizer(TEXT, return_tensors="pt").input_ids)[0]
    torch.testing.assert_close(output.attributions[0], (embeddings * gradients).sum(-1), atol=1e-5, rtol=1e-4)


def test_a_scaled_embedding_is_multiplied_as_the_model_reads_it():
    model, tokenizer = tiny("gemma2", "text-generation")
    (output,) = InputxGradient(model, tokenizer, granularity="token", score="logit")("I felt sad", targets=" and calm")
    ids = output.example.ids[:-1]
    scaled = model.get_input_embeddings()(ids[None]).detach().requires_grad_()
    hook = model.get_input_embeddings().register_forward_hook(lambda *_: scaled)
    try:
        logit = model(input_ids=ids[None]).logits[0, -1, output.example.ids[-1]]
    finally:
        hook.remove()
    logit.backward(inputs=[scaled])
    expected = (scaled * scaled.grad).sum(-1)[0, 1:].detach()  # without the boundary token
    torch.testing.assert_close(output.attributions[-1, :-1], expected, atol=1e-4, rtol=1e-3)


def test_it_has_signs(words):
    model = pair_game_classifier(words, {"great": 2.0, "awful": -3.0})
    (output,) = InputxGradient(model, words)("great awful film", targets=1)
    assert output.attributions.tolist() == [[2.0, -3.0, 0.0]]


def test_a_baseline_is_taken_off_the_embedding(linear, words):
    shifted = torch.randn(8, generator=torch.Generator().manual_seed(0))
    (output,) = InputxGradient(linear, words, baseline=shifted)(TEXT, targets=1)
    per_word = linear.classifier.weight[1].detach() @ shifted
    expected = contributions(linear, words, TEXT)[:, 1] - per_word
    torch.testing.assert_close(output.attributions[0], expected, atol=1e-5, rtol=1e-4)


def test_it_is_integrated_gradients_with_one_node_at_the_end(bert):
    model, tokenizer = bert
    (ours,) = InputxGradient(model, tokenizer)(TEXT, targets=1)
    (path,) = IntegratedGradients(model, tokenizer, baseline="zero", rule="right", n_perturbations=1, tolerance=None)(
        TEXT, targets=1
    )
    torch.testing.assert_close(ours.attributions, path.attributions)


def test_saliency_takes_it_as_an_argument(bert):
    (ours,) = InputxGradient(*bert)(TEXT, targets=1)
    (theirs,) = Saliency(*bert, input_x_gradient=True, reduction="sum", granularity_aggregation_strategy="sum")(
        TEXT, targets=1
    )
    torch.testing.assert_close(ours.attributions, theirs.attributions)


def test_both_spellings_find_it():
    assert find_method("InputxGradient") is find_method("input_x_gradient") is InputxGradient
