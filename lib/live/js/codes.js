// Networks with codes of two numbers, computed here in the page: a code becomes a picture, a drawing becomes a code.

const silu = (h) => h.map((value) => value / (1 + Math.exp(-value)));
const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));

// h = W u + b, layer after layer. u is what the layer before gave, through SiLU; where a layer is wider than that, it reads
// the input again. The rows of W are whole numbers, `unit` says what one of them is worth.
function dense(layers, input) {
  let h = input;
  layers.forEach(({ w, unit, b }, k) => {
    let u = k ? silu(h) : h;
    if (w.length > b.length * u.length) u = [...u, ...input];
    h = Array.from(b, (bias, j) => {
      let sum = 0;
      for (let i = 0, row = j * u.length; i < u.length; i++) sum += w[row + i] * u[i];
      return bias + unit[j] * sum;
    });
  });
  return h;
}

// q(z|x): its means and its spreads, two each.
function encodeImage(network, x) {
  const [m1, m2, v1, v2] = dense(network.encoder, x);
  return { mean: [m1, m2], spread: [Math.exp(v1 / 2), Math.exp(v2 / 2)] };
}

// The mean picture of a code; a network with classes is told one.
function decodeCode(network, z, digit) {
  const told = Array.from({ length: network.classes }, (_, k) => +(k === digit));
  return dense(network.decoder, [...z, ...told]).map(sigmoid);
}

// KL(q(z|x) || N(0, I)) in nats.
function klOf({ mean, spread }) {
  return mean.reduce((sum, m, d) => sum + (m * m + spread[d] ** 2 - 1) / 2 - Math.log(spread[d]), 0);
}

const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
function decodeNetwork(network) {
  const floats = (text) => new Float32Array(bytesOf(text).buffer);
  const layers = (list) => list.map(({ w, unit, b }) => ({ w: new Int8Array(bytesOf(w).buffer), unit: floats(unit), b: floats(b) }));
  return { ...network, encoder: layers(network.encoder), decoder: layers(network.decoder) };
}

