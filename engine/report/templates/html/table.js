"use strict";
// The table: sorted by its headings, filtered by words and conditions; two rows can be chosen for comparison.
document.documentElement.classList.add("js");
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const body = byId("table").tBodies[0];
const rows = [...body.rows];
const headings = [...byId("table").tHead.rows[0].cells].slice(1);
const keys = headings.map(cell => cell.dataset.key);
const columns = new Map(data.columns.map(column => [column.key, column]));
const listeners = [];

/** An element with attributes and children; texts are texts, never markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

const group = number => Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");
const digits = (number, count) => number === 0 ? "0" : Math.abs(number) >= 10 ** (count - 1) ? Math.round(number).toString() : number.toPrecision(count);
const space = "\u00a0";

/** A number in its unit, as the report writes it. */
function show(value, unit) {
  if (value === undefined || value === null) return "";
  switch (unit) {
    case "ratio": return (value * 100).toFixed(2) + space + "%";
    case "percent": return value.toFixed(1) + space + "%";
    case "bytes": case "count": return group(value);
    case "milliseconds": return Math.abs(value) < 0.1 && value !== 0 ? digits(value * 1e3, 3) + space + "µs" : digits(value, 3) + space + "ms";
    case "decibel": return value.toFixed(1) + space + "dB";
    default: return digits(value, 4);
  }
}

/** What a cell says: a number where it is one, else its text. */
function valueOf(row, key) {
  if (key === "name") return data.variants[row.dataset.row].title;
  const text = row.cells[keys.indexOf(key) + 1].dataset.v;
  if (text === "") return null;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

/** Cells without a value come last, whichever way the others are sorted. */
function order(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(heading) {
  const key = heading.dataset.key;
  const first = columns.get(key)?.better === "higher" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = heading.getAttribute("aria-sort") === first ? other : first;
  for (const cell of headings) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const valued = rows.map((row, place) => [valueOf(row, key), place, row]);
  valued.sort((a, b) => order(a[0], b[0], sign) || a[1] - b[1]);
  body.append(...valued.map(entry => entry[2]));
}

for (const heading of headings) {
  const button = make("button", { type: "button" }, heading.textContent);
  heading.replaceChildren(button);
  button.addEventListener("click", () => sortBy(heading));
}

/** `k>=4` as a condition; anything else is words of the name. Numbers are in the unit that a column shows. */
function condition(word) {
  const found = /^([\w.-]+?)(<=|>=|=|<|>)(.+)$/.exec(word);
  const key = found && keys.find(known => known.toLowerCase() === found[1].toLowerCase());
  if (!key) return row => valueOf(row, "name").toLowerCase().includes(word.toLowerCase());
  const scale = columns.get(key)?.unit === "ratio" ? 100 : 1;
  const wanted = Number(found[3]);
  return row => {
    const value = valueOf(row, key);
    if (value === null) return false;
    if (found[2] === "=") return typeof value === "number" ? Math.abs(value * scale - wanted) < 1e-9 : String(value) === found[3];
    const number = Number(value) * scale;
    return { "<": number < wanted, "<=": number <= wanted, ">": number > wanted, ">=": number >= wanted }[found[2]];
  };
}

function filter() {
  const conditions = byId("filter").value.trim().split(/\s+/).filter(word => word).map(condition);
  if (byId("only-front").checked) conditions.push(row => row.dataset.front);
  let shown = 0;
  for (const row of rows) {
    row.hidden = !conditions.every(holds => holds(row));
    shown += !row.hidden;
  }
  byId("count").textContent = `${group(shown)} of ${group(rows.length)} variants`;
  for (const listener of listeners) listener();
}
byId("filter").addEventListener("input", filter);
byId("only-front").addEventListener("change", filter);

const chosen = () => rows.filter(row => row.cells[0].firstElementChild.checked);
body.addEventListener("change", event => {
  const marked = chosen();
  // A third takes the place of the one that was chosen first.
  if (marked.length > 2) marked.find(row => row !== event.target.closest("tr")).cells[0].firstElementChild.checked = false;
  byId("compare").disabled = chosen().length !== 2;
});
