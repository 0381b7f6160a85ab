// The table: one row a name, one column a step; forward above, backward below. Rows come from the lines that ran.

const SAYS = {  // what a name stands for, where the field has one name for it
  i: "input gate: the share of the candidate that is written", f: "forget gate: the share of the cell that is kept",
  o: "output gate: the share of the cell that is shown", g: "candidate", c: "cell state", h: "output", n: "candidate",
  z: "update gate: the share of the old state that is kept", r: "reset gate", q: "recurrent side of the candidate",
};

function sourceOf(n) {
  return DOC.layers[n].source || DOC.source;
}

// {id, label, says, back} of every row of a layer, forward rows first
function rowsOf(n) {
  const { saved, states } = DOC.layers[n], source = sourceOf(n);
  const named = [...saved, ...states.filter((name) => !saved.includes(name)).reverse()];
  const forward = named.map((id) => ({ id, label: id, says: SAYS[id] || id }));
  const made = [...new Set(source.backward.flatMap((line) => line.sets))];
  const shown = made.filter((name) => name.startsWith("d") && !name.endsWith("_prev") && !name.includes("["));
  const arriving = [...states].reverse().map((name) => {
    const both = shown.includes(`d${name}`);
    const says = `gradient by ${name} after this step, as it arrives from the next one${name === states[0] ? " and from the loss" : ""}`;
    return { id: `arriving.${name}`, label: both ? `d${name} arriving` : `d${name}`, says, back: true };
  });
  const backward = shown.map((id) => {
    const total = states.includes(id.slice(1));
    const says = total ? `gradient by ${id.slice(1)}, all parts added` : gradientSays(id);
    return { id: `backward.${id}`, label: total ? `${id} total` : id, says, back: true };
  });
  const names = DOC.names.inputs, dx = n > 0 || !MODEL.x || MODEL.dense ? [] : Array.from({ length: DOC.layers[n].inputs }, (_, i) => {
    const label = DOC.layers[n].inputs > 1 ? `dx ${names[i] || i}` : "dx";
    return { id: `dx.${i}`, label, says: `gradient by the input ${names[i] || (label === "dx" ? "x" : `x ${i}`)}`, back: true };
  });
  return [...forward, ...arriving, ...backward, ...(dx.length <= 8 ? dx : [])];
}

function gradientSays(id) {
  return id.startsWith("da") ? `gradient by the pre-activation ${id.slice(1)}` : `gradient by ${id.slice(1)}`;
}

// (t, unit) -> the number of a row, for the chosen layer
function reader(view, row) {
  const { H, states, saved, tape, grads } = view, [kind, name] = row.split(".");
  if (!TWINS) return (t, unit) => recordedAt(row, t, unit);
  if (kind === "dx") return (t) => grads.dx[t * MODEL.inputs + +name];
  const live = (read) => (t, unit) => (MODEL.live && !MODEL.live[t] ? 0 : read(t, unit));
  if (kind === "backward") return live((t, unit) => view.names(t, unit).backward.find((got) => got[name] !== undefined)[name]);
  if (kind === "arriving") return live((t, unit) => grads.ds[states.indexOf(name)][(t + tape.after) * H + unit]);
  const k = saved.indexOf(row), a = k >= 0 ? tape.saved[k] : tape.states[states.indexOf(row)], slot = k >= 0 ? 0 : tape.after;
  return (t, unit) => a[(t + slot) * H + unit];
}

// A cell without a twin: the numbers that Python recorded
function recordedAt(row, t, unit) {
  const layer = DOC.layers[STATE.layer], prefix = STATE.layer === MODEL.top ? "" : `${STATE.layer}:`, H = layer.units;
  if (row.startsWith("dx.")) return recordedArray("dx")[t * layer.inputs + +row.slice(3)];
  const name = row.includes(".") ? row : layer.saved.includes(row) ? `saved.${row}` : `states.${row}`;
  const slot = name.startsWith("states.") && !layer.go_backwards ? t + 1 : t;
  return recordedArray(prefix + name)[slot * H + unit];
}

const RECORDED = new Map();
function recordedArray(name) {
  if (!RECORDED.has(name)) RECORDED.set(name, readArray(DOC.check[name]));
  return RECORDED.get(name);
}

let cells = [];  // {row, back, tds} of every row of the table
let columns = null;  // those that can be seen; null: to be asked for

