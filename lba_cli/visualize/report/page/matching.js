// The matches of an infrared image with two visible ones, and the masks. Maps are encoded as bytes from 0 to 255.
const RAMP = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];

function rampColour(share) {
  const at = Math.min(share, 0.9999) * (RAMP.length - 1);
  const [low, high] = [RAMP[Math.floor(at)], RAMP[Math.floor(at) + 1]];
  return low.map((value, channel) => Math.round(value + (high[channel] - value) * (at % 1)));
}

const ENLARGED = 12;

// Paint (height × width) bytes in colour, enlarged smoothly here because printers enlarge them in blocks.
function paint(canvas, [height, width], bytes, opacity) {
  const small = Object.assign(document.createElement("canvas"), { width, height });
  const pixels = small.getContext("2d").createImageData(width, height);
  bytes.forEach((byte, at) => pixels.data.set([...rampColour(byte / 255), 255 * opacity(byte / 255)], 4 * at));
  small.getContext("2d").putImageData(pixels, 0, 0);
  Object.assign(canvas, { width: width * ENLARGED, height: height * ENLARGED });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function stacked(imageNumber, ...over) {
  const image = IMAGES[imageNumber];
  const [height, width] = DATA.summary.image_size;
  const picture = make("img", { src: image.src, alt: describe(image), title: image.path, width, height });
  return make("div", { class: "stack" }, picture, ...over);
}

function correspondences() {
  const state = { person: DATA.people[0], stage: "layer3" };
  const viewer = make("div", { class: "viewer" });
  const words = make("p", { class: "hint", role: "status", id: "matching-words" });
  const buttons = DATA.people.map((person, at) => {
    const image = IMAGES[person.images.infrared];
    return make("button", { type: "button", "aria-pressed": String(at === 0), onclick: () => choose(at) }, make("img", { src: image.src, alt: "", width: DATA.summary.image_size[1], height: DATA.summary.image_size[0] }), `${number(image.identity)}`);
  });

  function choose(at) {
    state.person = DATA.people[at];
    buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === at)));
    build();
  }

  function build() {
    const { images, stages } = state.person;
    const stage = stages[state.stage];
    const canvases = { same: make("canvas", { "aria-hidden": "true" }), other: make("canvas", { "aria-hidden": "true" }) };
    const bytes = { same: unpack(stage.same.relative), other: unpack(stage.other.relative) };
    const gridCells = [];
    const marks = { same: make("span", { class: "best", "aria-hidden": "true" }), other: make("span", { class: "best", "aria-hidden": "true" }) };
    const truths = make("span", { "aria-hidden": "true" });
    const look = (position) => {
      gridCells.forEach((cell, at) => cell.classList.toggle("here", at === position));
      for (const which of ["same", "other"]) {
        const row = rowOf(stage, bytes[which], position);
        paint(canvases[which], stage.grid, row, (share) => 0.25 + 0.6 * share);
        frame(marks[which], stage.grid, row.indexOf(255));
      }
      truths.replaceChildren(...((stage.true ?? [])[position] ?? []).map((at) => {
        const mark = make("span", { class: "true" });
        frame(mark, stage.grid, at);
        return mark;
      }));
      words.textContent = sentence(stage, bytes, position) + truthSentence(stage, position);
    };
    const [infrared, visible, other] = [images.infrared, images.visible, images.other].map((image) => IMAGES[image]);
    viewer.replaceChildren(
      make("figure", {}, stacked(images.infrared, cells(stage.grid, gridCells, look, `Positions in the infrared image of identity ${number(infrared.identity)}`)), make("figcaption", {}, `infrared ${number(infrared.identity)}`, make("span", { class: "live" }, ", point here"))),
      make("figure", {}, stacked(images.visible, canvases.same, truths, marks.same), make("figcaption", {}, `visible ${number(visible.identity)}, the same person`)),
      make("figure", {}, stacked(images.other, canvases.other, marks.other), make("figcaption", {}, `visible ${number(other.identity)}, a different person`)),
    );
    look(strongest(stage));
  }

  const controls = make("div", { class: "controls" }, radios("Features of", "stage", [["layer3", "layer3"], ["layer4", "layer4"]], (stage) => { state.stage = stage; build(); }), ramp("0", "highest probability in the image"));
  const explanation = "Point at a position in the infrared image, or move over it with the arrow keys. The colours show the probability that the network matches it with each position of a visible image, of the same person and of a different one. Frames mark the position and its most probable matches." + (DATA.people[0].stages.layer3.true ? " Dashed frames mark the positions that show the same point of the body: the truth, which is known for synthetic people only." : "");
  build();
  return section("matching", "Correspondences", paragraph(explanation), make("div", { class: "people", role: "group", "aria-label": "Person" }, ...buttons), controls, words, viewer, ...measured());
}

// The probabilities of all positions in the visible image, for one position in the infrared image.
function rowOf(stage, bytes, position) {
  const size = stage.grid[0] * stage.grid[1];
  return bytes.subarray(position * size, (position + 1) * size);
}

