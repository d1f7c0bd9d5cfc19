// The curve of a job: its losses over its steps, as a picture with axes and a text that says the same.

import { loss, make, mark, say } from "./dom.js";

const SPACE = { left: 44, right: 20, top: 10, bottom: 36 };
const HEIGHT = 220;

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The first round number (1, 2 or 5, times a power of ten) that cuts `most` into at most `parts`. */
function round(most, parts) {
  const power = 10 ** Math.floor(Math.log10(most / parts));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => most / step <= parts + 1e-9);
}

function ticks(most, parts, least = 0) {
  const step = Math.max(round(most, parts), least);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, number) => (number * step).toFixed(places));
}

/** The two lines: lists of `[step, loss]`. Validation is that of whole epochs, once two of them are over. */
function lines(curve) {
  const pick = (name) => curve.points.filter((point) => point[name] != null).map((point) => [point.step, point[name]]);
  const whole = pick("full_validation_loss");
  return { training: pick("training_loss"), validation: whole.length > 1 ? whole : pick("validation_loss") };
}

/** What the curve shows, in a sentence or two. */
function told({ training, validation }, steps) {
  if (!training.length) return "No step is done yet.";
  const ends = (line) => `from ${loss(line[0][1])} to ${loss(line.at(-1)[1])}`;
  let text = `Loss over ${training.at(-1)[0]} of ${steps} steps. Training loss ${ends(training)}.`;
  if (validation.length > 1) {
    const low = validation.reduce((best, point) => (point[1] < best[1] ? point : best));
    text += ` Validation loss ${ends(validation)}, lowest ${loss(low[1])} at step ${low[0]}.`;
  }
  return text;
}

/** A place for a curve. `show(curve)` draws what `class/jobs/…/curve` answered; it is drawn anew when the width changes. */
export function curve() {
  const picture = draw("svg", { role: "img", class: "curve" });
  const legend = make("p", { class: "legend small" });
  const element = make("figure", {}, picture, make("figcaption", {}, legend));
  let last = null;

  const redraw = () => {
    const width = Math.floor(element.clientWidth);
    if (!last || width < 120) return;
    const both = lines(last);
    const steps = Math.max(last.total_steps ?? 0, ...both.training.slice(-1).map((point) => point[0]), 1);
    const highest = Math.max(0.01, ...both.training.map((p) => p[1]), ...both.validation.map((p) => p[1])) * 1.04;
    const x = (step) => SPACE.left + (step / steps) * (width - SPACE.left - SPACE.right);
    const y = (value) => HEIGHT - SPACE.bottom - (value / highest) * (HEIGHT - SPACE.top - SPACE.bottom);
    mark(picture, "viewBox", `0 0 ${width} ${HEIGHT}`);
    mark(picture, "width", width);
    mark(picture, "height", HEIGHT);
    mark(picture, "aria-label", told(both, steps));
    picture.replaceChildren(
      ...ticks(highest, 4).flatMap((value) => [
        draw("line", { class: "grid", x1: SPACE.left, x2: width - SPACE.right, y1: y(value), y2: y(value) }),
        draw("text", { x: SPACE.left - 8, y: y(value) + 4, "text-anchor": "end" }, value),
      ]),
      ...ticks(steps, width > 480 ? 6 : 4, 1).map((value) =>
        draw("text", { x: x(value), y: HEIGHT - SPACE.bottom + 17, "text-anchor": "middle" }, value)),
      draw("text", { x: width - SPACE.right, y: HEIGHT - 2, "text-anchor": "end", class: "axis" }, "steps"),
      ...line("validation", both.validation, x, y),
      ...line("training", both.training, x, y),
    );
    tell(legend, both);
  };
  new ResizeObserver(redraw).observe(element);
  return { element, show: (curve) => { last = curve; redraw(); } };
}

function line(kind, points, x, y) {
  if (!points.length) return [];
  const path = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const [step, value] = points.at(-1);
  return [
    draw("polyline", { class: kind, points: path }),
    draw("circle", { class: kind, cx: x(step), cy: y(value), r: 3.5 }),
  ];
}

function tell(legend, { training, validation }) {
  if (!legend.firstChild) {
    for (const kind of ["training", "validation"]) {
      legend.append(make("span", { class: `key ${kind}` }, `${kind} loss `, make("b", {})));
    }
  }
  const [first, second] = legend.children;
  say(first.lastChild, loss(training.at(-1)?.[1]));
  say(second.lastChild, loss(validation.at(-1)?.[1]));
  second.hidden = !validation.length;
}
