// How far back the gradient reaches: its norm by step on a logarithmic axis, beside the product of the gates that keep the state.

const KEEPS = { c: "f", h: "z" };  // state -> the gate that says how much of it is kept
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// The norm over all units of a row of gradients, by step
function normsOf(view, row) {
  const read = reader(view, row);
  return Array.from({ length: MODEL.T }, (_, t) => {
    let sum = 0;
    for (let u = 0; u < view.H; u++) sum += read(t, u) ** 2;
    return Math.sqrt(sum);
  });
}

// A path through the points that are above zero: a zero is a gap, for its logarithm is no number
function path(values, x, y) {
  let pen = "M";
  return values.map((v, t) => {
    if (!(v > 0)) {
      pen = "M";
      return "";
    }
    const point = `${pen}${x(t).toFixed(1)},${y(v).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}

let room = 0;  // the width of the picture; to ask for it at every turn would make the browser lay out the page twice
new ResizeObserver(([entry]) => {
  const before = room;
  room = entry.contentRect.width;
  if (view && Math.abs(room - before) > 1) fillReach(view);
}).observe(byId("reach"));

function fillReach(view) {
  const T = MODEL.T, steps = Array.from({ length: T }, (_, t) => t);
  const lines = view.states.map((name, k) => ({
    kind: ["one", "two"][k % 2], says: `‖dL/d${name}‖ arriving`, values: normsOf(view, `arriving.${name}`),
  }));
  const kept = view.states.at(-1), gate = KEEPS[kept];
  if (TWINS && view.saved.includes(gate)) {
    const values = steps.map(() => 0), read = reader(view, gate), { steps: order } = view.tape;
    let product = 1;
    for (let step = STATE.loss.step; step >= 0; step--) {
      values[order[step]] = product;
      product *= MODEL.live && !MODEL.live[order[step]] ? 1 : read(order[step], STATE.unit);
    }
    lines.push({ kind: "gates", says: `product of ${gate} of unit ${STATE.unit}, from here to the loss`, values });
  }
  const all = lines.flatMap((line) => line.values).filter((v) => v > 0), most = Math.max(...all, 1), least = Math.min(...all, most / 10);
  const high = Math.ceil(Math.log10(most)), low = Math.max(high - 16, Math.min(high - 1, Math.floor(Math.log10(least))));
  const width = Math.max(260, room || byId("reach").clientWidth || 640), left = 56, right = 16, top = 10, height = 190, bottom = 30;
  const x = (t) => left + (T > 1 ? (t / (T - 1)) * (width - left - right) : 0);
  const y = (v) => top + ((high - Math.max(low, Math.log10(v))) / (high - low)) * (height - top - bottom);
  const drawn = [];
  const every = Math.ceil((high - low) / 6);
  for (let e = high; e >= low; e -= every) {
    drawn.push(svg("path", { class: "axis", d: `M${left},${y(10 ** e)}H${width - right}` }));
    const power = e < -3 || e > 3 ? `1e${e}`.replace("-", "−") : String(10 ** e);
    drawn.push(svg("text", { x: left - 6, y: y(10 ** e) + 4, "text-anchor": "end" }, power));
  }
  const label = Math.ceil(T / Math.max(2, Math.floor((width - left) / 45)));
  for (let t = 0; t < T; t += label) drawn.push(svg("text", { x: x(t), y: height - 8, "text-anchor": "middle" }, String(t)));
  lines.forEach(({ kind, values }) => {
    drawn.push(svg("path", { class: kind, d: path(values, x, y) }));
    if (values.filter((v) => v > 0).length === 1) {
      const t = values.findIndex((v) => v > 0);
      drawn.push(svg("circle", { cx: x(t), cy: y(values[t]), r: 3, class: kind }));
    }
  });
  const told = lines.map(({ says, values }) => `${says} ${show(values[0], 6)}`).join(", ");
  byId("reach").replaceChildren(
    svg("svg", { width, height, role: "img", "aria-label": `Norms by step, logarithmic; at step 0: ${told}` }, ...drawn),
    element("div", { class: "controls", id: "legend" }, ...lines.map(legend)),
  );
  byId("reach-says").textContent = "Each line: how strongly the loss hangs on a state at that step. An exact zero is a gap.";
}

function legend({ kind, says }) {
  const sample = svg("svg", { width: 36, height: 10, "aria-hidden": "true" }, svg("path", { class: kind, d: "M0,5H36" }));
  return element("span", { class: "group soft" }, sample, says);
}
