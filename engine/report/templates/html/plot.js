// The plot: two numbers of the variants that the filter leaves, coloured by an axis.
const picture = "http://www.w3.org/2000/svg";
const [height, left, top_, bottom] = [480, 76, 16, 430];
// As wide as there is room, so that letters keep their size.
let [width, right] = [960, 940];
const inks = 10;
let zoom = null;
let focused = 0;

function draw(name, attributes, text) {
  const element = document.createElementNS(picture, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const numeric = data.columns.filter(column => data.variants.filter(variant => column.key in variant.figures).length > 1);
const option = (value, text) => make("option", { value }, text);
for (const id of ["plot-x", "plot-y"]) byId(id).append(...numeric.map(column => option(column.key, column.heading)));
const prefer = (id, keys) => {
  const key = keys.find(key => numeric.some(column => column.key === key));
  if (key) byId(id).value = key;
};
prefer("plot-y", ["accuracy"]);
prefer("plot-x", ["zip-bytes", "bytes", "median-ms"]);
byId("plot-colour").append(option("", "variant"), ...data.axes.map(axis => option(axis, axis)));
if (data.axes.length) byId("plot-colour").value = data.axes[0];

/** The value by which a variant is coloured. */
const groupOf = variant => byId("plot-colour").value ? variant.axes[byId("plot-colour").value] ?? "–" : variant.base;

/** Logarithmic where values, but for shares, span more than a factor of eight. */
function scale(values, unit, from, to) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const log = unit !== "ratio" && low > 0 && high / low > 8;
  const forward = log ? Math.log10 : value => value;
  const room = (forward(high) - forward(low)) * 0.06 || Math.abs(forward(high)) * 0.05 || 1;
  return { log, forward, low: forward(low) - room, high: forward(high) + room, from, to };
}
const position = (axis, value) => axis.from + (axis.forward(value) - axis.low) / (axis.high - axis.low) * (axis.to - axis.from);

function ticks(axis) {
  const wanted = Math.max(2, Math.min(6, Math.floor(Math.abs(axis.to - axis.from) / 90)));
  const span = axis.high - axis.low;
  if (axis.log && span > 0.7) {
    const found = [];
    for (let power = Math.floor(axis.low); power <= axis.high; power++) {
      for (const step of span > 2.5 || wanted < 4 ? [1] : [1, 2, 5]) {
        const at = Math.log10(step) + power;
        if (at >= axis.low && at <= axis.high) found.push(step * 10 ** power);
      }
    }
    return found;
  }
  const rough = span / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
  const found = [];
  for (let value = Math.ceil(axis.low / step) * step; value <= axis.high; value += step) found.push(axis.log ? 10 ** value : value);
  return found;
}

/** What nothing else is better than in both. */
function frontier(points, x, y) {
  const better = (a, b, key) => columns.get(key).better === "higher" ? a > b : a < b;
  return points.filter(p => !points.some(q =>
    !better(p.x, q.x, x) && !better(p.y, q.y, y) && (better(q.x, p.x, x) || better(q.y, p.y, y))));
}

function plot() {
  const [x, y] = [byId("plot-x").value, byId("plot-y").value];
  const points = rows.filter(row => !row.hidden).map(row => data.variants[row.dataset.row])
    .filter(variant => x in variant.figures && y in variant.figures)
    .map(variant => ({ variant, x: variant.figures[x], y: variant.figures[y] }));
  width = Math.min(Math.max(byId("plot").clientWidth, 320), 1100);
  right = width - 20;
  byId("plot").replaceChildren();
  byId("legend").replaceChildren();
  if (!points.length) {
    byId("plot").append(make("p", { class: "quiet" }, "No variant that is left has both numbers."));
    return;
  }
  const [unitX, unitY] = [columns.get(x).unit, columns.get(y).unit];
  const across = scale(points.map(p => p.x), unitX, left, right);
  const up = scale(points.map(p => p.y), unitY, bottom, top_);
  if (zoom) [across.low, across.high, up.low, up.high] = zoom;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${columns.get(y).heading} over ${columns.get(x).heading}, ${points.length} points`, "aria-describedby": "plot-help" });
  const clip = draw("clipPath", { id: "clip" });
  clip.append(draw("rect", { x: left, y: top_, width: right - left, height: bottom - top_ }));
  svg.append(clip);
  for (const tick of ticks(up)) {
    const at = position(up, tick);
    svg.append(draw("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }),
      draw("text", { class: "tick", x: left - 8, y: at + 4, "text-anchor": "end" }, show(tick, unitY)));
  }
  for (const tick of ticks(across)) {
    const at = position(across, tick);
    svg.append(draw("line", { class: "grid", x1: at, x2: at, y1: bottom, y2: bottom + 5 }),
      draw("text", { class: "tick", x: at, y: bottom + 20, "text-anchor": "middle" }, show(tick, unitX)));
  }
  svg.append(draw("text", { x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, columns.get(x).heading),
    draw("text", { transform: `translate(16 ${(top_ + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, columns.get(y).heading));
  const groups = [...new Set(points.map(p => groupOf(p.variant)))].sort((a, b) => order(a, b, 1));
  const colour = group => `var(--c${groups.indexOf(group) % inks})`;
  const front = new Set(frontier(points, x, y));
  const layer = draw("g", { "clip-path": "url(#clip)" });
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  focused = Math.min(focused, sorted.length - 1);
  const circles = sorted.map((p, i) => {
    const ink = colour(groupOf(p.variant));
    const words = `${p.variant.title}: ${columns.get(x).heading} ${show(p.x, unitX)}, ${columns.get(y).heading} ${show(p.y, unitY)}${front.has(p) ? ", on the frontier" : ""}`;
    const circle = draw("circle", { class: "point", cx: position(across, p.x), cy: position(up, p.y), r: front.has(p) ? 6 : 4.5, style: `fill:${ink};stroke:${ink}`, "fill-opacity": front.has(p) ? 1 : 0.15, tabindex: i === focused ? 0 : -1, role: "button", "aria-label": words });
    circle.append(draw("title", {}, words));
    circle.addEventListener("click", () => { location.hash = p.variant.slug; });
    circle.addEventListener("keydown", event => {
      const move = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") location.hash = p.variant.slug;
      else if (move) {
        circle.setAttribute("tabindex", -1);
        focused = (i + move + circles.length) % circles.length;
        circles[focused].setAttribute("tabindex", 0);
        circles[focused].focus();
      } else return;
      event.preventDefault();
    });
    return circle;
  });
  layer.append(...circles);
  // Names stand at the frontier, where there is room for them: a letter is about seven units wide.
  const taken = [];
  for (const p of sorted.filter(p => front.has(p))) {
    const length = 7 * p.variant.title.length, [x, y] = [position(across, p.x), position(up, p.y) - 7];
    const from = x + 9 + length < right ? x + 9 : x - 9 - length;
    if (taken.some(([a, b, line]) => from < b && from + length > a && Math.abs(line - y) < 15)) continue;
    taken.push([from, from + length, y]);
    layer.append(draw("text", from > x ? { x: from, y } : { x: x - 9, y, "text-anchor": "end" }, p.variant.title));
  }
  svg.append(layer);
  const view = () => [across.low, across.high, up.low, up.high];
  svg.addEventListener("wheel", event => { event.preventDefault(); scaleView(event.deltaY < 0 ? 0.8 : 1.25, view()); }, { passive: false });
  let held = null;
  svg.addEventListener("pointerdown", event => { held = event.target.classList.contains("point") ? null : [event.clientX, event.clientY]; });
  svg.addEventListener("pointerup", event => {
    if (!held) return;
    const pixel = svg.getBoundingClientRect().width / width;
    const dx = (held[0] - event.clientX) / pixel / (right - left) * (across.high - across.low);
    const dy = (event.clientY - held[1]) / pixel / (bottom - top_) * (up.high - up.low);
    held = null;
    if (!dx && !dy) return;
    zoom = [across.low + dx, across.high + dx, up.low + dy, up.high + dy];
    plot();
  });
  byId("zoom-in").onclick = () => scaleView(0.7, view());
  byId("zoom-out").onclick = () => scaleView(1 / 0.7, view());
  byId("plot").append(svg);
  byId("legend").append(...groups.slice(0, 30).map(group => make("span", {}, make("i", { style: `background:${colour(group)}` }), group)));
}

function scaleView(factor, [x0, x1, y0, y1]) {
  const [cx, cy] = [(x0 + x1) / 2, (y0 + y1) / 2];
  zoom = [cx + (x0 - cx) * factor, cx + (x1 - cx) * factor, cy + (y0 - cy) * factor, cy + (y1 - cy) * factor];
  plot();
}
const whole = () => { zoom = null; plot(); };
byId("zoom-reset").onclick = whole;
for (const id of ["plot-x", "plot-y", "plot-colour"]) byId(id).addEventListener("change", whole);
listeners.push(whole);
let drawn = 0;
new ResizeObserver(() => {
  if (byId("plot").clientWidth !== drawn) plot();
  drawn = byId("plot").clientWidth;
}).observe(byId("plot"));
