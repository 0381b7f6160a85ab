// Everything together: compute, fill, choose, keep.

let view = null;

// again: the tapes of before serve, since only the loss has changed; first: those of the page's own test
function compute(again, first) {
  const shown = DOC.layers[STATE.layer], base = { H: shown.units, states: shown.states, saved: shown.saved };
  if (!TWINS) return base;
  const began = performance.now();
  const run = first ? first.run : again ? view.run : runModel(MODEL, turnedLayers(), STATE.input, initialStates());
  const grads = first ? first.grads : gradients(MODEL, run, STATE.loss), tape = run.tapes[STATE.layer], known = new Map();
  const names = (t, unit) => {
    const key = t * shown.units + unit;
    if (!known.has(key)) known.set(key, namesAt(tape, grads[STATE.layer], t, unit));
    return known.get(key);
  };
  document.body.dataset.computed = (performance.now() - began).toFixed(2);
  return { ...base, run, tape, grads: grads[STATE.layer], all: grads, names };
}

function turn(focus = false, again = false, first = null) {
  const began = performance.now();
  view = compute(again, first);
  if (TASK) TASK.fill(view);
  fillKnobs();
  fill(focus);
  document.body.dataset.turned = (performance.now() - began).toFixed(2);
}

const PARTS = { lines: fillLines, reach: fillReach, heat: fillHeat };  // id -> what fills it
const away = new Set();  // those that are out of sight
const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) isIntersecting ? away.delete(target.id) : away.add(target.id);
});

// What can be seen at once, the rest when there is time
function fill(focus = false) {
  const mine = view;
  fillGrid(view, focus);
  sayWhere(view);
  for (const [id, fillPart] of Object.entries(PARTS)) {
    if (away.has(id)) setTimeout(() => { if (view === mine) fillPart(view); });
    else fillPart(view);
  }
}

function choose(row, t, focus) {
  Object.assign(STATE, { row, t });
  fill(focus);
}

function rebuild(first = null) {
  if (!rowsOf(STATE.layer).some((row) => row.id === STATE.row)) STATE.row = DOC.layers[STATE.layer].states.at(-1);
  if (TASK) TASK.build();
  buildKnobs(() => turn(), () => rebuild());
  buildGrid(choose, () => turn());
  turn(false, false, first);
}

function keepButtons() {
  const text = element("input", { type: "text", readonly: "", "aria-label": "what was copied", hidden: "" });
  const copy = (value) => {
    text.hidden = false;
    text.value = value;
    text.select();
    const refused = () => { copied.textContent = "this browser lets no page copy: copy it by hand"; };
    if (!navigator.clipboard) refused();
    else navigator.clipboard.writeText(value).then(() => { copied.textContent = "copied"; }, refused);
  };
  const copyLink = () => {
    location.hash = hashOf();
    copy(location.href);
  };
  const copyLatex = () => {
    const latex = latexOfChosen(sourceOf(STATE.layer));
    if (latex) copy(latex);
    else copied.textContent = "the chosen row is made by no line of the cell";
  };
  const copied = element("output", { class: "soft" });
  byId("keep").replaceChildren(
    button("copy link", copyLink),
    button("copy LaTeX", copyLatex), text, copied,
    button("save PNG", () => download("explain.png", tablePicture())),
    button("save CSV", () => download("explain.csv", `data:text/csv;charset=utf-8,${encodeURIComponent(tableText())}`)),
  );
}

function say() {
  const file = DOC.layers[MODEL.top].file;
  const how = TWINS ? "Move an input or a knob: everything is computed again. " : "";
  const choose = "Choose a number, by pointer or by Tab and the arrow keys";
  byId("intro").textContent = `${how}${choose}: its line of ${file} is marked, and the line that it undoes.`;
  const settings = DOC.run ? Object.entries(DOC.run.settings).filter(([, value]) => value !== null && value !== "") : [];
  const run = settings.length ? ` Run: ${settings.map(([name, value]) => `${name} ${value}`).join(", ")}.` : "";
  byId("foot").textContent = `Made by ${DOC.made_by}. One file, no network: it can be mailed.${run}`;
}

say();
const TASK = TWINS && typeof TASKS !== "undefined" && Object.hasOwn(TASKS, DOC.kind) ? TASKS[DOC.kind]() : null;
if (sayCheck() || document.body.dataset.selftest === "failed") {
  readHash(location.hash);
  keepButtons();
  rebuild(location.hash.length > 1 ? null : AS_RECORDED.done);
}
for (const id of Object.keys(PARTS)) watch.observe(byId(id));
byId("heat").addEventListener("click", (event) => {
  const { t, unit } = heatAt(event);
  STATE.unit = unit;
  fillKnobs();
  choose(STATE.row, t, false);
});
window.addEventListener("hashchange", () => {
  if (location.hash.slice(1) === hashOf()) return;
  readHash(location.hash);
  rebuild();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => fillHeat(view));
