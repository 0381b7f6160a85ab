// A text: what does the next character hang on? Choose a character; the strips tell of all before it.

TASKS.text = () => {
  const vocabulary = DOC.names.vocabulary, name = (code) => visible(vocabulary[code] ?? `#${code}`);
  const space = Math.max(0, vocabulary.indexOf(" "));
  const other = MODEL.codes.find((code) => code !== space) ?? 0;
  const replacement = (code) => (code === space ? other : space);
  const chosen = () => STATE.loss.step;

  function choose(t) {
    const step = Math.min(MODEL.T - 2, t);
    Object.assign(STATE, { t: step, loss: { step, output: STATE.input[step + 1] } });
    turn(false, true);
  }

  function build() {
    const names = Array.from(STATE.input, name);
    byId("task").replaceChildren(
      element("h2", {}, "What does the next character hang on?"),
      sentence("Choose a character, by pointer or by Tab and the arrow keys. The strips shade every character up to it: "
        + "how much does the next one hang on it?"),
      element("p", { id: "next", "aria-live": "polite" }),
      heading("By gradient"),
      sentence("How log p of the next character moves with the vector of each one: the norm of its gradient."),
      buildStrip("by-gradient", "by gradient, one button a character", names, choose),
      heading("By trying"),
      sentence("", "tried-how"),
      buildStrip("by-trying", "by trying, one button a character", names, choose),
      sentence(NEITHER),
    );
    const also = `(and ${name(space)} itself by ${name(other)})`;
    byId("tried-how").textContent = `How far log p moves when each one is replaced by ${name(space)} ${also}.`;
  }

  function fill(view) {
    const at = chosen(), logp = view.run.outputs[at], next = STATE.loss.output, read = STATE.input;
    const best = Array.from(logp.keys()).sort((a, b) => logp[b] - logp[a]).slice(0, 5);
    const before = Array.from(read.slice(Math.max(0, at - 15), at + 1), name).join("");
    const likely = best.map((code) => `${name(code)} ${show(Math.exp(logp[code]), 2)}`).join(", ");
    byId("next").textContent = `After “${before}”: ${name(next)} has p = ${show(Math.exp(logp[next]))}. Likeliest: ${likely}.`;
    fillStrip("by-gradient", Array.from(stepNorms(view)), at, at, "gradient");
    fillTried("by-trying", view, at, (s) => [replacement(read[s])], "change of log p");
  }

  return { build, fill };
};
