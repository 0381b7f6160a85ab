// The page's own test: what NumPy recorded, computed here again.

const AS_RECORDED = { done: null };  // what the page's first picture shows, if its link asks for nothing else

function selfTest() {
  const differences = [];
  const compare = (name, ours, recorded) => differences.push({ name, count: recorded.length, error: error(ours, recorded) });
  if (!TWINS) {
    const y = readArray(DOC.check.y), { H } = MODEL.layers[MODEL.top], h = recordedArray("states.h").subarray(H);
    const forward = !DOC.layers[MODEL.top].go_backwards && !MODEL.live;
    if (forward) compare("y", h, y);
    return differences;
  }
  const run = runModel(MODEL, MODEL.layers, MODEL.codes || MODEL.x), grads = gradients(MODEL, run, { step: MODEL.T - 1, ...DOC.loss });
  AS_RECORDED.done = { run, grads };
  const found = computed(run, grads);
  for (const [name, recorded] of Object.entries(DOC.check)) {
    if (name === "allowed") continue;
    compare(name, found[name](), Array.isArray(recorded) ? Float64Array.from(recorded) : readArray(recorded));
  }
  return differences;
}

// Name of DOC.check -> the same array, made here
function computed(run, grads) {
  const found = { y: () => run.tapes[MODEL.top].y, dx: () => grads[0].dx, reach: () => norms(grads[0].dx) };
  Object.assign(found, { outputs: () => allOutputs(run), log_p: () => nextOnes(run) });
  found.attention = () => Float64Array.from(attention(MODEL, run).flatMap((row) => Array.from(row)));
  found.source_reach = () => rowNorms(sourceGradient(MODEL, run, grads, { step: MODEL.T - 1, ...DOC.loss }), MODEL.encoder.E);
  run.tapes.forEach((tape, n) => {
    const prefix = n === MODEL.top ? "" : `${n}:`, { cell, H } = tape.layer, T = MODEL.T;
    cell.states.forEach((name, k) => {
      found[`${prefix}states.${name}`] = () => tape.states[k];
      found[`${prefix}arriving.${name}`] = () => everyUnit(tape, (t, u) => grads[n].ds[k][(t + tape.after) * H + u], T, H);
    });
    cell.saved.forEach((name, k) => { found[`${prefix}saved.${name}`] = () => tape.saved[k]; });
    for (const name of new Set(sourceOf(n).backward.flatMap((line) => line.sets))) {
      found[`${prefix}backward.${name}`] = () => everyUnit(tape, (t, u) => {
        const { backward } = namesAt(tape, grads[n], t, u);
        return backward.find((got) => got[name] !== undefined)[name];
      }, T, H);
    }
  });
  return found;
}

function everyUnit(tape, value, T, H) {
  const live = tape.live;
  return Float64Array.from({ length: T * H }, (_, j) => {
    const t = Math.floor(j / H);
    return live && !live[t] ? 0 : value(t, j % H);
  });
}

function allOutputs(run) {
  return Float64Array.from(run.outputs.flatMap((row) => Array.from(row)));
}

// log p of the character that comes next, after each but the last
function nextOnes(run) {
  return Float64Array.from({ length: MODEL.T - 1 }, (_, t) => run.outputs[t][MODEL.codes[t + 1]]);
}

// The norm of the gradient by the vector of every step
function norms(dx) {
  const I = dx.length / MODEL.T;
  return Float64Array.from({ length: MODEL.T }, (_, t) => Math.hypot(...dx.subarray(t * I, (t + 1) * I)));
}

function sayCheck() {
  let differences = [], broken = "";
  try {
    differences = selfTest();
  } catch (problem) {
    broken = String(problem);  // a document that does not fit: said on the page
  }
  const worst = differences.reduce((a, b) => (b.error > a.error ? b : a), { error: 0, name: "" });
  const count = differences.reduce((sum, one) => sum + one.count, 0), right = !broken && worst.error <= DOC.check.allowed;
  const said = `${count.toLocaleString("en")} numbers of ${DOC.made_by} computed again here, worst difference ${show(worst.error)}`;
  const own = `These are numbers that ${DOC.made_by} recorded. This cell has no twin in JavaScript, so nothing can be turned.`;
  const wrong = `Do not trust me: ${broken || `${said} in ${worst.name}, where ${show(DOC.check.allowed)} is allowed`}.`;
  byId("check").textContent = !right ? wrong : TWINS ? `${said}.` : own;
  byId("check").className = right ? "ok" : "bad";
  document.body.dataset.selftest = right ? "ok" : "failed";
  return right;
}
