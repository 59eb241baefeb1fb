"""Labels by a language model: which examples it is shown, and what happens when it fails."""

import threading

import pytest
import torch

from hf_interpreto.concepts.interpretations import LLMLabelError, LLMLabels, LLMLabelWarning, SamplingMethod
from hf_interpreto.concepts.interpretations.llm_labels import INACTIVE
from hf_interpreto.concepts.interpretations.sampling import generator_of, sample
from hf_interpreto.errors import InvalidInputError, UnknownNameError
from hf_interpreto.model_wrapping.llm_interface import LLMError, LLMInterface, OpenAILLM, Role
from tests.concepts.interpretations.fakes import FakeExplainer, letters
from tests.model_wrapping.llm_server import LLMServer

TEXTS = ["a banana here", "see the tea", "banana"]


class Scripted(LLMInterface):
    """Answers by what stands in the prompt, and keeps the prompts."""

    def __init__(self, answer=lambda user: "a label"):
        self.answer = answer
        self.prompts = []
        self.lock = threading.Lock()

    def generate(self, prompt):
        with self.lock:
            self.prompts.append(prompt)
        return self.answer(prompt[1][1])


def label(llm, indices="all", texts=TEXTS, features=letters, n_concepts=3, **options):
    options = {"activation_granularity": "word", **options}
    method = LLMLabels(concept_explainer=FakeExplainer(features, n_concepts), llm_interface=llm, **options)
    return method.interpret(concepts_indices=indices, inputs=texts)


def shown(llm, concept=0):
    return llm.prompts[concept][1][1].splitlines()


def test_examples_stand_after_their_activation_on_a_scale_to_ten():
    llm = Scripted()
    assert label(llm, [0]) == {0: "a label"}
    ((system, _), (user, _), assistant) = llm.prompts[0]
    assert (system, user, assistant) == (Role.SYSTEM, Role.USER, (Role.ASSISTANT, ""))
    assert shown(llm) == ['10 "banana"', '3 "a"', '3 "tea"']


def test_a_concept_that_is_never_active_is_labelled_so_without_a_call():
    llm = Scripted()
    assert label(llm) == {0: "a label", 1: "a label", 2: INACTIVE}
    assert len(llm.prompts) == 2


def test_examples_can_stand_in_context_as_the_text_has_it():
    llm = Scripted()
    label(llm, [0], ["it is (a banana), here!"], k_context=2, k_examples=1)
    assert shown(llm) == ['10 "(a [[banana]]),"']
    assert "[[ ]]" in llm.prompts[0][0][1]


def test_context_needs_the_inputs():
    explainer = FakeExplainer(letters, 3)
    activations = explainer.model_with_split_points.get_activations(TEXTS, "word", aggregation_strategy="mean")
    with pytest.raises(InvalidInputError, match="context"):
        LLMLabels(concept_explainer=explainer, llm_interface=Scripted(), k_context=1).interpret(
            latent_activations=activations
        )


def test_examples_are_quoted_and_long_ones_cut():
    llm = Scripted()
    label(llm, [0], ['say "a"\nnow', "a" * 1000], activation_granularity="sample")
    assert shown(llm) == ['10 "' + "a" * 400 + '…"', r'0 "say \"a\"\nnow"']


def test_the_system_prompt_can_be_replaced():
    llm = Scripted()
    label(llm, [0], system_prompt="Name {this}.")
    assert llm.prompts[0][0] == (Role.SYSTEM, "Name {this}.")


def test_labels_lose_quotation_marks_and_blanks():
    assert label(Scripted(lambda user: ' "Fruit" \n'), [0]) == {0: "Fruit"}


@pytest.mark.parametrize("method", list(SamplingMethod))
def test_samples_are_distinct_in_order_and_repeatable(method):
    for size, k in [(0, 5), (3, 5), (100, 10), (100, 7)]:
        first, second = (sample(method, size, k, 5, generator_of(0, 1)).tolist() for _ in range(2))
        assert first == second == sorted(set(first))
        assert len(first) == min(size, k)
        assert all(0 <= place < size for place in first)


