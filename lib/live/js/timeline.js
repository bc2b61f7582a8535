// Each link of the table tells its idea when it is pointed at or reached; outside the book, where the links lead nowhere, it does no more.
function startTimeline(figure) {
  const output = figure.querySelector("output");
  figure.querySelectorAll("a").forEach((link) => {
    const tell = () => { output.textContent = `${link.firstChild.textContent} (${link.lastChild.textContent}): ${link.dataset.idea}`; };
    link.dataset.idea = link.title;
    link.removeAttribute("title");
    if (!location.pathname.endsWith(".html")) { link.removeAttribute("href"); link.tabIndex = 0; }
    link.addEventListener("mouseenter", tell);
    link.addEventListener("focus", tell);
  });
}
