// What the expressions of `evaluate` probes may use besides the browser's own: `frame`, `popup`, `ready`, `message`, `run`,
// `until`, `thrown` (cases/README.md). The function stands alone: `run` sends its text to other documents, so that code
// there has the tools as well.
//
// `inbox` has every message event since the document began: `heard`, those that nobody has asked for yet, and `arrived`,
// functions that get each new one. A wait begins before its cause, wherever in an expression it stands.
// A document that has navigated away when its message is heard may be no source any more (Firefox): then the message counts
// for the case whose `token` stands in it, as it does in all URLs of the case.
function crosscheckTools(inbox, token) {
  const made = [];
  const waiting = [];
  let ended = false;
  // Messages that say of no window whence they come: a document that is gone when its message is heard may be of this kind.
  const orphans = [];
  // The windows that this expression has to do with.
  const known = new Set();

  const look = (event) => {
    if (event && event.source === null) orphans.push(event);
    for (const one of [...waiting]) {
      const at = inbox.heard.findIndex(one.test);
      if (at < 0) continue;
      waiting.splice(waiting.indexOf(one), 1);
      one.resolve(inbox.heard.splice(at, 1)[0]);
    }
  };
  inbox.arrived.add(look);

  const names = ({ source, data }) => source === null && token !== undefined && shown(data).includes(token);

  const hear = (source, test) =>
    new Promise((resolve) => {
      known.add(source);
      waiting.push({ test: (event) => (event.source === source || names(event)) && test(event), resolve });
      look();
    });
  const readyAt = (event) => event.data && event.data.ready;

  // The next message from a window that is not its `ready`.
  const message = (source) => hear(source, (event) => !readyAt(event));

  // A `remote` document in this window has run its script; with a URL: the one at this URL.
  const ready = (source, url) =>
    hear(source, (event) => (url === undefined ? Boolean(readyAt(event)) : readyAt(event) === url));

  // An iframe with these attributes, in the body of this document, in a task after it fired `load`: during the event, the
  // documents around it may count as still loading, and WebKit replaces entries of the history then.
  const frame = (attributes = {}) =>
    new Promise((loaded) => {
      const element = document.createElement("iframe");
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.addEventListener("load", () => setTimeout(loaded, 0, element), { once: true });
      made.push(() => element.remove());
      element.addEventListener("load", () => known.add(element.contentWindow));
      (document.body || document.documentElement).append(element);
    });

  // A window opened on a `remote` document, once that has run its script.
  const popup = async (url, name = "_blank", features = "") => {
    const opened = window.open(url, name, features);
    made.push(() => opened.close());
    known.add(opened);
    await ready(opened);
    return opened;
  };

  // What a function gives in the `remote` document of another window: its text is sent there, with values for its parameters.
  const run = (target, code, ...values) =>
    new Promise((resolve, reject) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data: { value, error } }) => {
        port1.close();
        if (error === undefined) resolve(value);
        else reject(Object.assign(new Error(error.message), { name: error.name }));
      };
      target.postMessage({ run: String(code), tools: String(crosscheckTools), values }, "*", [port2]);
    });

  // Waits for what no event tells, such as a count of frames that another process keeps.
  const until = async (test) => {
    while (!ended && !test()) await new Promise((resolve) => setTimeout(resolve, 4));
  };

  // The name of the exception that a function throws, or null.
  const thrown = (action) => {
    try {
      action();
      return null;
    } catch (error) {
      return error.name;
    }
  };

  // What came from its windows, or from none, and nobody asked for.
  const unasked = () => {
    const mine = inbox.heard.filter((event) => known.has(event.source) || names(event) || orphans.includes(event));
    inbox.heard = inbox.heard.filter((event) => !mine.includes(event));
    return mine.filter((event) => !readyAt(event)).map((event) => ({ origin: event.origin, data: shown(event.data).slice(0, 200) }));
  };

  const shown = (data) => {
    try {
      return String(typeof data === "string" ? data : JSON.stringify(data));
    } catch (error) {
      return String(error);
    }
  };

  const clear = () => {
    ended = true;
    inbox.arrived.delete(look);
    for (const remove of made.splice(0)) {
      try {
        remove();
      } catch {
        // Gone already.
      }
    }
  };

  return { frame, popup, ready, message, run, until, thrown, unasked, clear };
}

// The inbox of this document, from now on.
function crosscheckInbox() {
  const inbox = { heard: [], arrived: new Set() };
  self.addEventListener("message", (event) => {
    inbox.heard.push(event);
    for (const look of inbox.arrived) look(event);
  });
  return inbox;
}
