import re

import pytest

from hf_interpreto.visualizations import to_latex
from hf_interpreto.visualizations.latex import escape
from tests.visualizations.outputs import NAN, Target, classification, generation, simple


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\\", r"\textbackslash{}"),
        ("{}", r"\{\}"),
        ("$x_1^2$", r"\$x\_1\textasciicircum{}2\$"),
        ("50% & #1", r"50\% \& \#1"),
        ("~<>|`", r"\textasciitilde{}\textless{}\textgreater{}\textbar{}\textasciigrave{}"),
        ('"--"', r"\char34{}-{}-{}\char34{}"),
        ("\\textbf{x}", r"\textbackslash{}textbf\{x\}"),
        ("a\x07b", "a\ufffdb"),
        ("café 東京", "café 東京"),
    ],
)
def test_every_special_character_prints_as_itself(text, escaped):
    assert escape(text) == escaped


def test_user_text_cannot_start_a_command_or_leave_a_group():
    attack = r"\input{/etc/passwd}%$&#_^~"
    output = simple([[1.0, 2.0]], [attack, "}{"], targets=[Target(attack, 0)])
    latex = to_latex(output)
    assert r"\input" not in latex
    body = re.sub(r"\\[\\{}%$&#_]", "", latex)
    assert body.count("{") == body.count("}")


def test_colours_are_defined_once_and_used_for_all_targets():
    latex = to_latex(classification())
    assert latex.count(r"\providecolor{hfipositive}") == latex.count(r"\providecolor{hfinegative}") == 1
    assert latex.count(r"\noindent\textbf{LABEL\_") == 6


def test_strength_follows_the_score_and_negative_words_are_underlined():
    latex = to_latex(simple([[4.0, -2.0, 0.0, 4.0]], ["up", "down", "none", "top"]))
    assert r"\colorbox{hfipositive!100}{\strut up}" in latex
    assert r"\colorbox{hfinegative!50}{\strut\underline{down}} none " in latex


def test_what_cannot_be_attributed_is_grey():
    assert r"\textcolor{gray}{b}" in to_latex(simple([[1.0, NAN]], ["a", "b"]))


def test_one_target_can_be_chosen_from_either_end():
    latex = to_latex(generation(), -2)
    assert latex.count(r"\noindent") == 1
    assert r"\textbf{doctor}" in latex
    with pytest.raises(IndexError, match=r"target=7 is not a row; this output has 7 \(0 to 6\)"):
        to_latex(generation(), 7)


def test_repeated_spaces_and_line_breaks_survive():
    latex = to_latex(classification(), 0)
    assert re.search(r"humiliated\} ?\\ ", latex)
    assert r"\hfill\break" in latex


def test_a_sentence_is_boxed_word_by_word_so_that_lines_can_break():
    latex = to_latex(simple([[1.0, 2.0]], ["One two.", "Three."]))
    assert r"{\strut Three.}" in latex
    assert re.search(r"\\strut One\} \\colorbox\{hfipositive!\d+\}\{\\strut two\.\}", latex)
