// Every unit and every step of the chosen row, as a picture.

let heat = { width: 1, height: 1 };

function fillHeat(view) {
  const canvas = byId("heat"), T = MODEL.T, H = view.H, back = STATE.row.includes("."), { above, below, card } = colours();
  const width = Math.max(2, Math.min(48, Math.floor(900 / T))), height = Math.max(2, Math.min(18, Math.floor(300 / H)));
  heat = { width, height };
  canvas.width = T * width;
  canvas.height = H * height;
  canvas.setAttribute("aria-label", `${STATE.row} of ${H} units over ${T} steps; orange is above zero, blue below`);
  const context = canvas.getContext("2d"), small = element("canvas", { width: T, height: H }), read = reader(view, STATE.row);
  const pixels = small.getContext("2d"), image = pixels.createImageData(T, H);
  for (let j = 0; j < T * H; j++) {
    const v = read(j % T, Math.floor(j / T)), part = Math.min(1, share(v, back) / 55), colour = v < 0 ? below : above;
    for (let k = 0; k < 3; k++) image.data[4 * j + k] = colour[k] * part + card[k] * (1 - part);
    image.data[4 * j + 3] = 255;
  }
  pixels.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = mix(colours().ink, card, 100);
  context.lineWidth = 2;
  context.strokeRect(STATE.t * width + 1, STATE.unit * height + 1, width - 2, Math.max(1, height - 2));
}

// The step and the unit under the pointer
function heatAt(event) {
  const box = byId("heat").getBoundingClientRect();
  const t = Math.floor(((event.clientX - box.left) / box.width) * MODEL.T);
  const unit = Math.floor(((event.clientY - box.top) / box.height) * MODEL.layers[STATE.layer].H);
  return { t: Math.min(MODEL.T - 1, Math.max(0, t)), unit: Math.min(MODEL.layers[STATE.layer].H - 1, Math.max(0, unit)) };
}

// The table as a picture: names, steps, numbers, shades
function tablePicture() {
  const rows = [...byId("grid").querySelectorAll("tr")].filter((tr) => !tr.querySelector("input"));
  const canvas = element("canvas"), left = 110, width = 62, height = 24, { above, below, card, ink, paper } = colours();
  canvas.width = left + width * MODEL.T;
  canvas.height = height * (rows.length + 1);
  const context = canvas.getContext("2d");
  context.fillStyle = mix(paper, card, 100);
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = "13px DejaVu Sans, sans-serif";
  rows.forEach((tr, r) => [...tr.children].forEach((cell, n) => {
    const x = n ? left + width * (n - 1) : 0, v = cell.dataset.value;
    if (v !== undefined) {
      context.fillStyle = mix(+v < 0 ? below : above, card, share(+v, cell.dataset.row.includes(".")));
      context.fillRect(x, r * height, width - 1, height - 1);
    }
    context.fillStyle = mix(ink, card, 100);
    context.textAlign = n ? "center" : "right";
    context.fillText(cell.textContent, n ? x + width / 2 : left - 8, r * height + 16);
  }));
  context.textAlign = "left";
  context.fillText(`${DOC.made_by}: ${DOC.title}, unit ${STATE.unit}`.slice(0, 120), 8, canvas.height - 8);
  return canvas.toDataURL("image/png");
}

// What the table shows as CSV, every digit
function tableText() {
  const rows = [["name", ...Array.from({ length: MODEL.T }, (_, t) => t)]];
  for (const tr of byId("grid").querySelectorAll("tbody tr")) {
    const cells = [...tr.querySelectorAll("td")];
    rows.push([tr.querySelector("th").textContent, ...cells.map((td) => td.dataset.value ?? td.querySelector("input").value)]);
  }
  return `${rows.map((row) => row.join(",")).join("\r\n")}\r\n`;
}
