import logging

import pytest
import torch

from hf_interpreto.model_wrapping.batching import Batcher, Cost

CPU = torch.device("cpu")


def _rows(batches):
    return [(part.request, row) for parts in batches for part in parts for row in range(part.start, part.stop)]


def _random_costs(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda high, n: torch.randint(0, high, (n,), generator=generator).tolist()  # noqa: E731
    return [Cost(rows, tokens + 1, logits) for rows, tokens, logits in zip(draw(50, 9), draw(3000, 9), draw(10**7, 9))]  # noqa: B905


@pytest.mark.parametrize("batch_size", [1, 3, 64, "auto"])
@pytest.mark.parametrize("seed", range(4))
def test_every_row_of_every_request_is_run_exactly_once(batch_size, seed):
    costs = _random_costs(seed)
    batches = list(Batcher(batch_size, CPU).batches(costs))
    expected = sorted((index, row) for index, cost in enumerate(costs) for row in range(cost.rows))
    assert sorted(_rows(batches)) == expected
    assert all(parts and all(len(part) > 0 for part in parts) for parts in batches)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_no_batch_is_larger_than_asked_and_only_the_last_is_smaller(batch_size):
    sizes = [sum(map(len, parts)) for parts in Batcher(batch_size, CPU).batches(_random_costs(0))]
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size


@pytest.mark.parametrize("seed", range(4))
def test_an_automatic_batch_keeps_to_the_budget_of_tokens_and_logits_or_is_a_single_row(seed):
    costs = _random_costs(seed)
    batcher = Batcher("auto", CPU)
    for parts in batcher.batches(costs):
        rows = sum(map(len, parts))
        first = costs[parts[0].request]
        assert rows == 1 or (rows * first.tokens <= batcher.tokens and rows * first.logits <= batcher.logits)


def test_long_rows_come_first_and_rows_of_like_length_together():
    costs = [Cost(2, 5), Cost(2, 50), Cost(2, 7)]
    parts = [part.request for batch in Batcher(2, CPU).batches(costs) for part in batch]
    assert parts == [1, 2, 0]


def test_accelerators_get_larger_batches():
    assert Batcher("auto", torch.device("cuda")).tokens > Batcher("auto", CPU).tokens


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "automatic", None, True])
def test_a_bad_batch_size_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch_size={batch_size!r}: expected 'auto' or a positive integer"):
        Batcher(batch_size, CPU)


@pytest.mark.parametrize("batch_size", [16, "auto"])
def test_a_batch_that_does_not_fit_is_halved_and_later_batches_stay_small(batch_size, caplog):
    costs = [Cost(30, 100), Cost(40, 90)]
    batcher = Batcher(batch_size, CPU)
    done, tried = [], []

    def execute(parts):
        rows = sum(map(len, parts))
        tried.append(rows)
        if rows > 5:
            raise torch.OutOfMemoryError("no room")
        done.extend(_rows([parts]))

    with caplog.at_level(logging.WARNING, logger="hf_interpreto"):
        batcher.run(costs, execute)
    assert sorted(done) == sorted((index, row) for index, cost in enumerate(costs) for row in range(cost.rows))
    failed = [index for index, rows in enumerate(tried) if rows > 5]
    assert len(failed) < 8
    assert max(tried[len(tried) // 2 :]) <= 5
    assert "Out of memory with" in caplog.text
    batcher.run(costs, execute)
    assert max(tried[-20:]) <= 5


def test_a_single_row_that_does_not_fit_is_an_error():
    def execute(parts):
        raise torch.OutOfMemoryError("no room for one")

    with pytest.raises(torch.OutOfMemoryError, match="no room for one"):
        Batcher("auto", CPU).run([Cost(3, 10)], execute)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    calls = []

    def execute(parts):
        calls.append(parts)
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Batcher("auto", CPU).run([Cost(3, 10)], execute)
    assert len(calls) == 1


@pytest.mark.parametrize("costs", [[], [Cost(0, 10)]])
def test_nothing_to_run_runs_nothing(costs):
    Batcher("auto", CPU).run(costs, lambda parts: pytest.fail("ran something"))
