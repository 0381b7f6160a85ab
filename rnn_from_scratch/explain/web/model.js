// The document of the page as a model: what stands before the layers, the layers, the head; forward, and back to its input.

// {dtype, shape, data: base64, little endian} -> Float64Array
function readArray(a) {
  const text = atob(a.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return Float64Array.from(a.dtype === "float32" ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer));
}

function readMap(arrays) {
  return Object.fromEntries(Object.entries(arrays).map(([name, a]) => [name, readArray(a)]));
}

function readModel(doc) {
  const layers = doc.layers.map((row) => makeLayer(row, readMap(row.params)));
  const model = { layers, top: layers.length - 1, head: null, embedding: null, dense: null, T: 0, live: null, initial: null };
  const I = layers[0].I;
  if (doc.input.codes) {
    model.codes = doc.input.codes.slice();
    model.T = model.codes.length;
    model.embedding = readArray(doc.before.embedding);
  } else {
    model.x = readArray(doc.input.x);
    [model.T, model.inputs] = doc.input.x.shape;
    if (doc.before) model.dense = { ...readMap(doc.before.dense), columns: I };
  }
  if (doc.head) {
    const { W, b, activation, reads } = doc.head;
    model.head = { W: readArray(W), b: readArray(b), outputs: W.shape[1], activation, reads };
    if (doc.head.attention) model.head.attention = readMap(doc.head.attention);
  }
  if (doc.lengths !== null) model.live = Array.from({ length: model.T }, (_, t) => (t < doc.lengths ? 1 : 0));
  if (doc.initial_state) {
    const flat = doc.initial_state.map(readArray);
    model.initial = layers.map((layer, n) => flat.splice(0, doc.layers[n].states.length));
  }
  if (doc.encoder) readEncoder(model, doc.encoder);
  return model;
}

// The vectors [T][I] that the first layer reads
function vectors(model, input, T) {
  const I = model.layers[0].I, v = new Float64Array(T * I);
  if (model.embedding) input.forEach((code, t) => v.set(model.embedding.subarray(code * I, (code + 1) * I), t * I));
  else if (!model.dense) v.set(input);
  else {
    for (let t = 0; t < T; t++) {
      v.set(model.dense.b, t * I);
      addProduct(v, t * I, input, t * model.inputs, model.inputs, model.dense.W, I, [0], I);
    }
  }
  return v;
}

// Numbers -> their log softmax
function logSoftmax(z) {
  const most = Math.max(...z);
  const sum = Math.log(z.reduce((total, value) => total + Math.exp(value - most), 0));
  return z.map((value) => value - most - sum);
}

// What the head reads after `step`: the outputs of the top layer, or the last ones of every layer
function headInput(model, tapes, step) {
  if (model.head.reads !== "last of every layer") {
    const H = tapes[model.top].layer.H, y = tapes[model.top].y.subarray(step * H, (step + 1) * H);
    return model.head.attention ? attend(model, y, model.keys).out : y;
  }
  return Float64Array.from(tapes.flatMap((tape) => Array.from(tape.y.subarray(step * tape.layer.H, (step + 1) * tape.layer.H))));
}

// The head's outputs after `step`: log probabilities, or numbers
function headOutputs(model, tapes, step) {
  const { W, b, outputs, activation } = model.head, from = headInput(model, tapes, step), z = Float64Array.from(b);
  addProduct(z, 0, from, 0, from.length, W, outputs, [0], outputs);
  return activation === "softmax" ? logSoftmax(z) : z;
}

// Forward: the tapes, and the outputs of the head by step (of the last step alone, if it reads only that)
function runModel(model, layers, input, initial = model.initial, T = model.T, live = model.live) {
  const read = vectors(model, input, T), tapes = forwardStack(layers, read, T, initial, live), outputs = [];
  if (model.head) {
    const first = model.head.reads === "all" ? 0 : T - 1;
    for (let step = first; step < T; step++) outputs[step] = headOutputs(model, tapes, step);
  }
  return { T, input, read, tapes, outputs };
}

// The gradients of one number, by layer: of output `output` of the head after `step` (log p where it is a softmax),
// or of state `state` of unit `unit` after `step`.
function gradients(model, run, loss) {
  const { tapes, T } = run, top = tapes[model.top], dys = tapes.map(() => null);
  if (loss.state !== undefined) {
    const { cell, H } = top.layer, at = cell.states.indexOf(loss.state);
    const dstate = cell.states.map((_, k) => Float64Array.from({ length: H }, (_, u) => (k === at && u === loss.unit ? 1 : 0)));
    return backwardStack(tapes, dys, dstate, loss.step + 1);
  }
  if (!model.head) {
    dys[model.top] = new Float64Array(T * top.layer.H);
    dys[model.top][loss.step * top.layer.H + loss.output] = 1;
    return backwardStack(tapes, dys, null, loss.step + 1);
  }
  const { W, outputs, activation, reads } = model.head, z = run.outputs[loss.step];
  const dz = Float64Array.from(z, (value, j) => (j === loss.output ? 1 : 0) - (activation === "softmax" ? Math.exp(value) : 0));
  let row = 0;
  tapes.forEach((tape, n) => {
    const { H } = tape.layer;
    if (reads !== "last of every layer" && n < model.top) return;
    dys[n] = new Float64Array(T * H);
    if (model.head.attention) dys[n].set(attendBack(model, run, loss.step, dz).dy, loss.step * H);
    else addProductT(dys[n], loss.step * H, H, dz, 0, W.subarray(row * outputs, (row + H) * outputs), outputs, [0], outputs);
    row += H;
  });
  return backwardStack(tapes, dys, null, loss.step + 1);
}

// Every name of the cell at step t, for one unit: by phase, in the order in which they ran
function namesAt(tape, grads, t, u) {
  const { layer } = tape, { cell, H } = layer, K = cell.phases.length;
  const forward = cell.phases.map((gates, k) => {
    const from = t * cell.gates.length * H, got = forwardUnit(layer, tape, t, u, k);
    const saved = tape.saved.map((a) => a[t * H + u]), s_prev = tape.states.map((a) => a[(t + tape.before) * H + u]);
    return { ...got, saved, s_prev, xg: pick(tape.xg, from, gates, u, H), hg: pick(tape.hg, from, gates, u, H) };
  });
  const d = grads.ds.map((a) => a[(t + tape.after) * H + u]);
  const backward = cell.phases.map((_, k) => {
    const got = backwardUnit(layer, tape, t, u, k, k === K - 1 ? d : [...d, grads.dOperand[t * H + u]]);
    const arriving = Object.fromEntries(cell.states.map((name, j) => [`d${name}`, d[j]]));
    return { ...got, saved: forward[0].saved, s_prev: forward[0].s_prev, arriving };
  });
  return { forward, backward };
}

// max|a - b| / max|b|; another length, NaN or infinity is infinite, and an all-zero b demands exact zeros
function error(a, b) {
  let off = a.length === b.length ? 0 : Infinity, size = 0;
  for (let i = 0; i < b.length; i++) {
    off = Math.max(off, Math.abs(a[i] - b[i]));
    size = Math.max(size, Math.abs(b[i]));
    if (!Number.isFinite(a[i])) return Infinity;
  }
  return size > 0 ? off / size : off === 0 ? 0 : Infinity;
}
