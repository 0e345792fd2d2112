"use strict";
// Sortable tables, filters and plots. Without it the pages show everything but the plots.

// The place of every row as the page came, which decides between equal values.
const places = new Map([...document.querySelectorAll("tbody > tr")].map((row, place) => [row, place]));

/** Sort a table by the column of a heading, the best of a metric first; what has no value stays at the end. */
function sortBy(heading) {
  const body = heading.closest("table").tBodies[0];
  const before = heading.getAttribute("aria-sort");
  const descending = before ? before === "ascending" : "descending" in heading.dataset;
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const text = (row) => {
    const cell = row.cells[heading.cellIndex];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const compare = "number" in heading.dataset ? (a, b) => a - b : (a, b) => a.localeCompare(b);
  const keyed = [...body.rows].map((row) => [text(row), row]);
  keyed.sort(
    ([a, one], [b, other]) =>
      (a === "") - (b === "") ||
      (a !== "" && (descending ? -1 : 1) * compare(a, b)) ||
      places.get(one) - places.get(other),
  );
  body.append(...keyed.map(([, row]) => row));
}

for (const button of document.querySelectorAll("th > button"))
  button.addEventListener("click", () => sortBy(button.parentElement));

for (const region of document.querySelectorAll(".main-table")) {
  const table = region.querySelector("table");
  const fit = () => region.classList.toggle("fits", table.offsetWidth <= region.clientWidth);
  new ResizeObserver(fit).observe(region);
}

const form = document.querySelector(".filters");
const { points, budget } = JSON.parse(document.getElementById("points")?.textContent ?? "{}");
const shown = new Set(points?.keys());

/** Show the entries that the form asks for, in every table and plot. */
function applyFilters() {
  const words = form.querySelector("[data-search]").value.toLowerCase().split(/\s+/);
  const choices = [...form.querySelectorAll("[data-filter]")];
  const rows = [...document.querySelectorAll("#table tbody tr")];
  shown.clear();
  for (const { dataset } of rows)
    if (
      words.every((word) => dataset.text.includes(word)) &&
      choices.every(({ value, dataset: { filter } }) => !value || dataset[filter] === value)
    )
      shown.add(Number(dataset.entry));
  for (const row of document.querySelectorAll("tr[data-entry]")) row.hidden = !shown.has(Number(row.dataset.entry));
  document.querySelector(".nothing").hidden = shown.size > 0;
  form.querySelector(".shown").textContent =
    shown.size === rows.length ? `${rows.length} entries` : `${shown.size} of ${rows.length} entries`;
  document.querySelectorAll(".plot[data-drawn]").forEach(draw);
}

if (form) {
  form.hidden = false;
  form.addEventListener("input", applyFilters);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty only after the event.
  form.addEventListener("reset", () => setTimeout(applyFilters));
  applyFilters();
}

// Okabe and Ito's blue and vermilion, told apart by the color-blind too, and gray.
const KINDS = [
  { name: "without prior", color: "#0072b2", is: (point) => point.ranked && !point.prior },
  { name: "with prior", color: "#d55e00", is: (point) => point.ranked && point.prior },
  { name: "not ranked", color: "#8a8f98", is: (point) => !point.ranked },
];
// More points than this are faint, for they cover each other.
const MANY = 16;

/** Round numbers within a range, for a logarithmic axis: 1, 2, 5, 10 ..., or powers of ten where these are many. */
function ticks(low, high) {
  const decades = [...Array(Math.ceil(high) - Math.floor(low) + 1).keys()].map((k) => 10 ** (k + Math.floor(low)));
  const steps = high - low > 2 ? [1] : [1, 2, 5];
  const found = decades.flatMap((decade) => steps.map((step) => step * decade));
  return found.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
}

/** The points that have room for a name: none close by of one before it. They come best first. */
function named(visible, metric) {
  const place = (point) => [Math.log10(point.evaluations), point.metrics[metric][0]];
  const spans = [0, 1].map((axis) => {
    const values = visible.map((point) => place(point)[axis]);
    return Math.max(...values) - Math.min(...values) || 1;
  });
  const kept = [];
  for (const point of visible) {
    const close = (other) => {
      const [x, y] = place(other).map((value, axis) => Math.abs(value - place(point)[axis]) / spans[axis]);
      return x < 0.2 && y < 0.06;
    };
    if (!kept.some(close)) kept.push(point);
  }
  return new Set(kept);
}

/** The answers of the entries, against what they spent. */
function traces(metric, wanted = () => true) {
  const visible = points.filter(
    (point, k) => shown.has(k) && point.evaluations && point.metrics[metric] && wanted(point),
  );
  const names = named(visible, metric);
  const middle = Math.sqrt(budget * Math.min(budget, ...visible.map((point) => point.evaluations)));
  return KINDS.flatMap((kind) => {
    const found = visible.filter(kind.is);
    if (!found.length) return [];
    const of = (pick) => found.map((point) => pick(point.metrics[metric], point));
    return [
      {
        type: "scatter",
        name: kind.name,
        mode: "markers+text",
        x: of((_, point) => point.evaluations),
        y: of(([mean]) => mean),
        text: of((_, point) => (names.has(point) ? point.name : "")),
        // Towards the middle, where there is room.
        textposition: of((_, point) => (point.evaluations < middle ? "top right" : "top left")),
        customdata: of(([, low, high], point) => [
          `${point.name} ${point.version}`,
          low === null ? "" : `${low.toPrecision(4)} – ${high.toPrecision(4)}`,
          point.verified ? "verified" : "not verified",
        ]),
        error_y: {
          type: "data",
          array: of(([mean, , high]) => (high ?? mean) - mean),
          arrayminus: of(([mean, low]) => mean - (low ?? mean)),
          color: kind.color,
          thickness: 1,
          width: 0,
        },
        opacity: visible.length > MANY ? 0.6 : 1,
        marker: {
          color: kind.color,
          size: 9,
          symbol: of((_, point) => (point.verified ? "circle" : "circle-open")),
          line: { width: 2, color: kind.color },
        },
        hovertemplate:
          "%{customdata[0]}<br>%{y:.4~g} (%{customdata[1]})<br>%{x:,} evaluations, %{customdata[2]}<extra></extra>",
      },
    ];
  });
}

// Okabe and Ito's, for the color-blind too; yellow is too faint on white.
const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#a0522d", "#8fb33f", "#e7298a"];

/** The entries that have a curve of a metric and are to be seen. */
function drawnAsCurves(metric) {
  return points.filter((point, k) => shown.has(k) && point.curves[metric]);
}

/** A line for every entry with a curve, which ends in its answer; of the others the answer alone. */
function curves(metric) {
  const lines = drawnAsCurves(metric).map((point, k) => {
    const color = LINES[k % LINES.length];
    const curve = point.curves[metric];
    const last = curve.length - 1;
    return {
      type: "scatter",
      name: `${point.name} ${point.version}`,
      mode: "lines+markers",
      x: curve.map(([evaluations]) => evaluations),
      y: curve.map(([, value]) => value),
      line: { color, width: 2, dash: point.prior ? "dash" : "solid" },
      marker: { color, size: curve.map((_, place) => (place === last ? 9 : 4)) },
      hovertemplate: `${point.name}<br>%{y:.4~g}<br>%{x:,} evaluations<extra></extra>`,
    };
  });
  return [...lines, ...traces(metric, (point) => !point.curves[metric])];
}

// Where all have spent about as much, a chart against that would be one line of points upon each other.
const ALIKE = 1.25;

/** The entries below each other, the best first. */
function ranking(place) {
  const { metric, heading } = place.dataset;
  const visible = points.filter((point, k) => shown.has(k) && point.metrics[metric]);
  const label = (point) => `${point.name} ${point.version}`;
  const data = KINDS.map((kind) => {
    const found = visible.filter(kind.is);
    const of = (pick) => found.map((point) => pick(point.metrics[metric]));
    return {
      type: "scatter",
      name: kind.name,
      mode: "markers",
      x: of(([mean]) => mean),
      y: found.map(label),
      error_x: {
        type: "data",
        array: of(([mean, , high]) => (high ?? mean) - mean),
        arrayminus: of(([mean, low]) => mean - (low ?? mean)),
        color: kind.color,
        thickness: 1.2,
        width: 0,
      },
      marker: {
        color: kind.color,
        size: 9,
        symbol: found.map((point) => (point.verified ? "circle" : "circle-open")),
        line: { width: 2, color: kind.color },
      },
      hovertemplate: "%{y}: %{x:.4~g}<extra></extra>",
    };
  }).filter(({ x }) => x.length);
  // They come best first.
  const order = [...new Set(visible.map(label))].reverse();
  return {
    data,
    height: 130 + 26 * order.length,
    xaxis: { title: { text: heading, font: { size: 12 }, standoff: 8 }, zeroline: false },
    yaxis: { categoryorder: "array", categoryarray: order, automargin: true, zeroline: false },
  };
}

/** Whether the entries have spent about as much as each other. */
function spentAlike() {
  const spent = points.flatMap((point, k) => (shown.has(k) && point.evaluations ? [point.evaluations] : []));
  return Math.max(...spent) < ALIKE * Math.min(...spent);
}

function draw(place) {
  place.dataset.drawn = "";
  const common = {
    margin: { l: 52, r: 12, t: 8, b: 48 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    showlegend: true,
    dragmode: false,
    hovermode: "closest",
  };
  const options = { responsive: true, displayModeBar: false };
  const asCurves = drawnAsCurves(place.dataset.metric).length > 0;
  if (!asCurves && spentAlike()) {
    const { data, ...layout } = ranking(place);
    Plotly.react(place, data, { ...common, ...layout }, options);
    return;
  }
  // Colors of text and lines are the style sheet's, which knows light, dark and print.
  const title = (text) => ({ text, font: { size: 12 }, standoff: 8 });
  const data = (asCurves ? curves : traces)(place.dataset.metric);
  const spent = data.flatMap(({ x }) => x);
  const low = Math.log10(Math.min(budget, ...spent)) - 0.12;
  const high = Math.log10(Math.max(budget, ...spent)) + 0.12;
  const layout = {
    ...common,
    height: 360,
    shapes: [
      {
        type: "line",
        x0: budget,
        x1: budget,
        yref: "paper",
        y0: 0,
        y1: 1,
        line: { dash: "dot", width: 1, color: "#8a8f98" },
      },
    ],
    xaxis: {
      type: "log",
      title: title("gradient evaluations an observation"),
      range: [low, high],
      tickvals: ticks(low, high),
      tickformat: ",",
      zeroline: false,
    },
    yaxis: { title: title(place.dataset.heading), zeroline: false },
  };
  Plotly.react(place, data, layout, options);
}

// A plot is drawn when it comes near the window.
const observer = new IntersectionObserver(
  (seen) =>
    seen.filter((one) => one.isIntersecting).forEach(({ target }) => {
      observer.unobserve(target);
      draw(target);
    }),
  { rootMargin: "400px" },
);
document.querySelectorAll(".plot").forEach((place) => observer.observe(place));
addEventListener("beforeprint", () => document.querySelectorAll(".plot:not([data-drawn])").forEach(draw));

/** What an address points at is seen, though it lies in a box that is closed. */
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const box = target && (target.closest("details") ?? target.querySelector("details.entry"));
  if (box) box.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
