"""interpreto and captum, called as their documentation does. Each is imported only in its own environment."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from tests.benchmarks.cases import COALITIONS, INTERPRETO_64, METHODS, NOISE_SAMPLES, Case

CAPTUM_BATCH = 32
NOISE = 0.1


def prepare_interpreto(
    case: Case, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> Callable[[int], None]:
    """A function of the number of sentences that explains them, in batches of 4 (its default) or 64."""
    import interpreto

    # InputxGradient is no class there, but the default of its Saliency.
    name = "Saliency" if case.method == "InputxGradient" else case.method
    arguments = {key: value for key, value in case.arguments.items() if key != "tolerance"}
    arguments["granularity"] = interpreto.Granularity(str(arguments.get("granularity", "word")))
    if name == "Saliency":
        arguments["input_x_gradient"] = case.method == "InputxGradient"
    if case.library == INTERPRETO_64:
        arguments["batch_size"] = 64
    explainer = getattr(interpreto, name)(model, tokenizer, **arguments)
    texts, targets = case.texts()

    def run(n_sentences: int) -> None:
        chosen = None if targets is None else targets[:n_sentences]
        explainer(model_inputs=texts[:n_sentences], targets=chosen)

    return run


def prepare_captum(case: Case, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Callable[[int], None]:
    """A function of the number of sentences that explains them one by one, as captum's text tutorials do.

    The forward function is written with care (one pass serves all target tokens, the vocabulary head only at their
    positions); masked passes go in batches of 32.

    Raises:
        NotImplementedError: For a method that captum does not have.
    """
    if case.method == "Sobol":
        raise NotImplementedError("captum has no Sobol indices")
    texts, target_texts = case.texts()
    explain = _captum_gradient if METHODS[case.method].gradient else _captum_perturbation

    def run(n_sentences: int) -> None:
        for index, text in enumerate(texts[:n_sentences]):
            encoding = tokenizer(text, return_tensors="pt")
            suffix = None
            if target_texts is not None:
                suffix = tokenizer(target_texts[index], add_special_tokens=False, return_tensors="pt")["input_ids"]
            explain(case.method, model, tokenizer, encoding, suffix)

    return run


def _captum_perturbation(
    method: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoding: BatchEncoding,
    suffix: Tensor | None,
) -> list[Tensor]:
    from captum.attr import FeatureAblation, KernelShap, Lime

    ids = encoding["input_ids"]
    words = encoding.word_ids(0)
    features = torch.tensor([[0 if word is None else word for word in words]])
    mask_id = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.eos_token_id
    # Special tokens share a feature with the first word, but their baseline is themselves: they never change.
    special = torch.tensor([[word is None for word in words]])
    baselines = torch.where(special, ids, mask_id)

    def forward(rows: Tensor) -> Tensor:
        if suffix is None:
            return model(input_ids=rows).logits
        return _target_logits(model, suffix, input_ids=torch.cat([rows, suffix[:, :-1].expand(len(rows), -1)], 1))

    common = {"baselines": baselines, "feature_mask": features, "perturbations_per_eval": CAPTUM_BATCH}
    with torch.no_grad():
        if method == "Occlusion":
            # It scores every output of a single example at once.
            target = None if suffix is not None else int(forward(ids).argmax())
            return [FeatureAblation(forward).attribute(ids, target=target, **common)]
        explainer = {"Lime": Lime, "KernelShap": KernelShap}[method](forward)
        outputs = [int(forward(ids).argmax())] if suffix is None else list(range(suffix.shape[1]))
        return [explainer.attribute(ids, target=t, n_samples=COALITIONS, **common) for t in outputs]


def _captum_gradient(
    method: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoding: BatchEncoding,
    suffix: Tensor | None,
) -> list[Tensor]:
    embeddings = model.get_input_embeddings()
    x = embeddings(encoding["input_ids"]).detach()
    tail = None if suffix is None else embeddings(suffix[:, :-1]).detach()

    def forward(rows: Tensor) -> Tensor:
        if suffix is None or tail is None:
            return model(inputs_embeds=rows).logits
        return _target_logits(model, suffix, inputs_embeds=torch.cat([rows, tail.expand(len(rows), -1, -1)], 1))

    if suffix is None:
        with torch.no_grad():
            targets = [int(forward(x).argmax())]
    else:
        targets = list(range(suffix.shape[1]))
    attribute = _captum_gradient_method(method, forward, x)
    return [attribute(target).sum(-1) for target in targets]


def _captum_gradient_method(method: str, forward: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[int], Tensor]:
    from captum.attr import GradientShap, InputXGradient, IntegratedGradients, NoiseTunnel, Saliency

    if method == "Saliency":
        return lambda target: Saliency(forward).attribute(x, target=target)
    if method == "InputxGradient":
        return lambda target: InputXGradient(forward).attribute(x, target=target)
    if method == "IntegratedGradients":
        return lambda target: IntegratedGradients(forward).attribute(x, target=target, n_steps=NOISE_SAMPLES)
    if method == "GradientShap":
        baseline = torch.zeros_like(x)
        return lambda target: GradientShap(forward).attribute(
            x, baselines=baseline, target=target, n_samples=NOISE_SAMPLES, stdevs=NOISE
        )
    kind = {"SmoothGrad": "smoothgrad", "SquareGrad": "smoothgrad_sq", "VarGrad": "vargrad"}[method]
    tunnel = NoiseTunnel(Saliency(forward))
    return lambda target: tunnel.attribute(x, target=target, nt_type=kind, nt_samples=NOISE_SAMPLES, stdevs=NOISE)


def _target_logits(model: PreTrainedModel, suffix: Tensor, **inputs: Tensor) -> Tensor:
    """Logits (b, t) of the target tokens (1, t), whose last one is not among the inputs."""
    logits = model(logits_to_keep=suffix.shape[1], use_cache=False, **inputs).logits
    return logits.gather(-1, suffix.expand(len(logits), -1)[..., None])[..., 0]
