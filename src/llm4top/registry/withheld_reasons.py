"""Why a thing is withheld, in a few words for the person.

This table only words the reasons: what is withheld is everything the allow-list does not name, and
what is not listed here is withheld all the same, with ``UNLISTED`` as its reason.
"""

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

_S = "protocolSection.statusModule."
_I = "protocolSection.identificationModule."
_C = "protocolSection.contactsLocationsModule"

REASONS: dict[str, str] = {
    # legacy XML
    "overall_status": STATUS,
    "last_known_status": STATUS,
    "why_stopped": STATUS,
    "clinical_results": RESULTS,
    "pending_results": RESULTS,
    "results_first_submitted": RESULTS,
    "results_first_submitted_qc": RESULTS,
    "results_first_posted": RESULTS,
    "disposition_first_submitted": RESULTS,
    "disposition_first_submitted_qc": RESULTS,
    "disposition_first_posted": RESULTS,
    "results_reference": RESULTS,
    "start_date": ACTUAL,
    "enrollment": ACTUAL,
    "completion_date": "may be actual, and tells how the trial went",
    "primary_completion_date": "may be actual, and tells how the trial went",
    "last_update_submitted": UPDATED,
    "last_update_submitted_qc": UPDATED,
    "last_update_posted": UPDATED,
    "verification_date": UPDATED,
    "study_first_submitted": "a date of the record, not of the plan",
    "study_first_submitted_qc": "a date of the record, not of the plan",
    "study_first_posted": "a date of the record, not of the plan",
    "id_info/nct_id": IDENTIFIER,
    "id_info/nct_alias": IDENTIFIER,
    "id_info/org_study_id": IDENTIFIER,
    "id_info/secondary_id": IDENTIFIER,
    "required_header": IDENTIFIER,
    "acronym": IDENTIFIER,
    "sponsors/lead_sponsor/agency": SPONSOR,
    "source": SPONSOR,
    "responsible_party": PERSON,
    "overall_official": PERSON,
    "overall_contact": PERSON,
    "overall_contact_backup": PERSON,
    "location": PLACE,
    "location_countries": PLACE,
    "removed_countries": PLACE,
    "reference": REFERENCE,
    "link": REFERENCE,
    "study_docs": REFERENCE,
    "provided_document_section": REFERENCE,
    "patient_data": REFERENCE,
    # v2 JSON
    "resultsSection": RESULTS,
    "hasResults": RESULTS,
    "documentSection": REFERENCE,
    "annotationSection": STATUS,
    _S + "overallStatus": STATUS,
    _S + "lastKnownStatus": STATUS,
    _S + "whyStopped": STATUS,
    _S + "startDateStruct": ACTUAL,
    "protocolSection.designModule.enrollmentInfo": ACTUAL,
    _S + "completionDateStruct": "may be actual, and tells how the trial went",
    _S + "primaryCompletionDateStruct": "may be actual, and tells how the trial went",
    _S + "resultsFirstSubmitDate": RESULTS,
    _S + "resultsFirstSubmitQcDate": RESULTS,
    _S + "resultsFirstPostDateStruct": RESULTS,
    _S + "dispFirstSubmitDate": RESULTS,
    _S + "dispFirstSubmitQcDate": RESULTS,
    _S + "dispFirstPostDateStruct": RESULTS,
    _S + "lastUpdateSubmitDate": UPDATED,
    _S + "lastUpdatePostDateStruct": UPDATED,
    _S + "statusVerifiedDate": UPDATED,
    _S + "studyFirstSubmitDate": "a date of the record, not of the plan",
    _S + "studyFirstSubmitQcDate": "a date of the record, not of the plan",
    _S + "studyFirstPostDateStruct": "a date of the record, not of the plan",
    _I + "nctId": IDENTIFIER,
    _I + "nctIdAliases": IDENTIFIER,
    _I + "orgStudyIdInfo": IDENTIFIER,
    _I + "secondaryIdInfos": IDENTIFIER,
    _I + "acronym": IDENTIFIER,
    _I + "organization": SPONSOR,
    "protocolSection.sponsorCollaboratorsModule.leadSponsor.name": SPONSOR,
    "protocolSection.sponsorCollaboratorsModule.responsibleParty": PERSON,
    _C: "people and places",
    _C + ".locations": PLACE,
    "protocolSection.referencesModule": REFERENCE,
    "protocolSection.ipdSharingStatementModule": REFERENCE,
    # TOP's CSV
    "nctid": IDENTIFIER,
    "status": STATUS,
    "why_stop": STATUS,
    "label": LABEL,
}
