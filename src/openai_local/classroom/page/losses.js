// The last losses of each learner's newest model, side by side.

import { keep, make, panel, say } from "./dom.js";
import { bar } from "./jobs.js";
import { loss } from "./words.js";

const KINDS = [["training", "training_loss"], ["validation", "validation_loss"]];

export function losses() {
  const { element, body, note } = panel("Losses side by side", "losses");
  const heads = ["Name", "Training", "Validation"].map((word) => make("th", { scope: "col" }, word));
  const rows = make("tbody", {});
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), rows);
  const empty = make("p", { class: "quiet" }, "Nobody has trained a model yet.");
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Losses" }, table);
  body.append(scroll, empty);

  const part = () => {
    const name = make("span", { class: "name" });
    const cells = KINDS.map(([kind]) => ({ number: make("span", { class: "number" }), length: bar(kind) }));
    const boxes = cells.map(({ number, length }) => make("td", {}, number, length.element));
    return {
      element: make("tr", {}, make("th", { scope: "row" }, name), ...boxes),
      update({ job, highest }) {
        say(name, job.owner);
        KINDS.forEach(([, field], number) => {
          say(cells[number].number, loss(job[field]));
          cells[number].length.show((job[field] ?? 0) / highest);
        });
      },
    };
  };
  const update = ({ jobs }) => {
    const newest = new Map();
    for (const job of jobs) {
      if (job.status === "succeeded" && job.training_loss != null && !newest.has(job.owner)) newest.set(job.owner, job);
    }
    const all = [...newest.values()].sort((one, other) => one.owner.localeCompare(other.owner));
    const highest = Math.max(0.001, ...all.flatMap((job) => [job.training_loss, job.validation_loss ?? 0]));
    keep(rows, all.map((job) => ({ job, highest })), ({ job }) => job.owner, part);
    say(note, all.length ? "each one's newest model" : "");
    scroll.hidden = !all.length;
    empty.hidden = all.length > 0;
  };
  return { element, update };
}
