"""The allow-list: every field of a ``Trial``, where each format keeps it, and why it is allowed.

This table is the one place that decides what a model may see. The readers and the renderer follow
it, and the documentation and the tests read it. Everything a record holds beyond it is withheld.

Paths: ``xml`` are element paths below ``clinical_study`` in the legacy XML; ``api`` are dotted
paths below the study in the v2 JSON (``[]`` marks a list); ``top`` are columns of TOP's CSV.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AllowedField:
    """One allowed input: the name of the ``Trial`` field, a heading for people, its sources."""

    name: str
    heading: str
    xml: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    top: tuple[str, ...] = ()
    note: str = ""
    free_text: bool = False
    """Free text is searched for sentences that tell the outcome; those are withheld."""


_P = "protocolSection."
_DESIGN = _P + "designModule."
_ARMS = _P + "armsInterventionsModule."
_ELIGIBILITY = _P + "eligibilityModule."

ALLOWED_FIELDS: tuple[AllowedField, ...] = (
    AllowedField("phase", "Phase", ("phase",), (_DESIGN + "phases[]",), ("phase",)),
    AllowedField(
        "study_type",
        "Study type",
        ("study_type",),
        (_DESIGN + "studyType", _DESIGN + "patientRegistry"),
        note="part of the design; shows whether a record is a trial at all",
    ),
    AllowedField(
        "brief_title",
        "Brief title",
        ("brief_title",),
        (_P + "identificationModule.briefTitle",),
        free_text=True,
    ),
    AllowedField(
        "official_title",
        "Official title",
        ("official_title",),
        (_P + "identificationModule.officialTitle",),
        free_text=True,
    ),
    AllowedField(
        "conditions",
        "Conditions",
        ("condition",),
        (_P + "conditionsModule.conditions[]",),
        ("diseases",),
    ),
    AllowedField(
        "condition_mesh",
        "Condition MeSH terms",
        ("condition_browse/mesh_term",),
        ("derivedSection.conditionBrowseModule.meshes[].term",),
        note="derived by the registry from the conditions; the ancestors that the v2 JSON adds "
        "are not read, because the legacy XML has none",
    ),
    AllowedField("icd_codes", "ICD-10 codes", top=("icdcodes",), note="brought by a data set"),
    AllowedField("keywords", "Keywords", ("keyword",), (_P + "conditionsModule.keywords[]",)),
    AllowedField(
        "interventions",
        "Interventions",
        (
            "intervention/intervention_name",
            "intervention/intervention_type",
            "intervention/description",
            "intervention/arm_group_label",
        ),
        (
            _ARMS + "interventions[].name",
            _ARMS + "interventions[].type",
            _ARMS + "interventions[].description",
            _ARMS + "interventions[].armGroupLabels[]",
            _ARMS + "armGroups[].interventionNames[]",
        ),
        ("drugs",),
        note="type, name, description and the roles of the arms that receive it",
        free_text=True,
    ),
    AllowedField(
        "intervention_mesh",
        "Intervention MeSH terms",
        ("intervention_browse/mesh_term",),
        ("derivedSection.interventionBrowseModule.meshes[].term",),
    ),
    AllowedField("smiles", "SMILES", top=("smiless",), note="brought by a data set"),
    AllowedField(
        "arms",
        "Arms",
        ("arm_group/arm_group_label", "arm_group/arm_group_type", "arm_group/description"),
        (
            _ARMS + "armGroups[].label",
            _ARMS + "armGroups[].type",
            _ARMS + "armGroups[].description",
        ),
        free_text=True,
    ),
    AllowedField(
        "number_of_arms",
        "Number of arms",
        ("number_of_arms", "number_of_groups"),
        (_ARMS + "armGroups[].label",),
        note="the v2 JSON has no such field: its arms are counted",
    ),
    AllowedField(
        "allocation",
        "Allocation",
        ("study_design_info/allocation", "study_design"),
        (_DESIGN + "designInfo.allocation",),
    ),
    AllowedField(
        "intervention_model",
        "Intervention model",
        ("study_design_info/intervention_model", "study_design"),
        (_DESIGN + "designInfo.interventionModel",),
    ),
    AllowedField(
        "masking",
        "Masking",
        ("study_design_info/masking", "study_design"),
        (_DESIGN + "designInfo.maskingInfo.masking", _DESIGN + "designInfo.maskingInfo.whoMasked"),
    ),
    AllowedField(
        "primary_purpose",
        "Primary purpose",
        ("study_design_info/primary_purpose", "study_design"),
        (_DESIGN + "designInfo.primaryPurpose",),
    ),
    AllowedField(
        "primary_outcomes",
        "Primary outcome measures",
        ("primary_outcome/measure", "primary_outcome/time_frame", "primary_outcome/description"),
        (
            _P + "outcomesModule.primaryOutcomes[].measure",
            _P + "outcomesModule.primaryOutcomes[].timeFrame",
            _P + "outcomesModule.primaryOutcomes[].description",
        ),
        free_text=True,
    ),
    AllowedField(
        "secondary_outcomes",
        "Secondary outcome measures",
        (
            "secondary_outcome/measure",
            "secondary_outcome/time_frame",
            "secondary_outcome/description",
        ),
        (
            _P + "outcomesModule.secondaryOutcomes[].measure",
            _P + "outcomesModule.secondaryOutcomes[].timeFrame",
            _P + "outcomesModule.secondaryOutcomes[].description",
        ),
        free_text=True,
    ),
    AllowedField(
        "criteria",
        "Eligibility criteria",
        ("eligibility/criteria/textblock",),
        (_ELIGIBILITY + "eligibilityCriteria",),
        ("criteria",),
        free_text=True,
    ),
    AllowedField("sex", "Sex", ("eligibility/gender",), (_ELIGIBILITY + "sex",)),
    AllowedField(
        "minimum_age", "Minimum age", ("eligibility/minimum_age",), (_ELIGIBILITY + "minimumAge",)
    ),
    AllowedField(
        "maximum_age", "Maximum age", ("eligibility/maximum_age",), (_ELIGIBILITY + "maximumAge",)
    ),
    AllowedField(
        "healthy_volunteers",
        "Healthy volunteers",
        ("eligibility/healthy_volunteers",),
        (_ELIGIBILITY + "healthyVolunteers",),
    ),
    AllowedField(
        "sponsor_class",
        "Sponsor class",
        ("sponsors/lead_sponsor/agency_class",),
        (_P + "sponsorCollaboratorsModule.leadSponsor.class",),
        note="the class only, never the lead sponsor's name; NIH, Industry, U.S. Fed or Other, "
        "the four that both formats tell apart",
    ),
    AllowedField(
        "collaborators",
        "Collaborators",
        ("sponsors/collaborator/agency", "sponsors/collaborator/agency_class"),
        (
            _P + "sponsorCollaboratorsModule.collaborators[].name",
            _P + "sponsorCollaboratorsModule.collaborators[].class",
        ),
    ),
    AllowedField(
        "has_dmc",
        "Data monitoring committee",
        ("oversight_info/has_dmc",),
        (_P + "oversightModule.oversightHasDmc",),
    ),
    AllowedField(
        "planned_enrolment",
        "Planned enrolment",
        ("enrollment",),
        (_DESIGN + "enrollmentInfo.count", _DESIGN + "enrollmentInfo.type"),
        note="only where the record says the number is anticipated or estimated",
    ),
    AllowedField(
        "planned_start",
        "Planned start",
        ("start_date",),
        (_P + "statusModule.startDateStruct.date", _P + "statusModule.startDateStruct.type"),
        note="only where the record says the date is anticipated or estimated",
    ),
    AllowedField(
        "brief_summary",
        "Brief summary",
        ("brief_summary/textblock",),
        (_P + "descriptionModule.briefSummary",),
        free_text=True,
    ),
    AllowedField(
        "detailed_description",
        "Detailed description",
        ("detailed_description/textblock",),
        (_P + "descriptionModule.detailedDescription",),
        free_text=True,
    ),
)
"""In the order of the fields of ``Trial`` (a test holds the two together)."""
