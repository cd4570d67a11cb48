import re

import pytest

from llm4top.forecasters.bundles.figures import Ablation, CardTable, Evaluation, Figure, ReloadCheck
from llm4top.forecasters.bundles.manifest import DataEntry, TuningEntry
from llm4top.forecasters.bundles.write import escape, render_card
from tests.forecasters.bundle_kit import EVALUATION, facts
from tests.forecasters.bundles.test_manifest import manifest

WHOLE_CARD = r"""# tiny-outcome

\*\*A research estimate, not medical or investment advice\.\*\*

## What it is

A forecaster of clinical trials .*

- Question: Will this trial succeed, .*\?
- Kind: binary; answers: No = failure; Yes = success
- Base model: Qwen/Qwen3-8B, revision abc \(not part of this bundle\)
- Tuning: a LoRA adapter over the base model
- Prompt: at most 512 tokens; sections: phase, criteria

## Training data

- Data set: invented trials
- Trials: train 40, valid 20
- Hash \(sha256\): a{64}

## Base rates

The base rate is what a forecast must beat: .*

\| Phase \| n \| failure \| success \|
\| --- \| --- \| --- \| --- \|
\| Phase 1 \| 14 \| 61\.8% \| 38\.2% \|
\| Phase 2 \| 13 \| 21\.2% \| 78\.8% \|
\| Phase 3 \| 13 \| 21\.2% \| 78\.8% \|
\| all phases \| 40 \| 35\.0% \| 65\.0% \|

They are those of the training trials alone\. .*

## How good it is

On the valid split, n = 40; each figure with its 95 % interval, 1000 bootstrap draws\.

\| Forecaster \| ROC-AUC \(higher is better\) \| Brier score \(lower is better\) \|
\| --- \| --- \| --- \|
\| this model, calibrated \| 0\.612 \[0\.500, 0\.700\] \| 0\.231 \[0\.210, 0\.250\] \|
\| TF-IDF \+ logistic regression \| 0\.700 \[0\.600, 0\.800\] \| 0\.220 \[0\.200, 0\.240\] \|
\| base rate of the phase \| not measured \| 0\.250 \[0\.240, 0\.260\] \|

## Calibration

Venn-Abers, fitted on validation data only\. .*

## Limits

(- .*
){4}
## Licence

Apache-2\.0

Training data: TOP: non-commercial use only

## How it was made

- Made on: 2031-05-14
- Versions: llm4top 0\.1\.0
- Seed: 7
- Settings \(sha256\): b{64}
- epochs: 3\.0
- lora_rank: 4
"""


def test_the_whole_card_follows_its_pattern():
    card = render_card(manifest())
    assert re.fullmatch(WHOLE_CARD, card), card
    # The check is made after the card, whose hash the manifest holds by then.
    check = ReloadCheck(n=40, max_difference=1.2e-7, tolerance=1e-4)
    assert render_card(manifest(reload_check=check)) == card


def test_what_is_not_known_is_said_not_left_out():
    bare = manifest(
        data=None,
        base_rates={},
        evaluations=(),
        licence="",
        seed=None,
        config_sha256=None,
        calibration="none",
    )
    card = render_card(bare)
    assert "No training data are recorded." in card
    assert "## How good it is\n\nNot measured." in card
    assert "No licence is recorded" in card
    assert "Do not read them as chances" in card
    assert "## Base rates" not in card


def test_every_figure_of_the_manifest_stands_in_the_card():
    card = render_card(manifest())
    for figures in EVALUATION["forecasters"].values():
        for figure in figures.values():
            if figure["value"] is not None:
                assert f"{figure['value']:.3f} [{figure['lower']:.3f}" in card


def test_every_evaluation_has_its_table_and_note():
    second = Evaluation.model_validate({**EVALUATION, "split": "test", "note": "Looked at once."})
    first = Evaluation.model_validate(EVALUATION)
    card = render_card(manifest(evaluations=(first, second)))
    assert card.count("| Forecaster |") == 2
    assert "On the test split, n = 40" in card
    assert "Looked at once." in card


