// The cells, twins of ../../cells/*.py line by line: one unit, one step a call. Every function returns all its names, so that
// the page can put numbers into the lines of the Python files. A cell without a twin here is shown with its recorded numbers.
//
//   forward(k, xg, hg, s_prev, saved, p, phi, sigma)     xg, hg: by gate of phase k; s_prev: by state; saved: by earlier phases
//       -> names, with s (or operand, in every phase but the last) and kept, what this phase saves
//   backward(k, d, saved, s_prev, s, p, phi, sigma)      d: by state, then the operand's gradient in every phase but the last
//       -> names, with dxg, dhg (by gate of phase k), ds_prev (by state) and dp

const ACTIVATIONS = {
  tanh: { f: Math.tanh, derivative: (y) => 1 - y * y },
  relu: { f: (a) => (a <= 0 ? 0 : a), derivative: (y) => (y > 0 ? 1 : 0) },
  sigmoid: {
    f: (a) => {
      const e = Math.exp(a >= 0 ? -a : a);
      return (a >= 0 ? 1 : e) / (1 + e);
    },
    derivative: (y) => y * (1 - y),
  },
  linear: { f: (a) => a, derivative: (y) => (y === y ? 1 : 0) },
  hard_sigmoid: {
    f: (a) => Math.min(Math.max(a + 3, 0), 6) / 6,
    derivative: (y) => (y > 0 && y < 1 ? 1 / 6 : 0),
  },
};

const simple_rnn = {
  gates: ["h"], states: ["h"], saved: [], extras: [], shared: true, phases: [[0]],

  forward(k, xg, hg, s_prev, saved, p, phi, sigma) {
    const a = xg[0] + hg[0];
    const h = phi.f(a);
    return { a, h, s: [h], kept: [] };
  },

  backward(k, d, saved, s_prev, s, p, phi, sigma) {
    const [dh] = d, [h] = s;
    const da = dh * phi.derivative(h);  // h = phi(a)
    return { dh, h, da, dxg: [da], dhg: [da], ds_prev: [0], dp: [] };
  },
};

const lstm = {
  gates: ["i", "f", "g", "o"], states: ["h", "c"], saved: ["i", "f", "g", "o"], extras: [], shared: true, phases: [[0, 1, 2, 3]],

  forward(k, xg, hg, s_prev, saved, p, phi, sigma) {
    const [, c_prev] = s_prev;
    const ai = xg[0] + hg[0], af = xg[1] + hg[1], ag = xg[2] + hg[2], ao = xg[3] + hg[3];
    const i = sigma.f(ai), f = sigma.f(af), g = phi.f(ag), o = sigma.f(ao);
    const c = f * c_prev + i * g;
    const h = o * phi.f(c);
    return { c_prev, ai, af, ag, ao, i, f, g, o, c, h, s: [h, c], kept: [i, f, g, o] };
  },

  backward(k, d, saved, s_prev, s, p, phi, sigma) {
    let [dh, dc] = d;
    const [i, f, g, o] = saved, [, c_prev] = s_prev, [, c] = s;
    const tau = phi.f(c);
    const dao = dh * tau * sigma.derivative(o);  // h = o * phi(c), o = sigma(ao)
    dc = dc + dh * o * phi.derivative(tau);  // h = o * phi(c)
    const dai = dc * g * sigma.derivative(i);  // c = f * c_prev + i * g, i = sigma(ai)
    const daf = dc * c_prev * sigma.derivative(f);  // c = f * c_prev + i * g, f = sigma(af)
    const dag = dc * i * phi.derivative(g);  // c = f * c_prev + i * g, g = phi(ag)
    const dc_prev = dc * f;  // c = f * c_prev + i * g
    const da = [dai, daf, dag, dao];
    return { dh, dc, i, f, g, o, c_prev, c, tau, dao, dai, daf, dag, dc_prev, dxg: da, dhg: da, ds_prev: [0, dc_prev], dp: [] };
  },
};

