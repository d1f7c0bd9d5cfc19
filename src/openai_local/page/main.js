// The page: a key opens it, and then it asks the service every two seconds how things are.

import { Refusal, get, key } from "./api.js";
import { mark, say } from "./dom.js";
import { failed } from "./failed.js";
import { history } from "./history.js";
import { learners } from "./learners.js";
import { losses } from "./losses.js";
import { machine } from "./machine.js";
import { playground } from "./playground.js";
import { queue } from "./queue.js";
import { running } from "./running.js";
import { plural } from "./words.js";

const EVERY = 2000; // milliseconds
const PATIENCE = 8000; // how long a sentence stands
const PLACES = { local: "trains on this machine", slurm: "trains under Slurm" };
const find = (id) => document.getElementById(id);

let latest = null; // what the service said last
let shown = null; // how to show it: a list of functions
let timer = null;
let saying = null;
let round = 0;

const room = {
  now: () => latest.at,
  you: () => latest.you,
  refresh: () => look(),
  tell(sentence) {
    clearTimeout(saying);
    say(find("line"), sentence);
    mark(find("line"), "data-kind", "said");
    saying = setTimeout(() => tellConnection(true), PATIENCE);
  },
};

function tellConnection(here) {
  if (here && find("line").dataset.kind === "said" && saying) {
    clearTimeout(saying);
    saying = null;
  }
  say(find("line"), here ? "" : "Connection lost, trying again.");
  mark(find("line"), "data-kind", here ? null : "lost");
}

function open({ you }) {
  const panels = you.instructor
    ? [running(room, false), queue(room), failed(room), learners(room), losses(), history(room, false), playground(room)]
    : [running(room, true), history(room, true), playground(room)];
  find("panels").replaceChildren(...panels.map(({ element }) => element));
  find("panels").className = you.instructor ? "class" : "learner";
  say(find("title"), you.instructor ? "Class" : you.name);
  find("machine").replaceChildren();
  find("door").hidden = true;
  find("room").hidden = false;
  shown = [machine(find("machine")), ...panels.map(({ update }) => update)];
}

function close(sentence) {
  clearTimeout(timer);
  key.forget();
  latest = shown = null;
  round += 1; // what is still under way is not shown any more
  find("room").hidden = true;
  find("door").hidden = false;
  find("panels").replaceChildren();
  say(find("refused"), sentence);
  find("key").value = "";
  find("key").focus();
}

function show(snapshot) {
  latest = snapshot;
  if (!shown) open(snapshot);
  const { you, queue, runner } = snapshot;
  const role = you.instructor ? `${you.name}, instructor · ` : "";
  say(find("who"), `${role}${plural(queue.running, "job")} in training, ${queue.waiting} waiting · ${PLACES[runner.kind] ?? runner.kind}`);
  for (const update of shown) update(snapshot);
}

async function look() {
  clearTimeout(timer);
  const mine = (round += 1);
  let wait = EVERY;
  try {
    const snapshot = await get("class");
    if (mine !== round) return;
    show(snapshot);
    if (find("line").dataset.kind === "lost") tellConnection(true);
  } catch (error) {
    if (mine !== round) return;
    if (error.status === 401) return close("The service does not know this key. Look at your hand-out, or ask your instructor.");
    if (!(error instanceof Refusal)) console.info(error);
    if (!shown) return close(error instanceof Refusal ? error.message : "The service does not answer. Try again in a moment.");
    if (error.status !== 429) tellConnection(false);
    wait = Math.max(EVERY, (error.wait ?? 0) * 1000);
  }
  if (!document.hidden) timer = setTimeout(look, wait);
}

find("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = find("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) return close("A key has letters, digits and dashes only, without spaces.");
  say(find("refused"), "");
  key.keep(given);
  look();
});
find("leave").addEventListener("click", () => close(""));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (key.read()) look();
});

if (key.read()) look();
else close("");
