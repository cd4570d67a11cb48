"""Synopses made for tests: a Word file with a table of two columns, and a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SYNOPSES = Path(__file__).parent / "synopses"

TABLE = (
    ("Title of study", "Placebase in people with early gout"),
    ("Clinical phase", "3"),
    ("Indication(s)", "Gout\nHyperuricaemia"),
    ("Investigational medicinal product", "Placebase 10 mg tablet"),
    ("Treatment arms", "Placebase (Experimental): 10 mg a day\nPlacebo (Placebo Comparator)"),
    ("Design", "Open-label, double-blind extension"),
    ("Primary outcome measures", "Serum urate below 6 mg/dl (time frame: month 6)"),
    ("Key inclusion criteria", "Gout for less than two years\nSerum urate above 7 mg/dl"),
    ("Gender", "Male and female"),
    ("Age range", "40 - 80 years"),
    ("Number of patients (planned)", "1,200"),
    ("Name of sponsor", "NIH"),
    ("DSMB", "No"),
)


def word_file(path: Path, rows: Sequence[tuple[str, str]] = TABLE) -> Path:
    """A Word file: a paragraph, and a table of two columns."""
    from docx import Document

    document = Document()
    document.add_paragraph("Synopsis")
    table = document.add_table(rows=0, cols=2)
    for label, text in rows:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = label, text
    document.save(str(path))
    return path


def pdf_file(path: Path, lines: Sequence[str], *, pages: int = 1) -> Path:
    """A PDF with the lines on each of its pages."""
    shown = "".join(
        f"({line.replace('(', chr(92) + '(').replace(')', chr(92) + ')')}) Tj T* " for line in lines
    )
    content = f"BT /F1 10 Tf 12 TL 40 800 Td {shown}ET"
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(pages))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n in range(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    data = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\n"
    path.write_bytes(data + f"{end}startxref\n{len(data)}\n%%EOF\n".encode())
    return path