def test_the_calibration_of_each_phase_stands_in_the_card():
    figures = {
        "roc_auc": {"value": 0.671, "lower": 0.62, "upper": 0.72},
        "calibration_intercept": {"value": -0.256, "lower": -0.44, "upper": -0.08},
        "calibration_slope": {"value": None, "lower": None, "upper": None},
        "prevalence": {"value": 0.466, "lower": None, "upper": None},
    }
    phases = {"II": {"n": 446, "figures": figures}}
    card = render_card(
        manifest(evaluations=(Evaluation.model_validate({**EVALUATION, "phases": phases}),))
    )
    assert "By phase, this model, calibrated" in card
    assert (
        "| Phase | n | Share of success | Calibration intercept (0 is right) | "
        "Calibration slope (1 is right) | ECE (0 is right) | ROC-AUC | Brier score |"
    ) in card
    assert (
        "| II | 446 | 0.466 | -0.256 [-0.440, -0.080] | not measured | not measured | "
        "0.671 [0.620, 0.720] | not measured |"
    ) in card


def test_every_other_table_stands_in_the_card():
    rows = (("phase 2 as phase 3", "1.2 | 1.3"), ("another drug", "0.4"))
    table = CardTable(title="What moves it", text="In log-odds.", columns=("edit", "by"), rows=rows)
    card = render_card(manifest(tables=(table,)))
    assert "## What moves it\n\nIn log-odds.\n\n| edit | by |\n| --- | --- |\n" in card
    assert "| phase 2 as phase 3 | 1.2 \\| 1.3 |\n| another drug | 0.4 |" in card


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("two\nlines  and\ttabs", "two lines and tabs"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[click](http://evil.example)", r"\[click\](http:" + "\u200b//evil.example)"),
        ("![x](y)", r"!\[x\](y)"),
        ("a | b", r"a \| b"),
        ("`code` *bold*", r"\`code\` \*bold\*"),
        ("lora_rank _x_", r"lora_rank \_x\_"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("0.1.0", "0.1.0"),
        ("a\x1b[31mred\x00", r"a\[31mred"),
        ("right\u202eleft", "rightleft"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
    ],
)
def test_text_from_outside_is_shown_as_text(text, shown):
    assert escape(text) == shown


def test_no_text_of_a_manifest_can_break_out_of_its_line():
    evil = "x\n# Owned\n\n<img src=x onerror=alert(1)>\n| a | b |\n[l](javascript:alert(1))"
    values = facts().model_dump()
    evaluation = {**EVALUATION, "split": evil, "note": evil}
    evaluation["forecasters"] = {evil: EVALUATION["forecasters"]["this model, calibrated"]}
    card = render_card(
        manifest(
            data=DataEntry(name=evil, sha256="a" * 64, counts={evil: 1}, licence=evil, note=evil),
            licence=evil,
            context_of_use=evil,
            versions={evil: evil},
            language={"tuning": TuningEntry(method="lora", settings={evil: evil})},
            base_rates={evil: values["base_rates"]["all"], "all": values["base_rates"]["all"]},
            evaluations=(Evaluation.model_validate(evaluation),),
        )
    )
    assert "\n# Owned" not in card
    assert "<img" not in card
    assert "](javascript" not in card.replace("\\](", "")
    tables = [line for line in card.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert widths == {4, 5}


def test_what_each_part_adds_is_told_with_signs():
    figures = {
        "roc_auc": Figure(value=0.02, lower=-0.001, upper=0.04),
        "brier": Figure(value=-0.003, lower=-0.005, upper=-0.001),
        "log_loss": Figure(value=None, lower=None, upper=None),
    }
    ablation = Ablation(split="out-of-fold", n=100, draws=1000, seed=0, without={"tf|idf": figures})
    card = render_card(manifest(ablation=ablation))
    assert "### What each part adds" in card
    assert "without one part, out-of-fold, n = 100" in card
    assert "| tf\\|idf | +0.020 [-0.001, +0.040] | -0.003 [-0.005, -0.001] | not measured |" in card
    assert "What each part adds" not in render_card(manifest())
