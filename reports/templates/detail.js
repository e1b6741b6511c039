// One case in full.

/** The expected outcome as rows of a table: a path as in the differences, and the text that stands for the value. */
function statedRows(outcome) {
  const rows = new Map();
  outcome.page.forEach((result, step) => addMembers(rows, `page[${step}]`, result, true));
  if (outcome.wire) {
    const names = outcome.wire.map((message) => (message.preflight ? "preflight" : message.method));
    rows.set("wire", names.length === 0 ? "nothing sent" : names.join(", "));
    outcome.wire.forEach((message, position) => {
      const { method, preflight, ...members } = message;
      addMembers(rows, `wire[${position}]`, members, true);
    });
  }
  if (outcome.grade) {
    rows.set("grade", outcome.grade);
  }
  if (outcome.reason) {
    rows.set("reason", outcome.reason.classes.join(" or "));
  }
  return rows;
}

function addMembers(rows, at, members, expected) {
  for (const [name, value] of Object.entries(members)) {
    if (name === "headers") {
      for (const [header, text] of Object.entries(value)) {
        const absent = at.startsWith("page") ? "(must not be readable)" : "(must not be sent)";
        rows.set(`${at}.headers.${header.toLowerCase()}`, text ?? (expected ? absent : "(none)"));
      }
    } else {
      rows.set(`${at}.${name}`, typeof value === "string" ? value : JSON.stringify(value));
    }
  }
}

/** What an agent observed, as such rows. */
function observedRows(result) {
  const rows = new Map();
  (pooled(result.page) ?? []).forEach((place, step) => addMembers(rows, `page[${step}]`, pooled(place), false));
  if (result.sent !== undefined) {
    rows.set("wire", pooled(result.sent) || "nothing sent");
  }
  if (result.grade) {
    rows.set("grade", result.grade);
  }
  const reason = pooled(result.reason);
  if (reason !== null) {
    rows.set("reason", reason.classes.join(" or ") || "no known class");
  }
  return rows;
}

/** A path in words: `page[0].status` of a case of one step is `page: status`. */
function pathInWords(at, steps) {
  const match = /^(page|wire)\[(\d+)\]\.(.*)$/.exec(at);
  if (match === null) {
    return { page: "page", wire: "requests", grade: "grade", reason: "reason" }[at] ?? at;
  }
  const [, side, position, member] = match;
  const number = Number(position) + 1;
  const where = side === "wire" ? `request ${number}` : steps > 1 ? `step ${number}` : "page";
  return `${where}: ${member.replace(/^headers\./, "header ")}`;
}

function valueCell(at, text, different, explained) {
  const words = !explained
    ? null
    : at === "grade"
      ? index.grades[text]
      : at === "reason"
        ? text
            .split(" or ")
            .map((name) => index.classes[name]?.title)
            .filter(Boolean)
            .join(" Or: ")
        : null;
  return [
    different
      ? el(
          "span",
          { class: "unlike" },
          el("span", { "aria-hidden": "true" }, "≠ "),
          el("span", { class: "hidden" }, "different: "),
        )
      : null,
    text === "" ? el("i", {}, "(empty)") : code(text),
    words ? el("small", {}, words) : null,
  ];
}

