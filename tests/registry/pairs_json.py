"""Write an invented trial as a study of the registry's API, version 2."""

from __future__ import annotations

from typing import Any


def _markdown(paragraphs: Any) -> str | None:
    if paragraphs is None:
        return None
    lines: list[str] = []
    last = None
    for bullet, text in paragraphs:
        escaped = "".join("\\" + c if c in "<>&[]*~^_\\" else c for c in text)
        if last is not None and not (bullet and last):
            lines.append("")
        lines.append({"": "", "- ": "* ", "-- ": "  * "}[bullet] + escaped)
        last = bullet
    return "\n".join(lines)


def _iso(date: Any) -> str | None:
    if date is None:
        return None
    year, month, day = date
    return f"{year}-{month:02d}" + ("" if day is None else f"-{day:02d}")


def _slim(value: Any) -> Any:
    """Without absent and empty values, as the API leaves them out."""
    if isinstance(value, dict):
        slim = {key: _slim(item) for key, item in value.items()}
        return {key: item for key, item in slim.items() if item not in (None, [], {})}
    return [_slim(item) for item in value] if isinstance(value, list) else value


def _outcomes(items: Any) -> list[dict[str, Any]]:
    return [
        {"measure": measure, "timeFrame": frame, "description": _markdown(description)}
        for measure, frame, description in items
    ]


def to_json(t: dict[str, Any]) -> dict[str, Any]:
    start, enrolment = t["start"], t["enrolment"]
    labels = [arm[0] for arm in t["arms"]]
    protocol = {
        "identificationModule": {
            "nctId": "NCT90000001",
            "orgStudyIdInfo": {"id": "X-1"},
            "briefTitle": t["brief_title"],
            "officialTitle": t["official_title"],
            "acronym": t["acronym"],
        },
        "statusModule": {
            "overallStatus": t["status"],
            "whyStopped": t["why_stopped"],
            "startDateStruct": {"date": _iso(start[0]), "type": start[1]} if start else None,
            "completionDateStruct": {"date": _iso(t["completion"])},
            "primaryCompletionDateStruct": {"date": _iso(t["primary_completion"])},
            "studyFirstSubmitDate": _iso(t["submitted"]),
        },
        "sponsorCollaboratorsModule": {
            "leadSponsor": {"name": t["sponsor"][0], "class": t["sponsor"][1]},
            "collaborators": [{"name": n, "class": c} for n, c in t["collaborators"]],
        },
        "oversightModule": {"oversightHasDmc": t["dmc"]},
        "descriptionModule": {
            "briefSummary": _markdown(t["summary"]),
            "detailedDescription": _markdown(t["detailed"]),
        },
        "conditionsModule": {"conditions": t["conditions"], "keywords": t["keywords"]},
        "designModule": {
            "studyType": t["study_type"],
            "patientRegistry": t["registry"],
            "phases": t["phases"],
            "designInfo": {
                "allocation": t["allocation"],
                "interventionModel": t["model"],
                "primaryPurpose": t["purpose"],
                "maskingInfo": {"masking": t["masking"], "whoMasked": sorted(t["who"])},
            },
            "enrollmentInfo": {"count": enrolment[0], "type": enrolment[1]} if enrolment else None,
        },
        "armsInterventionsModule": {
            "armGroups": [
                {"label": label, "type": role, "description": _markdown(description)}
                for label, role, description in t["arms"]
            ],
            "interventions": [
                {
                    "name": name,
                    "type": kind,
                    "description": _markdown(description),
                    "armGroupLabels": [labels[n] for n in sorted(arms) if n < len(labels)],
                    "otherNames": [other_name] if other_name else [],
                }
                for name, kind, description, arms, other_name in t["interventions"]
            ],
        },
        "outcomesModule": {
            "primaryOutcomes": _outcomes(t["primary"]),
            "secondaryOutcomes": _outcomes(t["secondary"]),
        },
        "eligibilityModule": {
            "eligibilityCriteria": _markdown(t["criteria"]),
            "sex": t["sex"],
            "minimumAge": t["minimum_age"],
            "maximumAge": t["maximum_age"],
            "healthyVolunteers": t["healthy"],
        },
        "contactsLocationsModule": {"locations": [{"facility": "A & B"}] * 2},
    }
    study = {
        "protocolSection": protocol,
        "derivedSection": {
            "miscInfoModule": {"versionHolder": "2023-05-09"},
            "conditionBrowseModule": {"meshes": [{"term": x} for x in t["condition_mesh"]]},
            "interventionBrowseModule": {"meshes": [{"term": x} for x in t["intervention_mesh"]]},
        },
        "resultsSection": {"outcomeMeasuresModule": {"outcomeMeasures": [{"title": "x"}]}}
        if t["results"]
        else None,
    }
    slim: dict[str, Any] = _slim(study)
    slim["hasResults"] = t["results"]
    return slim
