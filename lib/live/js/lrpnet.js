// A small network and layer-wise relevance propagation through it, without any library.
// A layer is one of
//   {kind: "linear", dense, in: [c, h, w], out: [c, h, w], kernel, stride, padding, w, b}   (dense: h = w = 1)
//   {kind: "relu"}
//   {kind: "max" | "average", in, out, kernel, stride, padding}
// All numbers are Float64Array; an image is one array of c * h * w numbers.

// Visits a convolution row by row: act(place of the weight, of the first output, of the first input, count, input step).
function eachRow(layer, act) {
  const [inC, inH, inW] = layer.in, [outC, outH, outW] = layer.out;
  const [kH, kW] = layer.kernel, [sH, sW] = layer.stride, [pH, pW] = layer.padding;
  let k = 0;
  for (let o = 0; o < outC; o++) for (let c = 0; c < inC; c++)
    for (let y = 0; y < kH; y++) for (let x = 0; x < kW; x++, k++) {
      const from = Math.max(0, Math.ceil((pW - x) / sW)), to = Math.min(outW, Math.floor((inW - 1 + pW - x) / sW) + 1);
      for (let row = 0; row < outH && from < to; row++) {
        const inRow = row * sH + y - pH;
        if (inRow < 0 || inRow >= inH) continue;
        act(k, (o * outH + row) * outW + from, (c * inH + inRow) * inW + from * sW + x - pW, to - from, sW);
      }
    }
}

// sum_i u_i v_ij for each output j
function apply(layer, u, v) {
  const z = new Float64Array(layer.out[0] * layer.out[1] * layer.out[2]);
  eachRow(layer, (k, j, i, count, step) => {
    const q = v[k];
    if (q !== 0) for (let t = 0; t < count; t++) z[j + t] += q * u[i + t * step];
  });
  return z;
}

// sum_j s_j v_ij for each input i
function applyBack(layer, s, v) {
  const c = new Float64Array(layer.in[0] * layer.in[1] * layer.in[2]);
  eachRow(layer, (k, j, i, count, step) => {
    const q = v[k];
    if (q !== 0) for (let t = 0; t < count; t++) c[i + t * step] += q * s[j + t];
  });
  return c;
}

// adds the bias of each channel
function addBias(layer, z, b) {
  const size = layer.out[1] * layer.out[2];
  return z.map((value, j) => value + b[Math.floor(j / size)]);
}

// Visits each pooling window: act(place of the output, places of its inputs).
function eachWindow(layer, act) {
  const [channels, inH, inW] = layer.in, [, outH, outW] = layer.out;
  for (let c = 0; c < channels; c++) for (let row = 0; row < outH; row++) for (let column = 0; column < outW; column++) {
    const places = [];
    for (let y = 0; y < layer.kernel[0]; y++) for (let x = 0; x < layer.kernel[1]; x++) {
      const i = row * layer.stride[0] + y - layer.padding[0], j = column * layer.stride[1] + x - layer.padding[1];
      if (i >= 0 && i < inH && j >= 0 && j < inW) places.push((c * inH + i) * inW + j);
    }
    act((c * outH + row) * outW + column, places);
  }
}

function winner(a, places) {
  return places.reduce((best, i) => (a[i] > a[best] ? i : best), places[0]);
}

// The input of every layer, and last the scores.
function forward(layers, x) {
  const inputs = [Float64Array.from(x)];
  for (const layer of layers) {
    const a = inputs[inputs.length - 1];
    if (layer.kind === "relu") inputs.push(a.map((value) => Math.max(0, value)));
    else if (layer.kind === "linear") inputs.push(addBias(layer, apply(layer, a, layer.w), layer.b));
    else {
      const z = new Float64Array(layer.out[0] * layer.out[1] * layer.out[2]);
      eachWindow(layer, (j, places) => {
        z[j] = layer.kind === "max" ? a[winner(a, places)] : places.reduce((sum, i) => sum + a[i], 0) / places.length;
      });
      inputs.push(z);
    }
  }
  return inputs;
}

const above = (v) => v.map((value) => Math.max(0, value));
const below = (v) => v.map((value) => Math.min(0, value));

// What a rule does at one linear map, as parts {share, terms: [[u, v], ...], bias, eps}: each part gives the input i
// share * sum_j (sum of u_i v_ij over its terms) / (the same summed over i, + bias_j) * R_j.
function ruleParts(rule, { w, b }, a) {
  const none = new Float64Array(b.length), all = (value) => a.map(() => value);
  const positive = () => ({ share: 1, terms: [[above(a), above(w)], [below(a), below(w)]], bias: above(b) });
  const negative = () => ({ share: -rule.beta, terms: [[above(a), below(w)], [below(a), above(w)]], bias: below(b) });
  const favour = (v) => v.map((value) => value + rule.gamma * Math.max(0, value));
  switch (rule.name) {
    case "zero": return [{ share: 1, terms: [[a, w]], bias: b }];
    case "epsilon": return [{ share: 1, terms: [[a, w]], bias: b, eps: rule.eps }];
    case "gamma": return [{ share: 1, terms: [[a, favour(w)]], bias: favour(b) }];
    case "zPlus": return [positive()];
    case "alphaBeta": return [{ ...positive(), share: rule.alpha }, negative()];
    case "zBox": return [{ share: 1, terms: [[a, w], [all(-rule.low), above(w)], [all(-rule.high), below(w)]], bias: none }];
    case "wSquare": return [{ share: 1, terms: [[all(1), w.map((value) => value * value)]], bias: none }];
    case "flat": return [{ share: 1, terms: [[all(1), w.map(() => 1)]], bias: none }];
    default: throw new Error("unknown rule " + rule.name);
  }
}

