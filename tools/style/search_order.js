// The order of what a search finds: a chapter comes before its exercises, and both before the reference.
var Scorer = {
  score: ([page, title, anchor, descr, score]) => score
    + (page.startsWith("chapters/") ? 40 : page.startsWith("full_scale/") ? 20 : page === "glossary" ? 10
      : page.startsWith("exercises/") ? 5 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
