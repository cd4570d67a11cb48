"""Why a thing is withheld, in a few words for the person, and names that no record should have.

This table only words the reasons: what is withheld is everything the allow-list does not name, and
what is not listed here is withheld all the same, with ``UNLISTED`` as its reason.
"""

from collections.abc import Collection
from difflib import get_close_matches

UNLISTED = "not on the allow-list"
STATUS = "tells how the trial went"
RESULTS = "results, known only after the trial"
ACTUAL = "an actual date or number, known only afterwards"
UNSTATED = "not marked as planned, so it may be the actual one"
UPDATED = "a date of the record, not of the plan; later than registration"
IDENTIFIER = "an identifier would let a model recall the trial"
PERSON = "a person or contact"
PLACE = "a place"
SPONSOR = "the sponsor's name would let a model recall the trial"
REFERENCE = "publications and documents may tell the outcome"
LABEL = "the answer itself"
_MAY_BE_ACTUAL = "may be actual, and tells how the trial went"
_OF_RECORD = "a date of the record, not of the plan"
_PEOPLE_AND_PLACES = "people and places"

_BY_REASON = {
    STATUS: (
        "overall_status last_known_status why_stopped annotationSection S:overallStatus "
        "S:lastKnownStatus S:whyStopped status why_stop"
    ),
    RESULTS: (
        "clinical_results pending_results results_first_submitted results_first_submitted_qc "
        "results_first_posted disposition_first_submitted disposition_first_submitted_qc "
        "disposition_first_posted results_reference resultsSection hasResults "
        "S:resultsFirstSubmitDate S:resultsFirstSubmitQcDate S:resultsFirstPostDateStruct "
        "S:dispFirstSubmitDate S:dispFirstSubmitQcDate S:dispFirstPostDateStruct"
    ),
    ACTUAL: "start_date enrollment S:startDateStruct P:designModule.enrollmentInfo",
    _MAY_BE_ACTUAL: (
        "completion_date primary_completion_date S:completionDateStruct "
        "S:primaryCompletionDateStruct"
    ),
    UPDATED: (
        "last_update_submitted last_update_submitted_qc last_update_posted verification_date "
        "S:lastUpdateSubmitDate S:lastUpdatePostDateStruct S:statusVerifiedDate"
    ),
    _OF_RECORD: (
        "study_first_submitted study_first_submitted_qc study_first_posted S:studyFirstSubmitDate "
        "S:studyFirstSubmitQcDate S:studyFirstPostDateStruct"
    ),
    IDENTIFIER: (
        "id_info/nct_id id_info/nct_alias id_info/org_study_id id_info/secondary_id "
        "required_header acronym I:nctId I:nctIdAliases I:orgStudyIdInfo I:secondaryIdInfos "
        "I:acronym nctid"
    ),
    SPONSOR: (
        "sponsors/lead_sponsor/agency source I:organization "
        "P:sponsorCollaboratorsModule.leadSponsor.name"
    ),
    PERSON: (
        "responsible_party overall_official overall_contact overall_contact_backup "
        "P:sponsorCollaboratorsModule.responsibleParty"
    ),
    PLACE: "location location_countries removed_countries P:contactsLocationsModule.locations",
    REFERENCE: (
        "reference link study_docs provided_document_section patient_data documentSection "
        "P:referencesModule P:ipdSharingStatementModule"
    ),
    _PEOPLE_AND_PLACES: "P:contactsLocationsModule",
    LABEL: "label",
}
"""What is withheld for each reason: elements of the legacy XML, keys of the v2 JSON (``P:`` stands
for ``protocolSection.``, ``S:`` and ``I:`` for its status and identification modules) and columns
of TOP's CSV."""

_PREFIXES = {
    "P": "protocolSection.",
    "S": "protocolSection.statusModule.",
    "I": "protocolSection.identificationModule.",
}


def _path(short: str) -> str:
    prefix, colon, rest = short.partition(":")
    return _PREFIXES[prefix] + rest if colon else short


REASONS = {_path(short): why for why, names in _BY_REASON.items() for short in names.split()}
"""The reason by path."""

UNKNOWN = "not part of a registry record, so it is not read"
"""How the reason begins for an element or key that no registry record has; it may be mistyped."""

_OTHER_ELEMENTS = (
    "biospec_descr biospec_retention expanded_access_info firstreceived_date "
    "firstreceived_results_date firstreceived_results_disposition_date has_expanded_access "
    "is_fda_regulated is_section_801 lastchanged_date other_outcome rank study_rank "
    "target_duration"
)
XML_ELEMENTS = frozenset(_OTHER_ELEMENTS.split())
"""What a legacy record may hold at its top besides what is read or has a reason of its own."""

API_SECTIONS = (
    "protocolSection",
    "resultsSection",
    "annotationSection",
    "documentSection",
    "derivedSection",
    "hasResults",
)
_MODULES = (
    "identification status sponsorCollaborators oversight description conditions design "
    "armsInterventions outcomes eligibility contactsLocations references ipdSharingStatement"
)
API_MODULES = tuple(f"{name}Module" for name in _MODULES.split())


def unknown(name: str, known: Collection[str], *, xml: bool = False) -> str:
    """The reason for what is not in ``known``, with the name it may have been meant to have."""
    lower = {known_name.lower(): known_name for known_name in known}
    close = get_close_matches(name.lower(), lower, 1, 0.7)
    if not close:
        return UNKNOWN
    meant = lower[close[0]]
    return f"{UNKNOWN}; did you mean {f'<{meant}>' if xml else f'“{meant}”'}?"
