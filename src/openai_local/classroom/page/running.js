// The jobs that are training, each with its curve.

import { keep, make, panel, say } from "./dom.js";
import { WAITING, about, bar, canceller, fetched, progress, turn } from "./jobs.js";
import { plural } from "./words.js";

const WITH_CURVE = 4; // under Slurm many may train at once

export function running(room, mine) {
  const { element, body, note } = panel(mine ? "Your job in training" : "In training", "running");
  const list = make("ul", { class: "plain-list" });
  const empty = make("p", { class: "quiet" });
  body.append(list, empty);

  const part = (job) => {
    const name = make("span", { class: "name" });
    const what = make("span", { class: "quiet small" });
    const words = make("span", { class: "small" });
    const done = bar();
    const drawn = job.curve ? fetched(job) : null;
    const act = canceller(job, mine ? "this job" : `${job.owner}'s job`, room);
    const top = make("div", { class: "row" }, make("span", { class: "title" }, name, what), act);
    return {
      element: make("li", {}, top, done.element, words, ...(drawn ? [drawn.element] : [])),
      update(job) {
        say(name, mine ? about(job) : job.owner);
        say(what, mine ? "" : about(job));
        say(words, progress(job, room.now()));
        done.show(job.total_steps ? job.step / job.total_steps : 0);
        drawn?.update(job);
      },
    };
  };
  const update = ({ jobs, queue }) => {
    const now = jobs.filter((job) => job.status === "running").reverse();
    keep(list, now.map((job, number) => ({ ...job, curve: number < WITH_CURVE })), (job) => `${job.id} ${job.curve}`, part);
    say(note, now.length > 1 ? plural(now.length, "job") : "");
    say(empty, now.length ? "" : idle(mine, queue, jobs));
    empty.hidden = now.length > 0;
  };
  return { element, update };
}

function idle(mine, queue, jobs) {
  const waiting = jobs.filter((job) => WAITING.includes(job.status));
  if (!mine) return waiting.length ? "The next job is about to start." : "Nothing is training. The next job starts at once.";
  const next = waiting.reduce((best, job) => ((job.ahead ?? Infinity) < (best?.ahead ?? Infinity) ? job : best), waiting[0]);
  if (next) return `Your job ${about(next)} waits: ${turn(next)}.`;
  return queue.running + queue.waiting
    ? `None of your jobs is training. In the whole class, ${queue.running} in training and ${queue.waiting} waiting.`
    : "Nothing is training. The next job that you send starts at once.";
}