const peephole_lstm = {
  gates: ["i", "f", "g", "o"], states: ["h", "c"], saved: ["i", "f", "g", "o"], extras: ["i", "f", "o"],
  shared: true, phases: [[0, 1, 2, 3]],

  forward(k, xg, hg, s_prev, saved, p, phi, sigma) {
    const [, c_prev] = s_prev;
    const [p_i, p_f, p_o] = p;
    const ai = xg[0] + hg[0], af = xg[1] + hg[1], ag = xg[2] + hg[2], ao = xg[3] + hg[3];
    const i = sigma.f(ai + p_i * c_prev), f = sigma.f(af + p_f * c_prev), g = phi.f(ag);
    const c = f * c_prev + i * g;
    const o = sigma.f(ao + p_o * c);
    const h = o * phi.f(c);
    return { c_prev, p_i, p_f, p_o, ai, af, ag, ao, i, f, g, c, o, h, s: [h, c], kept: [i, f, g, o] };
  },

  backward(k, d, saved, s_prev, s, p, phi, sigma) {
    let [dh, dc] = d;
    const [i, f, g, o] = saved, [, c_prev] = s_prev, [, c] = s;
    const [p_i, p_f, p_o] = p;
    const tau = phi.f(c);
    const dao = dh * tau * sigma.derivative(o);  // h = o * phi(c), o = sigma(ao + p_o * c)
    dc = dc + dh * o * phi.derivative(tau) + dao * p_o;  // h = o * phi(c), o = sigma(ao + p_o * c)
    const dai = dc * g * sigma.derivative(i);  // c = f * c_prev + i * g, i = sigma(ai + p_i * c_prev)
    const daf = dc * c_prev * sigma.derivative(f);  // c = f * c_prev + i * g, f = sigma(af + p_f * c_prev)
    const dag = dc * i * phi.derivative(g);  // c = f * c_prev + i * g, g = phi(ag)
    const dc_prev = dc * f + dai * p_i + daf * p_f;  // c = f * c_prev + i * g, and the two peepholes
    const da = [dai, daf, dag, dao];
    const dp = [dai * c_prev, daf * c_prev, dao * c];  // p_i * c_prev, p_f * c_prev, p_o * c
    const names = { dh, dc, i, f, g, o, c_prev, c, p_i, p_f, p_o, tau, dao, dai, daf, dag, dc_prev };
    return { ...names, dxg: da, dhg: da, ds_prev: [0, dc_prev], dp };
  },
};

const gru_reset_after = {
  gates: ["z", "r", "n"], states: ["h"], saved: ["z", "r", "n", "q"], extras: [], shared: false, phases: [[0, 1, 2]],

  forward(k, xg, hg, s_prev, saved, p, phi, sigma) {
    const [h_prev] = s_prev;
    const z = sigma.f(xg[0] + hg[0]), r = sigma.f(xg[1] + hg[1]), q = hg[2];
    const n = phi.f(xg[2] + r * q);
    const h = z * h_prev + (1 - z) * n;
    return { h_prev, z, r, q, n, h, s: [h], kept: [z, r, n, q] };
  },

  backward(k, d, saved, s_prev, s, p, phi, sigma) {
    const [z, r, n, q] = saved;
    const [h_prev] = s_prev, [dh] = d;
    const daz = dh * (h_prev - n) * sigma.derivative(z);  // h = z * h_prev + (1 - z) * n
    const dan = dh * (1 - z) * phi.derivative(n);  // h = z * h_prev + (1 - z) * n, n = phi(an)
    const dar = dan * q * sigma.derivative(r);  // an = xn + r * q
    const dq = dan * r;  // an = xn + r * q
    const dh_prev = dh * z;
    return { z, r, n, q, h_prev, dh, daz, dan, dar, dq, dh_prev, dxg: [daz, dar, dan], dhg: [daz, dar, dq], ds_prev: [dh_prev], dp: [] };
  },
};

