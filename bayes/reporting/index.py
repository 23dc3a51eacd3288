"""The page that links all reports of a folder, each with its headline, its warning and its diagnostics.

python -m bayes.reporting.index reports        (writes reports/index.html)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

from bayes.errors import SpecificationError
from bayes.reporting.document import page_style, template
from bayes.writing import write_text

_NAME = "index.html"


@dataclass(frozen=True)
class Summary:
    """What the index says of a report."""

    file: str
    title: str
    note: str
    headline: tuple[str, ...]
    verdicts: tuple[str, ...]
    sections: int
    tables: int
    figures: int
    megabytes: str
    written: str


def write_index(folder: str | Path, title: str = "Reports") -> Path:
    """Write ``index.html`` with a link to every report of the folder, in the order of their file names.

    Raises
    ------
    SpecificationError
        The folder does not exist or holds no report.
    OutputFileError
        The file cannot be written.
    """
    place = Path(folder)
    pages = [summary(path) for path in sorted(place.glob("*.html")) if path.name != _NAME]
    if not pages:
        raise SpecificationError(f"{place} holds no report (*.html). Run the scripts in models/ first.")
    return write_text(place / _NAME, template("index_template.html").render(title=title, pages=pages, style=page_style()), "the index")


def summary(path: Path) -> Summary:
    """Read a report's title, note, headline, diagnostics and counts from its page."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return Summary(
        quote(path.name),
        " ".join(reader.title.split()) or path.stem,
        " ".join(reader.note.split()),
        tuple((reader.paragraphs.get("headline") or next(iter(reader.paragraphs.values()), []))[:2]),
        tuple(reader.paragraphs.get("diagnostics", ())[:1]),
        reader.counts["section"],
        reader.counts["table"],
        reader.counts["figure"],
        f"{path.stat().st_size / 1e6:.1f}",
        datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M"),
    )


@dataclass
class _Reader(HTMLParser):
    """Collects the text of the title, of the note, and of the paragraphs of each section."""

    title: str = ""
    note: str = ""
    paragraphs: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("section", "table", "figure"), 0))
    _where: str = ""
    _section: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in self.counts:
            self.counts[tag] += 1
        if tag == "section":
            self._section = given.get("id") or ""
        elif tag == "title":
            self._where = "title"
        elif tag == "p" and "about" in (given.get("class") or ""):
            self._where = "note"
        elif tag == "p" and not given.get("class"):
            self._where = "paragraph"
            self.paragraphs.setdefault(self._section, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("title", "p"):
            self._where = ""

    def handle_data(self, data: str) -> None:
        if self._where == "title":
            self.title += data
        elif self._where == "note":
            self.note += data
        elif self._where == "paragraph":
            self.paragraphs[self._section][-1] += data


if __name__ == "__main__":
    print(f"Index: {write_index(sys.argv[1] if len(sys.argv) > 1 else 'reports', 'Reports of the studies')}")
