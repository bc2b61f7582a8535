// Pictures from numbers: bars, words on the colours of their relevance, and charts. spec is what all states of a panel
// share, parts are what one state shows; both are written by lib/live/charts.py. Each returns one element.
function element(tag, attributes, ...children) {
  const made = /^(svg|path|image)$/.test(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function compact(value) {
  return String(Number(value.toPrecision(3))).replace("-", "\u2212");
}
const percent = (share) => (100 * share).toFixed(2) + "%";

function drawBars(spec, [labels, values, marked, signed], caption) {
  const span = Math.max(spec.hi - spec.lo, 1e-12), zero = -spec.lo / span;
  const words = labels.map((label, i) => `${label} ${compact(values[i])}${spec.unit}`).join(", ");
  const rows = values.flatMap((value, i) => {
    const bright = !marked.length || marked.includes(i);
    const colour = !bright || (!signed && !marked.length) ? "grey" : !signed ? "orange" : value < 0 ? "blue" : "red";
    const bar = element("i", {
      class: "c-" + colour,
      style: `left:${percent(Math.min(zero, zero + value / span))};width:${percent(Math.abs(value) / span)}`,
    });
    const track = element("span", { class: "live-track" }, bar, element("b", { style: `left:${percent(zero)}` }));
    const own = marked.includes(i) ? { class: "live-marked" } : {};
    return [element("span", own, labels[i]), track, element("span", own, compact(value) + spec.unit)];
  });
  return element("div", {
    class: "live-bars", role: "img", "aria-label": (caption ? caption + ": " : "") + words,
    style: `--rows:${spec.rows};--chars:${Math.min(spec.chars, 22)}ch`,
  }, ...rows);
}

function drawWords(spec, [words, relevance], caption) {
  const spans = words.map((word, i) => {
    const share = Math.max(-1, Math.min(1, relevance[i] / spec.scale));
    const mix = `color-mix(in srgb,var(--${share < 0 ? "blue" : "red"}-fixed) ${percent(Math.abs(share))},white)`;
    // Where white has more contrast than black: on red from 77 %, on blue from 87 %.
    const ink = share > 0.77 || share < -0.87 ? "white" : "black";
    const head = element("span", { style: `background:${mix};color:${ink}` }, word);
    return element("span", { class: "live-word" }, head, element("small", {}, compact(relevance[i])));
  });
  const said = words.map((word, i) => `${word} ${compact(relevance[i])}`).join(", ");
  return element("div", { class: "live-words", role: "img", "aria-label": (caption ? caption + ": " : "") + said }, ...spans);
}

function drawChart(spec, parts, caption, text) {
  const depth = Math.round(2000 / (spec.aspect || 1)), bare = !spec.x.label && !spec.y.label;
  const hide = { "aria-hidden": "true" };
  const svg = element("svg", { viewBox: `0 0 2000 ${depth}`, preserveAspectRatio: "none", role: "img",
    "aria-label": (caption ? caption + ": " : "") + text });
  const lit = parts.some((part) => part.i) ? " live-lit" : "";  // what is drawn on a picture keeps the colours of a light page
  const box = element("div", { class: "live-box" + (bare ? " live-bare" : "") + lit,
    style: spec.aspect ? `aspect-ratio:${spec.aspect}` : `height:${spec.height}px` }, svg);
  const grid = spec.x.ticks.map(([p]) => `M${2000 * p} 0V${depth}`).join("")
    + spec.y.ticks.map(([p]) => `M0 ${(1 - p) * depth}H2000`).join("");
  if (grid && !lit) svg.append(element("path", { d: grid, class: "grid" }));
  const legend = element("div", { class: "live-legend", ...hide }), known = new Set();
  for (const part of parts) {
    if (part.i) svg.append(element("image", { href: "data:image/png;base64," + part.i, x: part.x, y: part.y,
      width: part.w, height: part.h, preserveAspectRatio: "none", class: part.c }));
    else if (part.t !== undefined) box.append(element("span", { class: "live-mark c-" + part.c.split(" ").at(-1) + " " + part.c,
      style: `left:${percent(part.x / 2000)};top:${percent(part.y / depth)}`, ...hide }, part.t));
    else {
      const look = { class: "c-" + part.c.split(" ")[1] + " " + part.c, "stroke-width": part.w || 1 };
      svg.append(element("path", { d: part.d, ...look }));
      if (!part.n || known.has(part.n)) continue;
      known.add(part.n);
      const sample = element("svg", { viewBox: "0 0 26 14", width: 26, height: 14 });
      const d = /^dots/.test(part.c) ? "M13 7h0" : /^(area|shapes)/.test(part.c) ? "M1 2h24v10h-24z" : "M1 7h24";
      sample.append(element("path", { d, ...look }));
      if (/ring|frame/.test(part.c)) sample.append(element("path", { d, class: "c-paper dots paper " + part.c.split(" ")[2],
        "stroke-width": part.w - 4 }));
      legend.append(element("span", {}, sample, part.n));
    }
  }
  const ticks = (axis, side) => axis.ticks.map(([p, name]) =>
    element("span", { style: `${side}:${percent(p)}` }, name));
  const letters = Math.max(0, ...spec.y.ticks.map(([, name]) => name.length));
  const rows = [legend, element("div", { class: "live-ylabel", ...hide }, spec.y.label)];
  if (!spec.legend) rows.shift();
  if (!spec.y.label) rows.pop();
  const chart = element("div", { class: "live-chart", style: `--letters:${letters}` }, ...rows,
    element("div", { class: "live-yticks", ...hide }, ...ticks(spec.y, "bottom")), box);
  if (spec.scale && spec.scale.label) chart.append(drawScale(spec.scale));
  if (spec.x.ticks.length) chart.append(element("div", { class: "live-xticks", ...hide }, ...ticks(spec.x, "left")));
  if (spec.x.label) chart.append(element("div", { class: "live-xlabel", ...hide }, spec.x.label));
  return chart;
}
function drawScale(scale) {
  const names = [...scale.names].reverse().map((name) => element("span", {}, name));
  return element("div", { class: "live-scale", "aria-hidden": "true", title: scale.label },
    element("i", { style: `background:linear-gradient(to top,${scale.colours.join(",")})` }),
    element("div", {}, ...names), element("small", {}, scale.label));
}
function drawTable(spec, [style, table]) {
  const holder = element("div", {});
  holder.innerHTML = style + table;
  return holder;
}
const DRAW = { bars: drawBars, words: drawWords, chart: drawChart, table: drawTable };
function drawn(spec, parts, caption, text) {
  return DRAW[spec.kind](spec, parts, caption, text);
}

// A point of a picture that follows the pointer: `move` gets its place, from the left and from below, each from 0 to 1.
function startDragging(box, knob, move) {
  const follow = (event) => {
    const area = box.getBoundingClientRect();
    move([(event.clientX - area.x) / area.width, 1 - (event.clientY - area.y) / area.height]);
  };
  box.classList.add("live-drag");
  box.addEventListener("pointerdown", (event) => {
    box.setPointerCapture(event.pointerId);
    knob.classList.add("live-held");
    follow(event);
  });
  box.addEventListener("pointermove", (event) => { if (box.hasPointerCapture(event.pointerId)) follow(event); });
  box.addEventListener("lostpointercapture", () => knob.classList.remove("live-held"));
}