function startCodes(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const networks = data.networks.map(decodeNetwork), side = 28, tiles = 16, reach = 2;
  const examples = data.examples.map((text) => Array.from(bytesOf(text), (value) => value / 255));
  const field = (name) => figure.querySelector(`[data-control="${name}"]`);
  const panel = (name) => figure.querySelector(`[data-panel="${name}"]`);
  const [chosen, example, told, ground, z1, z2, origin, goal, way] =
    ["network", "example", "told", "ground", "z1", "z2", "origin", "goal", "way"].map(field);
  const [play, draw, clear] = ["play", "draw", "clear"].map((name) => figure.querySelector(`[data-button="${name}"]`));
  const output = figure.querySelector("output"), knob = element("span", { class: "live-knob", "aria-hidden": "true" });
  const number = (value) => value.toFixed(2).replace("-", "\u2212"), pair = (v) => `(${v.map(number).join(", ")})`;
  let network = networks[0], z = [0, 0], seen = null, walking = false, waiting = false, box = null, overlay = {};

  // from codes to the units of the chart
  const along = (value, d) => (value - network.low[d]) / network.span;
  const at = (code) => [2000 * along(code[0], 0), 2000 * (1 - along(code[1], 1))];

  const mosaic = () => {
    const pixels = new Float32Array((tiles * side) ** 2);
    for (let row = 0; row < tiles; row++) for (let column = 0; column < tiles; column++) {
      const code = [column, tiles - 1 - row].map((place, d) => network.low[d] + (network.span * (place + 0.5)) / tiles);
      decodeCode(network, code, +told.value).forEach((value, p) => {
        pixels[(row * side + Math.floor(p / side)) * tiles * side + column * side + (p % side)] = value;
      });
    }
    const i = pixelsUrl(pixels, tiles * side, inkColour).split(",")[1];
    return { i, x: 0, y: 0, w: 2000, h: 2000, c: "picture smooth" };
  };
  // the plane below the point: codes of pictures, or a picture at each of its places
  const lay = () => {
    const parts = [...(ground.value === "codes" ? network.codes : [mosaic()]), ...network.marks];
    const fresh = drawn(network.spec, parts, "Plane of codes", "Every place is a code; the sentence below says where you are.");
    const old = panel("plane").lastElementChild;
    if (box) {  // the box stays, so that a finger that drags in it keeps its hold
      const lit = fresh.querySelector(".live-box").classList.contains("live-lit");
      box.classList.toggle("live-lit", lit);
      box.replaceChildren(...fresh.querySelector(".live-box").childNodes);
      for (const name of [".live-xticks", ".live-yticks"]) old.querySelector(name).replaceWith(fresh.querySelector(name));
      old.setAttribute("style", fresh.getAttribute("style"));
    } else {
      old.replaceWith(fresh);
      box = fresh.querySelector(".live-box");
    }
    for (const [name, width] of [["walk", 2], ["ellipse", 3]]) {
      overlay[name] = element("path", { class: "c-orange line orange", "stroke-width": width });
      box.querySelector("svg").append(overlay[name]);
    }
    box.append(knob);
  };

  const ends = () => [origin, goal].map((menu) => network.ends[+menu.value]);
  const show = () => {
    waiting = false;
    const picture = decodeCode(network, z, +told.value);
    const undecided = picture.filter((value) => value > 0.3 && value < 0.7).length / picture.length;
    let text = `${network.name}: at z = ${pair(z)} ${Math.round(100 * undecided)} % of the pixels are undecided.`;
    if (seen) {
      const { mean, spread } = seen.q, ink = seen.x.reduce((sum, value, p) => sum + Math.abs(value - picture[p]), 0);
      text += network.spread
        ? ` The image on the sheet: q(z|x) has mean ${pair(mean)}, spread ${pair(spread)} and a KL of ${klOf(seen.q).toFixed(1)} nats.`
        : ` The image on the sheet has the code ${pair(mean)}; this network knows no spread.`;
      text += ` This picture misses it by ${ink.toFixed(0)} pixels' worth of ink.`;
    } else text += " The sheet is empty: draw a digit on it.";
    output.textContent = text;
    const image = panel("decoded").querySelector("img");
    Object.assign(image, { src: pixelsUrl(picture, side, inkColour), alt: "Decoded picture. " + text });
    [z1, z2].forEach((slider, d) => {
      slider.value = z[d];
      slider.setAttribute("aria-valuetext", number(z[d]));
      slider.parentElement.querySelector(".live-value").textContent = number(z[d]);
    });
    way.setAttribute("aria-valuetext", way.value + " %");
    way.parentElement.querySelector(".live-value").textContent = way.value + " %";
    knob.style.left = percent(along(z[0], 0));
    knob.style.top = percent(1 - along(z[1], 1));
    const [a, b] = ends().map(at);
    overlay.walk.setAttribute("d", walking ? `M${a}L${b}` : "");
    let ellipse = "";
    if (seen) {
      const [x, y] = at(seen.q.mean), [rx, ry] = seen.q.spread.map((s) => Math.max(9, (reach * s * 2000) / network.span));
      ellipse = `M${x - rx} ${y}a${rx} ${ry} 0 1 0 ${2 * rx} 0a${rx} ${ry} 0 1 0 ${-2 * rx} 0`;
    }
    overlay.ellipse.setAttribute("d", ellipse);
  };
  const soon = () => { if (!waiting) requestAnimationFrame(show); waiting = true; };
  const move = (code) => {
    walking = false;
    z = code.map((value, d) => Math.min(network.low[d] + network.span, Math.max(network.low[d], value)));
    soon();
  };
  const walk = () => {
    const [a, b] = ends(), t = +way.value / 100;
    move(a.map((value, d) => (1 - t) * value + t * b[d]));
    walking = true;
  };

  // what is on the sheet is encoded, and the point moves to its code
  const read = () => {
    area.paint();
    const x = area.input(true), q = encodeImage(network, x);
    const blank = !area.base && !area.strokes.length;
    if (!network.spread) q.spread = [0, 0];
    seen = blank ? null : { x, q };
    const image = panel("seen").querySelector("img");
    Object.assign(image, { src: pixelsUrl(x, side, inkColour), alt: "The 28 by 28 image that the encoder reads." });
    if (seen) move(q.mean);
    else soon();
  };
  const area = drawingArea(panel("drawing"), side, () => {
    if (!area.base) example.value = "";
    read();
  });
  const sheet = () => {
    const place = example.value;
    area.start(place === "" ? null : examples[+place]);
    if (place !== "") told.value = data.digits[+place];
    lay();
    read();
  };
  const change = () => {
    network = networks[+chosen.value];
    told.disabled = !network.classes;
    [z1, z2].forEach((slider, d) => {
      Object.assign(slider, { min: network.low[d], max: network.low[d] + network.span, step: network.span / 400 });
    });
    lay();
    if (walking) walk();
    else read();
  };

  for (const control of figure.querySelectorAll("[disabled]")) control.disabled = false;
  chosen.addEventListener("change", change);
  example.addEventListener("change", sheet);
  told.addEventListener("change", () => { lay(); soon(); });
  ground.addEventListener("change", () => { lay(); soon(); });
  for (const slider of [z1, z2]) slider.addEventListener("input", () => move([+z1.value, +z2.value]));
  for (const control of [origin, goal, way]) control.addEventListener("input", walk);
  clear.addEventListener("click", () => { example.value = ""; sheet(); });
  draw.addEventListener("click", () => {
    // two numbers of N(0, 1) from two of the unit interval
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random())), angle = 2 * Math.PI * Math.random();
    move([radius * Math.cos(angle), radius * Math.sin(angle)]);
  });
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "\u25b6 Play";
    output.setAttribute("aria-live", "polite");
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (+way.value >= +way.max) way.value = 0;
    play.textContent = "\u23f8 Pause";
    output.setAttribute("aria-live", "off");
    timer = setInterval(() => {
      if (+way.value >= +way.max || !figure.isConnected) return stop();
      way.value = +way.value + +way.step;
      walk();
    }, 100);
  });
  way.addEventListener("pointerdown", stop);
  change();
  sheet();
  startDragging(box, knob, (at) => move(at.map((share, d) => network.low[d] + network.span * share)));
}
