// The embedded data. The index is read at once; details and the pool of values that they share when they are needed.

function embedded(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

const index = embedded("index");
const agents = index.agents;
const verdicts = new Map(index.verdicts.map((verdict) => [verdict.letter, verdict]));

/** The cases as the list shows them. */
const cases = index.cases.map(([area, id, title, requires, letters], place) => ({
  place,
  area,
  id: id.startsWith("\0") ? id.slice(1) : `${index.areas[area].name}/${id}`,
  title,
  requires,
  letters,
  text: null,
}));
const byId = new Map(cases.map((one) => [one.id, one]));

/** What the search looks at, in lower case; made when a case is first searched. */
function searchText(one) {
  one.text ??= [one.id, one.title, ...one.requires.map((at) => index.requirements[at].id)].join("\n").toLowerCase();
  return one.text;
}

/** Not run, skipped, and an error of the harness: these say nothing about an engine. */
const SILENT = ".se";

/** Whether engines that ran the case came to different verdicts. */
function differs(one) {
  let seen = null;
  for (const letter of one.letters) {
    if (SILENT.includes(letter)) {
      continue;
    }
    if (seen !== null && seen !== letter) {
      return true;
    }
    seen = letter;
  }
  return false;
}

const chunks = new Map();
let pool = null;

/** The details of a case. */
function detailOf(one) {
  const chunk = Math.floor(one.place / index.chunk);
  if (!chunks.has(chunk)) {
    chunks.set(chunk, embedded(`details-${chunk}`));
  }
  return chunks.get(chunk)[one.place % index.chunk];
}

/** The value at a place of the pool; null for no place. */
function pooled(place) {
  pool ??= embedded("pool");
  return place === undefined || place === null ? null : pool[place];
}

/** A header list of the pool as pairs. */
function pooledHeaders(place) {
  return pooled(place).map(pooled);
}

// What is looked for and what is open stand in the address, so that every view can be linked to.

const NO_FILTER = { q: "", verdict: "", agent: "", area: "", differ: "" };

function stateOfAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
  const state = { ...NO_FILTER, case: parameters.get("case") ?? "" };
  for (const name of Object.keys(NO_FILTER)) {
    state[name] = parameters.get(name) ?? "";
  }
  return state;
}

function addressOf(state) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== "") {
      parameters.set(name, value);
    }
  }
  // A plus stands for itself, so that an id can be typed or linked as it is.
  return `#${parameters.toString().replaceAll("+", "%20")}`;
}

/** The cases that a filter lets through, in order. */
function matching(filter) {
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  const area = filter.area === "" ? -1 : index.areas.findIndex((candidate) => candidate.name === filter.area);
  const agent = filter.agent === "" ? -1 : Number(filter.agent);
  const wanted = wantedLetters(filter.verdict);
  return cases.filter((one) => {
    if (filter.area !== "" && one.area !== area) {
      return false;
    }
    const letters = agent < 0 ? one.letters : (one.letters[agent] ?? ".");
    if (agent >= 0 && letters === ".") {
      return false;
    }
    if (wanted !== "" && ![...letters].some((letter) => wanted.includes(letter))) {
      return false;
    }
    if (filter.differ !== "" && !differs(one)) {
      return false;
    }
    return words.length === 0 || words.every((word) => searchText(one).includes(word));
  });
}

/** The letters of a choice of verdicts: all that need attention, or one by name. */
function wantedLetters(choice) {
  return index.verdicts
    .filter((verdict) => (choice === "attention" ? verdict.unexpected : verdict.name === choice))
    .map((verdict) => verdict.letter)
    .join("");
}
