// The part of Crosscheck that runs inside the browser: in windows, frames and workers of every kind. Before it, the
// harness writes `const CROSSCHECK = {…}` (harness/src/page.rs): the cases of this document, its children, and where to
// report. It reports raw observations and judges nothing.
(() => {
  "use strict";

  const config = CROSSCHECK;
  const DEFAULT_TIMEOUT_MS = 10000;
  const SOCKET_LANES = 8;
  const REPORT_SIZE = 200;
  const REPORT_INTERVAL_MS = 500;
  // What cases do to these must not touch the harness.
  const { fetch: ownFetch, Request: OwnRequest } = self;

  // --- Reports -------------------------------------------------------------------------------------------------------

  let pending = [];
  let last = Promise.resolve();
  let timer;

  // Results go out together: a report costs some browsers a connection of its own. One is under way at a time.
  function report(item, now) {
    pending.push(item);
    if (now || pending.length >= REPORT_SIZE) {
      flush();
    } else if (timer === undefined) {
      timer = setTimeout(flush, REPORT_INTERVAL_MS);
    }
    return last;
  }

  function flush() {
    clearTimeout(timer);
    timer = undefined;
    const body = JSON.stringify(pending);
    pending = [];
    // A no-cors POST of text reaches a server from every origin, opaque ones too.
    const send = () => ownFetch(config.report, { method: "POST", mode: "no-cors", credentials: "omit", body });
    last = last.then(send);
  }

  // A no-cors GET tells the servers' log that a step begins.
  async function mark(one, step) {
    await ownFetch(`${one.mark}?${step}`, { mode: "no-cors", credentials: "omit", cache: "no-store" });
  }

  // --- Cases ---------------------------------------------------------------------------------------------------------

  const featureResults = new Map();

  async function hasFeature(name) {
    if (!featureResults.has(name)) {
      const test = config.features[name];
      featureResults.set(name, Promise.resolve().then(test).then(Boolean, () => false));
    }
    return featureResults.get(name);
  }

  async function runCase(one) {
    for (const need of one.needs) {
      if (!(await hasFeature(need))) {
        report({ case: one.index, missing: need });
        return;
      }
    }
    const started = performance.now();
    const page = [];
    for (let step = 0; step < one.steps.length; step += 1) {
      // Between steps a mark on the wire tells the servers' log which request belongs to which step.
      if (step > 0) await mark(one, step);
      page.push(await runStep(one.steps[step]));
    }
    report({ case: one.index, page, ms: performance.now() - started });
  }

  // Browsers let WebSockets wait for each other, Chromium up to seconds where many are under way, so they have a few
  // lanes of their own; what waits for a time-out begins early.
  async function runCases() {
    const has = (one, test) => one.steps.some(test);
    const sockets = config.cases.filter((one) => has(one, (step) => "websocket" in step));
    const others = config.cases.filter((one) => !has(one, (step) => "websocket" in step));
    const slow = (one) => has(one, (step) => "timeoutMs" in step || "timeout" in step);
    for (const list of [sockets, others]) list.sort((one, other) => slow(other) - slow(one));
    await Promise.all([runLanes(sockets, SOCKET_LANES), runLanes(others, config.lanes)]);
    await report({ done: true }, true);
  }

  async function runLanes(waiting, lanes) {
    const lane = async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        try {
          await runCase(one);
        } catch (error) {
          report({ case: one.index, broken: `${error}\n${error && error.stack}` });
        }
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  // --- Probes --------------------------------------------------------------------------------------------------------

  async function runStep(step) {
    const [name] = Object.keys(step);
    const limit = step.timeoutMs || DEFAULT_TIMEOUT_MS;
    const probe = probes[name](step[name], step);
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ result: "timeout", events: probe.events }), limit);
    });
    const result = await Promise.race([probe.result, late]);
    clearTimeout(timer);
    if (probe.stop) probe.stop(result);
    return result;
  }

  function exception(error) {
    return { result: "exception", error: nameOf(error), message: messageOf(error) };
  }

  function nameOf(error) {
    return String((error && error.name) || error);
  }

  function messageOf(error) {
    return String((error && error.message) || error);
  }

  function bytes(text) {
    return Uint8Array.from(text, (character) => character.charCodeAt(0));
  }

  function bodyOf(kind) {
    if (kind === undefined || typeof kind === "string") return kind;
    const [[name, value]] = Object.entries(kind);
    switch (name) {
      case "text":
        return value;
      case "url-search-params":
        return new URLSearchParams(value);
      case "form-data": {
        const form = new FormData();
        for (const [field, text] of value) form.append(field, text);
        return form;
      }
      case "blob":
        return new Blob([value[1]], value[0] === null ? {} : { type: value[0] });
      case "array-buffer":
        return bytes(value).buffer;
      case "stream":
        return new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode(value));
            controller.close();
          },
        });
      case "fill":
        return "x".repeat(value);
      default:
        throw new Error(`the runner knows no body of kind ${name}`);
    }
  }

  const FETCH_OPTIONS = [
    "method", "mode", "credentials", "redirect", "cache", "integrity", "keepalive", "referrer", "referrerPolicy",
    "targetAddressSpace", "duplex",
  ];

  function fetchProbe(url, step) {
    const aborter = new AbortController();
    const result = (async () => {
      let request;
      try {
        const init = { signal: aborter.signal };
        for (const name of FETCH_OPTIONS) if (step[name] !== undefined) init[name] = step[name];
        if (step.headers) init.headers = step.headers;
        if (step.body !== undefined) init.body = bodyOf(step.body);
        request = new OwnRequest(url, init);
      } catch (error) {
        return exception(error);
      }
      let response;
      try {
        response = await ownFetch(request);
      } catch (error) {
        if (nameOf(error) !== "TypeError") return exception(error);
        return { result: "network-error", error: nameOf(error), message: messageOf(error) };
      }
      const seen = {
        result: "response",
        type: response.type,
        status: response.status,
        "status-text": response.statusText,
        url: response.url,
        redirected: response.redirected,
        headers: Object.fromEntries(response.headers),
      };
      if (step.read === "none") return seen;
      try {
        seen.body = await response.text();
      } catch (error) {
        seen["body-error"] = nameOf(error);
        seen.message = messageOf(error);
      }
      return seen;
    })();
    return { result, stop: () => aborter.abort() };
  }

  const XHR_EVENTS = ["loadstart", "load", "error", "timeout", "abort", "loadend"];

  function xhrProbe(url, step) {
    const xhr = new XMLHttpRequest();
    const events = [];
    const seen = (result) => ({
      result,
      status: xhr.status,
      "status-text": xhr.statusText,
      url: xhr.responseURL,
      headers: Object.fromEntries(
        xhr.getAllResponseHeaders().split("\r\n").filter(Boolean).map((line) => {
          const colon = line.indexOf(":");
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      ),
      body: bodyText(xhr),
      events,
    });
    const result = new Promise((resolve) => {
      xhr.onreadystatechange = () => events.push(`readystatechange ${xhr.readyState}`);
      for (const name of XHR_EVENTS) {
        xhr.addEventListener(name, () => events.push(name));
        if (step.uploadListener) xhr.upload.addEventListener(name, () => events.push(`upload.${name}`));
      }
      let ended = "network-error";
      xhr.addEventListener("load", () => (ended = "response"));
      xhr.addEventListener("timeout", () => (ended = "timeout"));
      xhr.addEventListener("abort", () => (ended = "exception"));
      // Registered last, so that "loadend" itself is in the list. A synchronous send() ends by returning or throwing.
      xhr.addEventListener("loadend", () => {
        if (!step.sync) resolve(ended === "exception" ? { ...seen(ended), error: "abort" } : seen(ended));
      });
      try {
        xhr.open(step.method || "GET", url, !step.sync);
        if (step.withCredentials !== undefined) xhr.withCredentials = step.withCredentials;
        if (step.responseType !== undefined) xhr.responseType = step.responseType;
        if (step.timeout !== undefined) xhr.timeout = step.timeout;
        for (const [name, value] of step.headers || []) xhr.setRequestHeader(name, value);
        xhr.send(step.body === undefined ? null : bodyOf(step.body));
        if (step.sync) resolve(seen(ended));
        if (step.abort) xhr.abort();
      } catch (error) {
        resolve({ ...seen("exception"), error: nameOf(error), message: messageOf(error) });
      }
    });
    return { result, events, stop: (ended) => ended.result === "timeout" && xhr.abort() };
  }

  function bodyText(xhr) {
    switch (xhr.responseType) {
      case "":
      case "text":
        return xhr.responseText;
      case "json":
        return xhr.response === null ? "" : JSON.stringify(xhr.response);
      default:
        return xhr.response === null ? "" : String(xhr.response);
    }
  }

  function eventSourceProbe(url, step) {
    const wanted = step.messages === undefined ? 1 : step.messages;
    const events = [];
    let source;
    const result = new Promise((resolve) => {
      let opened = false;
      let messages = 0;
      const end = () => resolve({ result: opened ? "response" : "network-error", url: source.url, events });
      try {
        source = new EventSource(url, { withCredentials: Boolean(step.withCredentials) });
      } catch (error) {
        resolve(exception(error));
        return;
      }
      source.onopen = () => {
        opened = true;
        events.push("open");
        if (wanted === 0) end();
      };
      source.onmessage = (event) => {
        events.push(`message ${event.data}`);
        messages += 1;
        if (messages === wanted) end();
      };
      source.onerror = () => {
        events.push(`error ${source.readyState}`);
        end();
      };
    });
    return { result, events, stop: () => source && source.close() };
  }

  function beaconProbe(url, step) {
    const result = (async () => {
      try {
        return { result: navigator.sendBeacon(url, bodyOf(step.body)) ? "sent" : "network-error" };
      } catch (error) {
        return exception(error);
      }
    })();
    return { result };
  }

  function webSocketProbe(url, step) {
    const wanted = step.messages || 0;
    const events = [];
    let socket;
    const result = new Promise((resolve) => {
      let opened = false;
      let messages = 0;
      try {
        socket = step.protocols ? new WebSocket(url, step.protocols) : new WebSocket(url);
      } catch (error) {
        resolve(exception(error));
        return;
      }
      socket.onopen = () => {
        opened = true;
        events.push("open");
        if (step.send !== undefined) socket.send(step.send);
        if (wanted === 0) socket.close(1000);
      };
      socket.onmessage = (event) => {
        events.push(`message ${event.data}`);
        messages += 1;
        if (messages === wanted) socket.close(1000);
      };
      socket.onerror = () => events.push("error");
      socket.onclose = (event) => {
        events.push(`close ${event.code} ${event.wasClean ? "clean" : "unclean"}`);
        resolve({ result: opened ? "response" : "network-error", protocol: socket.protocol, url: socket.url, events });
      };
    });
    return { result, events, stop: (ended) => ended.result === "timeout" && socket && socket.close() };
  }

  function evaluateProbe(expression) {
    const result = (async () => {
      try {
        const value = await new Function(`return (async () => (${expression}))();`)();
        return { result: "value", value: value === undefined ? null : JSON.parse(JSON.stringify(value)) };
      } catch (error) {
        return exception(error);
      }
    })();
    return { result };
  }

  const probes = {
    fetch: fetchProbe,
    xhr: xhrProbe,
    eventSource: eventSourceProbe,
    beacon: beaconProbe,
    websocket: webSocketProbe,
    evaluate: evaluateProbe,
  };

  // --- Documents and workers inside this one -------------------------------------------------------------------------

  const starters = {
    iframe: (child) => frame(child, (element) => (element.src = child.url)),
    srcdoc: (child) => frame(child, (element) => (element.srcdoc = child.html)),
    data: (child) => frame(child, (element) => (element.src = `data:text/html;charset=utf-8,${encodeURIComponent(child.html)}`)),
    blob: (child) => frame(child, (element) => (element.src = URL.createObjectURL(new Blob([child.html], { type: "text/html" })))),
    popup: (child) => {
      if (!window.open(child.url)) throw new Error("window.open() was refused: pop-ups are blocked");
    },
    worker: (child) => startWorker(child, new Worker(child.url)),
    "data-worker": (child) => startWorker(child, new Worker(`data:text/javascript;charset=utf-8,${encodeURIComponent(child.script)}`)),
    "shared-worker": (child) => startWorker(child, new SharedWorker(child.url)),
    "service-worker": async (child) => {
      const registration = await navigator.serviceWorker.register(child.url);
      const worker = registration.installing || registration.waiting || registration.active;
      worker.postMessage("run");
    },
  };
  // Objects that must not be collected as garbage while they work.
  const kept = [];

  function frame(child, load) {
    const element = document.createElement("iframe");
    if (child.sandbox !== undefined) element.setAttribute("sandbox", child.sandbox);
    if (child.allow !== undefined) element.setAttribute("allow", child.allow);
    load(element);
    (document.body || document.documentElement).append(element);
  }

  function startWorker(child, worker) {
    kept.push(worker);
    worker.onerror = (event) => {
      report({ child: child.node, failed: `the worker could not start: ${event.message || "error event"}` }, true);
    };
  }

  async function startChildren() {
    await Promise.all(config.children.map(async (child) => {
      try {
        await starters[child.kind](child);
      } catch (error) {
        await report({ child: child.node, failed: `${error}` }, true);
      }
    }));
  }

  // --- Start ---------------------------------------------------------------------------------------------------------

  if (typeof ServiceWorkerGlobalScope !== "undefined" && self instanceof ServiceWorkerGlobalScope) {
    // Alive for as long as the event is.
    self.addEventListener("message", (event) => event.waitUntil(runCases()));
  } else {
    startChildren();
    runCases();
  }
})();