function frame(mark, [rows, columns], position) {
  const at = { left: (position % columns) / columns, top: Math.floor(position / columns) / rows, width: 1 / columns, height: 1 / rows };
  for (const [side, share] of Object.entries(at)) mark.style[side] = `${100 * share}%`;
}

// The position where the person mask is largest.
function strongest(stage) {
  const mask = unpack(stage.masks[0]);
  return mask.indexOf(Math.max(...mask));
}

function sentence(stage, bytes, position) {
  const [, columns] = stage.grid;
  const where = (at) => `row ${Math.floor(at / columns) + 1}, column ${(at % columns) + 1}`;
  const best = (which) => {
    return `${where(rowOf(stage, bytes[which], position).indexOf(255))} (${percent(stage[which].peak[position])}%)`;
  };
  return `Infrared ${where(position)}: the most probable match is ${best("same")} in the image of the same person, and ${best("other")} in that of the different person.`;
}

// The figures of correspondences with a known truth, if there is one.
function measured() {
  const known = DATA.correspondences;
  if (!known) return [];
  const heads = known.columns.map((words, at) => ({ words, number: at > 1 }));
  return [table(known.title, heads, known.rows), paragraph("docs/protocols.md explains the columns.")];
}

// What is known about the true match of a position: nothing, except for synthetic people with a truth.
function truthSentence(stage, position) {
  if (!stage.true) return "";
  const true_ = stage.true[position];
  if (!true_) return " This position doesn't show the person.";
  if (!true_.length) return " The point isn't seen in the other image.";
  const [, columns] = stage.grid;
  return ` The truth: ${true_.map((at) => `row ${Math.floor(at / columns) + 1}, column ${(at % columns) + 1}`).join("; ")}.`;
}

// A grid of positions over an image. Only one of them is in the tab order; the arrow keys move between them.
function cells([rows, columns], gridCells, look, label) {
  const grid = make("div", { class: "cells", role: "grid", "aria-label": label });
  for (let row = 0; row < rows; row += 1) {
    const line = make("div", { role: "row" });
    for (let column = 0; column < columns; column += 1) {
      const position = row * columns + column;
      const cell = make("span", { role: "gridcell", tabindex: position ? "-1" : "0", "aria-label": `row ${row + 1}, column ${column + 1}` });
      cell.addEventListener("pointerenter", () => look(position));
      cell.addEventListener("pointerdown", () => look(position));
      cell.addEventListener("focus", () => look(position));
      gridCells.push(cell);
      line.append(cell);
    }
    grid.append(line);
  }
  grid.addEventListener("keydown", (event) => {
    const at = gridCells.indexOf(document.activeElement);
    const [row, column] = [Math.floor(at / columns), at % columns];
    const moved = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], Home: [row, 0], End: [row, columns - 1] }[event.key];
    if (!moved || at < 0) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(rows - 1, moved[0])) * columns + Math.max(0, Math.min(columns - 1, moved[1]));
    gridCells[at].tabIndex = -1;
    gridCells[next].tabIndex = 0;
    gridCells[next].focus();
  });
  return grid;
}

function ramp(low, high) {
  const canvas = make("canvas", { class: "scale", "aria-hidden": "true" });
  paint(canvas, [1, 64], Uint8Array.from({ length: 64 }, (_, at) => at * 4), () => 1);
  return make("span", {}, `${low} `, canvas, ` ${high}`);
}

function masks() {
  const body = make("tbody");
  const over = (imageNumber, stage, bytes) => {
    const canvas = make("canvas", { "aria-hidden": "true" });
    paint(canvas, stage.grid, unpack(bytes), () => 0.6);
    const stack = stacked(imageNumber, canvas);
    stack.classList.add("gray");
    return stack;
  };
  const show = (name) => {
    body.replaceChildren(...DATA.people.map(({ images, stages }) => {
      const stage = stages[name];
      const sides = [images.infrared, images.visible].flatMap((imageNumber, side) => [
        stacked(imageNumber), over(imageNumber, stage, stage.masks[side]), over(imageNumber, stage, stage.attention[side]),
      ]);
      return make("tr", {}, make("th", { scope: "row" }, number(IMAGES[images.infrared].identity)), ...sides.map((each) => make("td", {}, each)));
    }));
  };
  const heads = ["identity", "infrared", "person mask", "co-attention", "visible", "person mask", "co-attention"];
  const head = make("thead", {}, make("tr", {}, ...heads.map((words) => make("th", { scope: "col" }, words))));
  const name = "Person masks and co-attention";
  const words = "The person mask shows where the features are strong. Co-attention shows where, in addition, the matching position of the other image shows the person. Both range from 0 to 1 in each image.";
  const controls = make("div", { class: "controls" }, radios("Features of", "mask-stage", [["layer3", "layer3"], ["layer4", "layer4"]], show), ramp("0", "1"));
  show("layer3");
  return section("masks", name, paragraph(words), controls, wide(name, make("table", { class: "maps" }, head, body)));
}
