"""A trial with every field filled in, whose rendering stands for the wording of all prompts."""

from __future__ import annotations

from llm4top.registry import Arm, Collaborator, Intervention, Outcome, Trial

PROBE = Trial(
    phase="Phase 2",
    study_type="Interventional",
    brief_title="brief title",
    official_title="official title",
    conditions=("first condition", "second condition"),
    condition_mesh=("first term", "second term"),
    icd_codes=("A00", "B00"),
    keywords=("first keyword", "second keyword"),
    interventions=(
        Intervention("first", "Drug", "first description", ("Experimental", "Other")),
        Intervention("second", "Drug"),
    ),
    intervention_mesh=("first drug term", "second drug term"),
    smiles=("C", "CC"),
    arms=(Arm("first arm", "Experimental", "its description"), Arm("second arm")),
    number_of_arms=2,
    allocation="Randomized",
    intervention_model="Parallel Assignment",
    masking="Double",
    primary_purpose="Treatment",
    primary_outcomes=(Outcome("first", "1 week", "its description"), Outcome("second")),
    secondary_outcomes=(Outcome("third", "2 weeks"), Outcome("fourth")),
    criteria="- criteria",
    sex="All",
    minimum_age="18 Years",
    maximum_age="65 Years",
    healthy_volunteers=False,
    sponsor_class="Industry",
    collaborators=(Collaborator("collaborator", "NIH"), Collaborator("another")),
    has_dmc=True,
    planned_enrolment=100,
    planned_start="2031-05",
    brief_summary="brief summary",
    detailed_description="detailed description",
)
