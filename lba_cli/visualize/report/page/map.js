// The map of embeddings: circles are visible images, triangles are infrared ones.
const MAP = { size: 600, margin: 18 };

function mark(modality) {
  return modality === "visible" ? draw("circle", { r: 5 }) : draw("path", { d: "M0-6.2L5.6 4H-5.6Z" });
}

function embeddingMap() {
  const { images, pca, tsne, note, explained, num_images: all } = DATA.map;
  const identities = [...new Set(images.map((image) => IMAGES[image].identity))].sort((a, b) => a - b);
  const state = { points: tsne || pca, colour: "identity", only: "", at: -1 };
  const picture = draw("svg", { viewBox: `0 0 ${MAP.size} ${MAP.size}`, role: "application", tabindex: "0", "aria-roledescription": "map", "aria-label": "Map of embeddings; the arrow keys move from image to image" });
  const shown = make("div", { class: "shown", role: "status" }, make("p", { class: "hint live" }, "Point at a mark to see its image, or focus the map and use the arrow keys."));
  const dots = images.map((image, at) => {
    const dot = mark(IMAGES[image].modality);
    dot.addEventListener("pointerenter", () => choose(at));
    picture.append(dot);
    return dot;
  });
  const ring = draw("ellipse", { class: "ring", rx: 8, ry: 8, visibility: "hidden" });
  picture.append(ring);
  const legend = make("ul", { class: "legend" }, ...["visible", "infrared"].map((modality) => make("li", {}, draw("svg", { viewBox: "-8 -8 16 16", "aria-hidden": "true" }, mark(modality)), modality)));
  const order = images.map((_, at) => at).sort((a, b) => IMAGES[images[a]].identity - IMAGES[images[b]].identity || a - b);

  function arrange() {
    const inside = MAP.size - 2 * MAP.margin;
    dots.forEach((dot, at) => {
      const image = IMAGES[images[at]];
      const [x, y] = state.points[at];
      const turn = (identities.indexOf(image.identity) * 137.508) % 360;
      const colour = state.colour === "modality" ? `var(--c${image.modality === "visible" ? 0 : 1})` : `light-dark(hsl(${turn} 65% 38%), hsl(${turn} 65% 68%))`;
      const faded = state.only !== "" && String(image.identity) !== state.only;
      fill(dot, { transform: `translate(${(MAP.margin + x * inside).toFixed(1)} ${(MAP.margin + (1 - y) * inside).toFixed(1)})`, class: `dot${faded ? " faded" : ""}` }, []);
      dot.style.fill = colour;
    });
    encircle();
    legend.classList.toggle("coloured", state.colour === "modality");
  }

  function encircle() {
    if (state.at >= 0) fill(ring, { transform: dots[state.at].getAttribute("transform"), visibility: "visible" }, []);
  }

  function choose(at) {
    state.at = at;
    encircle();
    const image = IMAGES[images[at]];
    const camera = image.camera !== null ? `, camera ${image.camera}` : "";
    shown.replaceChildren(tile(images[at], "", make("b", {}, `identity ${number(image.identity)}`), `${image.modality}${camera}`));
  }

  picture.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const among = order.filter((at) => state.only === "" || String(IMAGES[images[at]].identity) === state.only);
    const now = among.indexOf(state.at);
    choose(among[now < 0 ? 0 : (now + step + among.length) % among.length]);
  });
  const methods = [...(tsne ? [["tsne", "t-SNE"]] : []), ["pca", "PCA"]];
  const controls = make("div", { class: "controls" },
    methods.length > 1 ? radios("Map by", "map-method", methods, (method) => { state.points = DATA.map[method]; arrange(); }) : null,
    radios("Colour by", "map-colour", [["identity", "identity"], ["modality", "modality"]], (colour) => { state.colour = colour; arrange(); }),
    picker("Identity", [["", "all"], ...identities.map((each) => [each, number(each)])], (only) => { state.only = only; arrange(); }),
  );
  const choice = images.length < all ? `${images.length.toLocaleString("en")} of ${all.toLocaleString("en")} test images, chosen at random` : `All ${all} test images`;
  const shares = explained.map((share) => `${percent(share)}%`).join(" and ");
  const words = `${choice}. The two axes of PCA explain ${shares} of the variance. Distances on such a map are only a rough guide to those between the embeddings.`;
  arrange();
  return section("map", "Map of embeddings", paragraph(words), note ? paragraph(`Only PCA is shown: ${note}.`, "note") : null, controls, legend, make("div", { class: "space" }, picture, shown));
}
