import pytest

from hf_interpreto import errors

INPUT_ERRORS = [
    errors.UnknownNameError,
    errors.InvalidInputError,
    errors.InvalidTargetError,
    errors.TaskMismatchError,
    errors.TokenizerError,
    errors.NonFiniteScoresError,
]


def test_a_near_miss_is_told_and_all_names_are_listed_in_order():
    message = str(errors.UnknownNameError("attribution method", "lim", ["occlusion", "lime"]))
    assert message == "unknown attribution method 'lim'; did you mean 'lime'? Known: lime, occlusion"


def test_the_hint_keeps_the_known_spelling_whatever_the_case_of_what_was_given():
    assert "did you mean 'KernelShap'?" in str(errors.UnknownNameError("method", "KERNELSHAP", ["KernelShap", "Lime"]))


def test_a_name_like_no_other_gets_no_hint():
    message = str(errors.UnknownNameError("score", "zzz", ["logit", "margin"]))
    assert message == "unknown score 'zzz'. Known: logit, margin"


def test_a_long_list_of_names_is_cut():
    message = str(errors.UnknownNameError("label", "x", [f"class {index:03d}" for index in range(100)]))
    assert message.endswith("class 039, ...")
    assert "class 040" not in message


def test_names_that_are_not_texts_can_be_told_too():
    assert "unknown granularity 3. Known: 1, word" in str(errors.UnknownNameError("granularity", 3, ["word", 1]))


@pytest.mark.parametrize("error", INPUT_ERRORS)
def test_every_named_error_can_be_caught_as_a_value_error(error):
    assert issubclass(error, ValueError)
    assert error.__doc__


def test_truncation_is_a_warning_of_its_own_kind():
    assert issubclass(errors.TruncationWarning, UserWarning)