const gru_reset_before = {
  gates: ["z", "r", "n"], states: ["h"], saved: ["z", "r", "n"], extras: [], shared: true, phases: [[0, 1], [2]],

  operand(k, saved, s_prev) {
    return saved[1] * s_prev[0];
  },

  forward(k, xg, hg, s_prev, saved, p, phi, sigma) {
    const [h_prev] = s_prev;
    if (k === 0) {
      const z = sigma.f(xg[0] + hg[0]), r = sigma.f(xg[1] + hg[1]);
      const operand = this.operand(0, [z, r], s_prev);
      return { h_prev, z, r, operand, kept: [z, r] };
    }
    const [z] = saved, n = phi.f(xg[0] + hg[0]);
    const h = z * h_prev + (1 - z) * n;
    return { h_prev, z, n, h, s: [h], kept: [n] };
  },

  backward(k, d, saved, s_prev, s, p, phi, sigma) {
    const [z, r, n] = saved;
    const [h_prev] = s_prev, dh = d[0];
    const daz = dh * (h_prev - n) * sigma.derivative(z);  // h = z * h_prev + (1 - z) * n
    const dan = dh * (1 - z) * phi.derivative(n);  // h = z * h_prev + (1 - z) * n, n = phi(an)
    if (k === 1) {
      const dh_prev = dh * z;
      return { z, r, n, h_prev, dh, daz, dan, dh_prev, dxg: [dan], dhg: [dan], ds_prev: [dh_prev], dp: [] };
    }
    const dm = d[1];
    const dar = dm * h_prev * sigma.derivative(r);  // m = r * h_prev
    const dh_prev = dm * r;
    return { z, r, n, h_prev, dh, daz, dan, dm, dar, dh_prev, dxg: [daz, dar], dhg: [daz, dar], ds_prev: [dh_prev], dp: [] };
  },
};

const coupled_lstm = {
  gates: ["i", "g", "o"], states: ["h", "c"], saved: ["i", "g", "o"], extras: [], shared: true, phases: [[0, 1, 2]],

  forward(k, xg, hg, s_prev, saved, p, phi, sigma) {
    const [, c_prev] = s_prev;
    const ai = xg[0] + hg[0], ag = xg[1] + hg[1], ao = xg[2] + hg[2];
    const i = sigma.f(ai), g = phi.f(ag), o = sigma.f(ao);
    const c = (1 - i) * c_prev + i * g;
    const h = o * phi.f(c);
    return { c_prev, ai, ag, ao, i, g, o, c, h, s: [h, c], kept: [i, g, o] };
  },

  backward(k, d, saved, s_prev, s, p, phi, sigma) {
    let [dh, dc] = d;
    const [i, g, o] = saved, [, c_prev] = s_prev, [, c] = s;
    const tau = phi.f(c);
    const dao = dh * tau * sigma.derivative(o);  // h = o * phi(c), o = sigma(ao)
    dc = dc + dh * o * phi.derivative(tau);  // h = o * phi(c)
    const dai = dc * (g - c_prev) * sigma.derivative(i);  // c = (1 - i) * c_prev + i * g, i = sigma(ai)
    const dag = dc * i * phi.derivative(g);  // c = (1 - i) * c_prev + i * g, g = phi(ag)
    const dc_prev = dc * (1 - i);  // c = (1 - i) * c_prev + i * g
    const da = [dai, dag, dao];
    return { dh, dc, i, g, o, c_prev, c, tau, dao, dai, dag, dc_prev, dxg: da, dhg: da, ds_prev: [0, dc_prev], dp: [] };
  },
};

// By the name in the table of cells; a cell of several forms by its options
const CELLS = {
  simple_rnn: () => simple_rnn,
  lstm: () => lstm,
  peephole_lstm: () => peephole_lstm,
  gru: ({ reset_after }) => (reset_after ? gru_reset_after : gru_reset_before),
  coupled_lstm: () => coupled_lstm,
};