/** Expected and observed side by side. What no engine was asked to show stands in a second table, on demand. */
function comparison(detail, ran) {
  const expected = statedRows(pooled(detail.then));
  const seen = ran.map(({ result }) => ({
    rows: observedRows(result),
    differences: new Map(result.diff?.map(pooled).map((one) => [one.at, one])),
  }));
  const stated = new Set(expected.keys());
  seen.forEach(({ differences }) => [...differences.keys()].forEach((at) => stated.add(at)));
  const unstated = new Set(seen.flatMap(({ rows }) => [...rows.keys()]).filter((at) => !stated.has(at)));
  const steps = pooled(detail.then).page.length;
  const order = (paths) => {
    const rank = { page: 0, wire: 1, grade: 2, reason: 3 };
    return [...paths].sort((a, b) => (rank[/^\w+/.exec(a)?.[0]] ?? 9) - (rank[/^\w+/.exec(b)?.[0]] ?? 9));
  };
  const rowOf = (at, withExpected) => {
    const cells = seen.map(({ rows, differences }) => {
      const difference = differences.get(at);
      const text = difference
        ? difference.observed
        : (rows.get(at) ?? (expected.has(at) && at !== "reason" && rows.size > 0 ? expected.get(at) : undefined));
      return text === undefined
        ? el("td", { class: "none" }, at === "reason" ? "none given" : "not observed")
        : el(
            "td",
            { class: difference ? "different" : withExpected ? "same" : null },
            valueCell(at, text, difference, difference !== undefined),
          );
    });
    const text =
      expected.get(at) ?? seen.map(({ differences }) => differences.get(at)?.expected).find((one) => one !== undefined);
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, visible(pathInWords(at, steps))),
      withExpected ? el("td", {}, text === undefined ? null : valueCell(at, text, false, true)) : null,
      ...cells,
    );
  };
  const tableOf = (paths, withExpected, caption) => {
    const scroller = el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      el(
        "table",
        { class: "compare" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("td", {}),
            withExpected ? el("th", { scope: "col" }, "Expected") : null,
            ...ran.map(({ agent }) => el("th", { scope: "col" }, foreign(agents[agent].label))),
          ),
        ),
        el("tbody", {}, ...order(paths).map((at) => rowOf(at, withExpected))),
      ),
    );
    // On a phone the table scrolls within its frame; its columns stay readable.
    scroller.firstChild.style.minWidth = `${(ran.length + 2) * 8.5}rem`;
    return scroller;
  };
  return [
    tableOf(stated, true, "Expected and observed"),
    unstated.size === 0
      ? null
      : el(
          "details",
          {},
          el("summary", {}, "What else was observed, and not compared"),
          tableOf(unstated, false, "Observed, not compared"),
        ),
  ];
}

/** What an agent's verdict means, why, and what to do. */
function verdictCard(agent, letter, result) {
  const verdict = verdicts.get(letter);
  const note = pooled(result.note);
  const address = pooled(result.link);
  const reason = pooled(result.reason);
  const facts = [`${result.ms} ms`, result.tries === undefined ? null : countOf(result.tries, "attempt")];
  return el(
    "article",
    { class: "outcome" },
    el("h3", {}, foreign(agents[agent].label), " ", verdictMark(letter)),
    el("p", {}, verdict.means, " ", result.grade ? index.grades[result.grade] : null),
    note === null ? null : el("p", { class: "note" }, foreign(note)),
    (result.also ?? []).map((place) => el("p", { class: "facts" }, foreign(pooled(place)))),
    address === null ? null : el("p", {}, link(address, visible(address))),
    verdict.advice === null ? null : el("p", { class: "advice" }, verdict.advice),
    reason?.text ? el("blockquote", {}, foreign(reason.text)) : null,
    reason === null
      ? null
      : el(
          "p",
          {},
          reason.classes.length === 0
            ? "This reason belongs to no known class."
            : ["This reason means ", reason.classes.map((name, at) => [at === 0 ? null : " or ", code(name)]), "."],
        ),
    result.other === undefined
      ? null
      : el(
          "p",
          { class: "warning" },
          "This run holds another version of the case. It expected: ",
          code([...statedRows(pooled(result.other))].map(([at, text]) => `${at} ${text}`).join("; ")),
        ),
    el("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
  );
}

/** The classes of reasons that were expected or given: what each means, and what a developer who meets it can do. */
function causes(detail, ran) {
  const given = ran.map(({ result }) => pooled(result.reason)?.classes ?? []);
  const names = new Set(
    [...(pooled(detail.then).reason?.classes ?? []), ...given.flat()].filter(
      (name) => index.classes[name] !== undefined,
    ),
  );
  if (names.size === 0) {
    return null;
  }
  const items = [...names].map((name) =>
    el(
      "div",
      {},
      el("p", {}, el("b", {}, index.classes[name].title), " ", code(name)),
      el("p", {}, index.classes[name].advice),
    ),
  );
  return section("Why a browser blocks this, and what to change", el("div", { class: "causes" }, ...items));
}

/** A text of the inventory, in which code stands between backticks. */
function prose(text) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? code(part) : part));
}

