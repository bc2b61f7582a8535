// A horizontal bar chart about zero as SVG. spec: lo <= 0 <= hi (one scale for all states),
// chars (longest label), rows, unit. The rows in `marked` are drawn in colour and all others in grey; with none
// marked all are in colour. The same geometry is in lib/live/page.py (bar_geometry) for the still. Bars get shorter where
// the panel is narrower than the still.
function barGeometry(spec, available) {
  const left = Math.min(130, 10 + 7 * spec.chars), room = 50 + 7 * spec.unit.length;
  const before = spec.lo < 0 ? room : 4, span = Math.max(spec.hi - spec.lo, 1e-12);
  const length = Math.min(130, Math.max(50, (available || 1000) - left - before - room));
  return {
    left, width: left + before + length + room, height: 20 * spec.rows,
    zero: left + before + (-spec.lo / span) * length, scale: length / span,
  };
}
function compact(value) {
  return String(Number(value.toPrecision(3))).replace("-", "\u2212");
}
function barChart(spec, labels, values, marked, caption, available) {
  const g = barGeometry(spec, available), name = "http://www.w3.org/2000/svg";
  const add = (parent, tag, attributes, text) => {
    const element = document.createElementNS(name, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const words = labels.map((label, i) => `${label} ${compact(values[i])}${spec.unit}`).join(", ");
  const svg = document.createElementNS(name, "svg");
  for (const [key, value] of Object.entries({
    viewBox: `0 0 ${g.width} ${g.height}`, width: g.width, height: g.height, role: "img",
    "aria-label": (caption ? caption + ": " : "") + words,
  })) svg.setAttribute(key, value);
  const rows = marked.filter((row) => row >= 0), most = Math.floor((g.left - 10) / 7);
  values.forEach((value, i) => {
    const y = 20 * i, end = g.zero + value * g.scale, bright = !rows.length || rows.includes(i);
    const font = { "font-size": 12, fill: palette.ink, y: y + 14.5, "font-weight": rows.includes(i) ? 700 : 400 };
    const label = labels[i].length > most ? labels[i].slice(0, most - 1) + "\u2026" : labels[i];
    add(svg, "text", { ...font, x: g.left - 6, "text-anchor": "end" }, label);
    add(svg, "rect", {
      x: Math.min(g.zero, end), y: y + 3, width: Math.abs(end - g.zero), height: 14,
      fill: bright ? (value < 0 ? palette.blue : palette.red) : palette.grey,
    });
    add(svg, "text", { ...font, x: value < 0 ? end - 4 : end + 4, "text-anchor": value < 0 ? "end" : "start" },
      compact(value) + spec.unit);
  });
  add(svg, "line", { x1: g.zero, x2: g.zero, y1: 0, y2: g.height, stroke: palette.ink });
  return svg;
}
