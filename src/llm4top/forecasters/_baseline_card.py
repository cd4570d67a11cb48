"""The card of a stored baseline, written from its manifest alone."""

from __future__ import annotations

from llm4top.forecasters._baseline_list import BASELINES
from llm4top.forecasters._baseline_manifest import BaselineManifest
from llm4top.forecasters._card import escape
from llm4top.forecasters._manifest import ALL_PHASES

_LIMITS = (
    "A baseline is there to be compared with. Its probabilities are its learner's own, not "
    "calibrated on other data.",
    "It reads whatever the trials that it has learnt from had, ICD-10 codes and SMILES included. A "
    "registry record carries neither, so a forecast from a record rests on less.",
    "It holds words and statistics of the trials it has learnt from, so it may be passed on only "
    "where those may.",
    "Trials unlike those it has learnt from (other phases, later years) are outside what it knows.",
)


def render_baseline_card(manifest: BaselineManifest) -> str:
    """The model card in Markdown; the reload check, which comes later, is left out."""
    m = manifest
    lines = [
        f"# {escape(m.name)}",
        "",
        f"**{escape(m.context_of_use)}**",
        "",
        f"{escape(m.label)}: {BASELINES[m.baseline].summary}",
        "",
        f"- Question: {escape(m.task.question)}",
        f"- Labels: {escape(', '.join(m.task.labels))}",
        f"- Settings: {escape(', '.join(f'{k} {v}' for k, v in m.settings.items()) or 'none')}",
    ]
    if m.encoder is not None:
        lines.append(f"- Text encoder: {escape(m.encoder.id)} (sha256 {m.encoder.sha256[:12]})")
    if m.data is not None:
        rows = ", ".join(f"{count} in {split}" for split, count in m.data.counts.items())
        lines += [
            f"- Data: {escape(m.data.name)} (sha256 {m.data.sha256[:12]}); rows: {escape(rows)}",
            *(f"- Terms of the data: {escape(text)}" for text in (m.data.licence,) if text),
            *(f"- Note on the data: {escape(text)}" for text in (m.data.note,) if text),
        ]
    rate = m.base_rates.get(ALL_PHASES)
    if rate is not None:
        shares = ", ".join(
            f"{label} {share:.1%}" for label, share in zip(m.task.labels, rate.shares, strict=True)
        )
        lines.append(f"- Base rate of {rate.n} training trials: {escape(shares)}")
    lines += [
        *(f"- Licence: {escape(text)}" for text in (m.licence,) if text),
        f"- Made on {m.created} with "
        + escape(", ".join(f"{name} {number}" for name, number in m.versions.items())),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in _LIMITS),
        "",
        "Load it with `llm4top.forecasters.load_baseline(folder)`.",
    ]
    return "\n".join(lines) + "\n"
