"""The pages of the documentation, taken apart: code blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
        *(ROOT / "packages").glob("*/README.md"),
        *(ROOT / "docs").rglob("*.md"),
    ],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>.*)$")
_COMMENT = re.compile(r"^ *<!-- (?P<text>.+?) -->$")
_FILE_NAME = re.compile(r"^(?:#|//|--) (?P<name>[\w.-]+(?:/[\w.-]+)*\.\w+)$")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        page: its page.
        line: line of its opening fence, from 1.
        language: what the fence says it is.
        text: its content, with its own indentation taken off.
        comment: the HTML comment on the line before it, if there is one.
    """

    page: Path
    line: int
    language: str
    text: str
    comment: str | None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str | None:
        """Why it is exempted from being run; ``None`` if it is not."""
        return self.comment.removeprefix("not run:").strip() if self._says("not run:") else None

    @property
    def is_output(self) -> bool:
        """Whether it shows what the block before it prints."""
        return self._says("output")

    @property
    def file_name(self) -> str | None:
        """The file that its first line names (after a shebang), if it does."""
        for line in self.text.splitlines()[:2]:
            found = _FILE_NAME.match(line)
            if found:
                return found["name"]
            if not line.startswith("#!"):
                break
        return None

    def _says(self, beginning: str) -> bool:
        return self.comment is not None and self.comment.startswith(beginning)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    found = []
    lines = page.read_text(encoding="utf-8").splitlines()
    position = 0
    while position < len(lines):
        fence = _FENCE.match(lines[position])
        if fence is None:
            position += 1
            continue
        end = _closing(lines, position, fence["ticks"])
        content = [line.removeprefix(fence["indent"]) for line in lines[position + 1 : end]]
        before = _COMMENT.match(lines[position - 1]) if position else None
        found.append(
            Block(
                page,
                position + 1,
                fence["language"].strip(),
                "\n".join(content) + "\n",
                before["text"] if before else None,
            )
        )
        position = end + 1
    return found


def _closing(lines: list[str], start: int, ticks: str) -> int:
    for position in range(start + 1, len(lines)):
        if lines[position].strip() == ticks:
            return position
    raise AssertionError(f"line {start + 1}: the block is never closed")


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line outside the fenced blocks."""
    lines = page.read_text(encoding="utf-8").splitlines()
    inside: set[int] = set()
    for block in blocks(page):
        inside |= set(range(block.line, block.line + block.text.count("\n") + 2))
    yield from ((n, line) for n, line in enumerate(lines, 1) if n not in inside)


def anchors(page: Path) -> set[str]:
    """Anchors of the page's headings, as forges and MyST make them."""
    seen: dict[str, int] = {}
    found = set()
    for _, line in prose(page):
        heading = _HEADING.match(line)
        if heading is None:
            continue
        slug = slugify(heading["title"])
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def slugify(title: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def links(page: Path) -> list[tuple[int, str]]:
    """Line and target of each link in the page's prose."""
    return [
        (number, found["target"])
        for number, line in prose(page)
        for found in _LINK.finditer(re.sub(r"`[^`]*`(?!\])", "", line))
    ]
