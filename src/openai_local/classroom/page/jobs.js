// What all panels with jobs have in common: how a job is called, how it is, and what can be done with it.

import { get, post } from "./api.js";
import { curve } from "./curve.js";
import { make, mark, say, twice } from "./dom.js";
import { ago, loss, plural, span } from "./words.js";

export const OVER = ["succeeded", "failed", "cancelled"];
export const WAITING = ["validating_files", "queued"];
const STATES = { validating_files: "checking", queued: "waiting", running: "training" };

/** A job's state as a word for people. */
export const state = (job) => STATES[job.status] ?? job.status;

/** What a job is made of: its file, and the word that its owner gave the model. */
export const about = (job) => [job.file ?? "a file that was deleted", job.suffix].filter(Boolean).join(" · ");

/** How far a running job is, in words. */
export function progress(job, now) {
  if (!job.total_steps) return "It is just starting.";
  const left = job.estimated_finish ? `, done in ${span(Math.max(0, job.estimated_finish - now))}` : "";
  return `Step ${job.step} of ${job.total_steps}${left}`;
}

/** When a waiting job's turn comes, in words. */
export function turn(job) {
  if (job.status === "validating_files") return "its file is being checked";
  if (job.ahead == null) return job.waits ?? "about to start";
  if (job.ahead === 0) return "next";
  const wait = job.starts_in == null ? "" : `, starts in ${span(job.starts_in)}`;
  return `${plural(job.ahead, "job")} ahead${wait}`;
}

/** What to say about a job in a list of all. */
export function outcome(job, now) {
  if (job.status === "running") return progress(job, now);
  if (job.status === "queued") return turn(job);
  if (job.status === "failed") return job.error;
  if (job.status === "succeeded") return `Training loss ${loss(job.training_loss)}, ended ${ago(now - job.finished_at)}`;
  return job.finished_at ? `Ended ${ago(now - job.finished_at)}` : "";
}

/** Ask the service to do something with a job, and tell what came of it. `tell` shows a sentence. */
export async function change(path, done, { tell, refresh }) {
  try {
    await post(path);
    tell(done);
  } catch (error) {
    tell(error.message);
  }
  refresh();
}

/** The button that cancels a job. */
export const canceller = (job, whose, room) =>
  twice("Cancel", `Cancel ${whose}`, `Really cancel ${whose}?`, () =>
    change(`fine_tuning/jobs/${encodeURIComponent(job.id)}/cancel`, `Cancelled: ${whose}.`, room));

/** A bar from 0 to 1, which a screen reader leaves out: the words beside it say the same. */
export function bar(kind = "") {
  const inside = make("span", {});
  const element = make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, inside);
  return { element, show: (part) => inside.style.setProperty("width", `${(Math.min(1, Math.max(0, part)) * 100).toFixed(1)}%`) };
}

/** A job's curve, fetched when the job has moved on. */
export function fetched(job) {
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

/** One job in a list: who, how it is, and behind a fold its curve. `whose` adds its owner. */
export function folded(job, room, whose) {
  const pill = make("span", { class: "pill" });
  const words = make("span", { class: "words" });
  const name = make("span", { class: "name" });
  const what = make("span", { class: "what quiet small" });
  const more = make("div", { class: "more" });
  const model = make("p", { class: "small" });
  const act = canceller(job, whose ? `${job.owner}'s job` : "this job", room);
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
    say(name, whose ? job.owner : about(job));
    say(what, whose ? about(job) : "");
    say(pill, state(job));
    mark(pill, "data-state", job.status);
    say(words, outcome(job, room.now()));
    say(model, job.fine_tuned_model ? `Its name: ${job.fine_tuned_model}` : "");
    act.hidden = OVER.includes(job.status);
    inside?.update(job);
  };
  return { element: make("li", {}, element), update };
}
