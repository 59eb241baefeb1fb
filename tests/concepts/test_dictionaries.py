"""What every dictionary keeps to, whatever it learns by."""

import pytest
import torch

from hf_interpreto import concepts
from hf_interpreto.concepts import ConceptDictionary, Factorization, LinearDictionary, Neurons
from hf_interpreto.errors import InvalidInputError, NotFittedError, UnknownNameError
from tests.concepts.data import planted, relative_error

D = 16
METHODS = [
    value
    for value in vars(concepts).values()
    if isinstance(value, type)
    and issubclass(value, ConceptDictionary)
    and value not in (ConceptDictionary, Factorization, LinearDictionary)
]
LEARNT = [method for method in METHODS if method is not Neurons]


def _new(method, **options):
    return method(D if method is Neurons else 5, **options)


@pytest.fixture(scope="module")
def rows():
    return planted(300, D, 6)[0]


def test_every_method_is_tested():
    assert {method.__name__ for method in METHODS} == {
        "ConvexNMF",
        "ICA",
        "KMeans",
        "NMF",
        "Neurons",
        "PCA",
        "SVD",
        "SemiNMF",
    }


@pytest.mark.parametrize("method", METHODS)
def test_shapes_and_devices_are_as_promised(method, rows):
    model = _new(method).fit(rows)
    codes = model.encode(rows)
    assert model.is_fitted
    assert model.width == D
    assert model.dictionary.shape == (model.nb_concepts, D)
    assert codes.shape == (300, model.nb_concepts)
    assert model.decode(codes).shape == rows.shape
    assert codes.dtype == torch.float32
    assert model.encode(rows.reshape(30, 10, D)).shape == (30, 10, model.nb_concepts)
    assert relative_error(rows, model(rows)) < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_fitting_twice_gives_the_same_and_leaves_the_global_generator_alone(method, rows):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = _new(method, seed=3).fit(rows), _new(method, seed=3).fit(rows)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.dictionary, second.dictionary)
    assert torch.equal(first.encode(rows), second.encode(rows))


@pytest.mark.parametrize("method", METHODS)
def test_codes_of_batches_are_those_of_the_whole(method, rows):
    model = _new(method).fit(rows)
    parts = torch.cat([model.encode(part) for part in rows.split(37)])
    torch.testing.assert_close(parts, model.encode(rows), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_decoding_is_differentiable(method, rows):
    model = _new(method).fit(rows)
    codes = model.encode(rows[:3]).requires_grad_()
    (gradient,) = torch.autograd.grad(model.decode(codes).sum(), codes)
    torch.testing.assert_close(gradient, model.dictionary.sum(1).expand(3, -1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", [m for m in METHODS if issubclass(m, LinearDictionary)])
def test_encoding_is_differentiable_where_it_is_linear(method, rows):
    model = _new(method).fit(rows)
    x = rows[:2].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.encode(x)[:, 1].sum(), x)
    expected = torch.eye(D)[1] if method is Neurons else model.encoder[1]
    torch.testing.assert_close(gradient, expected.expand(2, -1))


@pytest.mark.parametrize("method", METHODS)
def test_a_new_dictionary_loads_the_state_of_a_fitted_one(method, rows):
    fitted, new = _new(method).fit(rows), _new(method)
    new.load_state_dict(fitted.state_dict())
    assert new.is_fitted
    assert torch.equal(new.encode(rows), fitted.encode(rows))
    assert torch.equal(new(rows), fitted(rows))


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_activations_are_taken_as_float32(method, rows):
    half = rows.bfloat16()
    assert torch.equal(_new(method).fit(half).dictionary, _new(method).fit(half.float()).dictionary)


@pytest.mark.parametrize("method", METHODS)
def test_a_mapping_with_one_split_point_is_as_good_as_a_tensor(method, rows):
    mapping = {"layer.1": rows, "predictions": torch.zeros(300, dtype=torch.long)}
    assert torch.equal(_new(method).fit(mapping).dictionary, _new(method).fit(rows).dictionary)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinite_activations_are_refused(method, value, rows):
    broken = rows.clone()
    broken[7, 3] = value
    with pytest.raises(InvalidInputError, match="in 1 of 300 rows, the first at row 7"):
        _new(method).fit(broken)
    model = _new(method).fit(rows)
    with pytest.raises(InvalidInputError, match="NaN or infinite"):
        model.encode(broken)


@pytest.mark.parametrize("method", LEARNT)
def test_fewer_rows_than_concepts_are_refused(method, rows):
    with pytest.raises(InvalidInputError, match="4 rows are too few to learn nb_concepts=5"):
        method(5).fit(rows[:4])


@pytest.mark.parametrize("method", METHODS)
def test_another_width_or_number_of_concepts_is_refused(method, rows):
    model = _new(method).fit(rows)
    with pytest.raises(InvalidInputError, match=r"width 15.*fitted on width 16"):
        model.encode(rows[:, :15])
    with pytest.raises(InvalidInputError, match="concepts: 99 in the last dimension"):
        model.decode(torch.zeros(2, 99))


@pytest.mark.parametrize("method", LEARNT)
def test_nothing_is_encoded_before_something_was_learnt(method, rows):
    with pytest.raises(NotFittedError, match="call `fit` first"):
        method(5).encode(rows)
    with pytest.raises(NotFittedError, match="call `fit` first"):
        method(5).decode(torch.zeros(1, 5))


@pytest.mark.parametrize(
    "activations",
    [torch.zeros(3), torch.zeros(2, 3, 4), torch.zeros(0, 4), torch.zeros(3, 4, dtype=torch.long), [[1.0]]],
)
def test_what_is_no_matrix_of_floats_is_refused(activations):
    with pytest.raises(InvalidInputError, match="expected a"):
        concepts.SVD(2).fit(activations)


def test_a_mapping_with_several_split_points_is_refused_without_a_choice(rows):
    with pytest.raises(InvalidInputError, match=r"2 split points \(a, b\)"):
        concepts.SVD(2).fit({"a": rows, "b": rows})
    with pytest.raises(UnknownNameError, match="unknown split point 'c'"):
        concepts.dictionary.activation_rows({"a": rows}, "c")


@pytest.mark.parametrize("method", [concepts.PCA, concepts.SVD, concepts.ICA])
def test_linear_methods_find_no_more_concepts_than_dimensions(method, rows):
    with pytest.raises(InvalidInputError, match="at most one concept per dimension"):
        method(17).fit(rows)


@pytest.mark.parametrize("number", [0, -1, 2.5, True])
def test_the_number_of_concepts_is_a_positive_integer(number):
    with pytest.raises(ValueError, match="expected a positive integer"):
        concepts.PCA(number)


def test_a_dictionary_shows_its_settings(rows):
    assert repr(concepts.PCA(3)) == "PCA(nb_concepts=3, seed=0, whiten=False, not fitted)"
    assert "width=16" in repr(concepts.PCA(3).fit(rows))


def test_neurons_are_of_one_width(rows):
    with pytest.raises(InvalidInputError, match="width 16, but there are nb_concepts=8"):
        Neurons(8).fit(rows)
