// Brings the parts together: the address says what is shown, the filter and the links change the address.

const form = document.querySelector("form.filter");
const found = document.querySelector(".found");
const results = document.getElementById("results");
const dialog = document.getElementById("detail");
const fields = form.elements;
let listed = [];
let shownFilter = null;
let openCase = null;

function options(select, all, entries) {
  select.append(
    el("option", { value: "" }, all),
    ...entries.map(([value, label]) => el("option", { value }, visible(label))),
  );
}

function filterOf({ q, verdict, agent, area, differ }) {
  return { q, verdict, agent, area, differ };
}

function show() {
  const state = stateOfAddress();
  const filter = filterOf(state);
  const key = addressOf(filter);
  if (key !== shownFilter) {
    shownFilter = key;
    if (document.activeElement !== fields.q) {
      fields.q.value = filter.q;
    }
    for (const name of ["verdict", "agent", "area"]) {
      fields[name].value = filter[name];
    }
    fields.differ.checked = filter.differ !== "";
    const filtered = key !== addressOf(NO_FILTER);
    listed = matching(filter);
    showList(listed, filtered, open);
    found.textContent =
      listed.length === 0
        ? "No case matches. Clear the filter to see all."
        : filtered
          ? `${numbers.format(listed.length)} of ${countOf(cases.length, "case")}`
          : countOf(cases.length, "case");
  }
  showDetail(state.case);
}

function showDetail(id) {
  if (id === "") {
    openCase = null;
    if (dialog.open) {
      dialog.close();
    }
    return;
  }
  if (openCase !== null && openCase.id === id) {
    return;
  }
  const one = byId.get(id);
  const close = el("button", { type: "button", onclick: () => closeDetail() }, "Close");
  if (one === undefined) {
    dialog.replaceChildren(
      el("header", {}, el("p", { class: "crumb" }), el("div", { class: "buttons" }, close)),
      el("h2", { id: "detail-title", tabindex: "-1" }, "No such case"),
      el("p", {}, "This report holds no case with the id ", code(id), "."),
    );
    openCase = { id };
  } else {
    const step = (by, label) =>
      el(
        "button",
        {
          type: "button",
          "data-step": by,
          disabled: neighbour(one, by) === undefined,
          onclick: () => openNeighbour(by),
        },
        label,
      );
    dialog.replaceChildren(
      ...detailView(one, [step(-1, "Previous"), step(1, "Next"), close]).filter((part) => part !== null),
    );
    openCase = one;
  }
  if (!dialog.open) {
    dialog.showModal();
  }
  dialog.scrollTop = 0;
  dialog.querySelector("#detail-title").focus({ preventScroll: true });
}

function open(one) {
  history.pushState(null, "", addressOf({ ...stateOfAddress(), case: one.id }));
  show();
}

function closeDetail() {
  const last = openCase;
  history.replaceState(null, "", addressOf({ ...stateOfAddress(), case: "" }));
  show();
  if (last?.place !== undefined) {
    table.querySelector(`tr.case[data-place="${last.place}"] a`)?.focus();
  }
}

/** The case before or after one in the list as it is filtered. */
function neighbour(one, by) {
  const at = listed.indexOf(one);
  return at < 0 ? undefined : listed[at + by];
}

function openNeighbour(by) {
  const next = openCase === null ? undefined : neighbour(openCase, by);
  if (next !== undefined) {
    history.replaceState(null, "", addressOf({ ...stateOfAddress(), case: next.id }));
    show();
  }
}

/** Moves the focus along the rows that are in the page. */
function moveFocus(by) {
  const links = [...table.querySelectorAll("tr:not([hidden]) :is(a.case-link, button)")];
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? 0 : at + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function filterChanged() {
  const filter = {
    q: fields.q.value.trim(),
    verdict: fields.verdict.value,
    agent: fields.agent.value,
    area: fields.area.value,
    differ: fields.differ.checked ? "1" : "",
  };
  history.replaceState(null, "", addressOf(filter));
  show();
}

function keyPressed(event) {
  const typing = event.target instanceof Element && event.target.closest("input, select, textarea") !== null;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  if (event.key === "/" && !dialog.open) {
    event.preventDefault();
    fields.q.focus();
  } else if (event.key === "j" || event.key === "k") {
    const by = event.key === "j" ? 1 : -1;
    if (dialog.open) {
      openNeighbour(by);
    } else {
      moveFocus(by);
    }
  }
}

function start() {
  options(fields.verdict, "Any", [
    ["attention", "Needs attention"],
    ...index.verdicts.map(({ name, sign }) => [name, `${sign} ${name}`]),
  ]);
  options(
    fields.agent,
    "Any",
    agents.map(({ label, version }, agent) => [String(agent), `${label} ${version}`]),
  );
  options(
    fields.area,
    "All",
    index.areas.map(({ name }) => [name, name]),
  );
  form.hidden = false;
  found.hidden = false;
  document.querySelectorAll(".keys, .jump").forEach((part) => (part.hidden = false));
  form.addEventListener("input", filterChanged);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filterChanged));
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    closeDetail();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      closeDetail();
    }
  });
  document.querySelector("a.skip").addEventListener("click", (event) => {
    event.preventDefault();
    results.focus();
  });
  document
    .querySelectorAll(".jump a, .agent .chips a")
    .forEach((chip) => chip.addEventListener("click", () => results.scrollIntoView()));
  addEventListener("hashchange", show);
  addEventListener("popstate", show);
  addEventListener("keydown", keyPressed);
  show();
}

start();
