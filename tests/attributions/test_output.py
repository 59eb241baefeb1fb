import json
import math

import pandas as pd
import pytest
import torch

from hf_interpreto.attributions import AttributionOutput, IntegratedGradients, KernelShap, Lime, Occlusion, Saliency
from tests.attributions.cases import METHODS, small
from tests.attributions.situations import SITUATIONS

METHOD_CASES = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
TENSORS = ("attributions", "target_scores", "baseline_scores", "completeness_gap", "standard_errors")


def explained(name: str, method=KernelShap, **settings) -> AttributionOutput:
    situation = SITUATIONS[name]
    model, tokenizer = situation.load()
    return small(method, model, tokenizer, **settings)(situation.inputs[0], [situation.targets[0]])[0]


def assert_same(first: AttributionOutput, second: AttributionOutput) -> None:
    for name in TENSORS:
        left, right = getattr(first, name), getattr(second, name)
        if left is None:
            assert right is None, name
        else:
            torch.testing.assert_close(left, right, equal_nan=True, msg=name, atol=0, rtol=0)
    for name in (
        "elements", "spans", "text", "n_source", "source_length", "targets", "labels", "task", "method", "settings",
        "score", "granularity", "n_forward", "n_backward", "model_name", "model_revision", "diagnostics", "versions",
    ):  # fmt: skip
        assert getattr(first, name) == getattr(second, name), name


@METHOD_CASES
@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_saved_comes_back(method, name, tmp_path):
    output = explained(name, method)
    path = output.save(tmp_path / "deep" / "er" / "output.json")
    assert_same(output, AttributionOutput.load(path))
    assert_same(output, AttributionOutput.from_dict(json.loads(json.dumps(output.to_dict()))))
    assert [file.name for file in path.parent.iterdir()] == ["output.json"]


def test_a_file_is_strict_json_with_null_for_nan(tmp_path):
    path = explained("gpt2").save(tmp_path / "output.json")
    text = path.read_text(encoding="utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    data = json.loads(text, parse_constant=refuse)
    assert data["attributions"][0][-1] is None
    assert data["format"] == "hf-interpreto/attribution"


def test_text_in_any_script_comes_back(words, linear, tmp_path):
    text = 'film 😀 "great" 电影 </script> été'
    (output,) = Occlusion(linear, words)(text, targets=0)
    loaded = AttributionOutput.load(output.save(tmp_path / "output.json"))
    assert loaded.text == text
    assert loaded.elements == output.elements


def damaged(data: dict, path: str, value) -> dict:
    data = json.loads(json.dumps(data))
    *parents, last = path.split(".")
    part = data
    for name in parents:
        part = part[int(name)] if isinstance(part, list) else part[name]
    if value is KeyError:
        del part[last]
    else:
        part[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("attributions", KeyError),
        ("attributions", None),
        ("attributions", "many"),
        ("attributions", [[1.0], [2.0]]),
        ("attributions", [[1.0, 2.0], [3.0]]),
        ("attributions", [["a", "b"]]),
        ("example", None),
        ("example.ids", KeyError),
        ("example.elements", [1, 2]),
        ("example.rows", {}),
        ("task", "text-painting"),
        ("granularity", "letter"),
        ("target_scores", 3),
        ("format_version", KeyError),
        ("format_version", "one"),
        ("settings", KeyError),
        ("method", KeyError),
    ],
)
def test_a_damaged_file_is_refused_with_a_clear_error(path, value, tmp_path):
    file = tmp_path / "output.json"
    file.write_text(json.dumps(damaged(explained("bert-classifier").to_dict(), path, value)))
    with pytest.raises(ValueError, match="damaged"):
        AttributionOutput.load(file)


@pytest.mark.parametrize(
    "content", ["", "{", "not json", "[1, 2]", "null", '"text"', "3", "{}", '{"format": "other"}']
)
def test_what_is_no_attribution_is_refused_with_a_clear_error(content, tmp_path):
    file = tmp_path / "output.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="not an attribution"):
        AttributionOutput.load(file)


def test_a_newer_format_is_refused_with_what_to_do():
    data = damaged(explained("bert-classifier").to_dict(), "format_version", 99)
    with pytest.raises(ValueError, match="format_version 99 is newer than 1; upgrade hf-interpreto"):
        AttributionOutput.from_dict(data)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    output = explained("bert-classifier")
    path = output.save(tmp_path / "output.json")
    before = path.read_text()
    output.diagnostics["bad"] = math.nan
    with pytest.raises(ValueError, match="JSON compliant"):
        output.save(path)
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["output.json"]


