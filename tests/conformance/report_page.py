"""Uses a `report.html` as a reader would, in headless Chromium: filters, sorts, walks the plot by keys, opens a variant, compares two.

    report_page.py out/report.html [--chromium PROGRAM]

Needs `chromium`; the page has two variants or more, with accuracies and sizes.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ACTIONS = """
<script>
const problems = [], seen = {};
addEventListener("error", event => problems.push(event.message));
const visible = () => [...document.querySelectorAll("#table tbody tr:not([hidden])")];
const names = list => list.map(row => data.variants[row.dataset.row].title);
const later = (work, rest) => setTimeout(() => { try { work(); } catch (error) { problems.push(String(error)); } rest(); }, 200);
const filterBy = text => { byId("filter").value = text; byId("filter").dispatchEvent(new Event("input")); };
const key = (element, name) => element.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const heading = headings.find(cell => cell.dataset.key === "accuracy");
const actions = [
  () => { filterBy("accuracy>101"); seen.none = visible().length; seen.empty = byId("plot").textContent; filterBy(""); seen.all = visible().length; },
  () => { heading.firstElementChild.click(); seen.descending = names(visible()).slice(0, 2); seen.sort = heading.getAttribute("aria-sort"); },
  () => { heading.firstElementChild.click(); seen.ascending = names(visible()).slice(-2); },
  () => { document.querySelector("#plot .point[tabindex='0']").focus(); key(document.activeElement, "ArrowRight"); seen.label = document.activeElement.getAttribute("aria-label"); },
  () => { key(document.activeElement, "Enter"); },
  () => { seen.opened = byId("detail").querySelector("h2").textContent; },
  () => { visible().slice(0, 2).forEach(row => row.cells[0].firstElementChild.click()); byId("compare").click(); },
  () => { seen.compared = byId("detail").querySelector("h2").textContent; seen.unnamed = [...document.querySelectorAll("button, input, select, a")].filter(e => !(e.textContent.trim() || e.getAttribute("aria-label") || e.closest("label"))).length; },
];
const next = () => actions.length ? later(actions.shift(), next) : document.body.replaceChildren(make("pre", { id: "result" }, JSON.stringify({ problems, seen, accuracies: data.variants.map(v => v.figures.accuracy ?? null) })));
next();
</script>
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--chromium", default="chromium")
    arguments = parser.parse_args()
    if shutil.which(arguments.chromium) is None:
        print(f"NOT RUN: there is no {arguments.chromium}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "page.html")
        copy.write_text(arguments.page.read_text().replace("</body>", ACTIONS + "</body>"))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
        done = subprocess.run([arguments.chromium, *options, copy.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    if not found:
        print("the page's scripts did not come to an end")
        return 1
    result = json.loads(found.group(1).replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
    seen, accuracies = result["seen"], result["accuracies"]
    checks = {
        "no script fails": not result["problems"],
        "a filter that nothing passes leaves nothing": seen["none"] == 0 and "No variant" in seen["empty"],
        "without a filter all are there": seen["all"] == len(accuracies),
        "headings sort": seen["sort"] == "descending" and seen["descending"] == seen["ascending"][::-1] or len(set(accuracies)) < 3,
        "points have names": ":" in seen["label"],
        "Enter opens a point": seen["label"].startswith(seen["opened"]),
        "two stand side by side": " and " in seen["compared"],
        "every control has a name": seen["unnamed"] == 0,
    }
    for what, holds in checks.items():
        print(f"{'passed' if holds else 'FAILED'}: {what}")
    if not all(checks.values()):
        print(json.dumps(result, indent=1)[:3000])
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
