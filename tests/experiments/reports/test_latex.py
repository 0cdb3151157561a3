"""LaTeX tables are floats with a caption, arrows and bold best values, and are well-formed."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from experiments.reports.latex import READING, best_values, latex, table_caption, typeset
from experiments.reports.tables import directions
from experiments.rl.measures import ALGORITHM_MEASURES
from experiments.runs.measures import MEASURES

BETTER = {"A_T %": "higher", "forgetting": "lower"}


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "condition": ["0% label noise"] * 3 + ["blocks 0-4"] * 3,
            "contender": ["CE", "my_loss {#1}", "a~b^c$ & \\d"] * 2,
            "A_T %": ["79.5 ± 1.3", "78.0 ± 1.0", "79.5 ± 0.1", "1,000.0", "", "999.0"],
            "forgetting": ["9.0", "8.0 ± 1.0", "8.2", "5.0", "5.0", "5.0"],
            "entropy": ["1.0", "2.0", "3.0", "1.0", "2.0", "3.0"],
            "vs CE [95 %]": ["", "-0.4 [-0.9, +0.1]", "+0.0", "", "", "-1.0"],
            "p": ["", "<0.001", "0.5", "", "", ""],
        }
    )


def test_a_table_is_a_float_with_caption_label_and_rules(table: pd.DataFrame) -> None:
    text = latex(table, "Objectives. Dataset: my_images, 5 seeds.", "compare-my_images", BETTER)
    assert text.startswith(
        "\\begin{table}[t]\n\\centering\n\\caption{Objectives. Dataset: my\\_images, 5 seeds. Bold: "
    )
    assert "\\label{tab:compare-my-images}" in text and text.endswith("\\end{table}\n")
    assert (
        r"condition & contender & $A_T$ \% $\uparrow$ & forgetting $\downarrow$ & entropy & vs CE [95 \%] & p \\"
        in text
    )
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert text.count(r"\midrule") == 2  # below the heading, and between the conditions
    assert r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" + "\n\\begin{tabular}{lllllll}" in text


def test_special_characters_and_signs(table: pd.DataFrame) -> None:
    text = latex(table, "x", "x", BETTER)
    assert r"my\_loss \{\#1\} & 78.0 $\pm$ 1.0" in text
    assert r"a\textasciitilde{}b\textasciicircum{}c\$ \& \textbackslash{}d" in text
    assert r"blocks 0-4" in text and r"$-$0.4 [$-$0.9, +0.1] & $<$0.001 \\" in text
    assert typeset("two\nlines") == "two lines" and typeset("DATA_T A_T") == r"DATA\_T $A_T$"


def test_best_values_are_bold_in_each_condition(table: pd.DataFrame) -> None:
    best = best_values(table, BETTER)
    assert best["A_T %"].tolist() == [True, False, True, True, False, False]
    assert best["forgetting"].tolist() == [False, True, False, False, False, False]  # three equal ones are no best
    assert not best.drop(columns=list(BETTER)).any(axis=None)
    text = latex(table, "x", "x", BETTER)
    assert text.count(r"\textbf{") == 4 and r"\textbf{79.5 $\pm$ 0.1}" in text and r"\textbf{1,000.0}" in text


def test_tables_of_one_row_and_without_measures_have_nothing_bold(table: pd.DataFrame) -> None:
    assert r"\textbf" not in latex(table.iloc[:1], "x", "x", BETTER)
    rates = latex(pd.DataFrame({"objective": ["CE"], "chosen rate": ["0.001"]}), "x", "x", BETTER)
    assert r"\textbf" not in rates and READING[:5] not in rates


def test_latex_is_well_formed(table: pd.DataFrame) -> None:
    text = latex(table, "50 % & more_of {this}", "x", BETTER)
    plain = re.sub(r"\\[\\{}$&%#_]", "", text)  # without escaped characters and line ends
    depth = 0
    for sign in plain:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0 and plain.count("$") % 2 == 0
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert begun == ["table", "tabular"] and ended == ["tabular", "table"]
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 7 and all(len(re.findall(r"(?<!\\)&", row)) == 6 for row in rows)
    assert not re.search(r"(?<!\\)[#_]", plain.replace("$A_T$", "")) and text.isascii()


def test_captions_say_dataset_and_seeds() -> None:
    assert table_caption("A", "photos", "5 seeds", "B.") == "A. Dataset: photos, 5 seeds. B."
    assert table_caption("", "", "5 seeds", "", "B.") == "5 seeds. B."


def test_directions_are_those_of_the_measures() -> None:
    known = directions(ALGORITHM_MEASURES.values())
    assert known["A_T %"] == known["BWT"] == "higher"
    assert known["forgetting"] == known["ECE %"] == known["regret %"] == "lower"
    assert "entropy" not in known and "moved" not in known
    headings = [each.heading for each in MEASURES.values() if each.heading]
    assert len(set(headings)) == len(headings)
