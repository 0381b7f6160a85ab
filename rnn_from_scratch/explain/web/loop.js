// The time loop, a twin of ../../bptt.py for one sequence. Arrays are flat: x is [T][I], xg [T][G][H], states [T + 1][H] each.
//
// live: an array of T, 0 at masked steps; or null.

// A layer from its row of the document and its parameters, flat arrays by name; cell is null if it has no twin
function makeLayer(row, params) {
  const twin = Object.hasOwn(CELLS, row.cell) ? CELLS[row.cell](row) : null;
  const phi = ACTIVATIONS[row.activation], sigma = ACTIVATIONS[row.recurrent_activation];
  return { cell: twin, I: row.inputs, H: row.units, params, phi, sigma, goBackwards: row.go_backwards };
}

// out[at ...] += v[from ...] W for a W [n, N]: its columns of some gates, H each. The gates of a phase lie side by side.
// Four rows of W at a time: each number of out is then read and written a quarter as often, and a large page opens sooner.
function addProduct(out, at, v, from, n, W, N, gates, H) {
  const first = gates[0] * H, width = gates.length * H, o = at + first, fours = n - (n % 4);
  for (let i = 0; i < fours; i += 4) {
    const v0 = v[from + i], v1 = v[from + i + 1], v2 = v[from + i + 2], v3 = v[from + i + 3];
    const w0 = i * N + first, w1 = w0 + N, w2 = w1 + N, w3 = w2 + N;
    for (let j = 0; j < width; j++) out[o + j] += v0 * W[w0 + j] + v1 * W[w1 + j] + v2 * W[w2 + j] + v3 * W[w3 + j];
  }
  for (let i = fours; i < n; i++) {
    const value = v[from + i], w = i * N + first;
    for (let j = 0; j < width; j++) out[o + j] += value * W[w + j];
  }
}

// out[at ...] += d[from ...] W^T, the other way. Four sums at a time, so that none waits for the one before.
function addProductT(out, at, n, d, from, W, N, gates, H) {
  const first = gates[0] * H, width = gates.length * H, f = from + first, fours = n - (n % 4);
  for (let i = 0; i < fours; i += 4) {
    const w0 = i * N + first, w1 = w0 + N, w2 = w1 + N, w3 = w2 + N;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (let j = 0; j < width; j++) {
      const value = d[f + j];
      s0 += value * W[w0 + j];
      s1 += value * W[w1 + j];
      s2 += value * W[w2 + j];
      s3 += value * W[w3 + j];
    }
    out[at + i] += s0;
    out[at + i + 1] += s1;
    out[at + i + 2] += s2;
    out[at + i + 3] += s3;
  }
  for (let i = fours; i < n; i++) {
    const w = i * N + first;
    let sum = 0;
    for (let j = 0; j < width; j++) sum += d[f + j] * W[w + j];
    out[at + i] += sum;
  }
}

// The numbers of one unit: of some gates of a [G][H] that begins at `from`
function pick(a, from, gates, u, H) {
  const found = [];
  for (const g of gates) found.push(a[from + g * H + u]);
  return found;
}

// The steps in processing order, and the slots of s_prev and s: t + before, t + after
function order(T, goBackwards) {
  const steps = Array.from({ length: T }, (_, t) => (goBackwards ? T - 1 - t : t));
  return goBackwards ? { steps, before: 1, after: 0 } : { steps, before: 0, after: 1 };
}

function forwardLayer(layer, x, T, initial, live) {
  const { cell, I, H, params, phi, sigma } = layer;
  const G = cell.gates.length, N = G * H, every = cell.gates.map((_, g) => g), K = cell.phases.length;
  const { steps, before, after } = order(T, layer.goBackwards);
  const xg = new Float64Array(T * N), hg = new Float64Array(T * N), y = new Float64Array(T * H);
  const states = cell.states.map(() => new Float64Array((T + 1) * H));
  const saved = cell.saved.map(() => new Float64Array(T * H));
  if (initial) states.forEach((a, k) => a.set(initial[k], (steps[0] + before) * H));
  const operand = new Float64Array(H);
  let last = null;  // the slot of the last output, once a step was live
  steps.forEach((t, step) => {
    if (live && !live[t]) {
      for (const a of states) a.copyWithin((t + after) * H, (t + before) * H, (t + before + 1) * H);
      if (last !== null) y.copyWithin(step * H, last * H, (last + 1) * H);
      return;
    }
    const bias = params.b || params.bx;
    if (bias) xg.set(bias, t * N);
    addProduct(xg, t * N, x, t * I, I, params.Wx, N, every, H);
    if (params.bh) hg.set(params.bh, t * N);
    for (let k = 0; k < K; k++) {
      const gates = cell.phases[k];
      if (k === 0) addProduct(hg, t * N, states[0], (t + before) * H, H, params.Wh, N, gates, H);
      else addProduct(hg, t * N, operand, 0, H, params.Wh, N, gates, H);
      for (let u = 0; u < H; u++) {
        const got = forwardUnit(layer, { xg, hg, states, saved, before }, t, u, k);
        const first = k === 0 ? 0 : saved.length - got.kept.length;
        got.kept.forEach((value, j) => { saved[first + j][t * H + u] = value; });
        if (k < K - 1) operand[u] = got.operand;
        else got.s.forEach((value, j) => { states[j][(t + after) * H + u] = value; });
      }
    }
    last = step;
    y.set(states[0].subarray((t + after) * H, (t + after + 1) * H), step * H);
  });
  return { layer, x, T, xg, hg, states, saved, y, live, steps, before, after };
}

