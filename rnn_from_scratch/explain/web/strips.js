// What the pages of runs share: two strips, one number a step. By gradient: how the output moves with what is read at a step.
// By trying: how far it really moves when that is replaced.

const TASKS = {};
const BUDGET = 12;  // milliseconds of work between two looks at what the reader does
const PIECE = 8;  // steps of a forward pass without a pause

const SIGNS = { "\n": "↵", " ": "␣", "\t": "⇥" };

// A character that can be seen: controls, marks and those that turn the direction of writing by their number
function visible(character) {
  if (SIGNS[character]) return SIGNS[character];
  return /^[\p{C}\p{M}\p{Z}]/u.test(character) ? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : character;
}

// A row of buttons, one a step. choose(t) is called by pointer and by keys.
function buildStrip(id, label, names, choose) {
  const made = element("div", { class: "strip", id, role: "group", "aria-label": label });
  names.forEach((name, t) => made.append(element("button", { type: "button", "data-t": t, tabindex: "-1" }, element("bdi", {}, name))));
  made.addEventListener("click", (event) => {
    const at = event.target.closest("button");
    if (at) choose(+at.dataset.t);
  });
  made.addEventListener("keydown", (event) => {
    const at = event.target.closest("button"), to = at && moved(event.key, +at.dataset.t, names.length);
    if (to === null || !at) return;
    event.preventDefault();
    choose(to);
    made.querySelector("[tabindex='0']").focus();
  });
  return made;
}

// values by step; those after `upTo` have none. chosen: which step is marked
function fillStrip(id, values, upTo, chosen, says) {
  const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  [...byId(id).children].forEach((one, t) => {
    const v = t <= upTo ? values[t] : undefined;
    one.style.setProperty("--share", `${most > 0 && v !== undefined ? Math.round((55 * Math.abs(v)) / most) : 0}%`);
    one.className = t > upTo ? "after" : "";
    one.setAttribute("aria-pressed", String(t === chosen));
    one.tabIndex = t === chosen ? 0 : -1;
    const told = v === undefined ? (t > upTo ? "comes later" : "not tried yet") : `${says} ${show(v, 4)}`;
    one.title = `step ${t}: ${told}`;
    if (v === undefined) delete one.dataset.value;
    else one.dataset.value = v;
  });
}

// Work in slices that the next call cancels: steps of a generator, each short
const work = { number: 0 };
function inSlices(steps) {
  const mine = ++work.number;
  const go = () => {
    const until = performance.now() + BUDGET;
    while (performance.now() < until) {
      if (mine !== work.number || steps.next().done) return;
    }
    setTimeout(go, 0);
  };
  setTimeout(go, 0);
}

// The output of the loss when the input of step s is replaced, in short steps: the states before s are kept
function* tried(run, layers, loss, s, replacement) {
  const width = MODEL.codes ? 1 : MODEL.inputs, again = !MODEL.live && layers.every((layer) => !layer.goBackwards);
  const input = run.input.slice();
  replacement.forEach((value, i) => { input[s * width + i] = value; });
  if (!again) return runModel(MODEL, layers, input, initialStates()).outputs[loss.step][loss.output];
  let states = run.tapes.map((tape) => tape.states.map((a, k) => a.subarray(s * tape.layer.H, (s + 1) * tape.layer.H)));
  let tapes = null, from = s, count = 0;
  for (; from <= loss.step; from += count) {
    count = Math.min(PIECE, loss.step + 1 - from);
    const part = input.slice(from * width, (from + count) * width);
    tapes = forwardStack(layers, vectors(MODEL, part, count), count, states, null);
    states = tapes.map((tape) => tape.states.map((a) => a.subarray(count * tape.layer.H, (count + 1) * tape.layer.H)));
    yield;
  }
  return headOutputs(MODEL, tapes, count - 1)[loss.output];
}

// Fill a strip with |change of the output|, step by step from the latest to the first
function fillTried(id, view, chosen, replacementOf, says) {
  const { run } = view, loss = { ...STATE.loss }, layers = turnedLayers(), values = [];
  const before = run.outputs[loss.step][loss.output];
  delete byId(id).dataset.done;
  inSlices((function* () {
    for (let s = loss.step; s >= 0; s--) {
      const after = yield* tried(run, layers, loss, s, replacementOf(s));
      values[s] = Math.abs(after - before);
      if (s % 25 === 0) fillStrip(id, values, loss.step, chosen, says);
    }
    fillStrip(id, values, loss.step, chosen, says);
    byId(id).dataset.done = "yes";
  })());
  fillStrip(id, values, loss.step, chosen, says);
}

// The gradient of the loss by what is read at every step: its norm
function stepNorms(view) {
  return norms(view.all[0].dx);
}

const NEITHER = "The two differ, and neither is the cause: a gradient tells of a tiny change, "
  + "a replacement of one other thing that could stand there.";

function heading(text) {
  return element("h3", {}, text);
}

function sentence(text, id) {
  return element("p", { class: "soft", ...(id ? { id } : {}) }, text);
}
