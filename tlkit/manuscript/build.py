"""`make paper`: the text with its numbers, as PDF and as HTML, from saved results alone and offline."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import jinja2

from tlkit import files, paths
from tlkit.config import ConfigError, TlkitError
from tlkit.manuscript import handtyped, replication, tohtml, totypst
from tlkit.manuscript.appendix import appendix
from tlkit.manuscript.quoting import Quotes, pipe
from tlkit.manuscript.results import Results
from tlkit.manuscript.thumbnails import shrink

SOURCE = paths.REPO / "paper" / "manuscript" / "paper.md"
VERDICTS = ("met", "missed", "not testable here", "not run")
MET = {"delta": "±{} %", "a<b": "p < {}, lower", "a>b": "p < {}, higher", "differ": "p < {}", "same": "p ≥ {}"}


class PaperError(TlkitError, RuntimeError):
    """The text can't be set; the message says where."""


class Paper:
    """The text with its numbers filled in: `.text` as Markdown, `.quotes` with what stands behind them."""

    def __init__(self, results: Results, source: Path | None = None, pages: Mapping[str, str] | None = None):
        """Read and check the source. `pages`: the addresses that the appendix leads to, as `appendix` takes them.

        Raises: HandTypedError for numbers typed by hand; ConfigError for a placeholder that asks for what is not there.
        """
        source = source or SOURCE
        self.results, self.quotes, self.pages = results, Quotes(results), pages or {}
        self.claims = None
        more = {"replication_table": self.table, "replication_summary": self.summary, "appendix": self.appendix}
        offered = self.quotes.placeholders() | more
        text = source.read_text(encoding="utf-8")
        handtyped.check(text, handtyped.read_allowed(source.with_name("allowed.txt")), offered, source.name)
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
        environment.globals = offered  # and nothing else: no `range`, no `dict`
        try:
            self.text = environment.from_string(text).render()
        except (jinja2.TemplateError, TypeError) as error:
            raise ConfigError(f"{source.name}: {error}. paper/manuscript/README.md lists the placeholders.") from error

    def _replicated(self):
        if self.claims is None:
            self.claims = replication.replicate(self.results)
        return self.claims

    def summary(self) -> str:
        """Return how many claims were met, missed, not testable here and not run: by the authors' logs, by our runs."""
        by = {
            "their authors' logs": replication.compare_with_logs(self.results),
            "our runs": self._replicated()["verdict"],
        }
        told = []
        for whose, verdicts in by.items():
            counts = Counter(v.partition(":")[0] for v in verdicts)
            told.append(f"By {whose}, of {len(verdicts)} claims: {', '.join(f'{counts[v]} {v}' for v in VERDICTS)}.")
        return " ".join(told)

    def table(self, paper: str) -> str:
        """Return the claims of a paper with tolerance, what the authors' logs and our runs give, and the verdict."""
        table = self._replicated().query("paper == @paper")
        logs = replication.compare_with_logs(self.results) if paper == "jonske2025" else None
        titles = self.results.titles(paper)
        head = ["claim", "task", "printed", "met where", *["authors' logs"] * (logs is not None), "our runs", "verdict"]
        rows = []
        for place, row in enumerate(table.to_dict("records")):
            allowed = MET[row["expected"]].format(f"{row['tolerance']:g}")
            ours = row["ours"]
            if row["runs"]:
                saved = self.results.find("tables", *row["table"].split("/"))
                about = {"place": f"claim {place + 1}", "says": row["statement"]}  # two say the same of other tasks
                ours = f"[{ours}](#{self.quotes.note(saved, about, row['runs'])})"
            verdict = f"**{row['verdict']}**" + (f": {row['why']}" if row["why"] else "")
            told = [str(logs.iloc[place])] if logs is not None else []
            task = titles.get(row["task"], row["task"])
            rows.append([row["statement"], task, row["printed"], allowed, *told, ours, verdict])
        return pipe(head, rows)

    def appendix(self) -> str:
        """Return where each quoted result comes from, as Markdown."""
        return appendix(self.quotes, self.pages)

    def figures(self) -> dict[str, Path]:
        """Return the pictures of the text by name, "study/figure"."""
        found = {}
        for token in totypst.parser().parse(self.text):
            for part in token.children or []:
                if part.type == "image":
                    name = str(part.attrs["src"])
                    found[name] = self.results.find("figures", *name.split("/")).file("png")
        return found


def build(results: Results, out: Path, source: Path | None = None, tagged: bool = True) -> list[Path]:
    """Write paper.pdf and paper.html to `out` and return their paths; the same results give the same bytes.

    `tagged`: the PDF tells screen readers its structure, which doubles its size.
    Raises: as `Paper` does; PaperError where Typst can't set the text.
    """
    import typst

    paper = Paper(results, source)
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for name, picture in paper.figures().items():
            places[name] = f"{name.replace('/', '-')}.jpg"
            shrink(picture, Path(folder) / places[name])
            shrink(picture, Path(folder) / f"{places[name]}.webp")
        main = Path(folder) / "paper.typ"
        main.write_text(totypst.render(paper.text, places.__getitem__), encoding="utf-8")
        try:
            pdf = typst.compile(
                str(main), root=folder, ignore_system_fonts=True, timestamp=_newest(results), pdf_tags=tagged
            )
        except (RuntimeError, typst.TypstError) as error:
            kept = out / "paper.typ"
            out.mkdir(parents=True, exist_ok=True)
            shutil.copy(main, kept)
            raise PaperError(f"Typst can't set the paper: {error}. Its text is in {kept}.") from error
        page = tohtml.page(paper.text, {name: Path(folder) / f"{place}.webp" for name, place in places.items()})
    files.write_bytes(out / "paper.pdf", pdf)
    files.write_text(out / "paper.html", page)
    return [out / "paper.pdf", out / "paper.html"]


def _newest(results: Results) -> datetime:
    """Return the date of the newest result, which is that of the PDF: the same results give the same bytes."""
    dates = [str(saved.facts.get("date") or "") for saved in results.saved_all()]
    return datetime.fromisoformat(max(dates, default="") or "2026-01-01T00:00:00+00:00").astimezone(UTC)
