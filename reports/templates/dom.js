// Building blocks. Every string of a report may be hostile, so all of them become text nodes or attributes that
// cannot run anything; nothing here ever parses markup.

/** Makes an element; strings among the children become text, nothing (null, false) is left out. */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) {
      continue;
    }
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]|[\u{e0000}-\u{e007f}]/gu;

/** The text with characters that nobody can see, or that turn text around, written as their number. */
function visible(text) {
  return String(text).replace(INVISIBLE, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

/** A text of somebody else: its direction of writing stays its own. */
function foreign(text) {
  return el("bdi", {}, visible(text));
}

/** Such a text as code. */
function code(text) {
  return el("code", { dir: "ltr" }, visible(text));
}

/** A link where the address is one of the web, and the bare text otherwise. */
function link(address, ...children) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    // Not an absolute address: shown, not linked.
  }
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return el("span", {}, ...children);
  }
  return el("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, ...children);
}

/** A block of code with a button that copies it. */
function snippet(text, label) {
  const status = el("span", { role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      status.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block);
      status.textContent = "Selected: copy it with the keyboard";
    }
    setTimeout(() => (status.textContent = ""), 3000);
  };
  const block = el("pre", { tabindex: "0", dir: "ltr" }, visible(text));
  const bar = el(
    "div",
    { class: "snippet-bar" },
    el("span", {}, label),
    status,
    el("button", { type: "button", onclick: copy }, "Copy"),
  );
  return el("div", { class: "snippet" }, bar, block);
}

const numbers = new Intl.NumberFormat("en");

/** `1 case`, `2 cases`. */
function countOf(count, noun) {
  return `${numbers.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}
