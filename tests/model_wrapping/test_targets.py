from itertools import islice

import numpy as np
import pytest
import torch
from transformers import BatchEncoding

from hf_interpreto.errors import InvalidTargetError, UnknownNameError
from hf_interpreto.model_wrapping.targets import check_present, class_ids, per_input

LABELS = {"joy": 0, "anger": 1, "Sadness": 2}


def _ids(targets, n):
    """Class ids of each of `n` inputs."""
    return [class_ids(entry, LABELS, 3) for entry in islice(per_input(targets, n), n)]


@pytest.mark.parametrize(
    ("targets", "n", "expected"),
    [
        (1, 1, [[1]]),
        (1, 3, [[1]] * 3),
        ("anger", 2, [[1], [1]]),
        ([0, 2], 2, [[0], [2]]),
        (["joy", "Sadness"], 2, [[0], [2]]),
        ([0, 1, 2], 1, [[0, 1, 2]]),
        (["anger", 2], 1, [[1, 2]]),
        ([[0, 1, 2]], 1, [[0, 1, 2]]),
        ([[0, 1], [2]], 2, [[0, 1], [2]]),
        ([[0, "Sadness"], "anger"], 2, [[0, 2], [1]]),
        ((0, 1), 2, [[0], [1]]),
        ((0, 1), 1, [[0, 1]]),
        ([(0, 1), (2,)], 2, [[0, 1], [2]]),
        (torch.tensor(2), 1, [[2]]),
        (torch.tensor(2), 2, [[2], [2]]),
        (torch.tensor([0, 2]), 2, [[0], [2]]),
        (torch.tensor([0, 2]), 1, [[0, 2]]),
        (torch.tensor([[0, 1, 2]]), 1, [[0, 1, 2]]),
        (torch.tensor([[0, 1], [2, 1]]), 2, [[0, 1], [2, 1]]),
        ([torch.tensor([0, 1]), torch.tensor([2])], 2, [[0, 1], [2]]),
        ([torch.tensor(1), torch.tensor(2)], 2, [[1], [2]]),
        (torch.tensor([1], dtype=torch.int32), 1, [[1]]),
        (np.int64(2), 2, [[2], [2]]),
        (np.array([0, 1]), 2, [[0], [1]]),
        (np.array([0, 1, 2]), 1, [[0, 1, 2]]),
        (np.array([[0, 1], [1, 2]]), 2, [[0, 1], [1, 2]]),
        ([np.array([0, 1]), np.array([2])], 2, [[0, 1], [2]]),
        (np.array(["joy", "anger"]), 2, [[0], [1]]),
    ],
)
def test_targets_in_every_form_give_their_class_ids(targets, n, expected):
    assert _ids(targets, n) == expected


def test_no_target_stays_none_for_every_input():
    assert list(islice(per_input(None, 3), 3)) == [None] * 3


@pytest.mark.parametrize(
    "targets", [[0, 1], torch.tensor([0, 1]), torch.tensor([[0], [1]]), [[0], [1]], np.array([0, 1])]
)
def test_a_number_of_targets_that_is_not_that_of_the_inputs_is_refused(targets):
    with pytest.raises(InvalidTargetError, match=r"targets: got 2 for 3 inputs\. Give None, one target for all"):
        per_input(targets, 3)


def test_several_rows_of_targets_for_one_input_are_refused():
    with pytest.raises(InvalidTargetError, match="got 2 for 1 inputs"):
        per_input(torch.tensor([[0, 1], [1, 2]]), 1)


def test_a_tensor_of_three_dimensions_is_refused():
    with pytest.raises(InvalidTargetError, match=r"expected a tensor \(n,\) or \(n, t\), got shape \(1, 1, 1\)"):
        per_input(torch.zeros(1, 1, 1, dtype=torch.long), 1)


@pytest.mark.parametrize("targets", [1.5, object()])
def test_what_is_no_target_at_all_is_refused(targets):
    with pytest.raises(InvalidTargetError, match=r"targets: got a (float|object).*expected ids, names or texts"):
        per_input(targets, 1)


def test_an_encoding_gives_its_ids_and_another_mapping_is_refused():
    encoded = BatchEncoding({"input_ids": torch.tensor([[4, 5]]), "attention_mask": torch.ones(1, 2)})
    assert [row.tolist() for row in per_input(encoded, 1)] == [[4, 5]]
    assert [row.tolist() for row in per_input({"input_ids": [[4, 5], [6, 7]]}, 2)] == [[4, 5], [6, 7]]
    with pytest.raises(InvalidTargetError, match=r"got a mapping with \['label'\]; it needs 'input_ids'"):
        per_input({"label": 1}, 1)


def test_lazy_targets_are_taken_one_by_one_and_told_when_they_run_out():
    entries = iter(per_input((label for label in ("joy", "anger")), None))
    assert [class_ids(next(entries), LABELS, 3) for _ in range(2)] == [[0], [1]]
    with pytest.raises(InvalidTargetError, match="there are fewer targets than inputs"):
        class_ids(next(entries), LABELS, 3)


def test_none_is_no_missing_target():
    assert check_present(None) is None


@pytest.mark.parametrize(("given", "near"), [("ager", "anger"), ("JOY", "joy"), ("sadness", "Sadness")])
def test_an_unknown_label_is_told_with_the_nearest_one(given, near):
    with pytest.raises(UnknownNameError, match=f"unknown target label '{given}'; did you mean '{near}'"):
        class_ids(given, LABELS, 3)


@pytest.mark.parametrize("index", [3, -1, 100])
def test_a_class_id_out_of_range_is_told_with_the_range(index):
    with pytest.raises(
        InvalidTargetError, match=rf"class id {index} is out of range; the model has 3 classes \(0 to 2\)"
    ):
        class_ids(index, LABELS, 3)


@pytest.mark.parametrize("value", [True, 1.0, None, {"a"}, [None], [[0]], np.array([0.5])])
def test_what_is_neither_id_nor_name_is_refused(value):
    with pytest.raises(InvalidTargetError, match="expected class ids or label names, got"):
        class_ids(value, LABELS, 3)


@pytest.mark.parametrize("tensor", [torch.tensor([0.0]), torch.tensor([True])])
def test_tensors_of_other_types_are_refused(tensor):
    with pytest.raises(InvalidTargetError, match=f"expected integer class ids, got a tensor of {tensor.dtype}"):
        class_ids(tensor, LABELS, 3)


@pytest.mark.parametrize("value", [[], (), torch.empty(0, dtype=torch.long)])
def test_an_empty_list_of_targets_explains_nothing(value):
    with pytest.raises(InvalidTargetError, match="an empty list explains nothing; pass None"):
        class_ids(value, LABELS, 3)
