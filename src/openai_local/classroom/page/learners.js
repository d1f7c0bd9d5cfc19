// Who has uploaded, trained and asked.

import { keep, make, panel, say } from "./dom.js";
import { bar } from "./jobs.js";
import { ago, bytes, plural } from "./words.js";

const STEPS = [
  ["Uploaded", (learner) => learner.files, "file"],
  ["Trained", (learner) => learner.jobs.succeeded ?? 0, "model"],
  ["Asked", (learner) => learner.asked, "answer"],
];

export function learners(room) {
  const { element, body, note } = panel("Learners", "learners");
  const sums = STEPS.map(([word]) => ({ word, text: make("b", {}), part: bar() }));
  const heads = ["Name", ...STEPS.map(([word]) => word)].map((word) => make("th", { scope: "col" }, word));
  const rows = make("tbody", {});
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), rows);
  body.append(
    make("div", { class: "sums" }, ...sums.map(({ word, text, part }) => make("p", { class: "small" }, make("span", { class: "quiet" }, `${word} `), text, part.element))),
    make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Learners" }, table),
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
