// A series: which step does the forecast hang on? Points can be dragged, or moved by the arrow keys; the forecast follows.

TASKS.series = () => {
  const T = MODEL.T, scale = DOC.scale || { mean: 0, divide: 1 }, unit = DOC.names.inputs[0] || "value";
  const ahead = Math.max(1, Math.min(24, Math.floor(500 / T)));  // values fed back, one after the other
  const real = (v) => v * scale.divide + scale.mean;
  const mean = MODEL.x.reduce((a, b) => a + b, 0) / T;
  let range = [0, 1];
  let at = T - 1;

  function choose(t) {
    at = t;
    STATE.t = t;
    if (MODEL.head.reads === "all") STATE.loss = { step: t, output: 0 };
    turn(false, true);
  }

  // The next values, each fed back into a window of as many steps: one between two looks at what the reader does. Till all are
  // there the picture has the old ones behind the first.
  let future = [];
  let forecasting = 0;
  function forecast(view) {
    const mine = ++forecasting, layers = turnedLayers(), window = Array.from(STATE.input), found = [view.run.outputs[T - 1][0]];
    const more = () => {
      if (mine !== forecasting) return;
      if (found.length === ahead) {
        future = found;
        draw(future);
        return;
      }
      window.push(found.at(-1));
      window.shift();
      const tapes = forwardStack(layers, vectors(MODEL, Float64Array.from(window), T), T, initialStates(), null);
      found.push(headOutputs(MODEL, tapes, T - 1)[0]);
      setTimeout(more, 0);
    };
    future = [found[0], ...future.slice(1)];
    draw(future);
    setTimeout(more, 0);
  }

  function build() {
    const steps = Array.from({ length: T }, (_, t) => String(t));
    byId("task").replaceChildren(
      element("h2", {}, "Which step does the forecast hang on?"),
      sentence("Drag a point; or choose one by Tab and the arrow keys, and move it. Dotted: the forecast, each value fed back."),
      element("div", { id: "picture" }),
      element("p", { id: "next", "aria-live": "polite" }),
      heading("By gradient"), sentence("How the value after the chosen step moves with each one that was read: the size of its gradient."),
      buildStrip("by-gradient", "by gradient, one button a step", steps, choose),
      heading("By trying"), sentence(`How far it moves when each one is replaced by the mean of the recorded window, ${show(real(mean))}.`),
      buildStrip("by-trying", "by trying, one button a step", steps, choose),
      sentence(NEITHER),
    );
  }

  function draw(future) {
    const holder = byId("picture"), width = Math.max(260, holder.clientWidth || 640), height = 240;
    const left = 56, right = 14, top = 12, bottom = 26, values = [...Array.from(STATE.input), ...future];
    const low = Math.min(...values), high = Math.max(...values), room = (high - low || 1) * 0.15;
    range = [low - room, high + room];
    const x = (t) => left + (t / (T + ahead - 1)) * (width - left - right);
    const y = (v) => top + ((range[1] - v) / (range[1] - range[0])) * (height - top - bottom);
    const line = (kind, points) => {
      const d = points.map(([t, v], n) => `${n ? "L" : "M"}${x(t).toFixed(1)},${y(v).toFixed(1)}`).join("");
      return svg("path", { class: kind, d });
    };
    const focused = document.activeElement && document.activeElement.closest("#picture circle");
    const parts = [low, (low + high) / 2, high].flatMap((v) => [
      svg("path", { class: "axis", d: `M${left},${y(v)}H${width - right}` }),
      svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, show(real(v), 2)),
    ]);
    parts.push(line("two", Array.from(STATE.input, (v, t) => [t, v])));
    parts.push(line("gates", [[T - 1, STATE.input[T - 1]], ...future.map((v, n) => [T + n, v])]));
    const points = Array.from(STATE.input, (v, t) => svg("circle", {
      cx: x(t), cy: y(v), r: t === at ? 6 : 4, class: "point", "data-t": t, tabindex: t === at ? 0 : -1, role: "slider",
      "aria-label": `${unit} at step ${t}`, "aria-valuenow": real(v).toPrecision(6), "aria-valuemin": real(range[0]).toPrecision(4),
      "aria-valuemax": real(range[1]).toPrecision(4),
    }));
    parts.push(...points);
    for (const t of [0, T - 1, T + ahead - 1]) parts.push(svg("text", { x: x(t), y: height - 6, "text-anchor": "middle" }, String(t)));
    const whole = svg("svg", { width, height, role: "group", "aria-label": `${unit} by step, and the forecast` }, ...parts);
    holder.replaceChildren(whole);
    listen(whole, (event) => {
      const part = (event.clientY - holder.getBoundingClientRect().top - top) / (height - top - bottom);
      return range[1] - part * (range[1] - range[0]);
    });
    if (focused) points[at].focus();
  }

  function listen(whole, valueAtPointer) {
    whole.addEventListener("pointerdown", (event) => {
      const point = event.target.closest("circle");
      if (!point) return;
      const t = +point.dataset.t, drag = (moving) => { STATE.input[t] = valueAtPointer(moving); STATE.t = at = t; turn(); };
      const drop = () => { removeEventListener("pointermove", drag); removeEventListener("pointerup", drop); };
      addEventListener("pointermove", drag);
      addEventListener("pointerup", drop);
      choose(t);
    });
    whole.addEventListener("keydown", (event) => {
      const point = event.target.closest("circle"), way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      const to = point && moved(event.key, +point.dataset.t, T);
      if (!point || (way === undefined && to === null)) return;
      event.preventDefault();
      if (way === undefined) return choose(to);
      STATE.input[+point.dataset.t] += (way * (range[1] - range[0])) / 50;
      turn();
    });
  }

  function fill(view) {
    const { step } = STATE.loss;
    forecast(view);
    const says = `After step ${step} the model says ${show(real(view.run.outputs[step][0]), 4)}`;
    byId("next").textContent = `${says}. At step ${at} it read ${show(real(STATE.input[at]), 4)}.`;
    fillStrip("by-gradient", Array.from(stepNorms(view)), step, at, "gradient");
    fillTried("by-trying", view, at, () => [mean], "change of the forecast");
  }

  return { build, fill };
};