// Build the table of the chosen layer; choose(row, t, focus) is called when a number is chosen
function buildGrid(choose, turn) {
  const rows = rowsOf(STATE.layer), T = MODEL.T, steps = DOC.names.steps;
  const head = element("tr", {}, element("th", { scope: "col" }, "step"));
  for (let t = 0; t < T; t++) head.append(element("th", { scope: "col" }, steps[t] || String(t)));
  const bodies = [element("tbody"), element("tbody"), element("tbody")];
  if (TWINS && MODEL.x && MODEL.x.length <= SMALL) bodies[0].append(...inputRows(turn));
  cells = rows.map(({ id, label, says, back }) => {
    const tds = Array.from({ length: T }, (_, t) => element("td", { class: "value", "data-row": id, "data-t": t, tabindex: "-1" }));
    bodies[back ? 2 : 1].append(element("tr", {}, element("th", { scope: "row", title: says }, label), ...tds));
    return { row: id, back: Boolean(back), tds };
  });
  byId("grid").style.setProperty("--columns", T);
  byId("grid").style.setProperty("--label", `${Math.max(6, ...rows.map(({ label }) => label.length)) + 1}ch`);
  byId("grid").replaceChildren(element("thead", {}, head), ...bodies.filter((body) => body.children.length));
  columns = null;
  byId("scroll").onscroll = () => { columns = null; };
  byId("grid").onclick = (event) => {
    const td = event.target.closest("td.value");
    if (td) choose(td.dataset.row, +td.dataset.t, true);
  };
  byId("grid").onkeydown = (event) => {
    const td = event.target.closest("td.value");
    if (!td) return;
    const at = rows.findIndex((row) => row.id === td.dataset.row);
    const up = { ArrowUp: at - 1, ArrowDown: at + 1 }[event.key], to = moved(event.key, +td.dataset.t, T);
    if (up === undefined && to === null) return;
    event.preventDefault();
    choose(rows[Math.min(rows.length - 1, Math.max(0, up ?? at))].id, to ?? +td.dataset.t, true);
  };
}

function inputRows(turn) {
  return Array.from({ length: MODEL.inputs }, (_, i) => {
    const label = MODEL.inputs > 1 ? `x ${DOC.names.inputs[i] || i}` : "x";
    const tr = element("tr", {}, element("th", { scope: "row", title: "input" }, label));
    for (let t = 0; t < MODEL.T; t++) {
      const j = t * MODEL.inputs + i;
      const range = { type: "range", min: -3, max: 3, step: 0.05, "data-knob": `x${j}` };
      const input = element("input", { ...range, "aria-label": `${label} at step ${t}` });
      input.addEventListener("input", () => { STATE.input[j] = +input.value; STATE.t = t; turn(); });
      tr.append(element("td", {}, input));
    }
    return tr;
  });
}

// The columns that can be seen, first and last
function seen() {
  const box = byId("scroll"), left = box.scrollLeft, all = box.scrollWidth || 1;
  const column = (pixels) => Math.floor((pixels / all) * (MODEL.T + 2));
  return [Math.max(0, column(left) - 2), Math.min(MODEL.T - 1, column(left + box.clientWidth))];
}

// Write the numbers of some columns, with their shades
function write(first, last) {
  for (const { back, tds } of cells) {
    for (let t = first; t <= last; t++) {
      const td = tds[t], v = td.number;
      if (td.shown === v) continue;
      td.shown = v;
      const text = show(v, back && Math.abs(v) < 0.01 ? 4 : 3);
      if (!td.firstChild) td.textContent = text;
      else if (td.firstChild.data !== text) td.firstChild.data = text;  // a new text node would be laid out anew
      shade(td, v, back);
    }
  }
}

const AT_ONCE = 8;  // columns that are written between two looks at what the reader does
let writing = 0;
function writeRest(mine, first) {
  if (mine !== writing || first >= MODEL.T) return;
  write(first, Math.min(MODEL.T, first + AT_ONCE) - 1);
  setTimeout(writeRest, 0, mine, first + AT_ONCE);
}

// Put today's numbers into the table: what can be seen at once, the rest when there is time
function fillGrid(view, focus) {
  const chosen = byId("grid").querySelector("[aria-selected]");
  if (chosen) {
    chosen.removeAttribute("aria-selected");
    chosen.tabIndex = -1;
  }
  for (const { row, tds } of cells) {
    const read = reader(view, row);
    tds.forEach((td, t) => {
      const v = read(t, STATE.unit);
      if (td.number !== v) td.dataset.value = td.number = v;
    });
  }
  if (columns === null) columns = seen();
  write(...columns);
  setTimeout(writeRest, 0, ++writing, 0);
  const td = cells.find(({ row }) => row === STATE.row).tds[STATE.t];
  td.setAttribute("aria-selected", "true");
  td.tabIndex = 0;
  if (focus) td.focus();
  for (const input of byId("grid").querySelectorAll("input[data-knob]")) {
    const value = STATE.input[+input.dataset.knob.slice(1)];
    if (+input.value !== value) input.value = value;
  }
}
