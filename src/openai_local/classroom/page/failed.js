// The jobs that failed, each with the reason.

import { keep, make, panel, say } from "./dom.js";
import { about } from "./jobs.js";
import { ago, plural } from "./words.js";

export function failed(room) {
  const { element, body, note } = panel("Failed", "failed");
  const list = make("ul", { class: "plain-list" });
  body.append(make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Jobs that failed" }, list));

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
    keep(list, all, (job) => job.id, part);
    say(note, plural(all.length, "job"));
    element.hidden = !all.length;
  };
  return { element, update };
}
