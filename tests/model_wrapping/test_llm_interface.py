"""Language models that answer prompts: a server with faults, a local model, and the file of answers."""

import json
import threading
from itertools import pairwise

import pytest
import torch

from hf_interpreto.model_wrapping.llm_cache import CachedLLM, prompt_key
from hf_interpreto.model_wrapping.llm_interface import LLMError, LLMInterface, OpenAILLM, Role, TransformersLLM
from hf_interpreto.testing import tiny_model
from tests.model_wrapping.llm_server import LLMServer

PROMPT = [(Role.SYSTEM, "be brief"), (Role.USER, "what is this?"), (Role.ASSISTANT, "")]


@pytest.fixture
def server():
    with LLMServer() as server:
        yield server


@pytest.fixture
def make(server):
    """Models behind the server; their connections are closed afterwards."""
    made = []

    def new(**options):
        made.append(OpenAILLM(**{"base_url": server.url, "model": "m", "first_wait": 0.01, **options}))
        return made[-1]

    yield new
    for llm in made:
        llm._client.close()


class Counting(LLMInterface):
    def __init__(self, answer="an answer"):
        self.calls = 0
        self.answer = answer

    def generate(self, prompt):
        self.calls += 1
        return self.answer


def test_the_prompt_goes_out_as_messages_without_the_place_of_the_answer(server, make):
    assert make(options={"temperature": 0}).generate(PROMPT) == "a label"
    (request,) = server.requests
    assert request["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what is this?"},
    ]
    assert (request["model"], request["temperature"]) == ("m", 0)


@pytest.mark.parametrize("fault", [429, 500, 503, 408, "hang up", "empty"])
def test_what_may_pass_is_tried_again(server, make, fault):
    server.faults = [fault, fault]
    assert make().generate(PROMPT) == "a label"
    assert len(server.requests) == 3


def test_a_slow_answer_counts_as_lost(server, make):
    server.faults = ["slow"]
    assert make(timeout=0.1).generate(PROMPT) == "a label"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "reason"), [(500, "HTTP 500"), ("empty", "the answer was empty"), ("hang up", "Connection")]
)
def test_an_error_says_how_often_was_tried_and_what_came_last(server, make, fault, reason):
    server.faults = [fault] * 3
    with pytest.raises(LLMError, match=f"'m' gave no answer in 3 tries; the last: .*{reason}") as caught:
        make(num_try=3).generate(PROMPT)
    assert not caught.value.hopeless
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "words", "hopeless"),
    [
        (401, "api_key: the server refused it", True),
        (403, "api_key: the server refused it", True),
        ((429, "insufficient_quota"), "credit is used up", True),
        (404, "HTTP 404", True),
        (400, "HTTP 400", False),
    ],
)
def test_what_will_not_pass_is_tried_once(server, make, fault, words, hopeless):
    server.faults = [fault]
    with pytest.raises(LLMError, match=words) as caught:
        make().generate(PROMPT)
    assert caught.value.hopeless is hopeless
    assert len(server.requests) == 1


def test_waits_grow_and_are_jittered_within_their_bounds(make):
    llm = make(first_wait=1.0, longest_wait=5.0)
    for attempt, full in enumerate([1.0, 2.0, 4.0, 5.0, 5.0]):
        pauses = {llm._pause(attempt, None) for _ in range(50)}
        assert len(pauses) > 1
        assert all(full / 2 <= pause <= full for pause in pauses)


def test_the_server_may_say_how_long_to_wait(server, make):
    server.faults = [(429, {"Retry-After": "0.2"}), (429, {"Retry-After": "tomorrow"})]
    make(first_wait=0.001).generate(PROMPT)
    first, second = (later - earlier for earlier, later in pairwise(server.times))
    assert first >= 0.2
    assert len(server.times) == 3
    assert second >= 0


