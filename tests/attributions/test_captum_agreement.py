"""The same numbers as captum, an independent implementation, wherever it computes the same thing."""

import captum.attr
import numpy as np
import pytest
import torch

from hf_interpreto.attributions import (
    GradientShap,
    InputxGradient,
    IntegratedGradients,
    KernelShap,
    Occlusion,
    Saliency,
    SmoothGrad,
    SquareGrad,
    VarGrad,
)
from tests.attributions.cases import tiny, word_ids

TEXT = "I didn't like the ending"
CLASSIFIERS = ["bert", "roberta", "gpt2"]
LABEL = 1


class Peer:
    """A classifier as captum sees it: functions of embeddings, and of ids."""

    def __init__(self, name: str, text: str = TEXT) -> None:
        self.model, self.tokenizer = tiny(name, "text-classification")
        self.text = text
        self.ids = word_ids(self.tokenizer, text)[None]
        self.embeddings = self.model.get_input_embeddings()(self.ids).detach().requires_grad_()

    def of_embeddings(self, embeddings: torch.Tensor) -> torch.Tensor:
        if self.model.config.model_type == "gpt2":  # reads the last token, which embeddings alone do not tell it
            return self.model.score(self.model.transformer(inputs_embeds=embeddings).last_hidden_state[:, -1])
        return self.model(inputs_embeds=embeddings).logits

    def of_ids(self, ids: torch.Tensor) -> torch.Tensor:
        return self.of_embeddings(self.model.get_input_embeddings()(ids))

    def explain(self, method, granularity="all_tokens", **settings):
        explainer = method(self.model, self.tokenizer, granularity=granularity, **settings)
        (output,) = explainer(self.text, targets=LABEL)
        return output

    def baseline(self) -> torch.Tensor:
        """The embeddings of the text with every word replaced as the library replaces it."""
        output = self.explain(Occlusion, "token")
        ids = self.ids.clone()
        ids[0, [token for element in output.example.elements for token in element.tokens]] = self.fill
        return self.model.get_input_embeddings()(ids).detach()

    @property
    def fill(self) -> int:
        tokenizer = self.tokenizer
        return tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.unk_token_id


@pytest.fixture(params=CLASSIFIERS)
def peer(request):
    return Peer(request.param)


def close(ours, theirs, atol=1e-5, rtol=1e-4):
    torch.testing.assert_close(ours.attributions[0], theirs.detach().float(), atol=atol, rtol=rtol)


@pytest.mark.parametrize(("reduction", "p"), [("l1", 1), ("l2", 2), ("max", torch.inf)])
def test_saliency(peer, reduction, p):
    theirs = captum.attr.Saliency(peer.of_embeddings).attribute(peer.embeddings, target=LABEL)
    ours = peer.explain(Saliency, reduction=reduction)
    close(ours, torch.linalg.vector_norm(theirs[0], ord=p, dim=-1))


def test_input_x_gradient(peer):
    theirs = captum.attr.InputXGradient(peer.of_embeddings).attribute(peer.embeddings, target=LABEL)
    close(peer.explain(InputxGradient), theirs[0].sum(-1))


