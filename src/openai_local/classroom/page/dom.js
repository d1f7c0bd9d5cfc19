// Making elements and keeping lists of them. Texts only ever become text nodes: names that people gave are not
// to be trusted with markup.

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
