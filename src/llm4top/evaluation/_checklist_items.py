"""The items of two reporting guidelines, in short and in our own words.

TRIPOD+AI: Collins et al., BMJ 2024;385:e078378, 27 main items. TRIPOD-LLM: Gallifant et al.,
Nature Medicine 2025;31:60, 19 main items. Each line is the item's number, its topic, and the name
of the answer in ``_checklist`` that this program can give; none where only the authors can.
"""

from __future__ import annotations

from typing import NamedTuple


class Item(NamedTuple):
    """One item: ``answer`` names what fills it, empty for the authors to fill in."""

    number: str
    topic: str
    answer: str = ""


TRIPOD_AI = "TRIPOD+AI"
TRIPOD_LLM = "TRIPOD-LLM"

TRIPOD_AI_ITEMS = (
    Item("1", "Title: that a prediction model is developed or evaluated, for whom, which outcome"),
    Item("2", "Abstract: by the guideline's own list for abstracts"),
    Item("3a", "Context, rationale and existing models"),
    Item("3b", "Target population, intended purpose and users", "intended_use"),
    Item("3c", "Known health inequalities between groups"),
    Item("4", "Objectives: development, evaluation or both", "objectives"),
    Item("5a", "Sources of data, why these, how representative", "data_sources"),
    Item("5b", "Dates of the data", "data_dates"),
    Item("6a", "Setting: centres, number and place"),
    Item("6b", "Eligibility of what is studied", "eligibility"),
    Item("6c", "Treatments, and how they were handled", "treatments"),
    Item("7", "Data preparation and quality checks", "preparation"),
    Item("8a", "Outcome: definition, time horizon, assessment", "outcome"),
    Item("8b", "Who assessed the outcome, where that takes judgement"),
    Item("8c", "Blinding of the outcome's assessment", "blinding"),
    Item("9a", "Choice of predictors before modelling", "predictors"),
    Item("9b", "Definition of predictors, and when they were measured", "predictor_time"),
    Item("9c", "Who assessed predictors, where that takes judgement"),
    Item("10", "Sample size, and why it suffices", "sample_size"),
    Item("11", "Missing data", "missing"),
    Item("12a", "Use of the data: partition into development and evaluation", "partition"),
    Item("12b", "Handling of predictors", "handling"),
    Item("12c", "Type of model, building steps, tuning, internal validation", "models"),
    Item("12d", "Heterogeneity between clusters", "clusters"),
    Item("12e", "Measures and plots of performance; comparison of models", "measures"),
    Item("12f", "Model updating, such as recalibration", "updating"),
    Item("12g", "How predictions were calculated", "calculation"),
    Item("13", "Class imbalance: methods and recalibration", "imbalance"),
    Item("14", "Fairness: approaches and rationale"),
    Item("15", "Output of the model; classification and its threshold", "output"),
    Item("16", "Differences between development and evaluation data", "differing"),
    Item("17", "Ethical approval and consent", "ethics"),
    Item("18a", "Funding"),
    Item("18b", "Conflicts of interest"),
    Item("18c", "Protocol"),
    Item("18d", "Registration"),
    Item("18e", "Availability of the data", "data_sharing"),
    Item("18f", "Availability of the code", "code_sharing"),
    Item("19", "Patient and public involvement"),
    Item("20a", "Flow: numbers with and without the outcome", "flow"),
    Item("20b", "Characteristics, by source", "characteristics"),
    Item("20c", "Development and evaluation data compared", "differing"),
    Item("21", "Numbers and events in each analysis", "flow"),
    Item("22", "The full model, for use by others", "specification"),
    Item("23a", "Performance with intervals, subgroups included", "performance"),
    Item("23b", "Heterogeneity of performance between clusters", "clusters"),
    Item("24", "Results of model updating"),
    Item("25", "Interpretation, fairness included"),
    Item("26", "Limitations", "limitations"),
    Item("27a", "Poor or missing input at the time of use", "poor_input"),
    Item("27b", "What users have to do, and the expertise it takes", "users"),
    Item("27c", "Next steps: applicability and generalisability"),
)

TRIPOD_LLM_ITEMS = (
    Item("1", "Title: that a language model is developed, tuned or evaluated; task and outcome"),
    Item("2", "Abstract: by the guideline's own list for abstracts"),
    Item("3a", "Context, use case, rationale, existing approaches"),
    Item("3b", "Target population, intended use and users", "intended_use"),
    Item("4", "Objectives: development, tuning or validation", "objectives"),
    Item("5a", "Sources of training, tuning and evaluation data", "data_sources"),
    Item("5b", "Description and distribution of the data", "characteristics"),
    Item("5c", "Oldest and newest item in development and evaluation", "data_dates"),
    Item("5d", "Pre-processing and quality checks", "preparation"),
    Item("5e", "Missing and imbalanced data", "missing"),
    Item("6a", "Model: name, version, last date of training", "model_identity"),
    Item("6b", "How the model was built and tuned", "models"),
    Item("6c", "How text was generated: prompts, inference settings, seed", "inference"),
    Item("6d", "Initial and post-processed output", "output"),
    Item("6e", "Classification: probabilities and thresholds", "output"),
    Item("7a", "Quality of generated text", "no_text"),
    Item("7b", "Relevance of the metrics at the time of use"),
    Item("7c", "Outcome, how predictions were calculated, metrics", "outcome"),
    Item("7d", "Assessors, where assessment takes judgement"),
    Item("7e", "Comparison with other models, people, benchmarks", "comparison"),
    Item("8a", "Annotation: how, by which guide", "annotation"),
    Item("8b", "Annotators: how many, agreement", "annotation"),
    Item("8c", "Annotators: background; models used for labelling", "annotation"),
    Item("9a", "Prompts: design, curation, selection", "prompts"),
    Item("9b", "Data used to develop the prompts"),
    Item("10", "Pre-processing before summarising", "no_summary"),
    Item("11", "Instruction tuning or alignment", "no_alignment"),
    Item("12", "Compute", "compute"),
    Item("13", "Ethical approval and consent", "ethics"),
    Item("14a", "Funding"),
    Item("14b", "Conflicts of interest"),
    Item("14c", "Protocol"),
    Item("14d", "Registration"),
    Item("14e", "Availability of the data", "data_sharing"),
    Item("14f", "Availability of the code", "code_sharing"),
    Item("15", "Patient and public involvement"),
    Item("16a", "Flow of text: numbers with and without the label", "flow"),
    Item("16b", "Characteristics by split, key dates, sample size", "characteristics"),
    Item("16c", "Development and evaluation data compared", "differing"),
    Item("16d", "Numbers and events in each analysis", "flow"),
    Item("17", "Performance by the measures set before", "performance"),
    Item("18", "Results of model updating"),
    Item("19a", "Interpretation, fairness included"),
    Item("19b", "Limitations", "limitations"),
    Item("19c", "Known challenges of these data for this task", "challenges"),
    Item("19d", "Intended use: input, user, autonomy, oversight", "intended_use"),
    Item("19e", "Poor or missing input at the time of use", "poor_input"),
    Item("19f", "What users have to do, and the expertise it takes", "users"),
    Item("19g", "Next steps: applicability and generalisability"),
)
