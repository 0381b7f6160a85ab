// The encoder and the attention of a translation: twins of ../encoder.py and ../../layers/attention_by_hand.py, for one sequence.

// The encoder reads the source: its outputs are the keys, its last states those that the decoder begins with
function readEncoder(model, encoder) {
  const layers = encoder.layers.map((row) => makeLayer(row, readMap(row.params))), E = encoder.embedding.shape[1];
  model.encoder = { layers, E, S: encoder.codes.length, codes: encoder.codes, embedding: readArray(encoder.embedding) };
  if (layers.some((layer) => layer.cell === null)) throw new Error("the encoder has a cell without a twin");
  Object.assign(model, encode(model.encoder, encoder.codes));
}

function encode({ layers, embedding, E, S }, codes) {
  const x = new Float64Array(S * E);
  codes.forEach((code, s) => x.set(embedding.subarray(code * E, (code + 1) * E), s * E));
  const read = forwardStack(layers, x, S, null, null);
  const initial = read.map((tape) => tape.states.map((a) => a.slice(S * tape.layer.H)));
  return { read, initial, keys: read.at(-1).y };
}

// One step y [H] of the decoder looks over the keys [S][K]: p [S], context [K], out [U]
function attend(model, y, keys) {
  const { W, V, b } = model.head.attention, { S } = model.encoder, H = y.length, K = keys.length / S, U = b.length;
  const asked = new Float64Array(K), context = new Float64Array(K), out = Float64Array.from(b);
  addProduct(asked, 0, y, 0, H, W, K, [0], K);
  const a = new Float64Array(S);
  addProductT(a, 0, S, asked, 0, keys, K, [0], K);
  const p = logSoftmax(a.map((value) => value / Math.sqrt(K))).map(Math.exp);
  addProduct(context, 0, p, 0, S, keys, K, [0], K);
  addProduct(out, 0, context, 0, K, V, U, [0], U);
  addProduct(out, 0, y, 0, H, V.subarray(K * U), U, [0], U);
  return { asked, p, context, out: out.map(Math.tanh) };
}

// Back from dz, the gradient by what the softmax over the vocabulary reads: dy [H] and the gradient by the keys [S][K]
function attendBack(model, run, step, dz) {
  const { W, V, b } = model.head.attention, { S } = model.encoder, { H } = model.layers[model.top], U = b.length;
  const keys = model.keys, K = keys.length / S, y = run.tapes[model.top].y.subarray(step * H, (step + 1) * H);
  const { asked, p, out } = attend(model, y, keys), N = model.head.outputs;
  const dout = new Float64Array(U), both = new Float64Array(K + H), dp = new Float64Array(S);
  addProductT(dout, 0, U, dz, 0, model.head.W, N, [0], N);
  addProductT(both, 0, K + H, dout.map((value, u) => value * (1 - out[u] ** 2)), 0, V, U, [0], U);
  const dcontext = both.subarray(0, K), dy = both.slice(K);
  addProductT(dp, 0, S, dcontext, 0, keys, K, [0], K);
  const mean = p.reduce((sum, value, s) => sum + value * dp[s], 0);
  const da = p.map((value, s) => (value * (dp[s] - mean)) / Math.sqrt(K)), dasked = new Float64Array(K);
  addProduct(dasked, 0, da, 0, S, keys, K, [0], K);
  addProductT(dy, 0, H, dasked, 0, W, K, [0], K);
  const dkeys = Float64Array.from(keys, (_, j) => p[Math.floor(j / K)] * dcontext[j % K] + da[Math.floor(j / K)] * asked[j % K]);
  return { dy, dkeys };
}

// Where every step of the decoder looks: [T][S]
function attention(model, run) {
  const { H } = model.layers[model.top], y = run.tapes[model.top].y;
  return Array.from({ length: model.T }, (_, t) => attend(model, y.subarray(t * H, (t + 1) * H), model.keys).p);
}

// The gradient of the loss by the vectors of the source [S][E]: through the decoder's first states, and through the keys
function sourceGradient(model, run, grads, loss) {
  const { layers, S } = model.encoder, z = run.outputs[loss.step];
  const dz = Float64Array.from(z, (value, j) => (j === loss.output ? 1 : 0) - Math.exp(value));
  let dy = model.head.attention ? attendBack(model, run, loss.step, dz).dkeys : null;
  for (let n = layers.length - 1; n >= 0; n--) {
    const { H } = layers[n];
    dy = backwardLayer(model.read[n], dy, grads[n].ds.map((a) => a.subarray(0, H)), S).dx;
  }
  return dy;
}

// The norm of each row of I numbers
function rowNorms(a, I) {
  return Float64Array.from({ length: a.length / I }, (_, s) => Math.hypot(...a.subarray(s * I, (s + 1) * I)));
}
