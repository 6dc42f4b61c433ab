// The map of the rows: points on a canvas, and a selection drawn around some of them.

const WIDTH_OF = { few: 3.2, many: 2 };
const MOST = 4000; // rows that one address holds

const frame = document.querySelector("#map");
const canvas = frame?.querySelector("canvas");
const words = document.querySelector("#map-words");
const go = document.querySelector("#map-go");
const issues = document.querySelector("#map-issue");
const colours = ["#4e79a7", "#2f8f83", "#6a9a3c", "#a58b24", "#8b6bb1", "#c2587d", "#8d6a58", "#6b7c93", "#3a9ab8", "#a85fa0"];
let data = null, lasso = [], inside = [], drawing = false;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Where the points stand on the canvas, in its own pixels. */
function places() {
  const { width, height } = canvas, edge = 14 * devicePixelRatio;
  const side = Math.min((width - 2 * edge) / 1, (height - 2 * edge) * (width / height));
  return data.places.map(([x, y]) => [
    (width - side) / 2 + x * side,
    edge + y * (height - 2 * edge),
  ]);
}

function fit() {
  const box = canvas.getBoundingClientRect();
  canvas.width = Math.round(box.width * devicePixelRatio);
  canvas.height = Math.round(box.height * devicePixelRatio);
  draw();
}

function dot(pen, [x, y], size, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, size, 0, 7);
  pen.fill();
}

function draw() {
  const pen = canvas.getContext("2d"), at = places(), chosen = new Set(inside);
  const size = (data.rows.length > 1500 ? WIDTH_OF.many : WIDTH_OF.few) * devicePixelRatio;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const soft = style("--soft"), accent = style("--accent"), ink = style("--ink");
  const flagged = (i) => Boolean(data.flagged[i]);
  pen.globalAlpha = 0.6;
  at.forEach((point, i) => { if (!flagged(i)) dot(pen, point, size, colours[data.codes?.[i]] ?? soft); });
  pen.globalAlpha = 1;
  at.forEach((point, i) => { if (flagged(i)) dot(pen, point, size * 1.25, accent); });
  pen.strokeStyle = ink;
  pen.lineWidth = devicePixelRatio;
  at.forEach(([x, y], i) => {
    if (!chosen.has(i)) return;
    pen.beginPath();
    pen.arc(x, y, size * 1.9, 0, 7);
    pen.stroke();
  });
  if (lasso.length > 1) {
    pen.beginPath();
    lasso.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.globalAlpha = 0.1;
    pen.fillStyle = accent;
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = accent;
    pen.lineWidth = 1.5 * devicePixelRatio;
    pen.stroke();
  }
}

/** Whether a point is within the closed line, by the number of its sides to the right. */
export function within([x, y], line) {
  let odd = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [ax, ay] = line[i], [bx, by] = line[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

function offer() {
  const rows = inside.map((i) => data.rows[i]).sort((a, b) => a - b).slice(0, MOST);
  const count = inside.filter((i) => data.flagged[i]).length;
  const some = rows.length > 0;
  words.textContent = some ? `${inside.length.toLocaleString("en")} rows selected, ${count.toLocaleString("en")} of them flagged` : "Flagged rows stand out.";
  go.hidden = issues.hidden = !some;
  if (some) go.href = `/queue/${issues.value}?state=all&rows=${rows.join(",")}`;
}

const point = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * devicePixelRatio, (event.clientY - box.top) * devicePixelRatio];
};

function listen() {
  canvas.addEventListener("pointerdown", (event) => {
    drawing = true;
    canvas.setPointerCapture(event.pointerId);
    lasso = [point(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    lasso.push(point(event));
    draw();
  });
  const stop = () => {
    if (!drawing) return;
    drawing = false;
    const at = places();
    inside = lasso.length > 2 ? at.flatMap((one, i) => (within(one, lasso) ? [i] : [])) : [];
    lasso = [];
    draw();
    offer();
  };
  canvas.addEventListener("pointerup", stop);
  canvas.addEventListener("pointercancel", stop);
  issues.addEventListener("change", offer);
  new ResizeObserver(fit).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

function legend() {
  const names = (data.names ?? []).slice(0, colours.length).map((name, i) => [name, colours[i]]);
  document.querySelector("#legend").replaceChildren(...[["flagged", style("--accent")], ...names].map(([name, colour]) => {
    const one = document.createElement("li");
    const key = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    key.setAttribute("viewBox", "0 0 10 10");
    key.setAttribute("aria-hidden", "true");
    for (const [k, v] of Object.entries({ cx: 5, cy: 5, r: 5, fill: colour })) circle.setAttribute(k, v);
    key.append(circle);
    const text = document.createElement("bdi");
    text.textContent = name;
    one.append(key, text);
    return one;
  }));
}

async function load() {
  const answer = await fetch("/api/map").catch(() => null);
  data = answer?.ok ? await answer.json() : null;
  if (!data?.rows?.length) {
    words.textContent = "The map cannot be drawn here.";
    canvas.hidden = true;
    return;
  }
  legend();
  listen();
}

if (canvas) load();
