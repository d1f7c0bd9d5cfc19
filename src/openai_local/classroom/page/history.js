// All jobs, newest first, each with its curve behind a fold.

import { keep, make, panel, say } from "./dom.js";
import { folded } from "./jobs.js";
import { plural } from "./words.js";

export function history(room, mine) {
  const { element, body, note } = panel(mine ? "Your jobs" : "All jobs", "history");
  const list = make("ul", { class: "plain-list" });
  const empty = make("p", { class: "quiet" },
    mine ? "You have no jobs yet. Start one in the notebook, and it appears here." : "Nobody has sent a job yet.");
  const scroll = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Jobs" }, list);
  body.append(scroll, empty);
  const update = ({ jobs }) => {
    keep(list, jobs, (job) => job.id, (job) => folded(job, room, !mine));
    say(note, jobs.length ? plural(jobs.length, "job") : "");
    scroll.hidden = !jobs.length;
    empty.hidden = jobs.length > 0;
  };
  return { element, update };
}
