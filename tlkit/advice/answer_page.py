"""An answer as one page of HTML: no file beside it, no script, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, NamedTuple

from tlkit import __version__
from tlkit.advice import arm_tables, drawings, prose

Answer = Mapping[str, Any]
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; font-weight: 600; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid #ccc; }
.what { color: #555; margin: 0 0 1rem; }
.answer { border-left: .35rem solid #595959; padding: .4rem 1rem; background: #f5f5f5; }
.answer.clear { border-color: #00704f; } .answer.likely { border-color: #0072b2; }
.answer p { margin: .25rem 0; } .answer .first { font-size: 1.25rem; font-weight: 600; }
.word { font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; }
.warnings { color: #b00020; border: 1px solid #b00020; padding: .5rem 1rem .5rem 2rem; }
.phantom { color: #b00020; font-weight: 600; }
.wide { overflow-x: auto; margin-bottom: 1rem; }
.wide img { min-width: 30rem; }
table { border-collapse: collapse; font-size: .85rem; overflow-wrap: normal; min-width: min(34rem, 100%); }
th, td { padding: .25rem .55rem; text-align: right; border-bottom: 1px solid #e3e3e3; vertical-align: top; }
th { border-bottom: 1px solid #888; } td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; min-width: 7rem; max-width: 15rem; position: sticky; left: 0;
  background: #fff; white-space: normal; overflow-wrap: anywhere; }
tr.leader td { font-weight: 600; background: #eef5fa; } caption { text-align: left; color: #555; padding: .3rem 0; }
img { max-width: 100%; height: auto; display: block; margin: .8rem 0; }
pre { background: #f5f5f5; padding: .7rem 1rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; }
footer { color: #555; font-size: .8rem; margin: 2.5rem 0; }
summary { cursor: pointer; color: #0a4f8a; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } .wide { overflow: visible; }
  .wide img { min-width: 0; } pre { white-space: pre-wrap; } table { font-size: .75rem; } td { white-space: normal; }
  h2, caption, .answer { break-after: avoid; } tr, img, .answer { break-inside: avoid; } }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # whoever reads it: it asks nobody for anything


class Code(NamedTuple):
    """Text in a language, and the file that holds it."""

    text: str | None
    language: str
    file: str | None


def html(answer: Answer) -> str:
    """Return the page of an answer that `contract.check_answer` has passed; everything in it is escaped."""
    name = answer.get("name") or "your images"
    heading = f"Which pretraining should {name} start from?"
    body = [
        f"<h1>{escape(heading)}</h1>",
        f'<p class="what">{escape(describe_task(answer))}</p>',
        *(['<p class="phantom">Phantom data: not results on patients.</p>'] if answer.get("phantom") else []),
        _verdict(answer),
        _warnings(answer),
        *(part for heading, blocks in sections(answer) for part in _section(heading, map(_block, blocks))),
        f"<footer>tlkit {escape(__version__)}. The same numbers are in answer.json beside this page.</footer>",
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(heading)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(filter(None, body)) + "\n</body>\n</html>\n"
    )


def sections(answer: Answer) -> list[tuple[str, list[Any]]]:
    """Return the headings of a page, and what stands below each: tables, code, sentences, lists, (data URI, alt)."""
    agreement = prose.agreement(answer)
    return [
        ("The arms", [drawings.arms(answer), *arm_tables.tabulate_arms(answer), prose.baseline(answer),
                      [*arm_tables.list_dropped(answer), *arm_tables.list_loaded(answer)]]),
        ("Learning curve", [drawings.curve(answer)]),
        ("What more hours would decide", [prose.say_more(answer)]),
        ("Did the cheap scores foretell it?", [agreement, prose.hint_note() if agreement else ""]),
        ("Not tried", [arm_tables.list_missing(answer)]),
        ("How to load the winner's weights", [Code(answer.get("loading"), "python", answer.get("weights_file"))]),
        ("The study behind it", [Code(answer.get("study"), "yaml", answer.get("study_file") or "the study file")]),
        ("How the images were read", [Code(answer.get("reading"), "yaml", "data.yaml")]),
    ]  # fmt: skip


def _block(found: Any) -> str:
    if isinstance(found, arm_tables.Table):
        return _table(found)
    if isinstance(found, Code):
        return _code(found)
    if found is None or isinstance(found, tuple):
        return figure(found)
    return _list(found) if isinstance(found, list) else f"<p>{escape(found)}</p>" if found else ""


def describe_task(answer: Answer) -> str:
    """Return the task in a line: its kind, metric and classes."""
    classes = [str(c) for c in answer["classes"]]
    listed = ", ".join(classes[:12]) + (f" and {len(classes) - 12} more" if len(classes) > 12 else "")
    return f"{answer['task']}, by {prose.metric(answer)}" + (f"; classes: {listed}" if classes else "")


def _verdict(answer: Answer) -> str:
    word = answer["confidence"]
    told = "".join(f"<p>{escape(line)}</p>" for line in prose.reasons(answer))
    first = f'<p class="word">{word}</p><p class="first">{escape(prose.headline(answer))}</p>'
    return f'<div class="answer {word}">{first}{told}</div>'


def _warnings(answer: Answer) -> str:
    items = "".join(
        f"<li><strong>{escape(w['kind'].replace('_', ' '))}</strong>: {escape(w['text'])}</li>"
        for w in answer["warnings"]
    )
    return f'<h2>Warnings</h2>\n<ul class="warnings">{items}</ul>' if items else ""


def _table(found: arm_tables.Table) -> str:
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in found.columns)
    lines = [
        f"<tr{' class=leader' if leads else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for leads, row in zip(found.leads, found.rows, strict=True)
    ]
    return (
        f'<div class="wide"><table><caption>{escape(found.caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def figure(picture: tuple[str, str] | None) -> str:
    """Return (data URI, alt text) of `drawings` as HTML; "" for None."""
    return f'<div class="wide"><img src="{picture[0]}" alt="{escape(picture[1])}"></div>' if picture else ""


def _section(heading: str, parts: Iterable[str]) -> list[str]:
    there = [part for part in parts if part]
    return [f"<h2>{escape(heading)}</h2>", *there] if there else []


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _code(found: Code) -> str:
    """Return code with the file that holds it; a long one, of YAML, to unfold: it lies beside the page."""
    text = f"<pre><code>{escape(found.text)}</code></pre>" if found.text else ""
    if found.language == "yaml":
        told = f"<summary>{escape(found.file)}, beside this page: show it</summary>"
        return f"<details>{told}{text}</details>" if text else ""
    return (f"<p><code>{escape(found.file)}</code></p>" if found.file else "") + text
