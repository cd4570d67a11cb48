"""The registry's own choices for coded fields, for whoever writes a record by hand."""

from __future__ import annotations

from collections.abc import Mapping

from llm4top.registry import _codes

CHOICES: dict[str, Mapping[str, str]] = {
    "protocolSection.designModule.phases": _codes.PHASES,
    "protocolSection.designModule.studyType": _codes.STUDY_TYPES,
    "protocolSection.designModule.designInfo.allocation": _codes.ALLOCATIONS,
    "protocolSection.designModule.designInfo.interventionModel": _codes.MODELS,
    "protocolSection.designModule.designInfo.primaryPurpose": _codes.PURPOSES,
    "protocolSection.designModule.designInfo.maskingInfo.masking": _codes.MASKINGS,
    "protocolSection.designModule.designInfo.maskingInfo.whoMasked": _codes.WHO_MASKED,
    "protocolSection.armsInterventionsModule.armGroups.type": _codes.ARM_ROLES,
    "protocolSection.armsInterventionsModule.interventions.type": _codes.INTERVENTION_TYPES,
    "protocolSection.eligibilityModule.sex": _codes.SEXES,
}
"""By the path of a coded field in the JSON: its codes there, and how the legacy XML writes each."""
