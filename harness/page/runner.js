// The part of Crosscheck that runs inside the browser: in windows, frames and workers of every kind. Before it, the
// harness writes `const CROSSCHECK = {…}` (harness/src/page.rs): the cases of this document, its children, and where to
// report. It reports raw observations and judges nothing.
(() => {
  "use strict";

  const config = CROSSCHECK;
  const DEFAULT_TIMEOUT_MS = 10000;
  // How many cases of a kind run at the same time, where that is fewer than of others.
  const LANES = { popup: 8, socket: 8, evaluated: 8 };
  const REPORT_SIZE = 200;
  const REPORT_INTERVAL_MS = 500;
  // What cases do to these must not touch the harness.
  const { fetch: ownFetch, Request: OwnRequest } = self;
  // Before anything else: messages are heard from here on.
  const inbox = crosscheckInbox();

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
      page.push(await runStep(one.steps[step], one));
    }
    report({ case: one.index, page, ms: performance.now() - started });
  }

  // Browsers let WebSockets wait for each other, Chromium up to seconds where many are under way; every pop-up may cost a
  // process; and evaluated expressions open many frames, so that a browser that starts a process for each site does not
  // answer for seconds. So these have a few lanes of their own. What waits for a time-out begins early.
  function kind({ steps }) {
    if (steps.some((step) => "evaluate" in step && /window\.open\(|popup\(/.test(step.evaluate))) return "popup";
    if (steps.some((step) => "websocket" in step)) return "socket";
    return steps.some((step) => "evaluate" in step) ? "evaluated" : "other";
  }

  async function runCases() {
    const slow = (one) => one.steps.some((step) => "timeoutMs" in step || "timeout" in step);
    const kinds = Map.groupBy(config.cases, kind);
    const running = [...kinds].map(([name, list]) => {
      list.sort((one, other) => slow(other) - slow(one));
      return runLanes(list, Math.min(LANES[name] ?? config.lanes, config.lanes));
    });
    await Promise.all(running);
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

  async function runStep(step, one) {
    const [name] = Object.keys(step);
    const limit = (step.timeoutMs || DEFAULT_TIMEOUT_MS) * config.patience;
    const probe = probes[name](step[name], step, one);
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
        // The standard does not say that a Request made of another one keeps its target.
        const { targetAddressSpace } = step;
        response = await ownFetch(request, targetAddressSpace === undefined ? undefined : { targetAddressSpace });
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

  function evaluateProbe(expression, step, { token }) {
    // What the expression may use (tools.js). What it made is removed at its end.
    const { clear, unasked, ...tools } = crosscheckTools(inbox, token);
    const result = (async () => {
      try {
        const code = new Function(...Object.keys(tools), `return (async () => (${expression}))();`);
        const value = await code(...Object.values(tools));
        return { result: "value", value: value === undefined ? null : JSON.parse(JSON.stringify(value)) };
      } catch (error) {
        return exception(error);
      }
    })();
    const stop = (ended) => {
      const left = unasked();
      if (left.length > 0) ended.unasked = left.slice(0, 20);
      clear();
    };
    return { result, stop };
  }

  // --- Loads by elements, style sheets and workers -------------------------------------------------------------------

  const SVG = "http://www.w3.org/2000/svg";
  // A classic script runs, and its error is reported, right before its own load event: what was not taken by then
  // belongs to nobody else.
  const scriptErrors = [];
  if (typeof window !== "undefined") {
    window.addEventListener("error", (event) => scriptErrors.push(event));
  }

  function takeScriptErrors() {
    const [event] = scriptErrors.splice(0);
    if (!event) return {};
    const where = [event.filename, event.lineno, event.colno];
    const muted = event.message === "Script error." && where.every((one) => !one) && event.error === null;
    const name = event.error === null || event.error === undefined ? null : nameOf(event.error);
    return { muted, threw: name, filename: event.filename, line: event.lineno };
  }

  const NOTHING_DRAWN = "nothing drawn";

  // Whether something drawn to a canvas taints it; a source that has no picture yet draws nothing and taints nothing.
  function isTainted(source) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d");
    context.drawImage(source, 0, 0, 1, 1);
    const unclean = isUnclean(context);
    return unclean === false && context.getImageData(0, 0, 1, 1).data[3] === 0 ? NOTHING_DRAWN : unclean;
  }

  function isUnclean(context) {
    try {
      context.getImageData(0, 0, 1, 1);
      return false;
    } catch (error) {
      return nameOf(error) === "SecurityError" ? true : nameOf(error);
    }
  }

  // The resource timing entry of a URL, once it is there.
  function timingOf(url) {
    return new Promise((resolve) => {
      const observer = new PerformanceObserver((list) => {
        const [entry] = list.getEntriesByName(url);
        if (!entry) return;
        observer.disconnect();
        resolve(entry);
      });
      observer.observe({ type: "resource", buffered: true });
    });
  }

  const tools = { isTainted, isUnclean, timingOf, nameOf, config };

  function rulesOf(sheet) {
    try {
      return sheet.cssRules.length;
    } catch (error) {
      return nameOf(error);
    }
  }

  function imageSeen(element) {
    return { width: element.naturalWidth, tainted: isTainted(element) };
  }

  const CORS_VALUES = { anonymous: "same-origin", "use-credentials": "include" };

  function loadProbe(url, step) {
    const cleanups = [];
    const result = (async () => {
      try {
        return await loaders[step.element](url, step, cleanups);
      } catch (error) {
        return exception(error);
      }
    })();
    const looked = result.then(async (seen) => {
      if (step.look === undefined || seen.result === "exception") return seen;
      try {
        const look = new Function("element", "url", "tools", `return (async () => (${step.look}))();`);
        const value = await look(loadedElement.get(cleanups), url, tools);
        return { ...seen, seen: { ...seen.seen, look: value === undefined ? null : JSON.parse(JSON.stringify(value)) } };
      } catch (error) {
        return { ...seen, seen: { ...seen.seen, look: nameOf(error) } };
      }
    });
    return { result: looked, stop: () => cleanups.forEach((clean) => clean()) };
  }

  // What a loader loaded, for the expression that looks at it.
  const loadedElement = new WeakMap();

  function keep(cleanups, element) {
    loadedElement.set(cleanups, element);
    return element;
  }

  function setAttributes(element, step, names) {
    for (const name of names) if (step[name] !== undefined) element.setAttribute(name, step[name]);
    for (const [name, value] of step.attributes || []) element.setAttribute(name, value);
  }

  function home() {
    return document.body || document.documentElement;
  }

  // Waits for load or error of `element`, which `outer` (itself, by default) puts into the document.
  function whenLoaded(element, cleanups, start, { seen, outer = element, load = "load", parent = home() } = {}) {
    keep(cleanups, element);
    cleanups.push(() => outer.remove());
    return new Promise((resolve) => {
      element.addEventListener(load, () => resolve({ result: "loaded", seen: seen ? seen(element) : {} }));
      element.addEventListener("error", () => resolve({ result: "network-error" }));
      start(element);
      parent.append(outer);
    });
  }

  function elementLoader(name, source, names, options = {}) {
    return (url, step, cleanups) => {
      const element = document.createElement(name);
      setAttributes(element, step, names);
      return whenLoaded(element, cleanups, () => element.setAttribute(source, url), options);
    };
  }

  function linkLoader(rel, seen) {
    return (url, step, cleanups) => {
      const element = document.createElement("link");
      element.rel = rel;
      setAttributes(element, step, ["crossorigin", "integrity", "as", "type"]);
      return whenLoaded(element, cleanups, () => (element.href = url), { seen, parent: document.head || home() });
    };
  }

  function scriptLoader(type) {
    return (url, step, cleanups) => {
      const element = document.createElement("script");
      if (type) element.type = type;
      setAttributes(element, step, ["crossorigin", "integrity"]);
      return whenLoaded(element, cleanups, () => (element.src = url), { seen: takeScriptErrors });
    };
  }

  function mediaLoader(name) {
    return (url, step, cleanups) => {
      const element = document.createElement(name);
      element.preload = "auto";
      element.muted = true;
      setAttributes(element, step, ["crossorigin"]);
      const seen = () => (name === "video"
        ? { width: element.videoWidth, tainted: isTainted(element) }
        : { duration: Math.round(element.duration * 10) / 10 });
      cleanups.push(() => {
        element.removeAttribute("src");
        element.load();
      });
      const loaded = whenLoaded(element, cleanups, () => (element.src = url), { load: "loadeddata" });
      return loaded.then(async (ended) => {
        if (ended.result !== "loaded") return ended;
        if (name === "video") await untilDrawable(element);
        return { ...ended, seen: seen() };
      });
    };
  }

  // Engines may tell a video's size (WebKit) and have its first picture to draw (Chromium, whose compositor brings it) only
  // after `loadeddata`. No event of all three tells of the picture: a frame callback is not called for one already shown.
  async function untilDrawable(video) {
    while (video.videoWidth === 0 || isTainted(video) === NOTHING_DRAWN) {
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }

  // Puts markup into a frame of the page's own origin, whose load event waits for everything in it.
  function framed(markup, cleanups, seen) {
    const frame = document.createElement("iframe");
    frame.width = frame.height = 60;
    frame.srcdoc = `<!doctype html><meta charset="utf-8"><body>${markup}`;
    cleanups.push(() => frame.remove());
    return new Promise((resolve) => {
      frame.addEventListener("load", () => {
        keep(cleanups, frame);
        resolve(seen ? seen(frame.contentDocument) : { result: "sent" });
      });
      home().append(frame);
    });
  }

  function escaped(url) {
    return url.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  }

  function styleLoader(declare) {
    return (url, step, cleanups) =>
      framed(`<div style="width: 9px; height: 9px; ${declare(`url('${escaped(url)}')`)}"></div>`, cleanups);
  }

  let fonts = 0;

  // A framed document of a case has a frame of its own, whose number anybody may read, and sends a message: an error
  // page has neither.
  function frameLoader(name, source) {
    return (url, step, cleanups) => {
      const element = keep(cleanups, document.createElement(name));
      setAttributes(element, step, ["type"]);
      const seen = {};
      return new Promise((resolve) => {
        const heard = (event) => {
          if (event.source !== element.contentWindow || event.source === null) return;
          seen.message = event.data;
          seen.document = reachable(element);
          resolve({ result: "loaded", seen });
        };
        window.addEventListener("message", heard);
        cleanups.push(() => {
          window.removeEventListener("message", heard);
          element.remove();
        });
        element.addEventListener("load", () => {
          const inner = element.contentWindow;
          if (!inner) {
            resolve({ result: "loaded", seen });
          } else if (inner.length === 0) {
            resolve({ result: "network-error" });
          }
        });
        element.addEventListener("error", () => resolve({ result: "network-error" }));
        element.setAttribute(source, url);
        home().append(element);
      });
    };
  }

  function reachable(element) {
    try {
      return element.contentDocument !== null;
    } catch {
      return false;
    }
  }

  function workerAnswer(target, port, cleanups) {
    return new Promise((resolve) => {
      port.onmessage = (event) => resolve({ result: "loaded", seen: { message: event.data } });
      target.onerror = (event) => {
        event.preventDefault();
        resolve({ result: "network-error" });
      };
    });
  }

  function importScriptsResult(run) {
    try {
      run();
      return { result: "loaded", seen: {} };
    } catch (error) {
      const name = String((error && error.name) || error);
      return name === "NetworkError" ? { result: "network-error", error: name } : { result: "exception", error: name };
    }
  }

  const loaders = {
    img: elementLoader("img", "src", ["crossorigin"], { seen: imageSeen }),
    srcset: elementLoader("img", "srcset", ["crossorigin"], { seen: imageSeen }),
    input: (url, step, cleanups) => {
      const element = document.createElement("input");
      element.type = "image";
      return whenLoaded(element, cleanups, () => (element.src = url));
    },
    picture: (url, step, cleanups) => {
      const [picture, source, image] = ["picture", "source", "img"].map((name) => document.createElement(name));
      setAttributes(image, step, ["crossorigin"]);
      source.srcset = url;
      picture.append(source, image);
      return whenLoaded(image, cleanups, () => {}, { outer: picture, seen: imageSeen });
    },
    "svg-image": (url, step, cleanups) => {
      const [svg, image] = ["svg", "image"].map((name) => document.createElementNS(SVG, name));
      setAttributes(image, step, ["crossorigin"]);
      image.setAttribute("width", 1);
      image.setAttribute("height", 1);
      svg.append(image);
      return whenLoaded(image, cleanups, () => image.setAttribute("href", url), {
        outer: svg,
        seen: () => ({ tainted: isTainted(image) }),
      });
    },
    script: scriptLoader(),
    module: scriptLoader("module"),
    import: async (url, step, cleanups) => {
      try {
        const load = new Function("url", "options", `return import(url${step.type ? ", options" : ""});`);
        const module = await load(url, { with: { type: step.type } });
        keep(cleanups, module);
        return { result: "loaded", seen: {} };
      } catch (error) {
        return { result: nameOf(error) === "TypeError" ? "network-error" : "exception", error: nameOf(error), message: messageOf(error) };
      }
    },
    style: linkLoader("stylesheet", (element) => ({ rules: rulesOf(element.sheet) })),
    "css-import": (url, step, cleanups) => {
      const element = document.createElement("style");
      element.textContent = `@import url("${url}");`;
      const seen = () => ({ rules: rulesOf(element.sheet.cssRules[0].styleSheet) });
      return whenLoaded(element, cleanups, () => {}, { seen, parent: document.head || home() });
    },
    font: async (url, step, cleanups) => {
      fonts += 1;
      const face = keep(cleanups, new FontFace(`tried-${fonts}`, `url("${url}")`));
      try {
        await face.load();
        return { result: "loaded", seen: { status: face.status } };
      } catch (error) {
        return { result: "network-error", error: nameOf(error), message: messageOf(error) };
      }
    },
    "css-font": async (url, step, cleanups) => {
      fonts += 1;
      const style = keep(cleanups, document.createElement("style"));
      style.textContent = `@font-face { font-family: "styled-${fonts}"; src: url("${url}"); }`;
      cleanups.push(() => style.remove());
      (document.head || home()).append(style);
      try {
        const faces = await document.fonts.load(`16px "styled-${fonts}"`, "A");
        const loaded = faces.length === 1 && faces[0].status === "loaded";
        return loaded ? { result: "loaded", seen: {} } : { result: "network-error" };
      } catch (error) {
        return { result: "network-error", error: nameOf(error), message: messageOf(error) };
      }
    },
    "css-background": styleLoader((image) => `background-image: ${image}`),
    "css-mask": styleLoader((image) => `-webkit-mask-image: ${image}; mask-image: ${image}`),
    "css-shape": styleLoader((image) => `float: left; shape-outside: ${image}`),
    "css-filter": styleLoader((image) => `background: red; filter: ${image.replace("')", "#f')")}`),
    "css-content": (url, step, cleanups) =>
      framed(`<span id="shown" style="display: inline-block; content: url('${escaped(url)}')"></span>`, cleanups, (inner) => {
        const { width } = inner.getElementById("shown").getBoundingClientRect();
        return width === 1 ? { result: "loaded", seen: { width } } : { result: "network-error", seen: { width } };
      }),
    "svg-use": (url, step, cleanups) =>
      framed(`<svg><use href="${escaped(url)}#r"></use></svg>`, cleanups),
    poster: (url, step, cleanups) => framed(`<video poster="${escaped(url)}"></video>`, cleanups),
    audio: mediaLoader("audio"),
    video: mediaLoader("video"),
    track: (url, step, cleanups) => {
      const video = document.createElement("video");
      setAttributes(video, step, ["crossorigin"]);
      const track = document.createElement("track");
      track.kind = "subtitles";
      video.append(track);
      return whenLoaded(track, cleanups, () => (track.src = url), {
        outer: video,
        // The file is fetched only where somebody wants its cues.
        parent: { append: (outer) => (home().append(outer), (track.track.mode = "hidden")) },
        seen: () => ({ cues: track.track.cues ? track.track.cues.length : null }),
      });
    },
    iframe: frameLoader("iframe", "src"),
    object: frameLoader("object", "data"),
    embed: frameLoader("embed", "src"),
    preload: linkLoader("preload"),
    prefetch: linkLoader("prefetch"),
    modulepreload: linkLoader("modulepreload"),
    worker: (url, step, cleanups) => {
      const options = { type: step.type || "classic", credentials: CORS_VALUES[step.crossorigin] || "same-origin" };
      const worker = new Worker(url, options);
      cleanups.push(() => worker.terminate());
      return workerAnswer(worker, worker, cleanups);
    },
    "shared-worker": (url, step, cleanups) => {
      const options = { type: step.type || "classic", credentials: CORS_VALUES[step.crossorigin] || "same-origin" };
      const worker = new SharedWorker(url, options);
      // Held until then: what nobody refers to may be collected, and its answer with it.
      cleanups.push(() => worker.port.close());
      return workerAnswer(worker, worker.port, cleanups);
    },
    "import-scripts": (url, step, cleanups) => {
      if (typeof importScripts === "function") return importScriptsResult(() => importScripts(url));
      const code = `postMessage((${importScriptsResult})(() => importScripts(${JSON.stringify(url)})));`;
      const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
      cleanups.push(() => worker.terminate());
      return new Promise((resolve, reject) => {
        worker.onmessage = (event) => resolve(event.data);
        worker.onerror = (event) => reject(new Error(`the worker could not start: ${event.message}`));
      });
    },
    "audio-worklet": async (url) => {
      try {
        await new OfflineAudioContext(1, 1, 44100).audioWorklet.addModule(url);
        return { result: "loaded", seen: {} };
      } catch (error) {
        return { result: "network-error", error: nameOf(error), message: messageOf(error) };
      }
    },
  };

  const probes = {
    fetch: fetchProbe,
    xhr: xhrProbe,
    eventSource: eventSourceProbe,
    beacon: beaconProbe,
    websocket: webSocketProbe,
    evaluate: evaluateProbe,
    load: loadProbe,
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
