import io

import pytest
from rich.console import Console

from hf_interpreto.visualizations import console_table, console_text
from tests.visualizations.outputs import EMOTIONS, NAN, Target, classification, generation, simple


def printed(output, **options) -> str:
    console = Console(file=io.StringIO(), **options)
    console.print(console_table(output))
    return console.file.getvalue()


def test_a_file_gets_labels_and_text_without_colour_codes():
    text = printed(classification(), width=100)
    assert "\x1b" not in text
    for label in (f"LABEL_{row}" for row in range(6)):
        assert label in text
    assert text.count("humiliated  at all") == 1


def test_plain_text_lists_the_strongest_elements_first_with_their_scores():
    text = console_text(simple([[0.5, -2.0, 1.0]], ["a", "b", "c"]))
    assert "b -2.00  c +1.00  a +0.500" in text
    assert text == text.encode("ascii", "ignore").decode() or "·" in text


def test_a_terminal_gets_the_text_once_per_target_in_colours():
    text = printed(
        simple([[1.0, -1.0], [-1.0, 1.0]], ["left", "right"]), force_terminal=True, color_system="truecolor"
    )
    assert "48;2;" in text
    assert text.count("left") == 2 + 2
    assert "\x1b[4;" in text


def test_what_cannot_be_attributed_has_no_colour_and_no_score():
    text = printed(simple([[1.0, NAN]], ["here", "there"]), force_terminal=True, color_system="truecolor")
    assert "\x1b[2mthere\x1b[0m" in text
    assert text.count("there") == 1


@pytest.mark.parametrize("width", [20, 40, 200])
def test_narrow_terminals_get_no_line_that_is_too_long(width):
    for output in (classification(), generation()):
        assert max(len(line) for line in console_text(output, width).splitlines()) <= width


def test_class_names_replace_labels():
    console = Console(file=io.StringIO(), width=100)
    console.print(console_table(classification(), classes_names=EMOTIONS))
    assert "surprise" in console.file.getvalue()
    assert "LABEL_" not in console.file.getvalue()


def test_markup_and_control_characters_of_the_user_are_shown_not_obeyed():
    output = simple([[1.0, 2.0]], ["[bold]a[/bold]", "\x1b[31mb\x07"], targets=[Target("[red]\x1b[2J", 0)])
    text = printed(output, width=100)
    assert "[bold]a[/bold]" in text
    assert "[red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_many_targets_are_counted_rather_than_all_shown():
    output = simple([[1.0, 2.0]] * 30, ["a", "b"])
    assert "... and 10 more targets" in console_text(output)


def test_long_texts_are_cut():
    output = simple([[1.0] * 5000], [f"word{index}" for index in range(5000)])
    assert len(console_text(output)) < 3000


def test_the_output_prints_itself():
    output = classification()
    assert str(output) == console_text(output)
