// One variant in detail, or two side by side.
const shared = index => index === undefined || index === null ? null : data.shared[index];

function table(headings, lines, kind = "") {
  const row = cells => make("tr", {}, ...cells.map((cell, i) => make(i ? "td" : "th", { class: i ? "number" : null, scope: i ? null : "row" }, cell)));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": headings[0] },
    make("table", { class: kind }, make("thead", {}, make("tr", {}, ...headings.map((text, i) => make("th", { scope: "col", class: i ? "number" : null }, text)))),
      make("tbody", {}, ...lines.map(row))));
}

function fold(summary, ...children) {
  return make("details", {}, make("summary", {}, summary), ...children);
}

/** Rows are the true classes, columns the predicted ones; the colour is the share of the row. */
function matrix(variant) {
  const classes = shared(variant.classes);
  if (!variant.confusion) return null;
  const head = make("tr", {}, make("th", { scope: "col" }, "true \\ predicted"), ...classes.map(name => make("th", { scope: "col" }, name)));
  const lines = variant.confusion.map((counts, i) => {
    const support = counts.reduce((a, b) => a + b, 0) || 1;
    return make("tr", {}, make("th", { scope: "row" }, classes[i]), ...counts.map(count => {
      const strength = Math.sqrt(count / support);
      return make("td", { style: `--s:${strength.toFixed(3)}`, class: strength > 0.55 ? "strong" : null }, count ? group(count) : "");
    }));
  });
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Confusion matrix" }, make("table", { class: "matrix" }, make("thead", {}, head), make("tbody", {}, ...lines)));
}

function figures(variant) {
  return Object.entries(variant.figures).map(([key, value]) => [columns.get(key).heading, show(value, columns.get(key).unit)]);
}

function oneSide(variant) {
  const parts = [make("h3", {}, "Numbers"), table(["Number", "Value"], figures(variant))];
  const found = matrix(variant);
  if (found) parts.push(make("h3", {}, "Confusion matrix"), found);
  if (variant.confusions) parts.push(make("h3", {}, "Most frequent confusions"), table(["True class", "Predicted as", "Samples"], variant.confusions.map(([a, b, n]) => [a, b, group(n)])));
  const lists = [["effect", "Proof of effect", ["Layer", "Tensor", "Requested", "Actual", "Took effect", "Why"]],
    ["sensitivity", "What each layer bears", ["Layer", "Treatment", "Error, %", "SNR, dB"]],
    ["layers", "Agreement, layer by layer", ["Layer", "Equal, %", "Max abs error", "SNR, dB"]],
    ["training", "Learning", ["Epoch", "Loss", "Accuracy", "Validation accuracy"]]];
  for (const [key, title, heads] of lists) {
    const lines = shared(variant[key]);
    if (lines) parts.push(fold(`${title} (${lines.length})`, table(heads, lines)));
  }
  parts.push(make("h3", {}, "Where it comes from"), make("dl", {}, ...Object.entries(variant.provenance).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)])));
  return parts;
}

/** The samples that one decides rightly and the other does not; null where they were not judged on the same. */
function flips(a, b) {
  if (!a.outcomes || !b.outcomes || a.samples !== b.samples) return null;
  const [one, two] = [a, b].map(variant => atob(variant.outcomes));
  const found = { right: [], wrong: [] };
  for (let i = 0; i < one.length; i++) {
    const [p, q] = [one.charCodeAt(i), two.charCodeAt(i)];
    if (p === q) continue;
    for (let bit = 0; bit < 8; bit++) {
      if ((p ^ q) >> bit & 1) (q >> bit & 1 ? found.right : found.wrong).push(8 * i + bit);
    }
  }
  return found;
}

function changes(a, b) {
  const found = flips(a, b);
  if (!found) return make("p", { class: "quiet" }, "The two were not judged on the same samples, so none can be said to have changed.");
  const list = samples => samples.slice(0, 200).join(", ") + (samples.length > 200 ? `, and ${group(samples.length - 200)} more` : "");
  const part = (samples, words) => samples.length ? fold(`${group(samples.length)} ${words}`, make("p", {}, "Samples by their number in the data, from 0: " + list(samples))) : make("p", {}, `None ${words}.`);
  return make("div", {}, part(found.right, `became right in ${b.title}`), part(found.wrong, `became wrong in ${b.title}`));
}

function compareFigures(a, b) {
  const lines = Object.keys(a.figures).filter(key => key in b.figures).map(key => {
    const column = columns.get(key), [old, now] = [a.figures[key], b.figures[key]];
    const change = now - old, better = change && (column.better === "higher") === (change > 0);
    const sign = change > 0 ? "+" : "−";
    const text = !change ? "equal" : column.unit === "ratio" ? sign + Math.abs(change * 100).toFixed(2) + space + "points"
      : old ? sign + Math.abs(change / old * 100).toFixed(1) + space + "%" : sign + digits(Math.abs(change), 3);
    const verdict = change && column.better !== "neutral" ? better ? "better" : "worse" : "";
    return [column.heading, show(old, column.unit), show(now, column.unit), make("span", { class: verdict }, verdict ? `${text}, ${verdict}` : text)];
  });
  return table(["Number", a.title, b.title, "Change"], lines);
}

function open(...parts) {
  const section = byId("detail");
  section.replaceChildren(...parts);
  section.hidden = false;
  section.focus({ preventScroll: true });
  section.scrollIntoView();
}

function follow() {
  const names = decodeURIComponent(location.hash.slice(1)).split(",");
  const found = names.map(name => data.variants.find(variant => variant.slug === name));
  for (const row of rows) row.classList.toggle("chosen", found.includes(data.variants[row.dataset.row]));
  const close = make("p", {}, make("a", { href: "#variants" }, "Back to the table"));
  if (found.length === 2 && found.every(variant => variant)) {
    const [a, b] = found;
    open(make("h2", {}, `${a.title} and ${b.title}`), compareFigures(a, b), make("h3", {}, "Samples that changed"), changes(a, b),
      make("div", { class: "sides" }, ...found.map(variant => make("div", {}, make("h3", {}, variant.title), ...oneSide(variant)))), close);
  } else if (found[0]) {
    const baseline = data.variants[data.baseline];
    const against = baseline && baseline !== found[0] ? [make("h3", {}, `Samples that changed from ${baseline.title}`), changes(baseline, found[0])] : [];
    open(make("h2", {}, found[0].title), ...oneSide(found[0]), ...against, close);
  }
}
byId("compare").addEventListener("click", () => {
  location.hash = chosen().map(row => data.variants[row.dataset.row].slug).join(",");
});
addEventListener("hashchange", follow);
filter();
follow();
