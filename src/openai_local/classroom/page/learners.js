// The panels with learners: who has uploaded, trained and asked; and the last losses of each one's newest model.

import { ago, bar, bytes, keep, listing, loss, make, panel, plural, say, scrolled, table } from "./dom.js";

const STEPS = [
  ["Uploaded", (learner) => learner.files, "file"],
  ["Trained", (learner) => learner.jobs.succeeded ?? 0, "model"],
  ["Asked", (learner) => learner.asked, "answer"],
];
const KINDS = [["training", "training_loss"], ["validation", "validation_loss"]];

export function learners(room) {
  const { element, body, note } = panel("Learners", "learners");
  const sums = STEPS.map(([word]) => ({ word, text: make("b", {}), part: bar() }));
  const [whole, rows] = table("Name", ...STEPS.map(([word]) => word));
  body.append(
    make("div", { class: "sums" }, ...sums.map(({ word, text, part }) => make("p", { class: "small" }, make("span", { class: "quiet" }, `${word} `), text, part.element))),
    scrolled("Learners", whole),
  );

  const part = () => {
    const name = make("span", { class: "name" });
    const more = make("span", { class: "quiet small" });
    const cells = STEPS.map(() => make("td", {}));
    return {
      element: make("tr", {}, make("th", { scope: "row" }, make("span", { class: "title" }, name, more)), ...cells),
      update(learner) {
        say(name, learner.name);
        say(more, [now(learner), seen(learner, room.now()), learner.stored ? bytes(learner.stored) : ""].filter(Boolean).join(" · "));
        STEPS.forEach(([, count, what], number) => {
          const many = count(learner);
          say(cells[number], many ? `✓ ${many}` : "–");
          cells[number].title = plural(many, what);
          cells[number].classList.toggle("done", many > 0);
        });
      },
    };
  };
  const update = ({ learners }) => {
    keep(rows, learners, (learner) => learner.name, part);
    say(note, plural(learners.length, "name"));
    sums.forEach(({ text, part }, number) => {
      const done = learners.filter((learner) => STEPS[number][1](learner) > 0).length;
      say(text, `${done} of ${learners.length}`);
      part.show(learners.length ? done / learners.length : 0);
    });
  };
  return { element, update };
}

function now({ jobs }) {
  if (jobs.running) return "training";
  const waiting = (jobs.queued ?? 0) + (jobs.validating_files ?? 0);
  if (waiting) return plural(waiting, "job waits", "jobs wait");
  return jobs.failed && !jobs.succeeded ? "failed so far" : "";
}

const seen = (learner, now) => (learner.seen_at ? `seen ${ago(now - learner.seen_at)}` : "not seen yet");

/** The losses side by side. */
export function losses() {
  const [whole, rows] = table("Name", "Training", "Validation");
  const { element, fill } = listing("Losses side by side", "losses", "Losses", "Nobody has trained a model yet.", rows, whole);

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
    fill(all.map((job) => ({ job, highest })), ({ job }) => job.owner, part, "each one's newest model");
  };
  return { element, update };
}
