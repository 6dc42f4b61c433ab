// One row at a time: decisions, undo, and on to the next row.

import { $, all, beside, forget, getJson, go, looked, main, note, post, prefetch, refusal, say } from "./core.js";
import { editText, open, pickLabel, writeComment } from "./dialogs.js";

const DONE = { keep: "Kept", drop: "Dropped", unsure: "Not sure about" };
let busy = false;

export const here = () => location.pathname + location.search;

function shown({ detail }) {
  if (detail.page !== "item") return;
  const { issue, next } = detail.main.dataset;
  note(issue, here());
  const previous = $('[data-do="previous"]');
  if (previous) previous.disabled = !beside(issue, -1);
  all(".picture img, .thumbs img").forEach(sharpen);
  prefetch(next);
}
document.addEventListener("dross:page", shown);

/** Pictures of a few pixels keep them when they are made large. */
export function sharpen(image) {
  const look = () => image.classList.toggle("pixels", image.naturalWidth > 0 && image.naturalWidth <= 64);
  if (image.complete) look();
  image.addEventListener("load", look, { once: true });
}

export function next() {
  const { issue, next: following, back } = main().dataset;
  return go(beside(issue, 1) ?? (following || back));
}

export function previous() {
  const url = beside(main().dataset.issue, -1);
  return url ? go(url) : say("This is the first row you looked at.");
}

/** Somebody else decided meanwhile: say who, and show the row again. */
export function conflict(answer) {
  $("#conflict-words").textContent = answer.body?.what ?? "Somebody else decided meanwhile.";
  const dialog = open("conflict");
  const again = () => {
    forget();
    go(here(), { push: false });
  };
  $("#conflict-look").onclick = () => dialog.close();
  dialog.addEventListener("close", again, { once: true });
}

/** Where to go on. A page that was fetched ahead may name a row that was decided on since: then the best open one. */
function onwards() {
  const { issue, next: following, back } = main().dataset;
  const stale = following && looked(issue, following) && !new URLSearchParams(location.search).has("sample");
  return stale ? `/start/${issue}${location.search}` : following || back;
}

async function alone(act) {
  if (busy) return;
  busy = true;
  try { await act(); } finally { busy = false; }
}

function decide(says, words, extra = {}) {
  return alone(async () => {
    const { issue, row, seen } = main().dataset;
    const body = { issue, rows: [Number(row)], says, seen: Number(seen), ...extra };
    const answer = await post("/api/decisions", body);
    if (answer.status === 409) return conflict(answer);
    if (!answer.ok) return say(refusal(answer), "alert");
    say(`${words} — z to undo`);
    await go(onwards());
    document.body.dispatchEvent(new Event("decided"));
  });
}

export function act(what, button) {
  const { row, accept, suggested, labelled } = main().dataset;
  switch (what) {
    case "keep": case "drop": case "unsure":
      return decide(what, `${DONE[what]} row ${row}`);
    case "accept":
      if (!accept) return say("Nothing is suggested here.");
      return decide("accept", accept === "drop" ? `Dropped row ${row}` : `Relabelled row ${row} to ${suggested}`);
    case "pick":
      return decide("relabel", `Relabelled row ${row} to ${button.dataset.value}`, { value: button.dataset.value });
    case "label": return labelled ? label() : say("These rows have no labels.");
    case "edit": return edit(button);
    case "comment": return comment();
    case "ask": return ask();
    case "undo": return step("undo");
    case "redo": return step("redo");
    case "zoom": return zoom();
    case "whole": return whole(button);
    case "next": return next();
    case "previous": return previous();
    default: return undefined;
  }
}

async function label() {
  const value = await pickLabel(JSON.parse(main().dataset.labels));
  if (value === null) return;
  const words = Array.isArray(value) ? value.join(", ") || "no label" : value;
  await decide("relabel", `Relabelled row ${main().dataset.row} to ${words}`, { value });
}

async function edit(button) {
  const index = button?.dataset.text ?? $('.content [data-do="edit"]')?.dataset.text;
  if (index === undefined) return say("This row has no text.");
  const made = await editText(index);
  if (made) await decide("set", `Edited row ${main().dataset.row}`, { value: made.text, field: made.column });
}

async function comment() {
  const text = await writeComment();
  if (text === null) return;
  const { issue, row } = main().dataset;
  const answer = await post("/api/comments", { issue, rows: [Number(row)], text });
  if (!answer.ok) return say(refusal(answer), "alert");
  say(`Commented on row ${row}`);
  await go(here(), { push: false, keep: true });
}

/** Ask for one opinion more than were needed, or than were given. */
function ask() {
  return alone(async () => {
    const { issue, row, needed, said } = main().dataset;
    const opinions = Math.max(Number(needed), Number(said)) + 1;
    const answer = await post("/api/asks", { issue, rows: [Number(row)], opinions });
    if (!answer.ok) return say(refusal(answer), "alert");
    forget();
    say(`${opinions} opinions are needed on row ${row} — z to undo`);
    await go(here(), { push: false, keep: true });
    document.body.dispatchEvent(new Event("decided"));
  });
}

/** Undo or redo the last step of this person, and show the row that it was about. */
export function step(which) {
  return alone(async () => {
    const answer = await post(`/api/${which}`, {});
    if (answer.status === 404 || (answer.ok && !answer.body?.rows)) return say(`There is nothing to ${which}.`);
    if (!answer.ok) return say(refusal(answer), "alert");
    const { rows, issue } = answer.body;
    forget();
    const again = which === "undo" ? "Shift + z to redo" : "z to undo";
    const what = rows.length === 1 ? `row ${rows[0]}` : `${rows.length.toLocaleString("en")} rows`;
    say(`${which === "undo" ? "Undone" : "Done again"}: ${what} — ${again}`);
    if (main().dataset.page === "item" && rows.length === 1) await go(`/item/${issue}/${rows[0]}${location.search}`);
    else await go(here(), { push: false, keep: true });
    document.body.dispatchEvent(new Event("decided"));
  });
}

function zoom() {
  const picture = $(".picture:has(button)");
  if (!picture) return;
  const large = picture.classList.toggle("zoomed");
  $("button", picture).setAttribute("aria-pressed", String(large));
  const image = $("img", picture);
  if (large && Math.max(image.naturalWidth, image.naturalHeight) >= 512) image.src = image.src.replace("size=512", "size=2048");
}

/** Show a long text whole; what was not sent yet is fetched. */
async function whole(button) {
  const box = button.closest(".panel").querySelector(".text");
  if (box.classList.toggle("whole") && button.dataset.cut) {
    const { issue, row } = main().dataset;
    const found = await getJson(`/part/text/${row}/${button.dataset.text}?issue=${encodeURIComponent(issue)}&shown=1`);
    if (!found) return say("The text cannot be fetched.", "alert");
    box.textContent = found.text;
    button.dataset.cut = "";
  }
  button.textContent = box.classList.contains("whole") ? "Show less" : "Show all";
}
