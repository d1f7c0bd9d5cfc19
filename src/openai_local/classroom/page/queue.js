// Who waits, in the order in which their turn comes. An instructor may change it.

import { keep, make, panel, say } from "./dom.js";
import { WAITING, about, canceller, change, turn } from "./jobs.js";
import { plural } from "./words.js";

export function queue(room) {
  const { element, body, note } = panel("Queue", "queue");
  const list = make("ol", { class: "plain-list" });
  const empty = make("p", { class: "quiet" }, "Nobody waits.");
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Jobs that wait" }, list);
  body.append(scroll, empty);

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
    keep(list, waiting.map((job, number) => ({ ...job, place: number + 1 })), (job) => job.id, part);
    say(note, waiting.length ? plural(waiting.length, "job waits", "jobs wait") : "");
    scroll.hidden = !waiting.length;
    empty.hidden = waiting.length > 0;
  };
  return { element, update };
}
