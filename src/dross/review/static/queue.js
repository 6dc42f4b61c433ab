// The list and the grid: choosing rows, deciding on many after a preview, filters without a reload.

import { $, all, forget, getJson, go, main, post, refusal, say } from "./core.js";
import { open, pickLabel } from "./dialogs.js";
import { conflict, here, sharpen } from "./item.js";

const boxes = () => all(".pick input");
let every = null; // all rows that pass the filter, beyond this page, when they are chosen
const chosen = () => every ?? boxes().filter((box) => box.checked).map((box) => Number(box.value));

document.addEventListener("dross:page", ({ detail }) => {
  every = null;
  if (detail.page !== "queue") return;
  all(".tiles img").forEach(sharpen);
  $(".filters details").open = window.innerWidth > 760;
  $(".filters").classList.add("ready");
  counted();
});

/** Say how many rows are chosen, and let them be decided on. */
function counted() {
  const count = chosen().length, whole = $("#all");
  if (!whole) return;
  $("#selected").textContent = count ? `${count.toLocaleString("en")} selected` : "Select all on this page";
  whole.checked = count > 0 && count >= boxes().length;
  whole.indeterminate = count > 0 && !whole.checked;
  const more = $("#every");
  if (more) more.hidden = !whole.checked || every !== null;
  $(".tools").classList.toggle("some", count > 0);
  all("[data-many]").forEach((button) => { button.disabled = !count; });
}

/** Choose all rows that pass the filter, on this page and on all others. */
async function chooseEvery() {
  const { issue, query } = main().dataset;
  const found = await getJson(`/api/rows/${issue}${query}`);
  if (!found) return say("The rows cannot be fetched.", "alert");
  every = found.rows;
  if (found.total > every.length) say(`The first ${every.length.toLocaleString("en")} are selected: more cannot be decided at once.`);
  counted();
  $("#all").focus();
}

let last = null;

document.addEventListener("click", (event) => {
  if (event.target.id === "every") return void chooseEvery();
  const box = event.target.closest?.(".pick input");
  if (!box) return;
  every = null;
  if (event.shiftKey && last?.isConnected) {
    const line = boxes(), [from, to] = [line.indexOf(last), line.indexOf(box)].sort((a, b) => a - b);
    line.slice(from, to + 1).forEach((one) => { one.checked = box.checked; });
  }
  last = box;
  counted();
});

document.addEventListener("change", (event) => {
  if (event.target.id === "all") {
    every = null;
    boxes().forEach((box) => { box.checked = event.target.checked; });
    counted();
  } else if (event.target.closest?.("#filters")) {
    event.target.form.requestSubmit();
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "filters") return;
  event.preventDefault();
  const asked = new URLSearchParams([...new FormData(event.target)].filter(([, value]) => value !== ""));
  if (asked.get("state") === "open") asked.delete("state");
  const query = asked.toString();
  go(event.target.getAttribute("action") + (query ? `?${query}` : ""), { keep: true });
});

// ---- deciding on many -------------------------------------------------------------------------------------------------

const VERB = { accept: "Accept", keep: "Keep", drop: "Drop", unsure: "Not sure about", relabel: "Relabel" };

/** Show what a decision on the chosen rows would do; make it when the person agrees. */
export async function many(says) {
  const rows = chosen();
  if (!rows.length) return say("Choose rows first: x, or the boxes.");
  const { issue, seen } = main().dataset;
  const value = says === "relabel" ? await pickLabel() : undefined;
  if (value === null) return;
  const body = { issue, rows, says, ...(value === undefined ? {} : { value }) };
  const answer = await post("/api/preview", body);
  if (!answer.ok) return say(refusal(answer), "alert");
  const { changes, without, before } = answer.body;
  const total = Object.values(changes).reduce((sum, count) => sum + count, 0);
  $("#bulk-title").textContent = `${VERB[says]} ${rows.length === 1 ? "1 row" : `${rows.length.toLocaleString("en")} rows`}?`;
  $("#bulk-changes").replaceChildren(...Object.entries(changes).map(([words, count]) => {
    const line = document.createElement("li");
    line.dir = "auto";
    line.textContent = `${count.toLocaleString("en")} × ${words === "unsure" ? "not sure" : words}`;
    return line;
  }));
  const notes = [];
  if (without) notes.push(`${without} have nothing to accept and stay open.`);
  if (before) notes.push(`Somebody has decided on ${before} of them already.`);
  notes.push("One undo takes all of it back.");
  $("#bulk-note").textContent = notes.join(" ");
  const save = $("#bulk-save");
  save.disabled = !total;
  const dialog = open("bulk");
  save.onclick = async () => {
    save.disabled = true;
    if (rows.length > 1000) $("#bulk-note").textContent = "Writing…";
    const done = await post("/api/decisions", { ...body, seen: Number(seen) });
    dialog.close();
    if (done.status === 409) return conflict(done);
    if (!done.ok) return say(refusal(done), "alert");
    forget();
    say(`Decided on ${total === 1 ? "1 row" : `${total.toLocaleString("en")} rows`} — z to undo`);
    await go(here(), { push: false, keep: true });
    document.body.dispatchEvent(new Event("decided"));
  };
  save.focus();
}

// ---- keys in the list ---------------------------------------------------------------------------------------------------

function columns(tiles) {
  const top = tiles[0].offsetTop;
  const next = tiles.findIndex((one) => one.offsetTop > top);
  return next < 0 ? tiles.length : next;
}

export function move(key) {
  const tiles = all(".tiles .tile");
  if (!tiles.length) return;
  const at = tiles.indexOf(document.activeElement), across = columns(tiles.map((one) => one.closest("li")));
  const steps = { j: 1, K: -1, ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across };
  const to = at < 0 ? 0 : Math.max(0, Math.min(tiles.length - 1, at + steps[key]));
  tiles[to].focus();
  tiles[to].scrollIntoView({ block: "nearest" });
}

export function select() {
  const box = $("input", document.activeElement?.closest?.(".tiles li")?.querySelector(".pick") ?? document.createElement("i"));
  if (!box) return move("j");
  every = null;
  box.checked = !box.checked;
  last = box;
  counted();
}
