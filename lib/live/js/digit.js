// The drawing, what the network sees, its scores and the relevance map; all computed here in the page.
function startDigit(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const side = data.side[0], layers = decodeLayers(data.layers, data.weights), examples = data.examples.map(decodeFloats);
  const field = (name) => figure.querySelector(`[data-control="${name}"]`);
  const panel = (name) => figure.querySelector(`[data-panel="${name}"]`);
  const [example, rules, gamma, explained, against, fit] = ["example", "rules", "gamma", "explain", "against", "fit"].map(field);
  const output = figure.querySelector("output");
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  let base = null, strokes = [], down = false, cursor = [0.5, 0.5], keys = false, waiting = false, lo = 0, hi = 1;

  const seen = () => {
    const ink = networkInput(strokes, side, fit.checked && !base);
    return base ? base.map((value, i) => Math.max(value, ink[i])) : ink;
  };
  const paint = () => {
    const size = canvas.width;
    pen.fillStyle = palette.paper;
    pen.fillRect(0, 0, size, size);
    if (base) base.forEach((value, p) => {
      pen.fillStyle = palette.ink;
      pen.globalAlpha = value;
      pen.fillRect((size / side) * (p % side), (size / side) * Math.floor(p / side), size / side, size / side);
    });
    pen.globalAlpha = 1;
    Object.assign(pen, { lineWidth: size / 9, lineCap: "round", lineJoin: "round", strokeStyle: palette.ink });
    for (const stroke of strokes) {
      pen.beginPath();
      stroke.forEach(([x, y], k) => pen[k ? "lineTo" : "moveTo"](x * size, y * size));
      if (stroke.length === 1) pen.lineTo(stroke[0][0] * size + 0.01, stroke[0][1] * size);
      pen.stroke();
    }
    if (!keys) return;
    Object.assign(pen, { lineWidth: 4, strokeStyle: palette.orange });
    pen.beginPath();
    pen.arc(cursor[0] * size, cursor[1] * size, size / 18, 0, 7);
    pen.stroke();
  };
  const pixels = (name, values, colour, alt) => {
    const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = small.getContext("2d"), image = context.createImageData(side, side);
    values.forEach((value, p) => image.data.set([...colour(value), 255], 4 * p));
    context.putImageData(image, 0, 0);
    Object.assign(panel(name).querySelector("img"), { src: small.toDataURL(), alt });
  };
  const channels = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  const grey = (value) => { const g = Math.round(255 * (1 - value)); return [g, g, g]; };
  const diverging = (v) => channels(v < 0 ? palette.blue : palette.red).map((end) => Math.round(255 + Math.abs(v) * (end - 255)));
  const number = (value) => value.toFixed(2).replace("-", "\u2212");

  const compute = () => {
    waiting = false;
    const x = seen(), inputs = forward(layers, x), scores = inputs[inputs.length - 1];
    const predicted = scores.indexOf(Math.max(...scores));
    const target = explained.value === "" ? predicted : +explained.value;
    const other = !against || against.value === "" || +against.value === target ? -1 : +against.value;
    const start = scores.map((score, k) => (k === target ? score : k === other ? -score : 0));
    const chosen = composite(rules.value, layers, gamma ? +gamma.value : 0.25), relevance = lrp(layers, inputs, start, chosen);
    const total = start.reduce((a, b) => a + b), sum = relevance.reduce((a, b) => a + b);
    const largest = relevance.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const what = other < 0 ? `${target}, score ${number(total)}` : `${target} against ${other}, score difference ${number(total)}`;
    const text = `The network says ${predicted}. Explained: ${what}. The relevance of all pixels adds up to ${number(sum)}; `
      + `the layers kept ${number(total - sum)}.`;
    lo = Math.min(lo, Math.floor(Math.min(...scores)));
    hi = Math.max(hi, Math.ceil(Math.max(...scores)));
    paint();
    pixels("seen", x, grey, `The ${side} by ${side} image that the network sees.`);
    pixels("map", relevance, (r) => diverging(largest > 0 ? r / largest : 0), "Relevance map. " + text);
    const labels = [...scores].map((_, k) => String(k)), bars = panel("scores");
    const spec = { lo, hi, chars: 2, rows: labels.length, unit: "" };
    bars.lastElementChild.replaceWith(drawBars(spec, [labels, [...scores], [target, other], 0], "Scores"));
    output.textContent = text;
    if (!gamma) return;
    gamma.disabled = !chosen.some((rule) => rule.name === "gamma");
    gamma.setAttribute("aria-valuetext", gamma.value);
    gamma.parentElement.querySelector(".live-value").textContent = gamma.value;
  };
  const soon = () => { if (!waiting) requestAnimationFrame(compute); waiting = true; };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
  };
  const own = () => { if (!base) example.value = ""; };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    [down, keys] = [false, false];
    strokes.push([place(event)]);
    own();
    soon();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const part of event.getCoalescedEvents?.() ?? []) strokes.at(-1).push(place(part));
    strokes.at(-1).push(place(event));
    soon();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    keys = true;
    if (step) cursor = cursor.map((value, k) => Math.min(0.96, Math.max(0.04, value + step[k] / 16)));
    else {
      down = !down;
      if (down) strokes.push([]);
    }
    if (down) strokes.at(-1).push(cursor);
    own();
    soon();
  });
  canvas.addEventListener("focus", () => { keys = canvas.matches(":focus-visible"); paint(); });
  canvas.addEventListener("blur", () => { [keys, down] = [false, false]; paint(); });

  const choose = () => {
    base = example.value === "" ? null : examples[+example.value];
    [strokes, down, fit.disabled] = [[], false, base !== null];
    soon();
  };
  example.addEventListener("change", choose);
  figure.querySelector("button").addEventListener("click", () => { example.value = ""; choose(); });
  for (const control of [rules, gamma, explained, against, fit]) control?.addEventListener("input", soon);
  for (const control of figure.querySelectorAll("[disabled]")) control.disabled = false;
  for (const [name, value] of Object.entries({
    tabindex: 0, role: "application", width: 416, height: 416, "data-lm-suppress-shortcuts": "true", style: "touch-action:none;cursor:crosshair",
    "aria-label": "Drawing area. Arrow keys move the pen, the space bar puts it down and lifts it.",
  })) canvas.setAttribute(name, value);
  panel("drawing").querySelector("img").replaceWith(canvas);
  if (examples.length) base = examples[0];
  fit.disabled = base !== null;
  compute();
}
