// From strokes to the image that the network sees. A stroke is a list of points [x, y] in the unit square.

const mapPoints = (strokes, f) => strokes.map((stroke) => stroke.map(f));

// Scaled so that the larger side of the bounding box is `size`, and centred in a square of `side`.
function fitStrokes(strokes, side, size) {
  const points = strokes.flat(), xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const extent = Math.max(right - left, bottom - top), scale = extent > 0 ? size / extent : 0;
  return mapPoints(strokes, ([x, y]) =>
    [side / 2 + scale * (x - (left + right) / 2), side / 2 + scale * (y - (top + bottom) / 2)]);
}

// Ink of a round brush on side x side pixels: 0 or 1, or with soft edges from 0 to 1.
function rasterize(strokes, side, radius, soft) {
  const ink = new Float64Array(side * side);
  for (const stroke of strokes) for (let k = 0; k < stroke.length; k++) {
    const [x0, y0] = stroke[Math.max(0, k - 1)], [x1, y1] = stroke[k];
    const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy, reach = radius + 1;
    const first = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - reach));
    const last = (a, b) => Math.min(side - 1, Math.ceil(Math.max(a, b) + reach));
    for (let i = first(y0, y1); i <= last(y0, y1); i++) for (let j = first(x0, x1); j <= last(x0, x1); j++) {
      const px = j + 0.5 - x0, py = i + 0.5 - y0;
      const along = length > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
      const distance = Math.hypot(px - along * dx, py - along * dy);
      const value = soft ? Math.min(1, Math.max(0, radius + 0.5 - distance)) : +(distance <= radius);
      ink[i * side + j] = Math.max(ink[i * side + j], value);
    }
  }
  return ink;
}

// 32 x 32 of 0 and 1 -> 8 x 8: ink in each block of 4 x 4, divided by 16 (as UCI made its digits).
function uciCounts(bitmap) {
  const counts = new Float64Array(64);
  bitmap.forEach((value, p) => { counts[8 * Math.floor(p / 128) + Math.floor((p % 32) / 4)] += value / 16; });
  return counts;
}

// The centre of mass moved to the centre of the square.
function centreMass(strokes, ink, side) {
  let total = 0, x = 0, y = 0;
  ink.forEach((value, p) => { total += value; x += value * ((p % side) + 0.5); y += value * (Math.floor(p / side) + 0.5); });
  return total > 0 ? mapPoints(strokes, ([px, py]) => [px + side / 2 - x / total, py + side / 2 - y / total]) : strokes;
}

// side 8: as UCI; any other side: as MNIST, a box of 20/28 of the side, centred by mass. fit = false leaves size and place.
function networkInput(strokes, side, fit) {
  if (!strokes.length) return new Float64Array(side * side);
  if (side === 8) {
    const placed = fit ? fitStrokes(strokes, 32, 28) : mapPoints(strokes, ([x, y]) => [32 * x, 32 * y]);
    return uciCounts(rasterize(placed, 32, 2, false));
  }
  const radius = (1.2 * side) / 28, box = (20 * side) / 28 - 2 * radius;
  if (!fit) return rasterize(mapPoints(strokes, ([x, y]) => [side * x, side * y]), side, radius, true);
  const placed = fitStrokes(strokes, side, box);
  return rasterize(centreMass(placed, rasterize(placed, side, radius, true), side), side, radius, true);
}
