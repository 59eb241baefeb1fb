import pytest
import torch
from transformers import BatchEncoding, GenerationConfig

from hf_interpreto import Occlusion
from hf_interpreto.errors import InvalidInputError, InvalidTargetError, NonFiniteScoresError
from hf_interpreto.testing import shift_copy_lm, slow_tokenizer, tiny_model
from tests.model_wrapping.oracles import (
    LONG,
    TEXT,
    build,
    coalition_scores,
    example_of,
    examples_of,
    plain_logits,
    random_keep,
)

DECODERS = ["gpt2", "gpt-neox", "llama", "qwen2", "gemma2", "mistral"]
ENCODER_DECODERS = ["t5", "bart", "marian"]


def _whole(example):
    return torch.ones(1, len(example.players), dtype=torch.bool)


def _logprobs(model, example):
    logits = plain_logits(model, example).double()
    return logits.log_softmax(-1).gather(-1, example.target_ids[:, None])[:, 0]


# -- targets typed as text -------------------------------------------------------------------------


@pytest.mark.parametrize("name", DECODERS)
def test_a_target_text_is_scored_token_by_token_in_one_pass(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, "The film was", "very good.")
    ids = tokenizer("The film was very good.")["input_ids"]
    assert example.ids.tolist() == ids
    n = len(tokenizer("The film was")["input_ids"])
    assert example.positions.tolist() == list(range(n, len(ids)))
    assert torch.allclose(coalition_scores(engine, example, _whole(example))[0], _logprobs(model, example), atol=1e-4)
    assert [row.label for row in example.rows] == ["very", "good", "."]
    assert [e.text for e in example.elements] == ["The", "film", "was", "very", "good", "."]
    assert example.text == "The film was very good."
    assert example.text[: example.source_length].strip() == "The film was"


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_an_encoder_decoder_reads_the_input_and_writes_the_target(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, "The film was", "very good.")
    source, target = tokenizer("The film was")["input_ids"], tokenizer(text_target="very good.")["input_ids"]
    start = model.config.decoder_start_token_id
    content = [token for token in target if token not in tokenizer.all_special_ids]
    assert example.n_encoder == len(source)
    assert example.ids[: len(source)].tolist() == source
    assert int(example.ids[len(source)]) == start
    assert example.target_ids.tolist() == content
    assert torch.allclose(coalition_scores(engine, example, _whole(example))[0], _logprobs(model, example), atol=1e-4)
    assert example.text == "The film was\nvery good."
    assert example.text[example.source_length + 1 :] == "very good."
    assert [row.label for row in example.rows] == ["very", "good", "."]
    assert all(example.text[slice(*e.span)] == e.text for e in example.elements)


def test_the_tokens_of_a_word_make_one_row_and_its_score_is_their_sum(gpt2):
    task, engine = build(*gpt2)
    example = example_of(task, engine, "The film was", "unbelievable, really")
    assert [row.label for row in example.rows] == ["unbelievable", ",", "really"]
    assert [token for group in example.groups for token in group] == list(range(len(example.positions)))
    for row, group in zip(example.rows, example.groups, strict=True):
        assert example.elements[row.element].tokens == tuple(example.positions[group].tolist())
        ids = example.target_ids[group].tolist()
        assert row.id == (ids[0] if len(ids) == 1 else tuple(ids))
    assert engine.score.additive


def test_generated_units_cannot_be_explained_by_themselves_or_by_what_follows(gpt2):
    task, engine = build(*gpt2)
    example = example_of(task, engine, "The film was", "very good")
    expected = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], dtype=torch.bool)
    assert torch.equal(example.attributable, expected)


def test_the_output_can_be_left_out_of_the_attribution(gpt2):
    task, engine = build(*gpt2, attribute_target=False)
    example = example_of(task, engine, "The film was", "very good")
    assert [element.frozen for element in example.elements] == [False, False, False, True, True]
    assert not example.attributable[:, 3:].any()
    assert example.attributable[:, :3].all()


