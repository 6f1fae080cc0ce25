/*
 * The order in which the search shows what it has found. The numbers are Sphinx's own. What explains comes
 * before why it is so, and a function before parameters of the same name.
 */
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: ([place, title, , , score]) =>
    place.startsWith("decisions/") ? score / 10
    : place.startsWith("reference/") && title.includes(".") ? score / 5
    : score,
};
