"""The report page in a headless Chromium: no error, figures to be seen, tables that sort."""

from __future__ import annotations

import json

import pytest

from ntkbound.report.html import write
from tests.report.test_html_page import material
from tests.support.pages import Page, browser, dumped

__all__ = ["browser"]

# Runs after the page's own scripts, and leaves what it saw in the title.
PROBE = """
<script>
addEventListener("load", () => {
  const cells = (table, column) => Array.from(table.tBodies[0].rows,
    row => row.cells[column].textContent);
  const tables = Array.from(document.querySelectorAll("table"));
  const table = tables.find(t => t.caption.textContent === "Records");
  table.closest("details").open = true;
  const heads = Array.from(table.tHead.rows[0].cells, head => head.textContent);
  const at = heads.indexOf("n");
  const button = table.tHead.rows[0].cells[at].querySelector("button");
  const before = cells(table, at);
  button.click();
  const up = cells(table, at), first = table.tHead.rows[0].cells[at].getAttribute("aria-sort");
  button.click();
  const down = cells(table, at), names = cells(table, 0);
  table.tHead.rows[0].cells[0].querySelector("button").click();
  document.title = JSON.stringify({
    before, up, down, first, names, sorted: cells(table, 0),
    figures: Array.from(document.querySelectorAll("svg"), svg => {
      const box = svg.getBoundingClientRect();
      return [box.width, box.height, svg.querySelectorAll("path").length];
    }),
    wide: document.documentElement.scrollWidth, window: innerWidth,
    paper: getComputedStyle(document.body).backgroundColor,
  });
});
</script>
"""


@pytest.fixture
def look(browser, tmp_path):
    """What the probe saw of a page, and the browser's log."""
    text = write.as_html(write.page_of(material()))
    path = tmp_path / "page.html"
    path.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")

    def run(*more):
        dom, log = dumped(browser, path, tmp_path / "profile", *more)
        return json.loads(Page(dom).texts("title")[0]), log

    return run


def test_no_error_figures_are_seen_and_tables_sort(look):
    seen, log = look("--window-size=1280,900")
    assert "CONSOLE" not in log and "Uncaught" not in log
    assert len(seen["figures"]) == 5
    assert all(w > 200 and h > 150 and paths > 5 for w, h, paths in seen["figures"])
    points = sorted(str(n) for n in (16, 32, 64, 128, 256) for _ in range(5))
    assert sorted(seen["before"]) == points
    numbers = [int(n) for n in seen["up"]]
    assert numbers == sorted(numbers), "by value: 128 after 64"
    assert seen["first"] == "ascending"
    assert [int(n) for n in seen["down"]] == sorted(numbers, reverse=True)
    assert seen["sorted"][:2] == ["ls-16-0", "ls-16-1"]
    assert seen["names"][:2] == ["ls-256-0", "ls-256-1"], "equal rows keep their order"


def test_a_phone_scrolls_tables_and_not_the_page(look):
    seen, log = look("--window-size=500,800")  # the narrowest window that Chromium opens
    assert "CONSOLE" not in log
    assert seen["wide"] <= seen["window"]


def test_an_error_of_a_script_would_be_seen(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><title>x</title><script>nothing.at.all()</script>")
    assert "CONSOLE" in dumped(browser, path, tmp_path / "profile")[1]