@pytest.mark.parametrize("name", ["bert-classifier", "gpt2", "deberta-tagger"])
def test_a_table_has_a_row_for_each_target_and_element(name):
    output = explained(name)
    table = output.to_pandas()
    t, g = output.attributions.shape
    assert isinstance(table, pd.DataFrame)
    assert len(table) == t * g
    assert table["element"].tolist() == output.elements * t
    scores = torch.tensor(table["score"].tolist()).reshape(t, g)
    torch.testing.assert_close(scores, output.attributions, equal_nan=True)
    for row in table.itertuples():
        assert output.text[int(row.start) : int(row.end)] == row.element
    assert table["is_output"].sum() == t * (g - output.n_source)
    assert "standard_error" in table
    assert "standard_error" not in explained(name, Occlusion).to_pandas()


def test_top_ranks_by_magnitude_or_by_value_and_leaves_out_nan(words):
    from hf_interpreto.testing import pair_game_classifier

    model = pair_game_classifier(words, {"great": 2.0, "awful": -3.0, "film": 0.5})
    (output,) = Occlusion(model, words)("the great awful film", targets=[0, 1])
    assert output.top(2, 1) == [("awful", pytest.approx(-3)), ("great", pytest.approx(2))]
    assert output.top(2, "LABEL_1", by_magnitude=False) == [("great", pytest.approx(2)), ("film", pytest.approx(0.5))]
    assert output.top(1, 0) == [("awful", pytest.approx(3))]
    assert len(output.top(99)) == 4
    generated = explained("gpt2")
    assert len(generated.top(99)) == generated.n_source
    assert all(math.isfinite(score) for _, score in generated.top(99, len(generated) - 1))


def test_rows_are_taken_by_number_label_slice_or_list():
    output = explained("bert-classifier", Saliency)
    assert len(output) == 2
    assert torch.equal(output[0].attributions, output.attributions[:1])
    assert torch.equal(output[-1].attributions, output.attributions[1:])
    assert torch.equal(output["LABEL_2"].attributions, output.attributions[1:])
    assert torch.equal(output[1:].attributions, output.attributions[1:])
    swapped = output[[1, 0]]
    assert torch.equal(swapped.attributions, output.attributions.flip(0))
    assert swapped.labels == output.labels[::-1]
    assert swapped.classes.tolist() == [2, 0]
    assert [row.labels for row in output] == [["LABEL_0"], ["LABEL_2"]]
    with pytest.raises(KeyError, match="no target 'joy'; there are"):
        output["joy"]
    with pytest.raises(IndexError, match="target 2 is out of range; there are 2"):
        output[2]


def test_rows_of_words_of_several_tokens_keep_their_tokens():
    situation = SITUATIONS["gpt2"]
    model, tokenizer = situation.load()
    (output,) = Occlusion(model, tokenizer)("I felt", " unbelievable misunderstanding then")
    part = output[[2, 0]]
    assert [target.label for target in part.targets] == [output.labels[2], output.labels[0]]
    for row, group in zip(part.targets, part.example.groups, strict=True):
        ids = part.example.target_ids[group].tolist()
        assert ids == (list(row.id) if isinstance(row.id, tuple) else [row.id])
    assert_same(part, AttributionOutput.from_dict(part.to_dict()))


def test_a_difference_is_that_of_the_scores():
    situation = SITUATIONS["bert-classifier"]
    model, tokenizer = situation.load()
    first, second = (
        IntegratedGradients(model, tokenizer, n_perturbations=n, tolerance=None)("A small dog ran", targets=[0, 1])[0]
        for n in (4, 32)
    )
    found = first.diff(second)
    torch.testing.assert_close(found.attributions, first.attributions - second.attributions)
    assert found.method == "IntegratedGradients"
    assert found.n_forward == first.n_forward + second.n_forward
    assert float(first.diff(first).attributions.abs().max()) == 0
    (other,) = Lime(model, tokenizer)("A small dog ran", targets=[0, 1])
    assert first.diff(other).method == "IntegratedGradients - Lime"
    (longer,) = Lime(model, tokenizer)("A small dog ran fast", targets=[0, 1])
    with pytest.raises(ValueError, match="diff needs the same elements and as many targets: 2 x 4 here, 2 x 5 there"):
        first.diff(longer)
    with pytest.raises(ValueError, match="diff needs the same elements"):
        first.diff(other[0])


def test_errors_of_a_difference_add_in_quadrature():
    output = explained("bert-classifier")
    found = output.diff(output)
    torch.testing.assert_close(found.standard_errors, output.standard_errors * 2**0.5, equal_nan=True)


def test_settings_say_how_it_was_made():
    output = explained("bert-classifier", KernelShap, seed=5, replacement="unk")
    assert output.settings["seed"] == 5
    assert output.settings["replacement"] == "unk"
    assert output.settings["n_perturbations"] == 30
    assert output.settings["score"] == output.score == "logit"
    assert explained("gpt2").score == "logprob"
    assert output.versions["torch"] == torch.__version__.split("+")[0] or output.versions["torch"] in torch.__version__
    json.dumps(output.settings)


def test_it_shows_itself_in_one_line():
    assert repr(explained("bert-classifier")).startswith("AttributionOutput(KernelShap, 2 targets x 6 elements, text=")