def test_each_sampling_method_takes_what_it_says():
    assert sample(SamplingMethod.TOP, 100, 4, 5, generator_of(0, 0)).tolist() == [0, 1, 2, 3]
    ranges = sample(SamplingMethod.QUANTILE, 100, 12, 5, generator_of(0, 0)) // 20
    assert torch.bincount(ranges).tolist() == [3, 3, 2, 2, 2]
    drawn = {tuple(sample(SamplingMethod.RANDOM, 100, 4, 5, generator_of(seed, 0)).tolist()) for seed in range(5)}
    assert len(drawn) == 5


def test_a_label_depends_on_its_own_concept_only():
    texts = ["a" * number + "e" * (number % 7) for number in range(1, 40)]
    options = {"sampling_method": "random", "k_examples": 4, "max_workers": 1, "seed": 3}
    one, both = Scripted(), Scripted()
    label(one, [1], texts, **options)
    label(both, [0, 1], texts, **options)
    assert one.prompts[0] == both.prompts[1]


def fail_on_banana(hopeless):
    def answer(user):
        if "banana" in user:
            raise LLMError("no luck", hopeless=hopeless)
        return "e-words"

    return answer


def test_an_error_names_each_failure_and_keeps_the_labels():
    with pytest.raises(LLMLabelError, match="1 of 3 concepts got no label: concept 0: no luck") as caught:
        label(Scripted(fail_on_banana(False)))
    assert caught.value.failures == {0: "no luck"}
    assert caught.value.labels == {1: "e-words", 2: INACTIVE}


def test_a_caller_may_go_on_without_what_failed():
    with pytest.warns(LLMLabelWarning, match="concept 0: no luck"):
        assert label(Scripted(fail_on_banana(False)), on_error="warn") == {1: "e-words", 2: INACTIVE}


@pytest.mark.parametrize("nothing", ["", None, ' "" '])
def test_an_empty_answer_is_a_failure(nothing):
    with pytest.raises(LLMLabelError, match="empty answer"):
        label(Scripted(lambda user: nothing), [0])


def test_after_an_error_without_hope_no_further_call_is_made():
    llm = Scripted(fail_on_banana(True))
    with pytest.raises(LLMLabelError) as caught:
        label(llm, max_workers=1)
    assert len(llm.prompts) == 1
    assert caught.value.failures == {0: "no luck", 1: "not tried after: no luck"}


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    path = tmp_path / "labels.jsonl"

    def interrupt(user):
        if "banana" not in user:
            raise KeyboardInterrupt
        return "fruit"

    with pytest.raises(KeyboardInterrupt):
        label(Scripted(interrupt), max_workers=1, cache_path=path)
    again = Scripted()
    assert label(again, cache_path=path) == {0: "fruit", 1: "a label", 2: INACTIVE}
    assert len(again.prompts) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k_examples": 0}, "k_examples=0"), ({"k_quantile": 0}, "k_quantile=0"), ({"on_error": "skip"}, "on_error")],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        label(Scripted(), **options)


def test_an_unknown_sampling_method_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'quantile'"):
        label(Scripted(), sampling_method="quantiles")


def features_of_many(text):
    return [float(text == str(concept)) for concept in range(24)]


def test_concepts_are_asked_for_at_once_through_faults_and_each_gets_its_own_label():
    with LLMServer(lambda messages: "label of " + messages[1]["content"].split('"')[1]) as server:
        server.delay = 0.05
        server.faults = [429, 500, "hang up", "empty", 503]
        llm = OpenAILLM(model="m", base_url=server.url, first_wait=0.01)
        texts = [" ".join(map(str, range(24)))]
        found = label(llm, texts=texts, features=features_of_many, n_concepts=24, max_workers=4)
        llm._client.close()
        assert found == {concept: f"label of {concept}" for concept in range(24)}
        assert 2 <= server.most_at_once <= 4
        assert len(server.requests) == 29


def test_a_wrong_key_is_reported_for_every_concept():
    with LLMServer() as server:
        server.faults = [401] * 30
        llm = OpenAILLM("wrong", model="m", base_url=server.url, first_wait=0.01)
        texts = [" ".join(map(str, range(24)))]
        with pytest.raises(LLMLabelError, match="24 of 24 concepts got no label: concept 0: api_key") as caught:
            label(llm, texts=texts, features=features_of_many, n_concepts=24, max_workers=2)
        llm._client.close()
        assert len(caught.value.failures) == 24
        assert len(server.requests) <= 3
