"""`hf-interpreto demo`: a classification and a generation, explained by the models that come with the package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_interpreto.cli.options import UsageError, add_model_options, load

if TYPE_CHECKING:
    from rich.console import Console

    from hf_interpreto.attributions import AttributionExplainer, AttributionOutput

_PAGE = "hf-interpreto-demo.html"
_CLASSES = ("joy", "fear", "sadness")
_ANSWERS = 3  # classes of a model of one's own that are explained


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "demo",
        help="see what it does, in half a minute and without a network",
        description="Explain a classification and a generation with small models that come with the package, or what "
        "a model of your choice says of a text; show tables, and write an interactive page.",
    )
    parser.add_argument("text", nargs="?", help="what to explain, with --model")
    parser.add_argument("-o", "--output", type=Path, default=Path(_PAGE), help=f"where the page goes ({_PAGE})")
    add_model_options(parser, required=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain, print, write the page and say where it is."""
    if (options.model is None) != (options.text is None):
        raise UsageError('--model and a text go together: hf-interpreto demo --model MODEL "a text"')
    from rich.console import Console

    from hf_interpreto.attributions.storage import write_atomically
    from hf_interpreto.visualizations import attribution_page

    console = Console(highlight=False)
    outputs = _shipped(console) if options.model is None else _chosen(options, console)
    page = write_atomically(options.output, attribution_page(outputs, title="hf-interpreto demo"))
    console.print("The same, interactive:", style="bold", end=" ")
    console.print(str(page.resolve()), soft_wrap=True, markup=False)
    if options.model is None:
        console.print('With a model of yours: hf-interpreto demo --model MODEL "a text"', style="dim")


def _shipped(console: Console) -> list[AttributionOutput]:
    from hf_interpreto.attributions import KernelShap, Occlusion
    from hf_interpreto.demo import CAUSAL_EXAMPLE, CLASSIFIER_CONTRAST_EXAMPLE, demo_model_path

    outputs = []
    model, tokenizer = load(_options_for(str(demo_model_path("classifier"))))
    _say(console, "Which words make a classifier say joy, and which speak for other emotions?")
    (output,) = KernelShap(model, tokenizer)(CLASSIFIER_CONTRAST_EXAMPLE.text, [list(_CLASSES)])
    outputs.append(_show(console, output))
    model, tokenizer = load(_options_for(str(demo_model_path("causal"))))
    _say(console, "Which words make a language model write each word of its answer?")
    (output,) = Occlusion(model, tokenizer)(CAUSAL_EXAMPLE.text)
    outputs.append(_show(console, output))
    return outputs


def _chosen(options: argparse.Namespace, console: Console) -> list[AttributionOutput]:
    """What any model says of a text; of a classifier, its likeliest classes."""
    from hf_interpreto.model_wrapping.tasks import detect_task
    from hf_interpreto.pipelines.arguments import default_method

    model, tokenizer = load(options)
    explain = default_method(detect_task(model), None)(model, tokenizer)
    return [_show(console, output) for output in explain(options.text, _likeliest(explain, options.text))]


def _likeliest(explain: AttributionExplainer, text: str) -> list[int] | None:
    from hf_interpreto.typing import ModelTask

    if explain.task.kind is not ModelTask.TEXT_CLASSIFICATION:
        return None
    (example,) = explain.task.examples([text], [None], explain.engine)
    if example.logits is None:
        return None
    logits = example.logits.reshape(-1)
    return logits.topk(min(_ANSWERS, len(logits))).indices.tolist()


def _options_for(model: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_model_options(parser, required=True)
    return parser.parse_args(["--model", model])


def _say(console: Console, text: str) -> None:
    console.print(text, style="bold")
    console.print()


def _show(console: Console, output: AttributionOutput) -> AttributionOutput:
    console.print(output)
    console.print()
    return output
