"""Elements and keys that no registry record has: mistyped, most of them."""

from collections.abc import Collection
from difflib import get_close_matches

UNKNOWN = "not part of a registry record, so it is not read"
"""How the reason begins that stands in the account of what was withheld."""

XML_ELEMENTS = frozenset(
    {
        "biospec_descr",
        "biospec_retention",
        "expanded_access_info",
        "firstreceived_date",
        "firstreceived_results_date",
        "firstreceived_results_disposition_date",
        "has_expanded_access",
        "is_fda_regulated",
        "is_section_801",
        "lastchanged_date",
        "other_outcome",
        "rank",
        "study_rank",
        "target_duration",
    }
)
"""What a legacy record may hold at its top beside what is read or has a reason of its own."""

API_SECTIONS = (
    "protocolSection",
    "resultsSection",
    "annotationSection",
    "documentSection",
    "derivedSection",
    "hasResults",
)
API_MODULES = tuple(
    f"{name}Module"
    for name in (
        "identification",
        "status",
        "sponsorCollaborators",
        "oversight",
        "description",
        "conditions",
        "design",
        "armsInterventions",
        "outcomes",
        "eligibility",
        "contactsLocations",
        "references",
        "ipdSharingStatement",
    )
)


def unknown(name: str, known: Collection[str], *, xml: bool = False) -> str:
    """The reason for what is not in ``known``, with the name it may have been meant to have."""
    lower = {known_name.lower(): known_name for known_name in known}
    close = get_close_matches(name.lower(), lower, 1, 0.7)
    if not close:
        return UNKNOWN
    meant = lower[close[0]]
    return f"{UNKNOWN}; did you mean {f'<{meant}>' if xml else f'“{meant}”'}?"
