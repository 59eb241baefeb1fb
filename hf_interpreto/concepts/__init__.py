"""Concepts: directions in a model's activations that stand for something, and what they do to its output."""

from hf_interpreto.concepts.dictionary import ConceptDictionary, LinearDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer
from hf_interpreto.concepts.interpretations import LLMLabelError, LLMLabels, SamplingMethod, TopKInputs, extract_ngrams
from hf_interpreto.concepts.methods.convex_nmf import ConvexNMF, ConvexNMFConcepts
from hf_interpreto.concepts.methods.factorization import Factorization
from hf_interpreto.concepts.methods.ica import ICA, ICAConcepts
from hf_interpreto.concepts.methods.kmeans import KMeans, KMeansConcepts
from hf_interpreto.concepts.methods.neurons import Neurons, NeuronsAsConcepts
from hf_interpreto.concepts.methods.nmf import NMF, NMFConcepts
from hf_interpreto.concepts.methods.pca import PCA, PCAConcepts
from hf_interpreto.concepts.methods.semi_nmf import SemiNMF, SemiNMFConcepts
from hf_interpreto.concepts.methods.svd import SVD, SVDConcepts

__all__ = [
    "ICA",
    "NMF",
    "PCA",
    "SVD",
    "ConceptDictionary",
    "ConceptExplainer",
    "ConvexNMF",
    "ConvexNMFConcepts",
    "Factorization",
    "ICAConcepts",
    "KMeans",
    "KMeansConcepts",
    "LLMLabelError",
    "LLMLabels",
    "LinearDictionary",
    "NMFConcepts",
    "Neurons",
    "NeuronsAsConcepts",
    "PCAConcepts",
    "SVDConcepts",
    "SamplingMethod",
    "SemiNMF",
    "SemiNMFConcepts",
    "TopKInputs",
    "extract_ngrams",
]