// One phase of one unit at step t of a tape: every name of the cell's forward
function forwardUnit(layer, tape, t, u, k) {
  const { cell, H, params, phi, sigma } = layer, from = t * cell.gates.length * H, gates = cell.phases[k];
  const s_prev = tape.states.map((a) => a[(t + tape.before) * H + u]);
  const saved = k === 0 ? [] : tape.saved.map((a) => a[t * H + u]);
  const p = cell.extras.map((_, j) => params.p[j * H + u]);
  return cell.forward(k, pick(tape.xg, from, gates, u, H), pick(tape.hg, from, gates, u, H), s_prev, saved, p, phi, sigma);
}

// One phase of one unit at step t, back: every name of the cell's backward
function backwardUnit(layer, tape, t, u, k, d) {
  const { cell, H, params, phi, sigma } = layer;
  const s_prev = tape.states.map((a) => a[(t + tape.before) * H + u]);
  const s = tape.states.map((a) => a[(t + tape.after) * H + u]);
  const p = cell.extras.map((_, j) => params.p[j * H + u]);
  return cell.backward(k, d, tape.saved.map((a) => a[t * H + u]), s_prev, s, p, phi, sigma);
}

// dy [T][H] in processing order, or null; dstate: one [H] per state, or null; upTo: steps that count, the later ones get nothing.
// ds[k][t + after]: the gradient of the loss by state k after step t, dy of that step added.
function backwardLayer(tape, dy, dstate, upTo = tape.T) {
  const { layer, T, steps, before, after, live } = tape, { cell, I, H, params } = layer;
  const G = cell.gates.length, N = G * H, every = cell.gates.map((_, g) => g), K = cell.phases.length;
  const dx = new Float64Array(T * I), dxg = new Float64Array(T * N), dhg = cell.shared ? dxg : new Float64Array(T * N);
  const ds = cell.states.map(() => new Float64Array((T + 1) * H)), dp = new Float64Array(cell.extras.length * H);
  const dOperand = new Float64Array(T * H);
  if (dstate) ds.forEach((a, k) => a.set(dstate[k], (steps[upTo - 1] + after) * H));
  const firstLive = live ? steps.findIndex((t) => live[t]) : 0;
  for (let step = upTo - 1; step >= 0; step--) {
    const t = steps[step], here = (t + after) * H, there = (t + before) * H;
    if (dy && firstLive >= 0 && step >= firstLive) for (let u = 0; u < H; u++) ds[0][here + u] += dy[step * H + u];
    if (live && !live[t]) {
      for (const a of ds) a.copyWithin(there, here, here + H);
      continue;
    }
    for (let k = K - 1; k >= 0; k--) {
      const gates = cell.phases[k];
      for (let u = 0; u < H; u++) {
        const d = ds.map((a) => a[here + u]);
        const got = backwardUnit(layer, tape, t, u, k, k === K - 1 ? d : [...d, dOperand[t * H + u]]);
        gates.forEach((g, j) => {
          dxg[t * N + g * H + u] = got.dxg[j];
          dhg[t * N + g * H + u] = got.dhg[j];
        });
        got.ds_prev.forEach((value, j) => { ds[j][there + u] += value; });
        got.dp.forEach((value, j) => { dp[j * H + u] += value; });
      }
      if (k === 0) addProductT(ds[0], there, H, dhg, t * N, params.Wh, N, gates, H);
      else addProductT(dOperand, t * H, H, dhg, t * N, params.Wh, N, gates, H);
    }
    addProductT(dx, t * I, I, dxg, t * N, params.Wx, N, every, H);
  }
  return { dx, dxg, dhg, ds, dp, dOperand };
}

// Layers upon each other: the tapes, from the bottom up. initial: one list of states per layer, or null.
// y is in processing order, and so is the mask of the next layer.
function forwardStack(layers, x, T, initial, live) {
  const tapes = [];
  layers.forEach((layer, n) => {
    tapes.push(forwardLayer(layer, n ? tapes[n - 1].y : x, T, initial && initial[n], live));
    if (live && layer.goBackwards) live = [...live].reverse();
  });
  return tapes;
}

// The gradients of a stack, from the bottom up. dys: by layer, [T][H] or null; dstate is that of the top layer.
function backwardStack(tapes, dys, dstate, upTo) {
  const found = [], top = tapes.length - 1;
  for (let n = top; n >= 0; n--) {
    const above = n < top ? found[n + 1].dx : null;
    const dy = above && dys[n] ? above.map((value, j) => value + dys[n][j]) : above || dys[n];
    found[n] = backwardLayer(tapes[n], dy, n === top ? dstate : null, upTo);
    if (tapes[n].layer.goBackwards) upTo = tapes[n].T;
  }
  return found;
}
