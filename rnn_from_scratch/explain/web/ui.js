// Elements, numbers as text, and the shades of numbers: what every part of the page uses.

const byId = (id) => document.getElementById(id);

// Whatever fails, the page says so first
window.addEventListener("error", (event) => {
  byId("check").textContent = `Do not trust me: ${event.message}`;
  byId("check").className = "bad";
  document.body.dataset.selftest = "failed";
});

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A number for reading: a minus sign that is one, e notation where decimals would be zeros
function show(v, digits = 3) {
  if (v === undefined || v === null || !Number.isFinite(v)) return "–";
  if (v === 0) return "0";
  const size = Math.abs(v), text = size !== 0 && (size < 10 ** -digits || size >= 1e5) ? v.toExponential(1) : v.toFixed(digits);
  return text.replaceAll("-", "−");
}

// Forward numbers shade by size; gradients by their power of ten, from 1e-6 to 1
function share(v, isGradient) {
  const size = Math.abs(v);
  const part = isGradient ? (size === 0 ? 0 : 1 + Math.log10(size) / 6) : size;
  return Math.round(55 * Math.min(1, Math.max(0, part || 0)));
}

// A rule for each shade, which hundreds of numbers share: a style of its own for each takes the browser ten times as long
document.head.append(element("style", {}, ["above", "below"].flatMap((side) => Array.from({ length: 55 }, (_, n) =>
  `td.value[data-shade=${side}${n + 1}]{background:color-mix(in srgb,var(--${side}) ${n + 1}%,var(--card))}`)).join("")));

function shade(target, v, isGradient) {
  const name = `${v < 0 ? "below" : "above"}${share(v, isGradient)}`;
  if (target.dataset.shade !== name) target.dataset.shade = name;
}

// Colours of the page as [red, green, blue], for canvases; asked for once in each scheme
let palette = null;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { palette = null; });
function colours() {
  if (palette) return palette;
  const style = getComputedStyle(document.documentElement);
  palette = Object.fromEntries(["above", "below", "card", "ink", "paper"].map((name) => {
    const hex = style.getPropertyValue(`--${name}`).trim();
    return [name, [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))];
  }));
  return palette;
}

function mix(colour, card, percent) {
  return `rgb(${colour.map((v, k) => Math.round((v * percent + card[k] * (100 - percent)) / 100)).join(",")})`;
}

// A range input with its label and its value; change(value) is called as it moves
function slider(label, { min, max, step, value, name }, change) {
  const said = element("output", {}, show(value, 2));
  const input = element("input", { type: "range", min, max, step, "data-knob": name });
  input.value = value;
  input.addEventListener("input", () => { said.textContent = show(+input.value, 2); change(+input.value); });
  const whole = element("label", {}, label, input, said);
  whole.set = (v) => { if (+input.value !== v) input.value = v; said.textContent = show(v, 2); };
  return whole;
}

function chooser(label, options, value, change) {
  const select = element("select", {}, ...options.map(([key, text]) => element("option", { value: key }, text)));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  const whole = element("label", {}, label, select);
  whole.set = (v) => { select.value = v; };
  return whole;
}

function button(text, press) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", press);
  return made;
}

// Hand a file to the reader
function download(name, url) {
  element("a", { href: url, download: name }).click();
}

// Arrow keys, Home and End in a row of `count` places: where to go from `at`, or null
function moved(key, at, count) {
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 }[key];
  return to === undefined ? null : Math.min(count - 1, Math.max(0, to));
}
