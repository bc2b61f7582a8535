// What a term means and what a citation cites, shown beside its link: on hover and on focus, until Escape.
"use strict";
(() => {
  const texts = JSON.parse(document.getElementById("pop-ups").textContent);
  const box = document.createElement("div");
  box.id = "pop-up";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  document.querySelector("main").append(box);
  let link = null, waiting = 0;

  const textOf = a => texts[(a.getAttribute("href") || "").replace(/^.*\//, "")];

  function show(a) {
    clearTimeout(waiting);
    if (a === link) return;
    hide();
    link = a;
    box.innerHTML = textOf(a);
    box.hidden = false;
    link.setAttribute("aria-describedby", box.id);
    if (window.MathJax && MathJax.typesetPromise && box.querySelector(".math")) MathJax.typesetPromise([box]).then(place);
    place();
  }

  // Below its line, above where there is no room; within the window.
  function place() {
    if (!link) return;
    const line = link.getClientRects()[0], width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(line.left, width - box.offsetWidth - 8));
    const below = line.bottom + 6 + box.offsetHeight <= innerHeight;
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${scrollY + (below ? line.bottom + 6 : line.top - 6 - box.offsetHeight)}px`;
  }

  function hide() {
    clearTimeout(waiting);
    if (link) link.removeAttribute("aria-describedby");
    link = null;
    box.hidden = true;
  }

  const later = (action, time) => { clearTimeout(waiting); waiting = setTimeout(action, time); };
  for (const a of document.querySelectorAll(".bd-article a.reference")) {
    if (!textOf(a)) continue;
    a.addEventListener("focus", () => a.matches(":focus-visible") && show(a));
    a.addEventListener("blur", hide);
    a.addEventListener("pointerenter", event => event.pointerType === "mouse" && later(() => show(a), 200));
    a.addEventListener("pointerleave", () => later(hide, 200));
  }
  // the pointer may rest on the text; Escape takes it away
  box.addEventListener("pointerenter", () => clearTimeout(waiting));
  box.addEventListener("pointerleave", () => later(hide, 200));
  document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
})();