@pytest.mark.parametrize(
    ("rule", "method", "scale"),
    [
        ("gauss_legendre", "gausslegendre", 1),
        ("midpoint", "riemann_middle", 1),
        ("right", "riemann_right", 1),
        ("trapezoid", "riemann_trapezoid", 12 / 11),  # captum's weights of n nodes sum to (n - 1) / n
    ],
)
@pytest.mark.parametrize("baseline", ["zero", None])
def test_integrated_gradients(peer, rule, method, scale, baseline):
    granularity = "all_tokens" if baseline == "zero" else "token"
    start = torch.zeros_like(peer.embeddings).detach() if baseline == "zero" else peer.baseline()
    theirs = captum.attr.IntegratedGradients(peer.of_embeddings).attribute(
        peer.embeddings, baselines=start, target=LABEL, n_steps=12, method=method
    )
    ours = peer.explain(
        IntegratedGradients, granularity, rule=rule, n_perturbations=12, tolerance=None, baseline=baseline
    )
    scores = theirs[0].sum(-1)[[element.tokens[0] for element in ours.example.elements]]
    close(ours, scores * scale, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("granularity", ["token", "word", "sentence"])
def test_feature_ablation(peer, granularity):
    ours = peer.explain(Occlusion, granularity)
    elements = ours.example.elements
    mask = torch.full_like(peer.ids, len(elements))
    for index, element in enumerate(elements):
        mask[0, list(element.tokens)] = index
    theirs = captum.attr.FeatureAblation(peer.of_ids).attribute(
        peer.ids, baselines=peer.fill, target=LABEL, feature_mask=mask
    )
    close(ours, theirs[0][[element.tokens[0] for element in elements]])


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 1), (2, 2)])
def test_sliding_windows(peer, window, stride):
    theirs = captum.attr.Occlusion(peer.of_ids).attribute(
        peer.ids, sliding_window_shapes=(window,), strides=(stride,), baselines=peer.fill, target=LABEL
    )
    ours = peer.explain(Occlusion, window=window, stride=stride)
    # Where windows do not end with the text, captum lets the last one hang over, and ours is pulled back.
    shared = len(theirs[0]) - (2 if stride > 1 else 0)
    torch.testing.assert_close(ours.attributions[0, :shared], theirs[0, :shared].float(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_exact_shapley_values(name):
    peer = Peer(name, "I didn't like")
    ours = peer.explain(KernelShap, "word")
    elements = ours.example.elements
    mask = torch.full_like(peer.ids, len(elements))
    for index, element in enumerate(elements):
        mask[0, list(element.tokens)] = index
    # Special tokens are captum's players too; they stay as they are, so that they are dummies and nothing changes.
    fill = torch.full_like(peer.ids, peer.fill)
    fill[mask == len(elements)] = peer.ids[mask == len(elements)]
    theirs = captum.attr.ShapleyValues(peer.of_ids).attribute(
        peer.ids, baselines=fill, target=LABEL, feature_mask=mask, perturbations_per_eval=64
    )
    close(ours, theirs[0][[element.tokens[0] for element in elements]], atol=1e-4)


def test_gradient_shap_converges_to_the_same(peer):
    torch.manual_seed(0)
    np.random.seed(0)  # captum draws from both
    zeros = torch.zeros_like(peer.embeddings)
    theirs = captum.attr.GradientShap(peer.of_embeddings).attribute(
        peer.embeddings, baselines=zeros, n_samples=1500, stdevs=0.0, target=LABEL
    )
    ours = peer.explain(GradientShap, n_perturbations=256, baseline="zero")
    scores = theirs[0].detach().sum(-1)
    assert float((ours.attributions[0] - scores).norm() / scores.norm()) < 0.1


@pytest.mark.parametrize(
    ("method", "kind", "power"),
    [(SmoothGrad, "smoothgrad", 2), (SquareGrad, "smoothgrad_sq", 1), (VarGrad, "vargrad", 1)],
)
def test_moments_of_noisy_gradients_converge_to_the_same(peer, method, kind, power):
    torch.manual_seed(0)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(peer.of_embeddings))
    theirs = tunnel.attribute(
        peer.embeddings,
        nt_type=kind,
        nt_samples=600,
        nt_samples_batch_size=100,
        stdevs=float(0.05 * peer.embeddings.detach().std()),
        target=LABEL,
        abs=False,
    )
    ours = peer.explain(method, n_perturbations=600, noise_std=0.05)
    theirs = theirs[0].detach()
    scores = torch.linalg.vector_norm(theirs, dim=-1) if power == 2 else theirs.sum(-1)
    assert float((ours.attributions[0] - scores).norm() / scores.norm()) < 0.15
