// Making elements, keeping lists of them, and numbers as people say them. Texts only ever become text nodes: names
// that people gave are not to be trusted with markup.

/** An element with attributes and children; a string among the children is text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Give an element another text, if it is another: screen readers and selections are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Give an element another attribute, if it is another; null takes it away. */
export function mark(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const parts = new WeakMap();

/**
 * Bring a list up to date and leave alone what has not changed, so that focus and selection stay.
 *
 * `part(item)` returns `{ element, update(item) }` for an item that is new; `key(item)` tells items apart.
 */
export function keep(list, items, key, part) {
  const focused = document.activeElement;
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let place = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = old.get(name);
    if (!element) {
      const made = part(item);
      element = made.element;
      element.dataset.key = name;
      parts.set(element, made);
    }
    old.delete(name);
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
    parts.get(element).update(item);
  }
  for (const gone of old.values()) gone.remove();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

let panels = 0;

/** A titled part of the page. Returns its element, its body, and the place for a remark beside the title. */
export function panel(title, kind) {
  const id = `panel-${(panels += 1)}`;
  const note = make("p", { class: "quiet small" });
  const head = make("div", { class: "head" }, make("h2", { id }, title), note);
  const body = make("div", { class: "body" });
  return { element: make("section", { class: `card ${kind}`, "aria-labelledby": id }, head, body), body, note };
}

/** Something that can be scrolled, also with keys. */
export const scrolled = (label, inside) =>
  make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, inside);

/** A panel with a list. `fill(items, key, part, remark)` brings it up to date; without items it says `nothing`. */
export function listing(title, kind, label, nothing, list, around = list) {
  const { element, body, note } = panel(title, kind);
  const scroll = scrolled(label, around);
  const empty = make("p", { class: "quiet" }, nothing);
  body.append(scroll, empty);
  const fill = (items, key, part, remark) => {
    keep(list, items, key, part);
    say(note, items.length ? remark : "");
    scroll.hidden = !items.length;
    empty.hidden = items.length > 0;
  };
  return { element, fill };
}

/** A table with headings. Returns it, and the place of its rows. */
export function table(...words) {
  const heads = words.map((word) => make("th", { scope: "col" }, word));
  const rows = make("tbody", {});
  return [make("table", {}, make("thead", {}, make("tr", {}, ...heads)), rows), rows];
}

/** A button that acts when it is pressed a second time, within four seconds. */
export function twice(word, label, question, act) {
  const button = make("button", { class: "plain danger", type: "button", "aria-label": label }, word);
  let timer = null;
  const calm = () => {
    clearTimeout(timer);
    timer = null;
    button.classList.remove("sure");
    button.setAttribute("aria-label", label);
    say(button, word);
  };
  button.addEventListener("click", () => {
    if (timer !== null) {
      calm();
      act();
      return;
    }
    timer = setTimeout(calm, 4000);
    button.classList.add("sure");
    button.setAttribute("aria-label", `${question} Press again.`);
    say(button, "Sure?");
  });
  return button;
}

/** A bar from 0 to 1, which a screen reader leaves out: the words beside it say the same. */
export function bar(kind = "") {
  const inside = make("span", {});
  const element = make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, inside);
  return { element, show: (part) => inside.style.setProperty("width", `${(Math.min(1, Math.max(0, part)) * 100).toFixed(1)}%`) };
}

export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** A time in seconds: "less than a minute", "about 3 min", "about 1 h 20 min". */
export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 45) return "less than a minute";
  if (minutes < 60) return `about ${Math.max(1, minutes)} min`;
  const rest = minutes % 60;
  return `about ${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/** How long ago something was. */
export function ago(seconds) {
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${plural(Math.floor(seconds / 86400), "day")} ago`;
}

/** Bytes: "812 B", "3.1 MB". */
export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; number >= 999.5 && unit < units.length - 1; unit += 1) number /= 1000;
  return `${unit && number < 9.95 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

/** A loss: three places, fewer for a large one. */
export const loss = (number) => (number == null ? "–" : number.toFixed(number < 10 ? 3 : 1));
