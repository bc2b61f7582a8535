// A game of two networks that learn in the page: the data, what D says of the plane, the samples and where the loss pushes
// them, and the course of the game. The networks are those of gan.js; the figure is made by lib/gans/arena.py.
function startArena(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const [set] = data.settings, side = 41, edge = set.edge;
  const field = (name) => figure.querySelector(`[data-control="${name}"]`);
  const panel = (name) => figure.querySelector(`[data-panel="${name}"]`);
  const [world, kind, hold, moves, descent, rate, seed] = ["world", "kind", "hold", "moves", "descent", "rate", "seed"].map(field);
  const [play, once, again, clear] = figure.querySelectorAll("button"), output = figure.querySelector("output");
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const plane = Float64Array.from({ length: 2 * side * side }, (_, p) => {
    const place = p >> 1, along = p % 2 ? 1 - Math.floor(place / side) / (side - 1) : (place % side) / (side - 1);
    return edge * (2 * along - 1);
  });
  let game, view, losses, found, box, own = [], cursor = null, running = false, spoken = 0;

  const centres = () => (world.value === "" ? own : data.worlds[+world.value]);
  const rules = () => ({ ...set, kind: kind.value, hold: hold.value, descent: descent.value, rate: data.rates[+rate.value],
    critic: moves.value === "alone" ? 1 : +moves.value, generator: moves.value === "alone" ? 0 : 1 });
  const number = (value) => compact(Math.abs(value) < 1e-4 ? 0 : +value.toPrecision(2));

  // ---- the pictures
  const at = (x, y) => [Math.round((1000 * (x + edge)) / edge), Math.round((1000 * (edge - y)) / edge)];
  const dots = (points, colour, size, name) => {
    let d = "";
    for (let p = 0; p < points.length; p += 2) d += `M${at(points[p], points[p + 1]).join(" ")}h0`;
    return { c: `dots ${colour} disc`, d, w: size, n: name };
  };
  const arrows = (samples, slope) => {
    let d = "";
    for (let p = 0; p < 2 * set.arrows; p += 2) {
      const length = Math.hypot(slope[p], slope[p + 1]), far = Math.min(set.reach, set.stride * length) / (length || 1);
      const [a, b] = at(samples[p], samples[p + 1]), [c, e] = at(samples[p] - far * slope[p], samples[p + 1] - far * slope[p + 1]);
      const u = 0.3 * (c - a), v = 0.3 * (e - b);
      if (Math.hypot(c - a, e - b) > 8)
        d += `M${a} ${b}L${c} ${e}M${Math.round(c - u - v / 2)} ${Math.round(e - v + u / 2)}L${c} ${e}L${Math.round(c - u + v / 2)} ${Math.round(e - v - u / 2)}`;
    }
    return { c: "arrows purple", d, w: 1.4, n: "push" };
  };
  const surface = (logits) => {
    const sure = ["saturating", "non-saturating"].includes(kind.value), says = sure ? logits.map(sigmoid) : logits;
    const lo = sure ? 0 : Math.min(...says), hi = sure ? 1 : Math.max(...says);
    const end = [1, 3, 5].map((k) => parseInt(palette.teal.slice(k, k + 2), 16));
    const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const pen = small.getContext("2d"), image = pen.createImageData(side, side);
    says.forEach((value, p) => {
      const share = (value - lo) / (hi - lo || 1);
      image.data.set([...end.map((channel) => 255 + share * (channel - 255)), 255], 4 * p);
    });
    pen.putImageData(image, 0, 0);
    const scale = { ...data.panels[0].scale, label: sure ? "p(real)" : "D(x)", names: [lo, (lo + hi) / 2, hi].map(number) };
    return [{ i: small.toDataURL().split(",")[1], c: "field smooth", x: 0, y: 0, w: 2000, h: 2000 }, scale];
  };
  const ticks = (lo, hi) => {
    const rough = (hi - lo) / 3 || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((k) => k * power >= rough), found = [];
    for (let k = Math.ceil(lo / step); k * step <= hi; k++) found.push([(k * step - lo) / (hi - lo || 1), compact(k * step)]);
    return found;
  };
  // rows of [turn, one value, another]; of many, means of equally many
  const curves = (place, rows, names, limits) => {
    const size = Math.ceil(rows.length / 150), few = [];
    for (let k = 0; k < rows.length; k += size) {
      const part = rows.slice(k, k + size);
      few.push([0, 1, 2].map((c) => part.reduce((sum, row) => sum + row[c], 0) / part.length));
    }
    const values = few.flatMap((row) => row.slice(1)), end = Math.max(1, game.turns);
    const [lo, hi] = limits ?? [Math.min(0, ...values), Math.max(1, ...values)];
    const path = (c) => few.map((row, k) =>
      `${k ? "L" : "M"}${Math.round((2000 * row[0]) / end)} ${Math.round(2000 * (1 - (row[c] - lo) / (hi - lo)))}`).join("");
    const spec = { ...data.panels[place], x: { label: "turns", ticks: ticks(0, end) }, y: { ...data.panels[place].y, ticks: ticks(lo, hi) } };
    const parts = [{ c: "line teal", d: path(1), w: 2.2, n: names[0] }, { c: "line orange dash", d: path(2), w: 2.2, n: names[1] }];
    const holder = panel(["plane", "losses", "course"][place]);
    holder.lastElementChild.replaceWith(drawChart(spec, parts, names.join(", "), output.textContent));
  };
  const show = () => {
    const own = rules(), samples = sent(game, view.code, set.shown), places = centres();
    const slope = judged(game, samples, set.shown, own).slope(), [field, scale] = surface(judged(game, plane, side * side, own).logits);
    const { covered, quality } = coverage(samples, places, 3 * set.spread, Math.max(1, Math.floor(set.shown / places.length / 4)));
    if (found.at(-1)?.[0] !== game.turns) found.push([game.turns, covered / (places.length || 1), quality]);
    let push = 0;
    for (let p = 0; p < slope.length; p += 2) push += Math.hypot(slope[p], slope[p + 1]) / set.shown;
    const text = `After ${game.turns} turns ${covered} of ${places.length} blobs are covered, and ${Math.round(100 * quality)} % of the samples `
      + `are near a blob. The mean slope at a sample is ${number(push)}`
      + (losses.length ? `; D's loss is ${number(losses.at(-1)[1])}, G's loss is ${number(losses.at(-1)[2])}.` : ".");
    const parts = [field, dots(view.real.subarray(0, places.length ? 400 : 0), "orange", 4, "data"), dots(samples, "ink", 4, "samples"), arrows(samples, slope)];
    const fresh = drawChart({ ...data.panels[0], scale }, parts, "", text), old = panel("plane").lastElementChild;
    for (const sample of fresh.querySelectorAll(".live-legend svg")) {  // the picture keeps its colours on a dark page
      sample.classList.add("live-lit");
      sample.style.background = palette.paper;
    }
    box = old.querySelector(".live-box");
    if (box) {  // the box stays, so that a finger that draws in it keeps its hold
      box.replaceChildren(...fresh.querySelector(".live-box").childNodes);
      old.querySelector(".live-scale").replaceWith(fresh.querySelector(".live-scale"));
    } else {
      old.replaceWith(fresh);
      box = fresh.querySelector(".live-box");
      startDrawing();
    }
    if (cursor) {
      const [x, y] = at(...cursor).map((unit) => percent(unit / 2000));
      box.append(element("span", { class: "live-knob", "aria-hidden": "true", style: `left:${x};top:${y}` }));
    }
    panel("plane").querySelector(".live-caption span").textContent = `Turn ${game.turns}: what D says of each place`;
    curves(1, losses, ["D's loss", "G's loss"]);
    curves(2, found, ["blobs covered", "samples near a blob"], [0, 1]);
    return text;
  };
  const say = (text) => {
    output.textContent = places() ? text : "Draw the data: click or drag in the picture, or move the ring with the arrow keys and press the space bar. Then press Play.";
    spoken = performance.now();
  };
  const places = () => centres().length;

  // ---- the game
  const advance = () => losses.push([game.turns, ...turn(game, { centres: centres(), spread: set.spread }, set.batch, rules())]);
  const look = () => { view = batch(stream(set.view), places() ? centres() : [[0, 0]], set.spread, set.shown); };
  const stop = () => {
    running = false;
    play.textContent = calm ? "\u25b6 Play 50 turns" : "\u25b6 Play";
  };
  const frame = () => {
    if (!running || !figure.isConnected) return;
    requestAnimationFrame(frame);
    const { top, bottom } = figure.getBoundingClientRect(), end = performance.now() + 12;
    if (bottom < 0 || top > innerHeight) return;
    for (let k = 0; k < 4 && performance.now() < end; k++) advance();
    const text = show();
    if (performance.now() - spoken > 2000) say(text);
  };
  const begin = () => {
    stop();
    game = newGame(+seed.value, set.width);
    [losses, found] = [[], []];
    look();
    say(show());
  };
  play.addEventListener("click", () => {
    if (!places()) return say("");
    if (running) { stop(); return say(show()); }
    if (calm) { for (let k = 0; k < 50; k++) advance(); return say(show()); }
    running = true;
    play.textContent = "\u23f8 Pause";
    requestAnimationFrame(frame);
  });
  once.addEventListener("click", () => { stop(); if (places()) advance(); say(show()); });
  again.addEventListener("click", begin);
  clear.addEventListener("click", () => { own = []; begin(); });

  // ---- data of one's own
  const put = (x, y) => {
    const inside = Math.abs(x) <= edge && Math.abs(y) <= edge;
    if (!inside || own.length >= 200 || own.some(([a, b]) => Math.hypot(a - x, b - y) < 0.15)) return;
    own.push([x, y]);
    look();
    if (!running) say(show());
  };
  function startDrawing() {
    const place = (event) => {
      const area = box.getBoundingClientRect();
      return [edge * ((2 * (event.clientX - area.x)) / area.width - 1), edge * (1 - (2 * (event.clientY - area.y)) / area.height)];
    };
    box.addEventListener("pointerdown", (event) => {
      if (world.value !== "") return;
      box.setPointerCapture(event.pointerId);
      put(...place(event));
    });
    box.addEventListener("pointermove", (event) => { if (box.hasPointerCapture(event.pointerId)) put(...place(event)); });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!cursor || (!step && event.key !== " ")) return;
      event.preventDefault();
      event.stopPropagation();
      if (step) { cursor = cursor.map((value, k) => Math.max(-2.8, Math.min(2.8, value + 0.2 * step[k]))); show(); } else put(...cursor);
    });
    box.addEventListener("focus", () => { if (world.value === "" && box.matches(":focus-visible")) { cursor = [0, 0]; show(); } });
    box.addEventListener("blur", () => { if (cursor) { cursor = null; show(); } });
  }
  const mode = () => {
    const drawing = world.value === "", name = "Drawing area. Arrow keys move the ring, the space bar puts a blob there.";
    clear.hidden = !drawing;
    box.style.touchAction = drawing ? "none" : "";
    box.style.cursor = drawing ? "crosshair" : "";
    const marks = { tabindex: 0, role: "application", "aria-label": name, "data-lm-suppress-shortcuts": "true" };
    for (const [key, value] of Object.entries(marks)) drawing ? box.setAttribute(key, value) : box.removeAttribute(key);
  };

  for (const control of figure.querySelectorAll("[disabled]")) control.disabled = false;
  const label = () => {
    for (const [control, text] of [[rate, String(data.rates[+rate.value])], [seed, seed.value]]) {
      control.setAttribute("aria-valuetext", text);
      control.parentElement.querySelector(".live-value").textContent = text;
    }
  };
  for (const control of [kind, hold, moves, descent, rate]) control.addEventListener("input", () => { label(); if (!running) say(show()); });
  seed.addEventListener("input", () => { label(); begin(); });
  world.addEventListener("input", () => { begin(); mode(); });
  begin();
  mode();
}
