// A digit that is read row by row: which row, which pixel? Draw on it, and the answer follows.

TASKS.rows = () => {
  const T = MODEL.T, I = MODEL.inputs, SCALE = Math.max(2, Math.floor(252 / Math.max(T, I)));
  const labels = DOC.names.outputs.length ? DOC.names.outputs : Array.from({ length: MODEL.head.outputs }, (_, n) => String(n));
  const pen = { row: 0, column: 0, drawing: false };

  function choose(t) {
    STATE.t = t;
    pen.row = t;
    turn(false, true);
  }

  function field(id, label, role) {
    const canvas = element("canvas", { id, width: I * SCALE, height: T * SCALE, role, "aria-label": label });
    canvas.style.touchAction = "none";
    return canvas;
  }

  function set(row, column, value) {
    if (row < 0 || row >= T || column < 0 || column >= I) return;
    const j = row * I + column;
    STATE.input[j] = value === 0 ? 0 : Math.max(STATE.input[j], value);
  }

  // A pen that is a bit wider than a pixel
  function draw(row, column, rub) {
    for (const [dr, dc, strength] of [[0, 0, 1], [0, 1, 0.6], [1, 0, 0.6], [0, -1, 0.4], [-1, 0, 0.4]]) {
      set(row + dr, column + dc, rub ? 0 : strength);
    }
  }

  function listen(canvas) {
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [Math.floor(((event.clientY - box.top) / box.height) * T), Math.floor(((event.clientX - box.left) / box.width) * I)];
    };
    const stroke = (event) => {
      if (!pen.drawing) return;
      draw(...place(event), event.shiftKey);
      turn();
    };
    canvas.addEventListener("pointerdown", (event) => {
      pen.drawing = true;
      canvas.setPointerCapture(event.pointerId);
      stroke(event);
    });
    canvas.addEventListener("pointermove", stroke);
    canvas.addEventListener("pointerup", () => { pen.drawing = false; });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step && event.key !== " " && event.key !== "Delete") return;
      event.preventDefault();
      if (step) {
        pen.row = Math.min(T - 1, Math.max(0, pen.row + step[0]));
        pen.column = Math.min(I - 1, Math.max(0, pen.column + step[1]));
        paint(view);
        byId("pen").textContent = `row ${pen.row}, column ${pen.column}: ${show(STATE.input[pen.row * I + pen.column], 2)}`;
      } else {
        draw(pen.row, pen.column, event.key === "Delete");
        turn();
      }
    });
  }

  function clear() {
    STATE.input.fill(0);
    turn();
  }

  function build() {
    const rows = Array.from({ length: T }, (_, t) => String(t));
    const keys = "arrow keys move the pen, space draws, Delete rubs out";
    const digit = field("digit", `drawing field of ${T} rows and ${I} columns: ${keys}`, "application");
    digit.tabIndex = 0;
    const asked = chooser("log p of", labels.map((label, n) => [n, label]), STATE.loss.output, (output) => {
      STATE.loss = { ...STATE.loss, output: +output };
      turn(false, true);
    });
    asked.firstElementChild.id = "asked";
    byId("task").replaceChildren(
      element("h2", {}, "Which row, which pixel?"),
      sentence("Draw on the left picture; with Shift it rubs out. Keys: arrows move the pen, space draws, Delete rubs out."),
      sentence("The right one shades each pixel by the gradient: orange would raise log p of the chosen label, blue lower it."),
      element("div", { class: "controls" }, digit, field("pixels", "", "img")),
      element("p", { id: "pen", class: "soft", "aria-live": "polite" }),
      element("div", { class: "controls" }, asked, button("clear", clear), button("as recorded", () => { readHash(""); rebuild(); })),
      element("p", { id: "next", "aria-live": "polite" }),
      heading("By gradient"), sentence("How log p moves with each row: the norm of its gradient."),
      buildStrip("by-gradient", "by gradient, one button a row", rows, choose),
      heading("By trying"), sentence("How far log p moves when each row is blank."),
      buildStrip("by-trying", "by trying, one button a row", rows, choose),
      sentence(NEITHER),
    );
    listen(digit);
  }

  // The gradient by pixels: through the dense layer before, if there is one
  function byPixels(view) {
    if (!MODEL.dense) return view.all[0].dx;
    const dx = new Float64Array(T * I), D = MODEL.dense.columns;
    for (let t = 0; t < T; t++) addProductT(dx, t * I, I, view.all[0].dx, t * D, MODEL.dense.W, D, [0], D);
    return dx;
  }

  function paint(view) {
    const { ink, paper, above, below, card } = colours(), dx = byPixels(view);
    const most = dx.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-300);
    const cells = [
      [byId("digit"), (j) => mix(ink, paper, 100 * Math.min(1, Math.max(0, STATE.input[j])))],
      [byId("pixels"), (j) => mix(dx[j] < 0 ? below : above, card, (100 * Math.abs(dx[j])) / most)],
    ];
    for (const [canvas, colour] of cells) {
      const context = canvas.getContext("2d");
      for (let j = 0; j < T * I; j++) {
        context.fillStyle = colour(j);
        context.fillRect((j % I) * SCALE, Math.floor(j / I) * SCALE, SCALE, SCALE);
      }
      context.strokeStyle = mix(above, card, 100);
      context.strokeRect(0.5, STATE.t * SCALE + 0.5, I * SCALE - 1, SCALE - 1);
      if (canvas.id === "digit") context.strokeRect(pen.column * SCALE + 0.5, pen.row * SCALE + 0.5, SCALE - 1, SCALE - 1);
    }
    byId("pixels").setAttribute("aria-label", `gradient of log p of ${labels[STATE.loss.output]} by every pixel; largest ${show(most, 4)}`);
  }

  function fill(view) {
    const logp = view.run.outputs[STATE.loss.step], order = Array.from(logp.keys()).sort((a, b) => logp[b] - logp[a]);
    const told = order.slice(0, 3).map((n) => `${labels[n]} ${show(Math.exp(logp[n]))}`).join(", ");
    const asked = `log p of ${labels[STATE.loss.output]} is ${show(logp[STATE.loss.output], 4)}`;
    byId("next").textContent = `Read as ${labels[order[0]]}. Likeliest: ${told}; ${asked}.`;
    paint(view);
    fillStrip("by-gradient", Array.from(stepNorms(view)), STATE.loss.step, STATE.t, "gradient");
    fillTried("by-trying", view, STATE.t, () => new Float64Array(I), "change of log p");
  }

  return { build, fill };
};
