// The wire log of one agent: what arrived at the servers and what they answered, from top to bottom.

const ENDED = {
  open: "The answer was still being written when the log was read.",
  answered: null,
  upgraded: "The connection became a WebSocket.",
  fault: "The server broke it off, as the case demands.",
  "client-gone": "The client closed the connection before the answer was written.",
  malformed: "The request could not be read.",
  "timed-out": "A limit on time ran out.",
};

const OF_REQUEST = [
  /^origin$/i,
  /^access-control-request-/i,
  /^cookie$/i,
  /^authorization$/i,
  /^content-type$/i,
  /^sec-websocket-protocol$/i,
  /^sec-fetch-/i,
];
const OF_REPLY = [
  /^access-control-/i,
  /^cross-origin-/i,
  /^location$/i,
  /^set-cookie$/i,
  /^content-type$/i,
  /^vary$/i,
  /^timing-allow-origin$/i,
  /^sec-websocket-/i,
];

function headerLine([name, value]) {
  return el(
    "div",
    { class: "header" },
    el("b", {}, visible(name)),
    ": ",
    value === "" ? el("i", {}, "(empty)") : foreign(value),
  );
}

/** Headers that matter here, in the order in which they are named; the others on demand. */
function headerLines(headers, ofInterest) {
  const rank = ([name]) => ofInterest.findIndex((pattern) => pattern.test(name));
  const first = headers.filter((header) => rank(header) >= 0).sort((a, b) => rank(a) - rank(b));
  const others = headers.filter((header) => rank(header) < 0);
  return [
    ...first.map(headerLine),
    others.length === 0
      ? null
      : el(
          "details",
          {},
          el(
            "summary",
            {},
            `${others.length} ${first.length === 0 ? "" : "other "}header${others.length === 1 ? "" : "s"}`,
          ),
          ...others.map(headerLine),
        ),
  ];
}

/** A message, with an arrow for those who see it and words for those who hear it. */
function step(arrow, words, ...content) {
  const sign = el(
    "span",
    { class: "arrow" },
    el("span", { "aria-hidden": "true" }, arrow),
    el("span", { class: "hidden" }, words),
  );
  return el("p", { class: "step" }, sign, el("span", {}, ...content));
}

function exchangeItem([place, at, connection], severalConnections) {
  const [method, url, headers, reply, ended, protocol, preflight, routed, bodyLength, body] = pooled(place);
  const facts = [`+${(at / 1000).toFixed(1)} ms`, protocol, severalConnections ? `connection ${connection}` : null];
  const request = el(
    "div",
    { class: "request" },
    step(
      "→",
      "sent: ",
      el("b", {}, visible(method)),
      " ",
      code(url),
      preflight ? el("span", { class: "tag" }, "preflight") : null,
    ),
    ...headerLines(pooledHeaders(headers), OF_REQUEST),
    bodyLength > 0
      ? el(
          "div",
          { class: "body" },
          `Body, ${countOf(bodyLength, "byte")}: `,
          code(body),
          [...body].length < bodyLength ? " …" : null,
        )
      : null,
    el("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
  );
  const answer =
    reply === null
      ? step("←", "answered: ", "no HTTP response")
      : [step("←", "answered: ", el("b", {}, String(reply[0]))), ...headerLines(pooledHeaders(reply[1]), OF_REPLY)];
  const notes = [ENDED[ended], routed ? null : "The case names no server for this URL, so the answer was 404."];
  return el(
    "li",
    {},
    request,
    el(
      "div",
      { class: "reply" },
      answer,
      notes.filter(Boolean).map((note) => el("p", { class: "facts" }, note)),
    ),
  );
}

/** The log of one agent. */
function wireLog(wire) {
  if (wire.length === 0) {
    return el("p", { class: "none" }, "Nothing arrived at any server.");
  }
  const several = wire.some(([, , connection]) => connection > 1);
  return el("ol", { class: "wire" }, ...wire.map((entry) => exchangeItem(entry, several)));
}