function requirementItem(at) {
  const { id, text, link: address, place } = index.requirements[at];
  return el(
    "li",
    {},
    address ? link(address, code(id)) : code(id),
    text ? [" ", prose(text), " ", el("small", {}, place)] : " (not in this program’s inventory)",
  );
}

function serverBlock([url, place]) {
  return el(
    "article",
    { class: "server" },
    el("h4", {}, code(pooled(url))),
    ...pooled(place).map(({ to, status, headers, body, notes }) =>
      el(
        "div",
        { class: "answer" },
        el("p", { class: "line" }, "To ", foreign(to), ": ", el("b", {}, String(status))),
        ...headers.map(headerLine),
        body ? el("div", { class: "body" }, code(body)) : null,
        notes ? el("p", { class: "facts" }, foreign(notes.join(" · "))) : null,
      ),
    ),
  );
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

/** Everything that is known of a case. */
function detailView(one, buttons) {
  const detail = detailOf(one);
  const ran = detail.results.map((result, agent) => ({ agent, result })).filter(({ result }) => result !== null);
  const observed = ran.filter(({ result }) => result.page !== undefined);
  const given = pooled(detail.given);
  const [page, origin] = pooled(detail.page);
  const script = pooled(detail.script);
  const logs = ran.filter(({ result }) => result.page !== undefined || result.wire !== undefined);
  return [
    el(
      "header",
      {},
      el("p", { class: "crumb" }, foreign(index.areas[one.area].name)),
      el("div", { class: "buttons" }, ...buttons),
    ),
    el("h2", { id: "detail-title", tabindex: "-1" }, foreign(one.title)),
    el("p", { class: "id" }, code(one.id)),
    detail.level === "optional"
      ? el("p", { class: "note" }, "Optional: the standard allows another outcome and says what is usual.")
      : null,
    detail.level === "information"
      ? el("p", { class: "note" }, "For information: the standard says nothing, so no outcome is a failure.")
      : null,
    detail.why === undefined ? null : el("p", { class: "why" }, foreign(pooled(detail.why))),
    el("ul", { class: "requirements" }, ...one.requires.map(requirementItem)),
    el(
      "section",
      { class: "columns", "aria-label": "Verdicts" },
      ...ran.map(({ agent, result }) => verdictCard(agent, one.letters[agent], result)),
    ),
    observed.length === 0 ? null : section("Expected and observed", comparison(detail, observed)),
    causes(detail, ran),
    section(
      "What the page does",
      el(
        "p",
        {},
        "Runs in ",
        code(page),
        page === origin || origin === "" ? "." : [", whose origin is ", code(origin), "."],
        detail.needs ? ` Needs ${detail.needs.map(pooled).join(", ")}.` : null,
      ),
      script === null
        ? el("p", {}, "No browser takes part: the request is sent by a plain HTTP client.")
        : snippet(script, "JavaScript, for the developer tools"),
    ),
    given.length === 0
      ? null
      : section("What the servers send", el("div", { class: "columns" }, ...given.map(serverBlock))),
    logs.length === 0
      ? null
      : section(
          "What went over the wire",
          el(
            "div",
            { class: "columns" },
            ...logs.map(({ agent, result }) =>
              el("article", {}, el("h4", {}, foreign(agents[agent].label)), wireLog(result.wire ?? [])),
            ),
          ),
        ),
    detail.curl.length === 0
      ? null
      : section(
          "Try it by hand",
          el("p", {}, "Put your own server’s address in place of the names under .test."),
          snippet(detail.curl.map(pooled).join("\n\n"), "What the browser sends, with curl"),
        ),
    el("p", { class: "facts" }, "Written in ", code(pooled(detail.source)), "."),
  ];
}
