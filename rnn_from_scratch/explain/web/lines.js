// The lines of the cell's file that ran, each with the numbers of the chosen step and unit.

// name or name[k], but not a function that is called
const NAME = /\b[A-Za-z_]\w*(?:\[\d+\])?(?![\w[(.])/g;

function valueOf(text, names) {
  const [, name, index] = /^(\w+)(?:\[(\d+)\])?$/.exec(text), value = names[name];
  return index === undefined ? value : value && value[+index];
}

// An expression with a number for every name that has one: sigma(af) -> sigma(0.500)
function withNumbers(text, names) {
  return text.replace(NAME, (found) => {
    const value = valueOf(found, names);
    return typeof value === "number" ? show(value) : found;
  });
}

// "dc = dc + dh * o": the left side is what the line makes, the right side what it found
function numbersOf(says, names, way) {
  const at = says.indexOf(" = "), name = says.slice(0, at), right = says.slice(at + 3);
  const made = way === "forward" && name === "operand" ? names.operand : valueOf(name, names);
  const found = way === "forward" ? names : { ...names, ...names.arriving };
  return `${name} = ${withNumbers(right, arrives(name, right) ? found : names)}${made === undefined ? "" : ` = ${show(made)}`}`;
}

// Does a line read the gradient that it adds to? Then its right side has the one that arrived.
function arrives(name, right) {
  return new RegExp(`\\b${name.replace(/[[\]]/g, "\\$&")}\\b`).test(right);
}

function lineOf(line, chosen, undone, names, way) {
  const whole = element("div", { class: `line${chosen ? " chosen" : undone ? " undone" : ""}` });
  const number = element("span", { class: "n", "aria-hidden": "true" }, String(line.number));
  whole.append(element("span", { class: "code" }, number, line.line));
  if (undone) whole.append(element("span", { class: "why" }, "the chosen line undoes this one"));
  for (const says of names ? line.says : []) whole.append(element("span", { class: "numbers code" }, numbersOf(says, names, way)));
  if (line.undoes) whole.append(element("span", { class: "why" }, `undoes ${line.undoes}`));
  return whole;
}

// Which line makes the chosen row, and which ones that line undoes
function chosenLines(source) {
  const [kind, name] = STATE.row.includes(".") ? STATE.row.split(".") : ["forward", STATE.row];
  const makes = (lines) => lines.findIndex((line) => line.sets.includes(name));
  if (kind === "forward") return { forward: makes(source.forward), backward: -1, undone: [] };
  const backward = kind === "arriving" ? -1 : makes(source.backward);
  return { forward: -1, backward, undone: backward < 0 ? [] : source.backward[backward].undoes_lines };
}

// The LaTeX of the chosen row; none where no line makes it
function latexOfChosen(source) {
  const chosen = chosenLines(source), name = STATE.row.split(".").pop();
  const line = source.forward[chosen.forward] || source.backward[chosen.backward];
  return line && line.latex && line.latex[line.sets.indexOf(name)];
}

function fillLines(view) {
  const source = sourceOf(STATE.layer), chosen = chosenLines(source), phases = new Set(source.forward.map((line) => line.phase)).size;
  const masked = MODEL.live && !MODEL.live[STATE.t];
  const named = TWINS && !masked ? view.names(STATE.t, STATE.unit) : null;
  for (const way of ["forward", "backward"]) {
    const parts = [];
    let phase = null;
    source[way].forEach((line, n) => {
      if (phases > 1 && line.phase !== phase) parts.push(element("p", { class: "phase" }, `phase ${line.phase}`));
      phase = line.phase;
      const undone = way === "forward" && chosen.undone.includes(n);
      parts.push(lineOf(line, n === chosen[way], undone, named && named[way][line.phase], way));
    });
    if (masked) parts.unshift(element("p", { class: "soft" }, "This step is masked: the state is copied, and no line has a part in it."));
    else if (!TWINS) parts.unshift(element("p", { class: "soft" }, "This cell has no twin in JavaScript: its numbers are recorded."));
    if (!source[way].length) parts.push(element("p", { class: "soft" }, "The lines of this cell cannot be read."));
    byId(way).replaceChildren(...parts);
  }
}

// One sentence for the chosen number, which a screen reader says
function sayWhere(view) {
  const row = rowsOf(STATE.layer).find((one) => one.id === STATE.row), v = reader(view, STATE.row)(STATE.t, STATE.unit);
  const layer = MODEL.top > 0 ? `layer ${STATE.layer + 1}, ` : "";
  byId("where").textContent = `Step ${STATE.t}, ${layer}unit ${STATE.unit}, ${row.label} (${row.says}): ${show(v, 6)}`;
}