def test_all_targets_of_an_input_get_an_example_each(gpt2):
    task, engine = build(*gpt2)
    examples = task.examples(["The film was", "He"], [["good", "very bad", [5, 6]], "left"], engine)
    assert [[row.label for row in e.rows] for e in examples[:2]] == [["good"], ["very", "bad"]]
    assert examples[2].target_ids.tolist() == [5, 6]
    assert examples[3].text == "He left"


@pytest.mark.parametrize("target", ["", "  ", "\n"])
@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_a_target_text_without_tokens_is_refused(kind, target, request):
    task, engine = build(*request.getfixturevalue(kind))
    with pytest.raises(InvalidTargetError, match=r"targets: the text '.*' has no tokens; there is nothing to explain"):
        example_of(task, engine, "The film", target)


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_a_target_of_special_tokens_alone_is_refused_as_a_target(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer)
    for target in (tokenizer.eos_token, [tokenizer.eos_token_id]):
        with pytest.raises(InvalidTargetError, match=r"targets: .* holds only special tokens"):
            example_of(task, engine, "The film", target)


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_special_tokens_in_a_target_are_read_but_get_no_row_unless_all_tokens_do(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    target = [*tokenizer(" good", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    task, engine = build(model, tokenizer, granularity="token")
    example = example_of(task, engine, "The film was", target)
    assert example.ids[-len(target) :].tolist() == target
    assert tokenizer.eos_token_id not in example.target_ids.tolist()
    task, engine = build(model, tokenizer, granularity="all_tokens")
    assert example_of(task, engine, "The film was", target).target_ids.tolist() == target


# -- targets as ids --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DECODERS)
def test_target_ids_are_scored_exactly_as_given(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer, granularity="all_tokens")
    prompt = tokenizer("The film was")["input_ids"]
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        target = torch.randint(len(tokenizer), (5,), generator=generator)
        example = example_of(task, engine, "The film was", target)
        assert example.ids.tolist() == [*prompt, *target.tolist()]
        assert example.target_ids.tolist() == target.tolist()
        found = coalition_scores(engine, example, _whole(example))[0]
        assert torch.allclose(found, _logprobs(model, example), atol=1e-4)


@pytest.mark.parametrize(
    "targets",
    [
        [7, 8, 9],
        [[7, 8, 9]],
        torch.tensor([7, 8, 9]),
        torch.tensor([[7, 8, 9]]),
        [torch.tensor([7, 8, 9])],
        BatchEncoding({"input_ids": torch.tensor([[7, 8, 9]])}),
        {"input_ids": [[7, 8, 9]]},
    ],
)
@pytest.mark.parametrize("kind", ["gpt2", "bart"])
def test_target_ids_come_in_every_form(kind, targets, request):
    task, engine = build(*request.getfixturevalue(kind), granularity="all_tokens")
    (example,) = examples_of(task, engine, ["The film"], targets)
    assert example.target_ids.tolist() == [7, 8, 9]


@pytest.mark.parametrize("targets", [[7], 7, torch.tensor([7]), torch.tensor(7)])
def test_a_single_token_id_is_a_target(gpt2, targets):
    task, engine = build(*gpt2)
    (example,) = examples_of(task, engine, ["The film"], targets)
    assert example.target_ids.tolist() == [7]


@pytest.mark.parametrize("targets", [[100000], [-1], torch.tensor([5, 100000])])
def test_token_ids_beyond_the_vocabulary_are_refused(gpt2, targets):
    task, engine = build(*gpt2)
    size = gpt2[0].config.vocab_size
    with pytest.raises(InvalidTargetError, match=rf"token ids go from 0 to {size - 1}, got up to"):
        examples_of(task, engine, ["The film"], targets)


@pytest.mark.parametrize("target", [[], torch.tensor([0.5]), torch.empty(0, dtype=torch.long), [1.5], [True], {"a"}])
def test_what_is_no_continuation_is_refused(gpt2, target):
    task, engine = build(*gpt2)
    with pytest.raises(InvalidTargetError, match=r"targets: expected (the text or )?token ids"):
        example_of(task, engine, "The film", target)


def test_a_word_can_be_continued_by_ids_and_keeps_its_text(llama):
    _, tokenizer = llama
    task, engine = build(*llama)
    ids = tokenizer("we xtation", return_offsets_mapping=True)
    target = [i for i, (start, _) in zip(ids["input_ids"], ids["offset_mapping"], strict=True) if start >= 4]
    example = example_of(task, engine, "we re", target)
    assert example.text == "we retation"
    assert [row.label for row in example.rows] == ["tation"]
    assert example.ids.tolist() == [*tokenizer("we re")["input_ids"], *target]


# -- what the model generates ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [*DECODERS, *ENCODER_DECODERS])
def test_without_a_target_what_the_model_writes_greedily_is_explained(name):
    model, tokenizer = tiny_model(name, task="text-generation")
    task, engine = build(model, tokenizer, generation_args={"max_new_tokens": 6}, granularity="all_tokens")
    texts = ["The film was a", LONG, "good"]
    for example, text in zip(examples_of(task, engine, texts), texts, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        output = model.generate(**inputs, max_new_tokens=6, do_sample=False, pad_token_id=pad)[0]
        wanted = output[1:] if name in ENCODER_DECODERS else output[inputs["input_ids"].shape[1] :]
        assert example.target_ids.tolist() == wanted.tolist()


def test_the_number_of_new_tokens_is_twenty_unless_somebody_says(gpt2):
    task, engine = build(*gpt2, granularity="token")
    assert len(example_of(task, engine, TEXT).target_ids) <= 20
    for arguments in (
        {"max_new_tokens": 3},
        {"generation_config": GenerationConfig(max_new_tokens=3, pad_token_id=0)},
    ):
        task, engine = build(*gpt2, granularity="token", generation_args=arguments)
        assert len(example_of(task, engine, TEXT).target_ids) == 3


def test_sampling_follows_its_arguments(gpt2):
    arguments = {"max_new_tokens": 8, "do_sample": True, "temperature": 5.0}
    texts = set()
    for seed in range(3):
        task, engine = build(*gpt2, generation_args=arguments)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            texts.add(example_of(task, engine, TEXT).text)
    assert len(texts) > 1


def test_the_end_of_the_text_is_a_target_only_among_all_tokens(plain_words):
    model = shift_copy_lm(plain_words, shift=1)
    model.generation_config.eos_token_id = plain_words("the")["input_ids"][0]
    written = {}
    for granularity in ("word", "all_tokens"):
        task, engine = build(model, plain_words, granularity=granularity, generation_args={"max_new_tokens": 5})
        written[granularity] = [row.label for row in example_of(task, engine, "good bad is the").rows]
    assert written == {"word": ["is"], "all_tokens": ["is", "the"]}


def test_a_model_that_writes_nothing_but_the_end_is_told(plain_words):
    model = shift_copy_lm(plain_words, shift=1)
    model.generation_config.eos_token_id = plain_words("film")["input_ids"][0]
    task, engine = build(model, plain_words)
    with pytest.raises(InvalidTargetError, match="the model generated nothing but the end of the text"):
        example_of(task, engine, "good film the")


def test_more_than_one_text_for_an_input_is_refused(gpt2):
    task, engine = build(*gpt2, generation_args={"num_return_sequences": 2, "num_beams": 2})
    with pytest.raises(ValueError, match="num_return_sequences=2: one text is explained for each input"):
        example_of(task, engine, TEXT)


def test_a_request_for_a_dictionary_of_outputs_does_no_harm(gpt2):
    plain = build(*gpt2, generation_args={"max_new_tokens": 4})
    rich = build(*gpt2, generation_args={"max_new_tokens": 4, "return_dict_in_generate": True})
    assert example_of(*plain, TEXT).text == example_of(*rich, TEXT).text


@pytest.mark.parametrize("batch_size", [1, 2, "auto"])
def test_what_is_generated_never_depends_on_the_batch(llama, batch_size):
    texts = ["good", "The film was", "bad", "The book was", LONG]
    task, engine = build(*llama, batch_size=batch_size, generation_args={"max_new_tokens": 5})
    found = [example.text for example in examples_of(task, engine, texts)]
    alone = [example_of(*build(*llama, generation_args={"max_new_tokens": 5}), text).text for text in texts]
    assert found == alone


# -- prompts ---------------------------------------------------------------------------------------


def test_chat_messages_are_continued_and_template_tokens_left_out():
    model, tokenizer = tiny_model("qwen2", task="text-generation")
    chat = [{"role": "user", "content": "How was it?"}]
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, chat, "Very good")
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert example.text == rendered + "Very good"
    assert [e.text for e in example.elements] == ["How", "was", "it", "?", "Very", "good"]
    assert torch.allclose(coalition_scores(engine, example, _whole(example))[0], _logprobs(model, example), atol=1e-4)
    task, engine = build(model, tokenizer, attribute_template=True)
    with_template = example_of(task, engine, chat, "Very good")
    assert torch.equal(with_template.ids, example.ids)
    assert torch.equal(with_template.positions, example.positions)
    assert [e.text for e in with_template.elements if e.text in ("user", "assistant")] == ["user", "assistant"]


def test_the_end_of_text_that_a_tokenizer_adds_is_taken_off_prompts_but_never_off_given_ids(llama):
    model, _ = llama
    _, tokenizer = tiny_model("t5")
    task, engine = build(model, tokenizer)
    assert example_of(task, engine, "The film", "was good").ids.tolist().count(tokenizer.eos_token_id) == 0
    ids = tokenizer("The film")["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id
    example = example_of(task, engine, {"input_ids": ids}, [20, 21])
    assert example.ids.tolist() == [*ids, 20, 21]


def test_prompt_and_target_over_the_limit_are_refused_and_never_cut(gpt2):
    task, engine = build(*gpt2)
    with pytest.raises(InvalidInputError, match=r"prompt and target have \d+ tokens together, and the model reads 64"):
        example_of(task, engine, "good film " * 40, "very good")


def test_just_as_many_tokens_as_the_model_reads_are_fine(gpt2):
    task, engine = build(*gpt2, granularity="all_tokens")
    example = example_of(task, engine, {"input_ids": list(range(20, 80))}, [5] * 5)
    assert example.n_input == 64
    assert coalition_scores(engine, example, _whole(example)).isfinite().all()
    with pytest.raises(InvalidInputError, match="have 66 tokens together, and the model reads 64"):
        example_of(task, engine, {"input_ids": list(range(20, 80))}, [5] * 6)


def test_a_target_longer_than_an_encoder_decoder_writes_is_refused(bart):
    task, engine = build(*bart)
    with pytest.raises(InvalidTargetError, match=r"a text of \d+ tokens, and the model writes 64\. Shorten it"):
        example_of(task, engine, "good film", "The film was good. " * 30)


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_an_empty_prompt_is_refused(kind, text, request):
    task, engine = build(*request.getfixturevalue(kind))
    with pytest.raises(InvalidInputError, match="got an empty text"):
        example_of(task, engine, text, "good")


def test_a_slow_tokenizer_explains_tokens():
    tokenizer = slow_tokenizer()
    model, _ = tiny_model("gpt2", task="text-generation")
    model.resize_token_embeddings(len(tokenizer))
    task, engine = build(model, tokenizer, granularity="token")
    example = example_of(task, engine, "the film", "was good")
    assert [e.text for e in example.elements] == ["the", "film", "was", "good"]


def test_nan_logits_are_told(gpt2):
    model, tokenizer = tiny_model("gpt2", task="text-generation")
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, "The film", "was good")
    with pytest.raises(NonFiniteScoresError, match="NaN or infinite"):
        coalition_scores(engine, example, random_keep(example))


@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_ids_as_generate_returns_them_are_explained_without_their_start(name):
    model, tokenizer = tiny_model(name)
    inputs = tokenizer("The cat sat.", return_tensors="pt")
    inputs.pop("token_type_ids", None)
    ids = model.generate(**inputs, max_new_tokens=4, do_sample=False)[0]
    explainer = Occlusion(model, tokenizer)
    (raw,) = explainer("The cat sat.", targets=[ids])
    (bare,) = explainer("The cat sat.", targets=[ids[1:]])
    assert raw.elements == bare.elements
    assert torch.equal(raw.attributions.nan_to_num(7), bare.attributions.nan_to_num(7))
