// The panels with jobs: those in training, those that wait, those that failed, and all; and what they have in common.

import { get, post } from "./api.js";
import { curve } from "./curve.js";
import { ago, bar, keep, listing, loss, make, mark, panel, plural, say, span, twice } from "./dom.js";

const OVER = ["succeeded", "failed", "cancelled"];
const WAITING = ["validating_files", "queued"];
const STATES = { validating_files: "checking", queued: "waiting", running: "training" };
const WITH_CURVE = 4; // under Slurm many may train at once

/** What a job is made of: its file, and the word that its owner gave the model. */
const about = (job) => [job.file ?? "a file that was deleted", job.suffix].filter(Boolean).join(" · ");

/** How far a running job is, in words. */
function progress(job, now) {
  if (!job.total_steps) return "It is just starting.";
  const left = job.estimated_finish ? `, done in ${span(Math.max(0, job.estimated_finish - now))}` : "";
  return `Step ${job.step} of ${job.total_steps}${left}`;
}

/** When a waiting job's turn comes, in words. */
function turn(job) {
  if (job.status === "validating_files") return "its file is being checked";
  if (job.ahead == null) return job.waits ?? "about to start";
  if (job.ahead === 0) return "next";
  const wait = job.starts_in == null ? "" : `, starts in ${span(job.starts_in)}`;
  return `${plural(job.ahead, "job")} ahead${wait}`;
}

/** What to say about a job in a list of all. */
function outcome(job, now) {
  if (job.status === "running") return progress(job, now);
  if (job.status === "queued") return turn(job);
  if (job.status === "failed") return job.error;
  if (job.status === "succeeded") return `Training loss ${loss(job.training_loss)}, ended ${ago(now - job.finished_at)}`;
  return job.finished_at ? `Ended ${ago(now - job.finished_at)}` : "";
}

/** Ask the service to do something with a job, and tell what came of it. */
async function change(path, done, room) {
  try {
    await post(path);
    room.tell(done);
  } catch (error) {
    room.tell(error.message);
  }
  room.refresh();
}

const canceller = (job, whose, room) =>
  twice("Cancel", `Cancel ${whose}`, `Really cancel ${whose}?`, () =>
    change(`fine_tuning/jobs/${encodeURIComponent(job.id)}/cancel`, `Cancelled: ${whose}.`, room));

/** A job's curve, fetched when the job has moved on. */
function fetched(job) {
  const drawn = curve();
  let shown = null;
  const update = async (job) => {
    const now = `${job.status} ${job.step}`;
    if (now === shown || !job.step) return;
    shown = now;
    try {
      drawn.show(await get(`class/jobs/${encodeURIComponent(job.id)}/curve`));
    } catch {
      shown = null; // the next round tries again
    }
  };
  update(job);
  return { element: drawn.element, update };
}

/** The jobs that are training, each with its curve. */
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

/** Who waits, in the order in which their turn comes. An instructor may change it. */
export function queue(room) {
  const { element, fill } = listing("Queue", "queue", "Jobs that wait", "Nobody waits.", make("ol", { class: "plain-list" }));

  const mover = (job, where) => {
    const label = `Put ${job.owner}'s job ${where}`;
    const button = make("button", { class: "plain", type: "button", "aria-label": label }, where === "first" ? "First" : "Last");
    const path = `class/jobs/${encodeURIComponent(job.id)}/${where}`;
    button.addEventListener("click", () => change(path, `${job.owner}'s job is ${where} now.`, room));
    return button;
  };
  const part = (job) => {
    const place = make("span", { class: "place" });
    const name = make("span", { class: "name" });
    const what = make("span", { class: "what quiet small" });
    const when = make("span", { class: "small" });
    const acts = make("span", { class: "acts" }, mover(job, "first"), mover(job, "last"), canceller(job, `${job.owner}'s job`, room));
    return {
      element: make("li", { class: "waiting" }, place, name, acts, make("span", { class: "title" }, what, when)),
      update(job) {
        say(place, String(job.place));
        say(name, job.owner);
        say(what, about(job));
        say(when, turn(job));
      },
    };
  };
  const update = ({ jobs }) => {
    const waiting = jobs.filter((job) => WAITING.includes(job.status)).reverse();
    const last = waiting.length;
    waiting.sort((one, other) => (one.ahead ?? last) - (other.ahead ?? last));
    const placed = waiting.map((job, number) => ({ ...job, place: number + 1 }));
    fill(placed, (job) => job.id, part, plural(last, "job waits", "jobs wait"));
  };
  return { element, update };
}

/** The jobs that failed, each with the reason. */
export function failed(room) {
  const { element, fill } = listing("Failed", "failed", "Jobs that failed", "", make("ul", { class: "plain-list" }));

  const part = () => {
    const name = make("span", { class: "name" });
    const what = make("span", { class: "quiet small" });
    const why = make("p", {});
    return {
      element: make("li", {}, make("span", { class: "title" }, name, what), why),
      update(job) {
        say(name, job.owner);
        say(what, `${about(job)} · ${ago(room.now() - job.finished_at)}`);
        say(why, job.error ?? "Nobody knows why.");
      },
    };
  };
  const update = ({ jobs }) => {
    const all = jobs.filter((job) => job.status === "failed");
    fill(all, (job) => job.id, part, plural(all.length, "job"));
    element.hidden = !all.length;
  };
  return { element, update };
}

/** All jobs, newest first, each with its curve behind a fold. */
export function history(room, mine) {
  const nothing = mine ? "You have no jobs yet. Start one in the notebook, and it appears here." : "Nobody has sent a job yet.";
  const list = make("ul", { class: "plain-list" });
  const { element, fill } = listing(mine ? "Your jobs" : "All jobs", "history", "Jobs", nothing, list);
  const update = ({ jobs }) => fill(jobs, (job) => job.id, (job) => folded(job, room, mine), plural(jobs.length, "job"));
  return { element, update };
}

function folded(job, room, mine) {
  const pill = make("span", { class: "pill" });
  const words = make("span", { class: "words" });
  const name = make("span", { class: "name" });
  const what = make("span", { class: "what quiet small" });
  const more = make("div", { class: "more" });
  const model = make("p", { class: "small" });
  const act = canceller(job, mine ? "this job" : `${job.owner}'s job`, room);
  const element = make("details", { class: "job" },
    make("summary", {}, make("span", { class: "title" }, name, what), pill, words), more);
  let inside = null;
  let latest = job;
  element.addEventListener("toggle", () => {
    if (!element.open || inside) return;
    inside = fetched(latest);
    more.append(inside.element, model, act);
  });
  const update = (job) => {
    latest = job;
    say(name, mine ? about(job) : job.owner);
    say(what, mine ? "" : about(job));
    say(pill, STATES[job.status] ?? job.status);
    mark(pill, "data-state", job.status);
    say(words, outcome(job, room.now()));
    say(model, job.fine_tuned_model ? `Its name: ${job.fine_tuned_model}` : "");
    act.hidden = OVER.includes(job.status);
    inside?.update(job);
  };
  return { element: make("li", {}, element), update };
}
