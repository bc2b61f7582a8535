// The drawing, what the network sees, its scores and the relevance map; all computed here in the page.
function startDigit(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const side = data.side[0], layers = decodeLayers(data.layers, data.weights), examples = data.examples.map(decodeFloats);
  const field = (name) => figure.querySelector(`[data-control="${name}"]`);
  const panel = (name) => figure.querySelector(`[data-panel="${name}"]`);
  const [example, rules, gamma, explained, against, fit] = ["example", "rules", "gamma", "explain", "against", "fit"].map(field);
  const output = figure.querySelector("output");
  let waiting = false, lo = 0, hi = 1;

  const pixels = (name, values, colour, alt) =>
    Object.assign(panel(name).querySelector("img"), { src: pixelsUrl(values, side, colour), alt });
  const channels = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  const diverging = (v) => channels(v < 0 ? palette.blue : palette.red).map((end) => Math.round(255 + Math.abs(v) * (end - 255)));
  const number = (value) => value.toFixed(2).replace("-", "\u2212");

  const compute = () => {
    waiting = false;
    const x = area.input(fit.checked), inputs = forward(layers, x), scores = inputs[inputs.length - 1];
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
    area.paint();
    pixels("seen", x, inkColour, `The ${side} by ${side} image that the network sees.`);
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

  const area = drawingArea(panel("drawing"), side, () => {
    if (!area.base) example.value = "";
    soon();
  });
  const choose = () => {
    area.start(example.value === "" ? null : examples[+example.value]);
    fit.disabled = area.base !== null;
    soon();
  };
  example.addEventListener("change", choose);
  figure.querySelector("button").addEventListener("click", () => { example.value = ""; choose(); });
  for (const control of [rules, gamma, explained, against, fit]) control?.addEventListener("input", soon);
  for (const control of figure.querySelectorAll("[disabled]")) control.disabled = false;
  if (examples.length) area.start(examples[0]);
  fit.disabled = area.base !== null;
  compute();
}
