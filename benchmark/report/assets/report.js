"use strict";
// Filters, sortable tables, plots and the rows of a report. Without it the page still shows what was found,
// the means and the images.

const axes = ["task", "defense", "attack", "status"];
const chosen = {};

/** The text that an element holds compressed. */
async function unpack(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

/** Whether an element is about what is chosen; what it does not say, it is not judged by. */
function matches({ dataset }) {
  return axes.every(
    (name) =>
      !chosen[name] || !dataset[name] || [dataset[name], dataset[name + "2"]].includes(chosen[name]),
  );
}

function applyFilters() {
  const filtered = "main [data-task], main [data-defense], main [data-attack], main [data-any]";
  for (const element of document.querySelectorAll(filtered)) element.hidden = !matches(element);
  for (const place of document.querySelectorAll(".plot"))
    place.closest(".chart").hidden ||= specs !== undefined && traces(specs[place.dataset.plot]).length === 0;
  // Inner ones first: a box with nothing left in it goes.
  for (const box of [...document.querySelectorAll("[data-any]")].reverse())
    box.hidden ||= !box.querySelector(":is([data-attack], .chart):not([hidden])");
  document.querySelectorAll(".plot[data-drawn]").forEach(draw);
  cells?.show();
}

/** What is chosen as a part of the address, so that it can be sent to somebody. */
function remember() {
  const pairs = axes.filter((name) => chosen[name]).map((name) => [name, chosen[name]]);
  const text = new URLSearchParams(pairs).toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function recall() {
  if (!location.hash.includes("=")) return;
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const select of document.querySelectorAll("select[data-filter]")) {
    const value = asked.get(select.dataset.filter) ?? "";
    if ([...select.options].some((option) => option.value === value)) select.value = value;
    chosen[select.dataset.filter] = select.value;
  }
}

for (const select of document.querySelectorAll("select[data-filter]"))
  select.addEventListener("change", () => {
    chosen[select.dataset.filter] = select.value;
    remember();
    applyFilters();
  });
document.querySelector(".filters")?.addEventListener("reset", () => {
  for (const name in chosen) delete chosen[name];
  remember();
  applyFilters();
});
// The address keeps what is chosen.
for (const link of document.querySelectorAll("nav a"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.hash).scrollIntoView();
  });

/** Turn the arrow of a heading; 1 for ascending, -1 for descending. */
function turned(heading) {
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  return sign;
}

/** Sort a table by the column of a heading; rows without a value stay at the end either way. */
function sortBy(heading) {
  const body = heading.closest("table").tBodies[0];
  const sign = turned(heading);
  const text = (row) => {
    const cell = row.cells[heading.cellIndex];
    return cell ? (cell.dataset.value ?? cell.textContent.trim()) : "";
  };
  const compare = "number" in heading.dataset ? (a, b) => a - b : (a, b) => a.localeCompare(b);
  const keyed = [...body.rows].map((row) => [text(row), row]);
  keyed.sort(([a], [b]) => (a === "") - (b === "") || (a === "" ? 0 : sign * compare(a, b)));
  body.append(...keyed.map(([, row]) => row));
}

for (const button of document.querySelectorAll("main section:not(#cells) th > button"))
  button.addEventListener("click", () => sortBy(button.parentElement));

/** The table of every cell: column by column in memory, and a page of rows in the document. */
class Cells {
  static most = 100;

  constructor(columns, section) {
    this.columns = columns;
    this.section = section;
    this.count = (columns[0].codes ?? columns[0].numbers ?? columns[0].plain).length;
    this.order = [...Array(this.count).keys()];
    this.page = 0;
    for (const button of section.querySelectorAll("th > button"))
      button.addEventListener("click", () => this.sort(button.parentElement));
    for (const button of section.querySelectorAll("[data-step]"))
      button.addEventListener("click", () => this.turn(Number(button.dataset.step)));
  }

  /** What a row is sorted by in a column; null at the end. */
  keys({ numbers, codes, texts, plain }) {
    if (numbers || plain) return numbers ?? plain;
    const places = [...texts.keys()].sort((a, b) => texts[a].localeCompare(texts[b]));
    const rank = places.map((_, k) => places.indexOf(k));
    return codes.map((code) => rank[code]);
  }

