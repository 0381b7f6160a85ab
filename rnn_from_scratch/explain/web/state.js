// What is chosen and what is turned: the state of the page, kept in the link's hash as #t=5&row=f&b.f=5&x3=0.7.

const DOC = JSON.parse(byId("data").textContent);
const MODEL = readModel(DOC);
const TWINS = MODEL.layers.every((layer) => layer.cell !== null);  // else only recorded numbers are shown
const SMALL = 64;  // so many input values have a slider each

// Knobs of one layer: what is added to the biases, what Wh is multiplied by, one weight that has another value, initial states
function untouched(n) {
  const { H } = MODEL.layers[n], states = DOC.layers[n].states;
  const initial = states.map((_, k) => (MODEL.initial ? MODEL.initial[n][k].slice() : new Float64Array(H)));
  return { bias: DOC.layers[n].gates.map(() => 0), scale: 1, weight: null, initial };
}

const STATE = {};

function reset() {
  const last = MODEL.T - 1, top = MODEL.top, loss = { step: last, ...DOC.loss };
  Object.assign(STATE, {
    layer: top, unit: 0, t: loss.step, row: DOC.layers[top].states.at(-1), input: MODEL.codes ? MODEL.codes.slice() : MODEL.x.slice(),
    loss, turned: MODEL.layers.map((_, n) => untouched(n)),
  });
  if (DOC.loss.unit !== undefined) STATE.unit = DOC.loss.unit;
}

// The layers with their knobs applied
function turnedLayers() {
  return MODEL.layers.map((layer, n) => {
    const { bias, scale, weight } = STATE.turned[n], { H } = layer, params = { ...layer.params }, N = DOC.layers[n].gates.length * H;
    if (bias.some((b) => b !== 0)) {
      const name = params.bx ? "bx" : "b";
      params[name] = Float64Array.from({ length: N }, (_, j) => (params[name] ? params[name][j] : 0) + bias[Math.floor(j / H)]);
    }
    if (scale !== 1) params.Wh = params.Wh.map((v) => v * scale);
    if (weight) {
      params[weight.name] = params[weight.name].slice();
      params[weight.name][weight.index] = weight.value;
    }
    return { ...layer, params };
  });
}

function initialStates() {
  return STATE.turned.map((turned) => turned.initial);
}

// All that differs from the recorded state, as the hash has it
function hashOf() {
  const at = new URLSearchParams({ t: STATE.t, row: STATE.row, unit: STATE.unit });
  if (MODEL.top > 0) at.set("layer", STATE.layer);
  const { state, unit, output, step } = STATE.loss;
  at.set("loss", state === undefined ? `out.${output}.${step}` : `${state}.${unit}.${step}`);
  const start = MODEL.codes || MODEL.x, width = MODEL.codes ? 1 : MODEL.inputs;
  STATE.input.forEach((value, j) => {
    if (value !== start[j]) at.set(width > 1 ? `x${Math.floor(j / width)}.${j % width}` : `x${j}`, value);
  });
  STATE.turned.forEach((turned, n) => {
    const prefix = n < MODEL.top ? `${n}:` : "", recorded = untouched(n);
    turned.bias.forEach((b, g) => { if (b !== 0) at.set(`${prefix}b.${DOC.layers[n].gates[g]}`, b); });
    if (turned.scale !== 1) at.set(`${prefix}wh`, turned.scale);
    if (turned.weight) at.set(`${prefix}w`, `${turned.weight.name}.${turned.weight.index}.${turned.weight.value}`);
    turned.initial.forEach((values, k) => values.forEach((value, u) => {
      if (value !== recorded.initial[k][u]) at.set(`${prefix}${DOC.layers[n].states[k]}0.${u}`, value);
    }));
  });
  return at.toString();
}

// Take the state from a hash; what does not fit this page is left out
function readHash(hash) {
  reset();
  const within = (text, count) => (/^\d+$/.test(text) && +text < count ? +text : null);
  const value = (text) => (Number.isFinite(parseFloat(text)) ? parseFloat(text) : null);
  for (const [whole, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const [, lower, key] = /^(?:(\d+):)?(.*)$/.exec(whole), n = lower === undefined ? MODEL.top : +lower;
    if (n > MODEL.top) continue;
    const row = DOC.layers[n], turned = STATE.turned[n], v = value(text);
    const counts = { t: MODEL.T, layer: MODEL.top + 1, unit: Math.max(...MODEL.layers.map((layer) => layer.H)) };
    if (key in counts) STATE[key] = within(text, counts[key]) ?? STATE[key];
    else if (key === "row") STATE.row = text;
    else if (key === "loss") readLoss(text, within);
    else if (key === "wh" && v !== null) turned.scale = v;
    else if (key === "w") readWeight(text, n, turned);
    else if (key.startsWith("b.") && row.gates.includes(key.slice(2)) && v !== null) turned.bias[row.gates.indexOf(key.slice(2))] = v;
    else readNumber(key, v, row, turned);
  }
  if (!rowsOf(STATE.layer).some((row) => row.id === STATE.row)) STATE.row = DOC.layers[STATE.layer].states.at(-1);
  STATE.unit = Math.min(STATE.unit, MODEL.layers[STATE.layer].H - 1);
}

function readLoss(text, within) {
  const [what, of, at] = text.split("."), step = within(at ?? "", MODEL.T), top = DOC.layers[MODEL.top];
  const outputs = MODEL.head ? MODEL.head.outputs : top.units;
  if (step === null) return;
  if (what === "out" && within(of, outputs) !== null) STATE.loss = { output: +of, step };
  if (top.states.includes(what) && within(of, top.units) !== null) STATE.loss = { state: what, unit: +of, step };
}

function readWeight(text, n, turned) {
  const found = /^(\w+)\.(\d+)\.(.+)$/.exec(text), params = MODEL.layers[n].params;
  if (!found || !Object.hasOwn(params, found[1]) || +found[2] >= params[found[1]].length || !Number.isFinite(+found[3])) return;
  turned.weight = { name: found[1], index: +found[2], value: +found[3] };
}

function readNumber(key, v, row, turned) {
  const input = /^x(\d+)(?:\.(\d+))?$/.exec(key), initial = /^(\w+)0\.(\d+)$/.exec(key);
  if (v === null) return;
  if (input) {
    const width = MODEL.codes ? 1 : MODEL.inputs, j = +input[1] * width + +(input[2] ?? 0);
    const fits = MODEL.codes ? Number.isInteger(v) && v >= 0 && v < DOC.before.embedding.shape[0] : true;
    if (j < STATE.input.length && fits) STATE.input[j] = v;
  } else if (initial && row.states.includes(initial[1]) && +initial[2] < row.units) {
    turned.initial[row.states.indexOf(initial[1])][+initial[2]] = v;
  }
}
