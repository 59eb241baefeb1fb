"""`hf-interpreto`, as one types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hf_interpreto import AttributionOutput, __version__
from hf_interpreto.cli.main import build_parser, main
from hf_interpreto.cli.options import UsageError, parse_value
from hf_interpreto.demo import demo_model_path

CLASSIFIER = str(demo_model_path("classifier"))
CAUSAL = str(demo_model_path("causal"))
TEXT = "My brother was nervous at first, but now he feels overjoyed."


def command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    line = [sys.executable, "-m", "hf_interpreto", *arguments]
    return subprocess.run(line, capture_output=True, text=True, input=stdin, check=False, encoding="utf-8")


def explain(*arguments: str) -> int:
    return main(["explain", "--model", CLASSIFIER, "--method", "occlusion", *arguments])


# -- the command itself --------------------------------------------------------------------------------------


def test_help_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from hf_interpreto.cli.main import build_parser; build_parser().format_help(); "
        "print([n for n in ('torch', 'transformers', 'rich', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["explain", "methods", "demo"])
def test_every_subcommand_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        build_parser().parse_args([name, "--help"])
    assert stopped.value.code == 0
    assert f"hf-interpreto {name}" in capsys.readouterr().out


def test_the_version_is_that_of_the_library() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"hf-interpreto {__version__}")


@pytest.mark.parametrize("arguments", [(), ("explain",), ("explain", "text"), ("nonsense",), ("explain", "-b", "0")])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: hf-interpreto" in capsys.readouterr().err


# -- explain -------------------------------------------------------------------------------------------------


def test_texts_from_stdin_give_a_json_list_on_stdout_and_nothing_else() -> None:
    done = command(
        "explain", "-m", CLASSIFIER, "--method", "occlusion", "--json", "-", stdin=f"{TEXT}\n\n  \nI wept.\r\n"
    )
    assert done.returncode == 0, done.stderr
    outputs = [AttributionOutput.from_dict(data) for data in json.loads(done.stdout)]
    assert [output.text for output in outputs] == [TEXT, "I wept."]
    assert outputs[0].top(1)[0][0] == "overjoyed"
    assert done.stderr == ""


def test_known_errors_exit_with_2_and_a_message_without_a_traceback() -> None:
    done = command("explain", "-m", CLASSIFIER, TEXT, "--method", "lim")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "hf-interpreto explain: error: unknown attribution method 'lim'; did you mean 'lime'?"
    )
    assert "Traceback" not in done.stderr


def test_a_text_that_is_too_long_is_cut_with_a_warning_in_plain_words() -> None:
    done = command("explain", "-m", CLASSIFIER, "--method", "saliency", "I was delighted. " * 90)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("hf-interpreto explain: warning: An input of")
    assert ".py" not in done.stderr


def test_the_table_shows_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(TEXT, "-t", "joy", "--targets", "1", "-t", "fear", "--score", "probability", "-g", "token") == 0
    shown = capsys.readouterr().out
    assert "Occlusion" in shown
    assert "probability" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("joy", "fear"))] == [
        "joy",
        "joy",
        "fear",
    ]


def test_files_are_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "texts.txt"
    lines.write_text(f"{TEXT}\n\nShe was so scared of it.\n", encoding="utf-8")
    made = {kind: tmp_path / "out" / f"result.{kind}" for kind in ("html", "json", "tex", "png")}
    arguments = ["--file", str(lines), "--html", str(made["html"]), "--json", str(made["json"]), "-q"]
    assert explain(*arguments, "--latex", str(made["tex"]), "--png", str(made["png"])) == 0
    assert capsys.readouterr().out == ""
    page = made["html"].read_text(encoding="utf-8")
    assert "overjoyed" in page
    assert "scared" in page
    assert len(json.loads(made["json"].read_text(encoding="utf-8"))) == 2
    assert made["tex"].read_text(encoding="utf-8").count("\\raggedright") == 2
    assert (tmp_path / "out" / "result-1.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "out" / "result-2.png").exists()


def test_latex_can_go_to_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(TEXT, "--latex", "-") == 0
    assert capsys.readouterr().out.startswith("% needs")


def test_a_single_picture_has_the_name_it_was_given(tmp_path: Path) -> None:
    assert explain(TEXT, "--png", str(tmp_path / "one.png"), "-q") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_hyper_parameters_and_generation_arguments_are_set(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    arguments = ["--set", "window=2", "--set", "max-new-tokens=2", "-b", "4", "--dtype", "float32", "--device", "cpu"]
    prompt = "Maria is a doctor from Spain. Every day she"
    assert main(["explain", "-m", CAUSAL, prompt, "--json", str(path), "-q", *arguments]) == 0
    (output,) = [AttributionOutput.from_dict(data) for data in json.loads(path.read_text())]
    assert (output.method, output.settings["window"], output.settings["batch_size"]) == ("Occlusion", 2, 4)
    assert output.text[output.source_length :].startswith(" speaks S")


def test_several_continuations_are_several_results(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    arguments = ["-t", "speaks Spanish", "-t", "speaks French"]
    assert main(["explain", "-m", CAUSAL, "Every day she", "Often he", "--json", str(path), "-q", *arguments]) == 0
    assert [data["example"]["rows"][1]["label"] for data in json.loads(path.read_text())] == ["Spanish", "French"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TEXT, "--set", "windw=2"), "unknown argument 'windw'; did you mean 'window'"),
        ((TEXT, "--set", "window=two"), "--set window=two: expected a whole number."),
        ((TEXT, "--set", "window"), "expected NAME=VALUE"),
        ((TEXT, "-t", "joyy"), "unknown target label 'joyy'; did you mean 'joy'"),
        ((TEXT, "-t", "17"), "class id 17 is out of range"),
        ((TEXT, "-g", "words"), "unknown granularity 'words'; did you mean 'word'"),
        ((TEXT, "--device", "cud"), "--device cud:"),
        ((TEXT, "--file", "x"), "not both"),
        (("--file", "/nowhere/x.txt"), "there is no such file"),
        ((TEXT, "--json", "-", "--latex", "-"), "only one of them"),
        (("",), "empty text"),
        ((TEXT, "--task", "fill-mask"), "does text-classification, not fill-mask"),
    ],
)
def test_bad_values_are_told_in_one_message(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(*arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


def test_a_folder_that_is_not_there_is_not_asked_of_the_hub(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--model", "./nowhere", TEXT]) == 2
    assert "--model ./nowhere: there is no such folder" in capsys.readouterr().err


def test_an_error_of_which_nobody_knows_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("of our own making")

    monkeypatch.setattr("hf_interpreto.cli.explain.load", broken)
    with pytest.raises(RuntimeError, match="of our own making"):
        explain(TEXT)


def test_a_known_error_shows_its_traceback_on_demand() -> None:
    with pytest.raises(UsageError, match="no such file"):
        main(["--traceback", "explain", "--model", CLASSIFIER, "--file", "/nowhere/x.txt"])


@pytest.mark.parametrize(
    ("text", "accepted", "value"),
    [
        ("3", [int, type(None)], 3),
        ("none", [int, type(None)], None),
        ("None", [float, type(None)], None),
        ("3", [float], 3),
        ("0.5", [float], 0.5),
        ("true", [bool], True),
        ("False", [bool], False),
        ("mask", [str, int], "mask"),
        ("7", [str, int], 7),
        ("none", [str], "none"),
        ('{"a": 1}', [dict], {"a": 1}),
        ("[1, 2]", None, [1, 2]),
        ("true", None, True),
        ("greedy", None, "greedy"),
    ],
)
def test_values_are_read_by_the_types_of_their_field(text: str, accepted: list[type] | None, value: object) -> None:
    found = parse_value("name", text, accepted)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("text", "accepted"), [("1.5", [int]), ("maybe", [bool]), ("", [int, type(None)])])
def test_values_that_do_not_fit_are_told(text: str, accepted: list[type]) -> None:
    with pytest.raises(UsageError, match="--set name="):
        parse_value("name", text, accepted)


# -- methods -------------------------------------------------------------------------------------------------


def test_methods_lists_every_method_with_its_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    shown = capsys.readouterr().out
    for name in ("KernelShap", "Lime", "Sobol", "Occlusion", "IntegratedGradients", "VarGrad"):
        assert name in shown
    assert "max_perturbations=256" in shown
    assert "arxiv.org/abs/1705.07874" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_methods_tells_all_about_one_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "integratedgradients", "Lime"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "reduction=None over the embedding's width" in shown  # of a base class
    assert "granularity=word the unit that is scored" in shown  # of all methods
    assert "kernel_width" in shown
    assert main(["methods", "kernelshapp"]) == 2
    assert "did you mean 'kernel_shap'" in capsys.readouterr().err


# -- demo ----------------------------------------------------------------------------------------------------


def test_the_demo_explains_a_classification_and_a_generation_and_writes_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["demo", "--output", str(page)]) == 0
    shown = capsys.readouterr().out
    tables = [line.split()[:1] for line in shown.splitlines()]
    assert ["joy"] in tables
    assert ["fear"] in tables
    assert ["Spanish"] in tables
    assert str(page) in shown
    html = page.read_text(encoding="utf-8")
    assert "overjoyed" in html
    assert "Spanish" in html
    assert "://" not in html  # it loads nothing


def test_the_demo_explains_the_likeliest_classes_of_any_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["demo", "--model", CLASSIFIER, TEXT, "-o", str(page)]) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert "joy" in rows
    assert page.exists()


def test_the_demo_wants_a_model_and_a_text_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "a text"]) == 2
    assert "go together" in capsys.readouterr().err
