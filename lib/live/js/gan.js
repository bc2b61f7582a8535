// Two small networks that play against each other, number by number what lib/gans/arena.py does with torch.
// A layer has a weight (a x b, row by row), a bias (b) and the direction (a) of its power iteration.

// Numbers in (0, 1) from a seed and a place, the same in Python: the finalizer of MurmurHash3 (Appleby, 2011), twice.
function mixed(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
function stream(seed) {
  const key = mixed(seed + 1);
  let place = 0;
  const uniform = () => ((mixed(mixed(++place) + key) >>> 0) + 0.5) / 2 ** 32;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

// ---- products of matrices: x is n x a, d is n x b, a weight is a x b

function times(x, weight, n, a, b) {
  const out = new Float64Array(n * b);
  for (let i = 0; i < n; i++) for (let k = 0; k < a; k++) {
    const value = x[i * a + k];
    if (value !== 0) for (let j = 0; j < b; j++) out[i * b + j] += value * weight[k * b + j];
  }
  return out;
}
// d times the transposed weight; where `active` (n x a) is not positive, the rectifier lets nothing through
function back(d, weight, n, a, b, active) {
  const out = new Float64Array(n * a);
  for (let i = 0; i < n; i++) for (let k = 0; k < a; k++) {
    if (active && !(active[i * a + k] > 0)) continue;
    let sum = 0;
    for (let j = 0; j < b; j++) sum += d[i * b + j] * weight[k * b + j];
    out[i * a + k] = sum;
  }
  return out;
}
// x transposed times d
function outer(x, d, n, a, b) {
  const out = new Float64Array(a * b);
  for (let i = 0; i < n; i++) for (let k = 0; k < a; k++) {
    const value = x[i * a + k];
    if (value !== 0) for (let j = 0; j < b; j++) out[k * b + j] += value * d[i * b + j];
  }
  return out;
}

// ---- a network, forward and back

function network(sizes, random) {
  const filled = (n, draw) => Float64Array.from({ length: n }, draw);
  return { steps: 0, layers: sizes.slice(1).map((b, k) => {
    const a = sizes[k], draw = () => (2 * random.uniform() - 1) / Math.sqrt(a);
    return { a, b, weight: filled(a * b, draw), bias: filled(b, draw), direction: filled(a, random.normal), past: {} };
  }) };
}
function unit(vector) {
  const length = Math.hypot(...vector) || 1e-12;
  return vector.map((value) => value / length);
}
// What the layers multiply by: their weights or, with the spectral norm, these divided by their largest singular value.
function matrices({ layers }, spectral, learn) {
  if (!spectral) return layers.map(({ weight }) => ({ matrix: weight }));
  return layers.map((layer) => {
    const { a, b, weight } = layer, v = unit(times(layer.direction, weight, 1, a, b));
    const stretched = back(v, weight, 1, a, b);
    if (learn) layer.direction = unit(stretched);
    const u = unit(layer.direction), sigma = u.reduce((sum, value, k) => sum + value * stretched[k], 0);
    return { matrix: weight.map((value) => value / sigma), sigma, u, v };
  });
}
// The inputs (n rows) of each layer, and last the outputs.
function through({ layers }, used, x, n) {
  const rows = [x];
  layers.forEach(({ a, b, bias }, k) => {
    const out = times(rows[k], used[k].matrix, n, a, b), last = k === layers.length - 1;
    for (let p = 0; p < out.length; p++) {
      out[p] += bias[p % b];
      if (!last && out[p] < 0) out[p] = 0;
    }
    rows.push(out);
  });
  return rows;
}
// From slopes at the outputs to the slopes at the outputs of each layer, and first those at x.
function slopes({ layers }, used, rows, d, n) {
  const found = [d];
  for (let k = layers.length - 1; k >= 0; k--) {
    const { a, b } = layers[k];
    found.unshift(back(found[0], used[k].matrix, n, a, b, k ? rows[k] : null));
  }
  return found;
}
function gradients({ layers }, used, rows, found, n) {
  return layers.map(({ a, b }, k) => {
    const bias = new Float64Array(b), d = found[k + 1];
    for (let p = 0; p < d.length; p++) bias[p % b] += d[p];
    return { weight: outer(rows[k], d, n, a, b), bias };
  });
}
// The gradient of W from that of W / sigma, with sigma = u W v.
function undivided({ layers }, used, wanted) {
  layers.forEach(({ b, weight }, k) => {
    const { sigma, u, v } = used[k], g = wanted[k].weight;
    if (!sigma) return;
    const along = g.reduce((sum, value, p) => sum + value * weight[p], 0) / sigma ** 2;
    wanted[k].weight = g.map((value, p) => value / sigma - along * u[Math.floor(p / b)] * v[p % b]);
  });
  return wanted;
}
// The gradient of weight times mean (|slope at x| - 1)^2, added to that of the critic's loss: the slope is a product of weights, where rectifiers are
// open, and so is its own gradient: it goes forward through the same open rectifiers.
function penalty(net, used, x, n, weight, wanted) {
  const rows = through(net, used, x, n), found = slopes(net, used, rows, new Float64Array(n).fill(1), n);
  let ahead = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    const length = Math.hypot(found[0][2 * i], found[0][2 * i + 1]);
    for (const k of [2 * i, 2 * i + 1]) ahead[k] = length && (2 * weight * (1 - 1 / length) * found[0][k]) / n;
  }
  net.layers.forEach(({ a, b }, k) => {
    outer(ahead, found[k + 1], n, a, b).forEach((value, p) => { wanted[k].weight[p] += value; });
    ahead = times(ahead, used[k].matrix, n, a, b).map((value, p) => (rows[k + 1][p] > 0 ? value : 0));
  });
}
// One step down the gradients, of their own length or as Adam takes it (Kingma and Ba, 2015; like torch).
function step(net, wanted, { descent, rate, betas: [beta1, beta2] }) {
  const plain = descent === "plain";
  if (!plain) net.steps += 1;
  const shrink = rate / (1 - beta1 ** net.steps), root = Math.sqrt(1 - beta2 ** net.steps);
  net.layers.forEach((layer, k) => {
    for (const name of ["weight", "bias"]) {
      const values = layer[name], g = wanted[k][name];
      const [m, v] = (layer.past[name] ??= [new Float64Array(g.length), new Float64Array(g.length)]);
      for (let p = 0; p < g.length; p++) {
        if (plain) { values[p] -= rate * g[p]; continue; }
        m[p] = beta1 * m[p] + (1 - beta1) * g[p];
        v[p] = beta2 * v[p] + (1 - beta2) * g[p] * g[p];
        values[p] -= (shrink * m[p]) / (Math.sqrt(v[p]) / root + 1e-8);
      }
    }
  });
}

// ---- the game

// Each loss of one logit, and its slope: of a real sample, of a false one, and of a false one for the generator.
const sigmoid = (l) => 1 / (1 + Math.exp(-l)), softplus = (l) => Math.max(l, 0) + Math.log1p(Math.exp(-Math.abs(l)));
const CROSS_ENTROPY = { real: (l) => [softplus(-l), sigmoid(l) - 1], fake: (l) => [softplus(l), sigmoid(l)] };
const LOSSES = {
  "non-saturating": { ...CROSS_ENTROPY, generator: CROSS_ENTROPY.real },
  saturating: { ...CROSS_ENTROPY, generator: (l) => [-softplus(l), -sigmoid(l)] },
  "least squares": { real: (l) => [(l - 1) ** 2, 2 * (l - 1)], fake: (l) => [l * l, 2 * l], generator: (l) => [(l - 1) ** 2, 2 * (l - 1)] },
  hinge: { real: (l) => [Math.max(0, 1 - l), l < 1 ? -1 : 0], fake: (l) => [Math.max(0, 1 + l), l > -1 ? 1 : 0], generator: (l) => [-l, -1] },
  wasserstein: { real: (l) => [-l, -1], fake: (l) => [l, 1], generator: (l) => [-l, -1] },
};
// The mean loss of n logits, from the place `first` on, and its slope at each, written to d.
function mean(loss, logits, first, n, d) {
  let sum = 0;
  for (let i = first; i < first + n; i++) {
    const [value, slope] = loss(logits[i]);
    sum += value / n;
    d[i] = slope / n;
  }
  return sum;
}
// n real samples of blobs about the centres, n codes, and n shares for the penalty.
function batch(random, centres, spread, n) {
  const real = new Float64Array(2 * n), code = new Float64Array(2 * n), share = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const centre = centres[Math.floor(random.uniform() * centres.length)];
    for (const k of [0, 1]) real[2 * i + k] = centre[k] + spread * random.normal();
    for (const k of [0, 1]) code[2 * i + k] = random.normal();
    share[i] = random.uniform();
  }
  return { real, code, share };
}
function newGame(seed, width) {
  const random = stream(seed);
  return { random, generator: network([2, width, width, 2], random), critic: network([2, width, width, 1], random), turns: 0 };
}
function criticStep(game, { real, share }, fake, n, rules) {
  const { critic } = game, loss = LOSSES[rules.kind], used = matrices(critic, rules.hold === "spectral norm", true);
  const x = new Float64Array(4 * n), d = new Float64Array(2 * n);
  x.set(real);
  x.set(fake, 2 * n);
  const rows = through(critic, used, x, 2 * n), logits = rows.at(-1);
  const value = mean(loss.real, logits, 0, n, d) + mean(loss.fake, logits, n, n, d);
  const wanted = undivided(critic, used, gradients(critic, used, rows, slopes(critic, used, rows, d, 2 * n), 2 * n));
  if (rules.hold === "gradient penalty") {
    const between = real.map((v, p) => share[p >> 1] * v + (1 - share[p >> 1]) * fake[p]);
    penalty(critic, used, between, n, rules.penalty, wanted);
  }
  if (rules.critic) step(critic, wanted, rules);
  return value;
}
// The steps of the critic and one of the generator. rules: kind, hold, critic and generator (steps of each), descent,
// rate, betas, penalty. Returns both losses, before the last steps and without the penalty.
function turn(game, { centres, spread }, n, rules) {
  const { generator, critic } = game, loss = LOSSES[rules.kind];
  let ofCritic, rows, plain = matrices(generator);
  for (let k = 0; k < Math.max(1, rules.critic); k++) {
    const drawn = batch(game.random, centres, spread, n);
    rows = through(generator, plain, drawn.code, n);
    ofCritic = criticStep(game, drawn, rows.at(-1), n, rules);
  }
  const used = matrices(critic, rules.hold === "spectral norm", true), judged = through(critic, used, rows.at(-1), n);
  const d = new Float64Array(n), ofGenerator = mean(loss.generator, judged.at(-1), 0, n, d);
  if (rules.generator) {
    const found = slopes(generator, plain, rows, slopes(critic, used, judged, d, n)[0], n);
    step(generator, gradients(generator, plain, rows, found, n), rules);
  }
  game.turns += 1;
  return [ofCritic, ofGenerator];
}
// What the critic says of n points, without learning, and on demand the slope of the generator's loss at each.
function judged({ critic }, points, n, rules) {
  const used = matrices(critic, rules.hold === "spectral norm", false), rows = through(critic, used, points, n);
  const slope = () => slopes(critic, used, rows, rows.at(-1).map((logit) => LOSSES[rules.kind].generator(logit)[1]), n)[0];
  return { logits: rows.at(-1), slope };
}
// Where the generator sends n codes.
function sent({ generator }, codes, n) {
  return through(generator, matrices(generator), codes, n).at(-1);
}
// How many centres have at least `enough` of the samples within the radius, and the share of samples near any.
function coverage(samples, centres, radius, enough) {
  const counts = centres.map(() => 0), n = samples.length / 2;
  let near = 0;
  for (let i = 0; i < n; i++) {
    const before = near;
    centres.forEach(([x, y], k) => {
      if (Math.hypot(samples[2 * i] - x, samples[2 * i + 1] - y) > radius) return;
      counts[k] += 1;
      near = before + 1;
    });
  }
  return { covered: counts.filter((count) => count >= enough).length, quality: near / n };
}
