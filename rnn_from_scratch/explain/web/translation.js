// A translation: where does the decoder look, and what does a written token hang on? Choose a written token.

TASKS.translation = () => {
  const { S, codes, E } = MODEL.encoder, { reversed, names, replacements } = DOC.encoder, looks = MODEL.head.attention !== undefined;
  const vocabulary = DOC.names.vocabulary, written = (code) => visibleText(vocabulary[code] ?? `#${code}`);
  const place = (s) => (reversed ? S - 1 - s : s);  // of the source from left to right; its own inverse
  const source = Array.from({ length: S }, (_, s) => visibleText(names[codes[place(s)]]));
  const other = (code) => (code === replacements[0] ? replacements[1] : replacements[0]);
  let column = 0;  // the token of the source that is asked about

  function visibleText(token) {
    return token.length > 1 && /^<\w+>$/.test(token) ? token : Array.from(token, visible).join("");
  }

  function choose(t) {
    const step = Math.min(MODEL.T - 2, t);
    Object.assign(STATE, { t: step, loss: { step, output: STATE.input[step + 1] } });
    turn(false, true);
  }

  function ask(s) {
    column = s;
    fill(view);
  }

  // A row for each token written, a column for each of the source
  function matrix() {
    const head = source.map((name) => element("th", { scope: "col" }, element("bdi", {}, name)));
    const rows = Array.from({ length: MODEL.T - 1 }, (_, t) => element("tr", {},
      element("th", { scope: "row" }, element("bdi", {}, written(STATE.input[t + 1]))),
      ...source.map((_, s) => element("td", { class: "look", "data-t": t, "data-s": s }))));
    const table = element("table", { id: "attention" }, element("thead", {}, element("tr", {}, element("td"), ...head)),
      element("tbody", {}, ...rows));
    table.addEventListener("click", (event) => {
      const at = event.target.closest("td.look");
      if (!at) return;
      column = +at.dataset.s;
      choose(+at.dataset.t);
    });
    const label = "attention, a row for each written token";
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
  }

  function build() {
    const tokens = Array.from(STATE.input.slice(1), written);
    const shown = !looks ? [sentence("This model has no attention: the source reaches the decoder through its first states alone.")] : [
      sentence("A row for each written token, a column for each of the source. The darker, the more the decoder looks there; "
        + "each row sums to 1."), matrix()];
    const by = `(and ${visibleText(names[replacements[0]])} itself by ${visibleText(names[replacements[1]])})`;
    byId("task").replaceChildren(
      element("h2", {}, "Where does the decoder look?"),
      sentence("Choose a written token, by pointer or by Tab and the arrow keys."),
      buildStrip("written", "the translation, one button a token", tokens, choose),
      element("p", { id: "next", "aria-live": "polite" }),
      ...shown,
      heading("By gradient"),
      sentence("How log p of the chosen token moves with the vector of each token of the source: the norm of its gradient."),
      buildStrip("by-gradient", "by gradient, one button a token of the source", source, ask),
      heading("By trying"),
      sentence(`How far log p moves when each one is replaced by ${visibleText(names[replacements[0]])} ${by}.`),
      buildStrip("by-trying", "by trying, one button a token of the source", source, ask),
      element("p", { id: "asked", "aria-live": "polite" }),
      sentence(`${NEITHER} Where the decoder looks is not the cause either.`),
    );
  }

  function fillMatrix(p, at) {
    for (const cell of byId("attention").querySelectorAll("td.look")) {
      const t = +cell.dataset.t, v = p[t][place(+cell.dataset.s)];
      cell.style.setProperty("--share", `${Math.round(55 * v)}%`);
      cell.textContent = v >= 0.005 ? show(v, 2) : "";
      cell.dataset.value = v;
      cell.classList.toggle("chosen", t === at);
    }
  }

  // log p of the chosen token when other codes are read
  function outcome(read) {
    const { initial, keys } = encode(MODEL.encoder, read), { step, output } = STATE.loss;
    const input = STATE.input.slice(0, step + 1), layers = turnedLayers();
    return runModel({ ...MODEL, keys }, layers, input, initial, step + 1, null).outputs[step][output];
  }

  function fillSource(p, byGradient) {
    const values = [], done = () => {
      fillStrip("by-trying", values, S - 1, column, "change of log p");
      const look = looks ? `the decoder looks there with ${show(p[STATE.loss.step][place(column)])}; ` : "";
      const moved = values[column] === undefined ? "not tried yet" : show(values[column], 4);
      byId("asked").textContent = `${source[column]}: ${look}gradient ${show(byGradient[column], 4)}; by trying ${moved}.`;
    };
    delete byId("by-trying").dataset.done;
    inSlices((function* () {
      const before = outcome(codes);
      for (let s = 0; s < S; s++) {
        const read = codes.slice();
        read[place(s)] = other(read[place(s)]);
        values[s] = Math.abs(outcome(read) - before);
        yield;
      }
      done();
      byId("by-trying").dataset.done = "yes";
    })());
    done();
  }

  function fill(view) {
    const at = STATE.loss.step, logp = view.run.outputs[at], p = looks ? attention(MODEL, view.run) : null;
    const best = Array.from(logp.keys()).sort((a, b) => logp[b] - logp[a]).slice(0, 5);
    const likely = best.map((code) => `${written(code)} ${show(Math.exp(logp[code]), 2)}`).join(", ");
    const before = Array.from(STATE.input.slice(1, at + 1), written).join(""), output = STATE.loss.output;
    const after = before ? `After “${before}”` : "At the beginning";
    byId("next").textContent = `${after}: ${written(output)} has p = ${show(Math.exp(logp[output]))}. Likeliest: ${likely}.`;
    const right = Array.from({ length: MODEL.T - 1 }, (_, t) => Math.exp(view.run.outputs[t][STATE.input[t + 1]]));
    fillStrip("written", right, MODEL.T - 2, at, "p");
    if (looks) fillMatrix(p, at);
    const norms = rowNorms(sourceGradient(MODEL, view.run, view.all, STATE.loss), E);
    const byGradient = source.map((_, s) => norms[place(s)]);
    fillStrip("by-gradient", byGradient, S - 1, column, "gradient");
    fillSource(p, byGradient);
  }

  return { build, fill };
};