def test_without_a_key_the_servers_own_is_never_sent_elsewhere(server, make, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    make(api_key=None).generate(PROMPT)
    make(api_key="mine").generate(PROMPT)
    assert server.keys == ["Bearer none", "Bearer mine"]


def test_a_missing_key_is_said_at_the_call_and_not_before(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    llm = OpenAILLM(api_key=None)
    with pytest.raises(LLMError, match=r"api_key: .* set OPENAI_API_KEY") as caught:
        llm.generate(PROMPT)
    assert caught.value.hopeless


def test_a_key_is_never_shown():
    assert "secret" not in repr(OpenAILLM("secret"))


def test_fewer_tries_than_one_are_refused():
    with pytest.raises(ValueError, match="num_try=0"):
        OpenAILLM("key", num_try=0)


def test_kept_answers_need_no_second_call_also_in_another_run(tmp_path):
    llm = Counting()
    path = tmp_path / "new" / "answers.jsonl"
    cached = CachedLLM(llm, path)
    assert [cached.generate(PROMPT), cached.generate(PROMPT)] == ["an answer"] * 2
    assert CachedLLM(llm, path).generate(PROMPT[:-1]) == "an answer"
    assert llm.calls == 1
    assert CachedLLM(llm, path).generate([(Role.USER, "another")]) == "an answer"
    assert llm.calls == 2


def test_answers_of_another_model_or_other_options_are_not_taken():
    keys = {
        prompt_key(llm.name, PROMPT)
        for llm in (OpenAILLM("k"), OpenAILLM("k", model="other"), OpenAILLM("k", options={"temperature": 1}))
    }
    assert len(keys) == 3


def test_a_line_that_a_crash_left_half_written_costs_only_itself(tmp_path, caplog):
    path = tmp_path / "answers.jsonl"
    llm = Counting()
    CachedLLM(llm, path).generate([(Role.USER, "one")])
    CachedLLM(llm, path).generate([(Role.USER, "two")])
    path.write_bytes(path.read_bytes()[:-9])
    CachedLLM(llm, path).generate([(Role.USER, "three")])
    assert "line 2 is damaged" in caplog.text
    again = CachedLLM(Counting("wrong"), path)
    assert again.generate([(Role.USER, "one")]) == again.generate([(Role.USER, "three")]) == "an answer"
    assert again.generate([(Role.USER, "two")]) == "wrong"


def test_failures_are_not_kept(tmp_path):
    path = tmp_path / "answers.jsonl"
    assert CachedLLM(Counting(""), path).generate(PROMPT) == ""
    assert not path.exists()


def test_threads_share_a_file_of_answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    caches = [CachedLLM(Counting("x" * 5000), path) for _ in range(4)]

    def work(cache):
        for number in range(20):
            cache.generate([(Role.USER, f"{id(cache)} {number}")])

    threads = [threading.Thread(target=work, args=[cache]) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.loads(line)["key"] for line in path.read_text().splitlines()}) == 80


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_a_local_model_gives_its_greedy_continuation_and_stays_as_it_was(family):
    model, tokenizer = tiny_model(family, task="text-generation")
    model.train()
    answer = TransformersLLM(model, tokenizer, max_new_tokens=8).generate(PROMPT)
    assert model.training
    assert tokenizer.pad_token_id == tiny_model(family, task="text-generation")[1].pad_token_id
    model.eval()
    ids = tokenizer("be brief\n\nwhat is this?\n\n", return_tensors="pt")
    with torch.no_grad():
        whole = model.generate(**ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0]
    start = 0 if family == "t5" else ids["input_ids"].shape[1]
    assert answer == tokenizer.decode(whole[start:], skip_special_tokens=True).strip()


@pytest.mark.parametrize("refuses", [False, True])
def test_a_chat_template_is_used_and_may_refuse_a_system_message(refuses):
    model, tokenizer = tiny_model("gpt2", task="text-generation")
    check = "{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}" if refuses else ""
    tokenizer.chat_template = "{% for m in messages %}" + check + "{{ m.role }}: {{ m.content }};{% endfor %}bot:"
    encoded = TransformersLLM(model, tokenizer)._encode(PROMPT)
    text = tokenizer.decode(encoded["input_ids"][0])
    joined = "user: be brief\n\nwhat is this?;bot:"
    assert text.strip() == (joined if refuses else "system: be brief;user: what is this?;bot:")
