// Turns the figures of one key into live ones: each control picks a value, the values pick a state.
// figure data: png [base64], text [string], labels [[string]], counts [values per control],
// panels [null | {lo, hi, chars, rows, unit}], states [[description, caption, picture, caption, picture ...]]
// where description and caption are places in text, and a picture is a place in png
// or, for a panel of bars, [place in labels, highlighted row or -1, value ...].
function startExplore(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const controls = [...figure.querySelectorAll("[data-control]")];
  const panels = [...figure.querySelectorAll(".live-panel")];
  const output = figure.querySelector("output");
  const hold = (element, texts) => {
    // keeps the place of the longest text, so that nothing below moves
    const size = document.createElement("span");
    size.className = "live-size";
    size.setAttribute("aria-hidden", "true");
    size.textContent = texts.reduce((a, b) => (b.length > a.length ? b : a), "");
    element.parentElement.append(size);
  };
  const show = () => {
    let place = 0;
    controls.forEach((control, i) => {
      const value = control.tagName === "SELECT" ? control.selectedIndex : +control.value;
      place = place * data.counts[i] + value;
      if (control.tagName === "SELECT") return;
      const label = data.values[i][value];
      control.setAttribute("aria-valuetext", label);
      control.parentElement.querySelector(".live-value").textContent = label;
    });
    const state = data.states[place], text = data.text[state[0]];
    if (output.textContent !== text) output.textContent = text;
    panels.forEach((panel, i) => {
      const words = data.text[state[1 + 2 * i]], picture = state[2 + 2 * i];
      const caption = panel.querySelector(".live-caption span");
      if (caption) caption.textContent = words;
      if (data.panels[i]) {
        panel.querySelector("img,svg").replaceWith(barChart(
          data.panels[i], data.labels[picture[0]], picture.slice(2), [picture[1]], words, panel.clientWidth));
      } else {
        const image = panel.querySelector("img");
        image.src = "data:image/png;base64," + data.png[picture];
        image.alt = words ? words + ": " + text : text;
      }
    });
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
    control.disabled = false;
  }
  show();
}
