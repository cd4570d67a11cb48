"""A trial as a study of the modern JSON (API version 2): the inverse of ``api``."""

import re
from collections.abc import Mapping
from typing import Any

from llm4top.registry import codes
from llm4top.registry.draft_fields import SPONSOR_CLASSES
from llm4top.registry.trial import Trial

# A backslash that the reader would take for one that escapes what follows it.
_ESCAPES = re.compile(r"\\(?=[!-/:-@\[-`{-~])")


def study_of(trial: Trial) -> dict[str, Any]:
    """The study whose record has this trial.

    What no record can hold is left out: ICD-10 codes, SMILES, a number of arms without the arms,
    and roles of arms that are not there. Coded values must be choices of the registry.
    """
    protocol = {
        "identificationModule": {
            "briefTitle": trial.brief_title,
            "officialTitle": trial.official_title,
        },
        "statusModule": {"startDateStruct": _planned("date", trial.planned_start)},
        "sponsorCollaboratorsModule": {
            "leadSponsor": {"class": _code(SPONSOR_CLASSES, trial.sponsor_class)},
            "collaborators": [
                {"name": c.name, "class": _code(SPONSOR_CLASSES, c.organisation_class)}
                for c in trial.collaborators
            ],
        },
        "oversightModule": {"oversightHasDmc": trial.has_dmc},
        "descriptionModule": {
            "briefSummary": _markdown(trial.brief_summary),
            "detailedDescription": _markdown(trial.detailed_description),
        },
        "conditionsModule": {
            "conditions": list(trial.conditions),
            "keywords": list(trial.keywords),
        },
        "designModule": _design(trial),
        "armsInterventionsModule": _arms(trial),
        "outcomesModule": {
            key: [
                {
                    "measure": item.measure,
                    "timeFrame": item.time_frame,
                    "description": _markdown(item.description),
                }
                for item in items
            ]
            for key, items in (
                ("primaryOutcomes", trial.primary_outcomes),
                ("secondaryOutcomes", trial.secondary_outcomes),
            )
        },
        "eligibilityModule": {
            "eligibilityCriteria": _markdown(trial.criteria),
            "healthyVolunteers": trial.healthy_volunteers,
            "sex": _code(codes.SEXES, trial.sex),
            "minimumAge": trial.minimum_age,
            "maximumAge": trial.maximum_age,
        },
    }
    derived = {
        f"{key}BrowseModule": {"meshes": [{"term": term} for term in terms]}
        for key, terms in (
            ("condition", trial.condition_mesh),
            ("intervention", trial.intervention_mesh),
        )
    }
    study: dict[str, Any] = _filled({"protocolSection": protocol, "derivedSection": derived})
    return {"protocolSection": {}} | study


def _design(trial: Trial) -> dict[str, Any]:
    study_type = trial.study_type or ""
    registry = study_type.endswith(codes.PATIENT_REGISTRY)
    level, _, who = (trial.masking or "").partition(" (")
    unmasked = trial.masking == codes.MASKINGS["NONE"]
    return {
        "studyType": _code(codes.STUDY_TYPES, study_type.removesuffix(codes.PATIENT_REGISTRY)),
        "patientRegistry": True if registry else None,
        "phases": [_code(codes.PHASES, name) for name in _phases(trial.phase)],
        "designInfo": {
            "allocation": _code(codes.ALLOCATIONS, trial.allocation),
            "interventionModel": _code(codes.MODELS, trial.intervention_model),
            "primaryPurpose": _code(codes.PURPOSES, trial.primary_purpose),
            "maskingInfo": {
                "masking": "NONE" if unmasked else level.upper() or None,
                "whoMasked": []
                if unmasked or not who
                else [_code(codes.WHO_MASKED, name) for name in who.rstrip(")").split(", ")],
            },
        },
        "enrollmentInfo": _planned("count", trial.planned_enrolment),
    }


def _phases(phase: str | None) -> list[str]:
    if not phase:
        return []
    return [phase] if phase == codes.PHASES["NA"] else phase.split("/")


def _arms(trial: Trial) -> dict[str, Any]:
    return {
        "armGroups": [
            {
                "label": arm.label,
                "type": _code(codes.ARM_ROLES, arm.role),
                "description": _markdown(arm.description),
            }
            for arm in trial.arms
        ],
        "interventions": [
            {
                "type": _code(codes.INTERVENTION_TYPES, item.type),
                "name": item.name,
                "description": _markdown(item.description),
                "armGroupLabels": [
                    arm.label for arm in trial.arms if arm.role and arm.role in item.arm_roles
                ],
            }
            for item in trial.interventions
        ],
    }


def _planned(key: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {key: value, "type": "ESTIMATED"}


def _code(table: Mapping[str, str], name: str | None) -> str | None:
    """The code of a name; the name itself where it is none, for the reader to say so."""
    if not name:
        return None
    return next((code for code, known in table.items() if known == name), name)


def _markdown(text: str | None) -> str | None:
    return None if text is None else _ESCAPES.sub(r"\\\\", text)


def _filled(value: Any) -> Any:
    """``value`` without what is empty in it, at any depth."""
    if isinstance(value, dict):
        parts = {key: _filled(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part not in (None, "", [], {})}
    if isinstance(value, list):
        return [_filled(part) for part in value]
    return value
