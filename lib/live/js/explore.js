// Turns the figures of one key into live ones: each control picks a value, the values pick a state.
// figure data: images [address], text [string], parts [what charts.js draws], counts [values per control],
// values [[label]], panels [null for a picture | spec of charts.js], handles [[panel, for x, for y]] where for an axis is null
// or [control, [place of each value from 0 to 1]], play [control or -1], states [[description, caption, picture, ...]]:
// description and caption are places in text, a picture a place in images or, for what is drawn, a list of places in parts.
function startExplore(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const controls = [...figure.querySelectorAll("[data-control]")];
  const panels = [...figure.querySelectorAll(".live-panel")];
  const output = figure.querySelector("output");
  const isMenu = (control) => control.tagName === "SELECT", isThumbs = (control) => control.tagName === "FIELDSET";
  const valueOf = (control) => isMenu(control) ? control.selectedIndex
    : isThumbs(control) ? [...control.querySelectorAll("input")].findIndex((one) => one.checked) : +control.value;
  const choose = (control, value) => {
    if (isMenu(control)) control.selectedIndex = value;
    else if (isThumbs(control)) control.querySelectorAll("input")[value].checked = true;
    else control.value = value;
  };
  const hold = (holder, texts) => {
    // keeps the place of the longest text, so that nothing below moves
    const size = element("span", { class: "live-size", "aria-hidden": "true" },
      texts.reduce((a, b) => (b.length > a.length ? b : a), ""));
    holder.parentElement.append(size);
  };
  const handles = (data.handles || []).map(([panel, x, y]) => ({
    panel, axes: [x, y], knob: element("span", { class: "live-knob", "aria-hidden": "true" }),
  }));
  const show = () => {
    let place = 0;
    controls.forEach((control, i) => {
      const value = valueOf(control);
      place = place * data.counts[i] + value;
      if (isMenu(control) || isThumbs(control)) return;
      const label = data.values[i][value];
      control.setAttribute("aria-valuetext", label);
      control.parentElement.querySelector(".live-value").textContent = label;
    });
    const state = data.states[place], text = data.text[state[0]];
    if (output.textContent !== text) output.textContent = text;
    panels.forEach((panel, i) => {
      const words = data.text[state[1 + 2 * i]], picture = state[2 + 2 * i];
      const caption = panel.querySelector(".live-caption span"), old = panel.lastElementChild;
      if (caption) caption.textContent = words;
      if (data.panels[i]) {
        const parts = picture.map((k) => data.parts[k]), fresh = drawn(data.panels[i], parts, words, text);
        const box = old.querySelector(".live-box");
        if (box) {  // the box stays, so that a finger that drags in it keeps its hold
          box.replaceChildren(...fresh.querySelector(".live-box").childNodes);
          const [before, after] = [old, fresh].map((chart) => chart.querySelector(".live-legend"));
          if (before && after) before.replaceWith(after);
        } else old.replaceWith(fresh);
      } else {
        const image = panel.querySelector("img");
        image.src = data.images[picture];
        image.alt = words ? words + ": " + text : text;
      }
    });
    for (const { panel, axes: [x, y], knob } of handles) {
      const at = (axis) => axis ? axis[1][valueOf(controls[axis[0]])] : 0.5;
      knob.style.left = percent(at(x));
      knob.style.top = percent(1 - at(y));
      panels[panel].querySelector(".live-box").append(knob);
    }
  };
  const longest = (at) => data.states.map((state) => data.text[state[at]]);
  panels.forEach((panel, i) => {
    const caption = panel.querySelector(".live-caption span");
    if (caption) hold(caption, longest(1 + 2 * i));
  });
  hold(output, longest(0));
  for (const control of controls) {
    control.addEventListener("input", show);
    control.addEventListener("change", show);
    for (const one of isThumbs(control) ? control.querySelectorAll("input") : [control]) one.disabled = false;
  }
  show();
  // a point of a picture as a control: the controls take the values that lie nearest to the pointer
  for (const { panel, axes, knob } of handles) startDragging(panels[panel].querySelector(".live-box"), knob, (at) => {
    axes.forEach((axis, k) => {
      if (!axis) return;
      const far = axis[1].map((place) => Math.abs(place - at[k]));
      choose(controls[axis[0]], far.indexOf(Math.min(...far)));
    });
    show();
  });
  const button = figure.querySelector(".live-play");
  if (button) startPlay(button, controls[data.play[0]]);

  // what runs in time: a step every 150 ms to the last value, then it stops
  function startPlay(play, control) {
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "\u25b6 Play";
      output.setAttribute("aria-live", "polite");
    };
    const step = () => {
      if (+control.value >= +control.max || !figure.isConnected) return stop();
      control.value = +control.value + 1;
      show();
    };
    play.disabled = false;
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+control.value >= +control.max) { control.value = 0; show(); }
      play.textContent = "\u23f8 Pause";
      output.setAttribute("aria-live", "off");
      timer = setInterval(step, 150);
    });
    control.addEventListener("pointerdown", stop);
  }
}
