// Takes the article of a built page apart and puts its parts on slides; returns how many there are.
async () => {
  const article = document.querySelector('.bd-article'), title = article.querySelector('h1').firstChild.textContent;
  document.querySelectorAll('.headerlink, .copybtn, .live-controls, .live-fig button').forEach(e => e.remove());
  await Promise.all([...article.querySelectorAll('img')].map(i => { i.loading = 'eager'; return i.decode().catch(() => 0); }));
  document.head.append(...article.querySelectorAll('style'));
  const slides = [];
  const slide = (heading, ...parts) => { if (parts.length) slides.push({ heading, parts }); };

  // the sentences of a paragraph in which something is bold, and the one before each, formulas included
  const bold = paragraph => {
    const sentences = [document.createElement('p')];
    for (const node of [...paragraph.childNodes]) {
      if (node.nodeType !== Node.TEXT_NODE) { sentences.at(-1).append(node.cloneNode(true)); continue; }
      node.data.split(/(?<=[.?!])\s+/).forEach((text, k) => {
        if (k) sentences.push(document.createElement('p'));
        sentences.at(-1).append(text);
      });
    }
    const asks = sentence => sentence?.querySelector('strong') && !/Your turn/.test(sentence.textContent);
    return sentences.filter((sentence, k) => asks(sentence) || asks(sentences[k + 1]));
  };
  const walk = (section, heading) => {
    let said = [];
    const flush = () => { for (let k = 0; k < said.length; k += 4) slide(heading, ...said.slice(k, k + 4)); said = []; };
    for (const part of [...section.children]) {
      if (/^H[1-6]$/.test(part.tagName)) heading = part.firstChild.textContent;
      if (/^(Test yourself|Terms and references)$/.test(heading)) return;
      if (part.tagName === 'SECTION') { flush(); walk(part, heading); }
      else if (part.tagName === 'P') said.push(...bold(part));
      else if (part.matches('div.math')) said.push(part);
      else if (part.matches('ul, ol')) { flush(); slide(heading, part); }
      else if (part.matches('table, .pst-scrollable-table-container')) { flush(); slide(heading, part); }
      else if (part.matches('.cell')) for (const shown of part.querySelectorAll(
        '.cell_output :is(.live-fig, figure:not(.live-fig), table.live-table:not(.live-fig *), img:not(.live-fig *, figure *))')) {
        flush();
        slide(heading, shown);
      }
    }
    flush();
  };
  walk(article.querySelector('section') || article, title);
  const deck = [{ heading: title, parts: [] }, ...slides].map(({ heading, parts }, k) => {
    const made = document.createElement('section'), h = document.createElement('h2'), middle = document.createElement('div'), foot = document.createElement('footer');
    made.className = k ? 'slide' : 'slide first';
    h.textContent = heading;
    middle.className = 'slide-parts';
    middle.append(...parts);
    foot.append(...[title, ' ' + (k + 1)].map(text => Object.assign(document.createElement('span'), { textContent: text })));
    made.append(h, ...(k ? [middle] : []), foot);
    return made;
  });
  document.body.replaceChildren(...deck);
  // what is larger than its slide shrinks, a small figure grows to half as much again
  for (const middle of document.querySelectorAll('.slide > .slide-parts')) {
    const alone = middle.children.length === 1 && !middle.querySelector(':scope > :is(p, ul, ol, div.math)');
    const part = middle.firstElementChild, box = part.getBoundingClientRect();
    if (alone) part.style.zoom = Math.min(1152 / box.width, middle.clientHeight / box.height, 1.5);
    else if (middle.scrollHeight > middle.clientHeight) {
      const zoom = middle.clientHeight / middle.scrollHeight;
      for (const child of middle.children) child.style.zoom = zoom;
    }
  }
  return deck.length;
}
