// The table: a body of rows for each area, its cases below it when it is open.

/** How many cases are put into the page at once. */
const PAGE = 100;

const table = document.querySelector("table.matrix");

/** The verdict of an agent, in sign and word. */
function verdictMark(letter) {
  const verdict = verdicts.get(letter);
  if (verdict === undefined) {
    return el("span", { class: "none" }, "not run");
  }
  return el(
    "span",
    { class: `verdict ${verdict.name}` },
    el("span", { "aria-hidden": "true" }, verdict.sign),
    ` ${verdict.name}`,
  );
}

/** How many of these cases came out how with an agent: passes of all, a bar, and what did not pass. */
function tally(list, agent) {
  const counts = new Map();
  let total = 0;
  for (const one of list) {
    const letter = one.letters[agent];
    if (letter !== ".") {
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
      total += 1;
    }
  }
  if (total === 0) {
    return el("span", { class: "none" }, "not run");
  }
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  const words = [];
  for (const verdict of index.verdicts) {
    const count = counts.get(verdict.letter) ?? 0;
    if (count === 0) {
      continue;
    }
    const part = el("i", { class: verdict.name });
    part.style.width = `${(count * 100) / total}%`;
    bar.append(part);
    if (verdict.name !== "pass") {
      words.push(" ", el("span", { class: `tally ${verdict.name}` }, `${numbers.format(count)} ${verdict.name}`));
    }
  }
  const passed = `${numbers.format(counts.get("p") ?? 0)}/${numbers.format(total)}`;
  return [el("span", { class: "ratio" }, passed), " ", bar, ...words];
}

function engineName(agent) {
  return el("span", { class: "engine" }, foreign(agents[agent].label));
}

function caseRow(one, open) {
  const name = el(
    "th",
    { role: "rowheader", scope: "row" },
    el(
      "a",
      {
        href: addressOf({ case: one.id }),
        class: "case-link",
        onclick: (event) => {
          if (!event.metaKey && !event.ctrlKey && !event.shiftKey) {
            event.preventDefault();
            open(one);
          }
        },
      },
      foreign(one.title),
    ),
    el("small", { dir: "ltr" }, visible(one.id)),
  );
  const cells = agents.map((_, agent) =>
    el("td", { role: "cell" }, engineName(agent), verdictMark(one.letters[agent])),
  );
  const row = el("tr", { role: "row", class: "case" }, name, ...cells);
  row.dataset.place = one.place;
  return row;
}

/** Shows cases by area. Areas are open where a filter asks for single cases, up to a page of them. */
function showList(list, filtered, open) {
  const byArea = index.areas.map(() => []);
  for (const one of list) {
    byArea[one.area].push(one);
  }
  let room = filtered ? PAGE : 0;
  const bodies = [];
  byArea.forEach((ofArea, area) => {
    if (ofArea.length > 0) {
      bodies.push(areaBody(area, ofArea, room > 0, open));
      room -= ofArea.length;
    }
  });
  table.querySelectorAll("tbody").forEach((body) => body.remove());
  table.append(...bodies);
}

function areaBody(area, list, isOpen, open) {
  const { name, about } = index.areas[area];
  const body = el("tbody", { role: "rowgroup" });
  const button = el(
    "button",
    { type: "button", class: "toggle", "aria-expanded": "false", onclick: () => toggle() },
    el("span", { class: "name" }, foreign(name)),
  );
  const head = el(
    "th",
    { role: "rowheader", scope: "row" },
    button,
    about === null ? null : el("small", {}, foreign(about)),
  );
  const cells = agents.map((_, agent) => el("td", { role: "cell" }, engineName(agent), tally(list, agent)));
  body.append(el("tr", { role: "row", class: "area" }, head, ...cells));
  let shown = 0;

  function more() {
    body.querySelector("tr.more")?.remove();
    const next = list.slice(shown, shown + PAGE);
    const firstRow = shown;
    shown += next.length;
    body.append(...next.map((one) => caseRow(one, open)));
    if (shown < list.length) {
      const rest = Math.min(PAGE, list.length - shown);
      const load = () => {
        more();
        body.querySelectorAll("tr.case a")[firstRow + next.length]?.focus();
      };
      const label = `Show ${rest} more of ${numbers.format(list.length)}`;
      const cell = el(
        "td",
        { role: "cell", colspan: agents.length + 1 },
        el("button", { type: "button", onclick: load }, label),
      );
      body.append(el("tr", { role: "row", class: "more" }, cell));
    }
  }

  function toggle() {
    const opens = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(opens));
    if (opens && shown === 0) {
      more();
    }
    body.querySelectorAll("tr.case, tr.more").forEach((row) => (row.hidden = !opens));
  }

  if (isOpen) {
    toggle();
  }
  return body;
}
