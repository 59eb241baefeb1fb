"""hf_interpreto, called as a user calls it."""

from collections.abc import Callable

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.benchmarks.cases import Case


def prepare(case: Case, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Callable[[int], None]:
    """A function of the number of sentences that explains them. The raw logit is the score of the peers."""
    import hf_interpreto

    arguments = {"granularity": "word", "score": "logit", **case.arguments}
    explainer = getattr(hf_interpreto, case.method)(model, tokenizer, **arguments)
    texts, targets = case.texts()

    def run(n_sentences: int) -> None:
        chosen = None if targets is None else targets[:n_sentences]
        explainer(model_inputs=texts[:n_sentences], targets=chosen)

    return run
