// A square to draw in, by pointer or keys, and small pictures of numbers; needs strokes.js.

// Replaces the picture of a panel. changed() is called after each stroke's growth; the area holds the strokes and, below
// them, an image `base` of side * side numbers or null.
function drawingArea(panel, side, changed) {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  const area = { strokes: [], base: null };
  let down = false, cursor = [0.5, 0.5], keys = false;

  // What the network sees.
  area.input = (fit) => {
    const ink = networkInput(area.strokes, side, fit && !area.base);
    return area.base ? area.base.map((value, i) => Math.max(value, ink[i])) : ink;
  };
  // A fresh sheet with this image on it, or none.
  area.start = (base) => {
    [area.base, area.strokes, down] = [base, [], false];
    area.paint();
  };
  area.paint = () => {
    const size = canvas.width;
    pen.fillStyle = palette.paper;
    pen.fillRect(0, 0, size, size);
    const edge = (k) => Math.round((size / side) * k);  // whole pixels, so that no seam shows
    if (area.base) area.base.forEach((value, p) => {
      const x = p % side, y = Math.floor(p / side);
      pen.fillStyle = palette.ink;
      pen.globalAlpha = value;
      pen.fillRect(edge(x), edge(y), edge(x + 1) - edge(x), edge(y + 1) - edge(y));
    });
    pen.globalAlpha = 1;
    Object.assign(pen, { lineWidth: size / 9, lineCap: "round", lineJoin: "round", strokeStyle: palette.ink });
    for (const stroke of area.strokes) {
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

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    [down, keys] = [false, false];
    area.strokes.push([place(event)]);
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const part of event.getCoalescedEvents?.() ?? []) area.strokes.at(-1).push(place(part));
    area.strokes.at(-1).push(place(event));
    changed();
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
      if (down) area.strokes.push([]);
    }
    if (down) area.strokes.at(-1).push(cursor);
    changed();
  });
  canvas.addEventListener("focus", () => { keys = canvas.matches(":focus-visible"); area.paint(); });
  canvas.addEventListener("blur", () => { [keys, down] = [false, false]; area.paint(); });
  for (const [name, value] of Object.entries({
    tabindex: 0, role: "application", width: 416, height: 416, "data-lm-suppress-shortcuts": "true", style: "touch-action:none;cursor:crosshair",
    "aria-label": "Drawing area. Arrow keys move the pen, the space bar puts it down and lifts it.",
  })) canvas.setAttribute(name, value);
  panel.querySelector("img").replaceWith(canvas);
  return area;
}

// A picture of width * height numbers as a PNG; colour gives the red, green and blue of a number.
function pixelsUrl(values, width, colour) {
  const small = Object.assign(document.createElement("canvas"), { width, height: values.length / width });
  const context = small.getContext("2d"), image = context.createImageData(small.width, small.height);
  values.forEach((value, p) => image.data.set([...colour(value), 255], 4 * p));
  context.putImageData(image, 0, 0);
  return small.toDataURL();
}
const inkColour = (value) => { const g = Math.round(255 * (1 - value)); return [g, g, g]; };
