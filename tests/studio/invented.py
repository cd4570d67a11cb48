"""Invented trials in the registry's layout, enough of them to learn from and to look at."""

from __future__ import annotations

import random
from xml.sax.saxutils import escape

DRUGS = (
    "Exemplamab",
    "Inventinib",
    "Fictivorelin",
    "Madeupafil",
    "Supposumab",
    "Imaginostat",
    "Pretendazole",
    "Placeholdane",
)
CONDITIONS = (
    ("Plaque Psoriasis", 0.8),
    ("Hypertension", 0.75),
    ("Type 2 Diabetes Mellitus", 0.7),
    ("Asthma", 0.6),
    ("Major Depressive Disorder", 0.4),
    ("Alzheimer Disease", 0.2),
    ("Pancreatic Cancer", 0.25),
    ("Glioblastoma", 0.2),
)
"""Conditions, each with the chance of success that it is given here."""

_RECORD = """<clinical_study>
  <required_header>
    <link_text>An invented record: there is no such trial.</link_text>
  </required_header>
  <id_info><nct_id>{nct_id}</nct_id></id_info>
  <brief_title>{title}</brief_title>
  <sponsors><lead_sponsor><agency>Invented Therapeutics</agency>
    <agency_class>{sponsor}</agency_class></lead_sponsor></sponsors>
  <overall_status>Not yet recruiting</overall_status>
  <start_date type="Anticipated">March {year}</start_date>
  <phase>{phase}</phase>
  <study_type>Interventional</study_type>
  <study_design_info><allocation>Randomized</allocation>
    <intervention_model>Parallel Assignment</intervention_model>
    <primary_purpose>Treatment</primary_purpose><masking>{masking}</masking></study_design_info>
  <primary_outcome><measure>{measure}</measure>
    <time_frame>Week {weeks}</time_frame></primary_outcome>
  <condition>{condition}</condition>
  <intervention><intervention_type>Drug</intervention_type>
    <intervention_name>{drug}</intervention_name></intervention>
  <eligibility><criteria><textblock>
    Inclusion Criteria:
    - Adults from {age} years on with {condition}, diagnosed at least {weeks} weeks ago
    - Able to take part in all visits

    Exclusion Criteria:
    - Another study drug within {weeks} weeks
    - Severe disease of liver or kidney
  </textblock></criteria><gender>All</gender>
    <minimum_age>{age} Years</minimum_age></eligibility>
</clinical_study>
"""


def invented_records(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """``count`` records, each as its NCT id, its XML and its label; the condition tells much."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        condition, chance = rng.choice(CONDITIONS)
        phase = rng.randint(1, 3)
        drug, weeks = rng.choice(DRUGS), rng.choice((8, 12, 16, 24, 52))
        nct_id = f"NCT{99000000 + number}"
        control = rng.choice(("", " Compared With Placebo", " Added to Usual Care"))
        record = _RECORD.format(
            nct_id=nct_id,
            title=escape(f"{drug} in Adults With {condition}{control}"),
            sponsor=rng.choice(("Industry", "Industry", "Other", "NIH")),
            year=2005 + number * 12 // count,
            phase=f"Phase {phase}",
            masking=rng.choice(("None (Open Label)", "Double")),
            measure=f"Change of symptoms of {condition.lower()}",
            weeks=weeks,
            condition=condition,
            drug=drug,
            age=rng.choice((18, 40, 65)),
        )
        likely = min(max(chance + (phase - 2) * 0.1, 0.05), 0.95)
        made.append((nct_id, record, "success" if rng.random() < likely else "failure"))
    return made