  sort(heading) {
    const sign = turned(heading);
    const keys = this.keys(this.columns[heading.cellIndex]);
    const compare = (a, b) => (a < b ? -sign : a > b ? sign : 0);
    this.order.sort((a, b) => (keys[a] === null) - (keys[b] === null) || compare(keys[a], keys[b]));
    this.show();
  }

  turn(step) {
    this.page += step;
    this.render();
  }

  show() {
    const wanted = this.columns
      .filter(({ heading }) => axes.includes(heading) && chosen[heading])
      .map(({ heading, keys, codes }) => [codes, keys.indexOf(chosen[heading])]);
    this.kept = this.order.filter((row) => wanted.every(([codes, code]) => codes[row] === code));
    this.page = 0;
    this.section.hidden = this.kept.length === 0;
    this.render();
  }

  render() {
    const first = this.page * Cells.most;
    const rows = this.kept.slice(first, first + Cells.most);
    this.section.querySelector("tbody").replaceChildren(...rows.map((row) => this.row(row)));
    const format = new Intl.NumberFormat("en");
    const last = first + rows.length;
    this.section.querySelector("[aria-live]").textContent =
      `${format.format(first + 1)} to ${format.format(last)} of ${format.format(this.kept.length)}`;
    this.section.querySelector("[data-step='-1']").disabled = first === 0;
    this.section.querySelector("[data-step='1']").disabled = last >= this.kept.length;
  }

  row(index) {
    const line = document.createElement("tr");
    for (const { numbers, codes, texts, plain } of this.columns) {
      const cell = line.insertCell();
      cell.textContent = numbers ? (numbers[index] ?? "–") : plain ? plain[index] : texts[codes[index]];
      if (numbers) cell.className = "number";
    }
    return line;
  }
}

let cells;
let specs;

/** The traces of the chosen attack; where a trace's points say of which defense they are, those of the chosen. */
function traces(spec) {
  return spec.data
    .filter((trace) => !chosen.attack || trace.meta.attack === chosen.attack)
    .map((trace) => {
      if (!chosen.defense || !trace.customdata) return trace;
      const kept = trace.customdata.flatMap(([defense], k) => (defense === chosen.defense ? [k] : []));
      const pick = (values) => kept.map((k) => values[k]);
      const { array, arrayminus } = trace.error_y;
      return {
        ...trace,
        x: pick(trace.x),
        y: pick(trace.y),
        customdata: pick(trace.customdata),
        error_y: { ...trace.error_y, array: pick(array), arrayminus: pick(arrayminus) },
      };
    });
}

let drawing;

/** Plotly, loaded when the first plot is wanted. */
function plotly() {
  drawing ??= (async () => {
    const packed = document.getElementById("plotly");
    const script = document.createElement("script");
    if (packed.dataset.file) {
      const loaded = new Promise((resolve) => script.addEventListener("load", resolve));
      script.src = packed.dataset.file;
      document.head.append(script);
      await loaded;
    } else {
      script.textContent = await unpack(packed);
      document.head.append(script);
    }
    return window.Plotly;
  })();
  return drawing;
}

async function draw(place) {
  const library = await plotly();
  if (place.closest("[hidden]")) return;
  place.dataset.drawn = "";
  const spec = specs[place.dataset.plot];
  const options = { responsive: true, displaylogo: false, modeBarButtons: [["toImage"]] };
  library.react(place, traces(spec), structuredClone(spec.layout), options);
}

async function begin() {
  const packedSpecs = document.getElementById("specs");
  specs = packedSpecs ? JSON.parse(await unpack(packedSpecs)) : [];
  const packedRows = document.getElementById("rows");
  cells = new Cells(JSON.parse(await unpack(packedRows)), document.getElementById("cells"));
  recall();
  applyFilters();
  // A plot is drawn when it comes near the window: a large run has many.
  const observer = new IntersectionObserver(
    (entries) =>
      entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
        observer.unobserve(target);
        draw(target);
      }),
    { rootMargin: "400px" },
  );
  document.querySelectorAll(".plot").forEach((place) => observer.observe(place));
  addEventListener("beforeprint", () => document.querySelectorAll(".plot:not([data-drawn])").forEach(draw));
  document.documentElement.dataset.ready = "";
}

begin();
