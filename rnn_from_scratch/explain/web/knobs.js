// What can be chosen and turned: layer and unit; biases, Wh, one weight, initial states; what the loss is.

let knobs = [];

// Choices and knobs of the chosen layer; turn() computes everything again, rebuild() after another layer
function buildKnobs(turn, rebuild) {
  const row = DOC.layers[STATE.layer], turned = STATE.turned[STATE.layer];
  knobs = [];
  const known = (made, read) => {
    knobs.push(() => made.set(read()));
    return made;
  };
  const choices = [];
  if (MODEL.top > 0) {
    const layers = DOC.layers.map((layer, n) => [n, `${n + 1}: ${layer.cell}`]);
    choices.push(known(chooser("layer", layers, STATE.layer, (v) => { STATE.layer = +v; STATE.unit = 0; rebuild(); }), () => STATE.layer));
  }
  const units = Array.from({ length: row.units }, (_, u) => [u, String(u)]);
  choices.push(known(chooser("unit", units, STATE.unit, (v) => { STATE.unit = +v; turn(); }), () => STATE.unit));
  if (TWINS && DOC.kind === "cell") choices.push(...lossKnobs(known, turn));
  byId("choice").replaceChildren(...choices);
  if (!TWINS) return byId("knobs").replaceChildren();
  const parts = row.gates.map((gate, g) => known(
    slider(`bias of ${gate}, added`, { min: -6, max: 6, step: 0.1, value: turned.bias[g], name: `b.${gate}` },
      (v) => { turned.bias[g] = v; turn(); }),
    () => turned.bias[g],
  ));
  parts.push(known(
    slider("Wh times", { min: 0, max: 3, step: 0.05, value: turned.scale, name: "wh" }, (v) => { turned.scale = v; turn(); }),
    () => turned.scale,
  ));
  row.states.forEach((name, k) => parts.push(known(
    slider(`first ${name} of the unit`, { min: -2, max: 2, step: 0.05, value: turned.initial[k][STATE.unit], name: `${name}0` },
      (v) => { turned.initial[k][STATE.unit] = v; turn(); }),
    () => turned.initial[k][STATE.unit],
  )));
  parts.push(weightKnob(known, turned, turn), button("as recorded", () => { readHash(""); rebuild(); }));
  byId("knobs").replaceChildren(...parts);
}

function lossKnobs(known, turn) {
  const states = DOC.layers[MODEL.top].states.map((name) => [name, `${name} of the unit`]);
  const steps = Array.from({ length: MODEL.T }, (_, t) => [t, String(t)]);
  const { H } = MODEL.layers[MODEL.top], unit = () => Math.min(STATE.unit, H - 1);
  const what = chooser("the loss is", states, STATE.loss.state, (state) => {
    STATE.loss = { state, unit: unit(), step: STATE.loss.step };
    turn();
  });
  const at = chooser("after step", steps, STATE.loss.step, (step) => { STATE.loss = { ...STATE.loss, step: +step }; turn(); });
  return [known(what, () => STATE.loss.state), known(at, () => STATE.loss.step)];
}

// One weight, chosen by name, row and column
function weightKnob(known, turned, turn) {
  const layer = MODEL.layers[STATE.layer], names = Object.keys(layer.params), at = { name: "Wh", row: 0, column: 0 };
  const shapes = Object.fromEntries(names.map((name) => [name, DOC.layers[STATE.layer].params[name].shape]));
  const columns = () => shapes[at.name].at(-1), rows = () => (shapes[at.name].length > 1 ? shapes[at.name][0] : 1);
  const index = () => at.row * columns() + at.column;
  const kept = () => (turned.weight ? turned.weight.value : layer.params[at.name][index()]);
  const amount = slider("its value", { min: -3, max: 3, step: 0.05, value: 0, name: "weight" }, (value) => {
    turned.weight = { name: at.name, index: index(), value };
    turn();
  });
  const place = (label, key, most) => {
    const input = element("input", { type: "number", min: 0, max: most() - 1 });
    input.value = at[key];
    input.addEventListener("change", () => {
      at[key] = Math.min(most() - 1, Math.max(0, Math.floor(+input.value) || 0));
      input.value = at[key];
      turned.weight = null;
      turn();
    });
    const whole = element("label", {}, label, input);
    whole.set = () => { at[key] = Math.min(most() - 1, at[key]); input.value = at[key]; };
    return whole;
  };
  const which = chooser("weight", names.map((name) => [name, name]), at.name, (name) => { at.name = name; turned.weight = null; turn(); });
  const group = element("fieldset", {}, element("legend", { class: "soft" }, "one weight"), which);
  for (const part of [place("row", "row", rows), place("column", "column", columns)]) group.append(known(part, () => null));
  group.append(known(amount, kept));
  knobs.push(() => {
    if (!turned.weight) return;
    Object.assign(at, { name: turned.weight.name, row: 0, column: 0 });
    at.row = Math.floor(turned.weight.index / columns());
    at.column = turned.weight.index % columns();
    which.set(at.name);
  });
  knobs.unshift(knobs.pop());
  return group;
}

// Put today's values into the knobs
function fillKnobs() {
  for (const knob of knobs) knob();
}
