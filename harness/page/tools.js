// What the expressions of `evaluate` probes may use besides the browser's own: `frame`, `popup`, `ready`, `message`, `run`,
// `until`, `thrown` (cases/README.md). The function stands alone: `run` sends its text to other documents, so that code
// there has the tools as well.
function crosscheckTools() {
  const made = [];
  const heard = [];
  const waiting = [];

  const listen = (event) => {
    const at = waiting.findIndex((one) => one.test(event));
    if (at < 0) heard.push(event);
    else waiting.splice(at, 1)[0].resolve(event);
  };
  self.addEventListener("message", listen);

  const hear = (test) =>
    new Promise((resolve) => {
      const at = heard.findIndex(test);
      if (at < 0) waiting.push({ test, resolve });
      else resolve(heard.splice(at, 1)[0]);
    });
  const readyAt = (event) => event.data && event.data.ready;

  // The next message from a window that is not its `ready`.
  const message = (source) => hear((event) => event.source === source && !readyAt(event));

  // A `remote` document in this window has run its script; with a URL: the one at this URL.
  const ready = (source, url) =>
    hear((event) => event.source === source && (url === undefined ? Boolean(readyAt(event)) : readyAt(event) === url));

  // An iframe with these attributes, in the body of this document, in a task after it fired `load`: during the event, the
  // documents around it may count as still loading, and WebKit replaces entries of the history then.
  const frame = (attributes = {}) =>
    new Promise((loaded) => {
      const element = document.createElement("iframe");
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.addEventListener("load", () => setTimeout(loaded, 0, element), { once: true });
      made.push(() => element.remove());
      (document.body || document.documentElement).append(element);
    });

  // A window opened on a `remote` document, once that has run its script.
  const popup = async (url, name = "_blank", features = "") => {
    const opened = window.open(url, name, features);
    made.push(() => opened.close());
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
    while (!test()) await new Promise((resolve) => setTimeout(resolve, 4));
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

  const clear = () => {
    self.removeEventListener("message", listen);
    for (const remove of made.splice(0)) {
      try {
        remove();
      } catch {
        // Gone already.
      }
    }
  };

  return { frame, popup, ready, message, run, until, thrown, clear };
}