// Neuron j favours what has the sign of its output z_j. R_i = a_i sum_j w_ij sign(z_j) R_j (1 + gamma / 2) / d_j
// + |a_i| sum_j |w_ij| R_j (gamma / 2) / d_j, with d_j = (1 + gamma / 2) |z_j| + gamma / 2 (sum_i |a_i w_ij| + |b_j|).
function throughGamma(layer, gamma, a, relevance, z) {
  const size = (v) => v.map(Math.abs), half = gamma / 2;
  const total = addBias(layer, apply(layer, size(a), size(layer.w)), size(layer.b));
  const s = relevance.map((value, j) => (total[j] === 0 ? 0 : value / ((1 + half) * Math.abs(z[j]) + half * total[j])));
  const signed = applyBack(layer, s.map((value, j) => (z[j] < 0 ? -value : value)), layer.w);
  const plain = applyBack(layer, s, size(layer.w));
  return a.map((value, i) => (1 + half) * value * signed[i] + half * Math.abs(value) * plain[i]);
}

function throughLinear(layer, rule, a, relevance, z) {
  const either = a.some((value) => value < 0) || relevance.some((value, j) => value !== 0 && z[j] < 0);
  if (rule.name === "gamma" && either) return throughGamma(layer, rule.gamma, a, relevance, z);
  const result = new Float64Array(a.length);
  for (const { share, terms, bias, eps = 0 } of ruleParts(rule, layer, a)) {
    const used = terms.filter(([u]) => u.some((value) => value !== 0));
    let z = addBias(layer, new Float64Array(relevance.length), bias);
    for (const [u, v] of used) apply(layer, u, v).forEach((value, j) => { z[j] += value; });
    z = z.map((value) => value + (value >= 0 ? eps : -eps));
    const s = relevance.map((value, j) => (z[j] === 0 ? 0 : value / z[j]));
    for (const [u, v] of used) applyBack(layer, s, v).forEach((value, i) => { result[i] += share * u[i] * value; });
  }
  return result;
}

function throughPool(layer, a, relevance) {
  const result = new Float64Array(a.length);
  eachWindow(layer, (j, places) => {
    if (layer.kind === "max") { result[winner(a, places)] += relevance[j]; return; }
    const sum = places.reduce((total, i) => total + a[i], 0);
    if (sum !== 0) for (const i of places) result[i] += (a[i] * relevance[j]) / sum;
  });
  return result;
}

// Relevance of the input. inputs: of forward; start: relevance of the scores; rules: one for each linear map.
function lrp(layers, inputs, start, rules) {
  let relevance = Float64Array.from(start), left = rules.length;
  for (let l = layers.length - 1; l >= 0; l--) {
    const layer = layers[l];
    if (layer.kind === "linear") relevance = throughLinear(layer, rules[--left], inputs[l], relevance, inputs[l + 1]);
    else if (layer.kind !== "relu") relevance = throughPool(layer, inputs[l], relevance);
  }
  return relevance;
}

// The rules of a composite, one for each linear map.
function composite(name, layers, gamma = 0.25) {
  const epsilon = { name: "epsilon", eps: 1e-6 }, gammaRule = { name: "gamma", gamma };
  const choose = {
    epsilon_plus: (layer) => (layer.dense ? epsilon : { name: "zPlus" }),
    epsilon_gamma_box: (layer, i) => (i === 0 ? { name: "zBox", low: 0, high: 1 } : layer.dense ? epsilon : gammaRule),
    epsilon_alpha2_beta1: (layer) => (layer.dense ? epsilon : { name: "alphaBeta", alpha: 2, beta: 1 }),
    epsilon: () => epsilon,
    zero: () => ({ name: "zero" }),
    gamma: () => gammaRule,
  }[name];
  return layers.filter((layer) => layer.kind === "linear").map(choose);
}

// Layers as lib/live.py writes them: weights are places in a list of base64 float32.
function decodeFloats(text) {
  return Float64Array.from(new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
}
function decodeLayers(layers, weights) {
  return layers.map((layer) =>
    (layer.kind === "linear" ? { ...layer, w: decodeFloats(weights[layer.w]), b: decodeFloats(weights[layer.b]) } : layer));
}
