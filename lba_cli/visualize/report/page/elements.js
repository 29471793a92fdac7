// Elements that all sections use. Words from the data enter the page only as text, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const IMAGES = DATA.images;
const SVG = "http://www.w3.org/2000/svg";

function make(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function section(id, title, ...children) {
  return make("section", { id, "aria-labelledby": `${id}-title` }, make("h2", { id: `${id}-title` }, title), ...children);
}

function paragraph(words, kind = null) {
  return make("p", { class: kind }, words);
}

function number(identity) {
  return String(identity).padStart(4, "0");
}

function percent(fraction, digits = 1) {
  return (100 * fraction).toFixed(digits);
}

// The gallery that the sections after the CMC show.
function galleryWords() {
  return `${DATA.summary.shown_setting}, ${DATA.lists.draw}`;
}

function describe(image) {
  const camera = image.camera !== null ? ` from camera ${image.camera}` : "";
  return `${image.modality} image of identity ${number(image.identity)}${camera}`;
}

// An image with lines of text below it; kind is "", "query", "right" or "wrong".
function tile(imageNumber, kind, ...lines) {
  const image = IMAGES[imageNumber];
  const verdict = { right: ", right", wrong: ", wrong" }[kind] || "";
  const [height, width] = DATA.summary.image_size;
  const picture = make("img", { src: image.src, alt: describe(image) + verdict, title: image.path, decoding: "async", width, height });
  return make("figure", { class: `tile ${kind}` }, picture, make("figcaption", {}, ...lines.flatMap((line, at) => (at ? [make("br"), line] : [line]))));
}

function picker(label, options, change) {
  const select = make("select", { autocomplete: "off", onchange: () => change(select.value) });
  for (const [value, words] of options) select.append(make("option", { value }, words));
  return make("label", {}, `${label} `, select);
}

function radios(label, name, options, change) {
  const group = make("fieldset", {}, make("legend", {}, label));
  options.forEach(([value, words], at) => {
    const input = make("input", { type: "radio", name, value, autocomplete: "off", checked: at === 0, onchange: () => change(value) });
    group.append(make("label", {}, input, ` ${words}`));
  });
  return group;
}

function table(caption, heads, rows) {
  const kind = (at) => (heads[at].number ? "number" : null);
  const head = heads.map((each, at) => make("th", { scope: "col", class: kind(at) }, each.words));
  const body = rows.map((cells) =>
    make("tr", {}, ...cells.map((cell, at) => (at ? make("td", { class: kind(at) }, cell) : make("th", { scope: "row", class: kind(0) }, cell)))),
  );
  const element = make("table", { "aria-label": caption }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  return make("div", {}, make("p", { class: "caption" }, caption), wide(caption, element));
}

// A region that scrolls by itself if it is wider than the window, also with the keyboard.
function wide(name, element) {
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `Table: ${name}` }, element);
}

function folded(words, content) {
  return make("details", {}, make("summary", {}, words), content);
}

function unpack(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
