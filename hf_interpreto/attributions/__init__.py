"""Attribution: how much each element of the input speaks for each target."""

from hf_interpreto.attributions.base import AttributionExplainer
from hf_interpreto.attributions.gradients import (
    GradientExplainer,
    Moments,
    NoisyGradientExplainer,
    Origin,
    Points,
    Reduction,
)
from hf_interpreto.attributions.methods.gradient_shap import GradientShap
from hf_interpreto.attributions.methods.inputx_gradient import InputxGradient
from hf_interpreto.attributions.methods.integrated_gradients import IntegratedGradients
from hf_interpreto.attributions.methods.kernel_shap import KernelShap
from hf_interpreto.attributions.methods.lime import Lime
from hf_interpreto.attributions.methods.occlusion import Occlusion
from hf_interpreto.attributions.methods.saliency import Saliency
from hf_interpreto.attributions.methods.smooth_grad import SmoothGrad
from hf_interpreto.attributions.methods.sobol import Sobol
from hf_interpreto.attributions.methods.square_grad import SquareGrad
from hf_interpreto.attributions.methods.var_grad import VarGrad
from hf_interpreto.attributions.output import AttributionOutput
from hf_interpreto.attributions.perturbations import PerturbationExplainer
from hf_interpreto.attributions.registry import find_method, list_methods, method_name
from hf_interpreto.granularity import Granularity, GranularityAggregationStrategy
from hf_interpreto.model_wrapping.scores import InferenceModes, list_step_functions, register_step_function

__all__ = [
    "AttributionExplainer",
    "AttributionOutput",
    "GradientExplainer",
    "GradientShap",
    "Granularity",
    "GranularityAggregationStrategy",
    "InferenceModes",
    "InputxGradient",
    "IntegratedGradients",
    "KernelShap",
    "Lime",
    "Moments",
    "NoisyGradientExplainer",
    "Occlusion",
    "Origin",
    "PerturbationExplainer",
    "Points",
    "Reduction",
    "Saliency",
    "SmoothGrad",
    "Sobol",
    "SquareGrad",
    "VarGrad",
    "find_method",
    "list_methods",
    "list_step_functions",
    "method_name",
    "register_step_function",
]
