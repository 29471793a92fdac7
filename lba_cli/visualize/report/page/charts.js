// Line charts with bands and a readout. Lines differ in both colour and dashes.
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "12 4", "4 2"];
const KINDS = 6;
const CHART = { width: 520, height: 300, left: 76, right: 12, top: 10, bottom: 42 };

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(10)));
  return found;
}

function short(value) {
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}

// After six lines the colours start again, with other dashes.
function look(at) {
  return { class: `k${at % KINDS}`, "stroke-dasharray": DASHES[(at + Math.floor(at / KINDS)) % DASHES.length] };
}

// options: title; x and y, the titles of the axes; lines: [{ name, points: [[x, y]], band: [[x, low, high]] }];
// low and high, the ends of the y axis; filled; wholeNumbers, whether x has only whole numbers; ticks, the x values that are labelled;
// label, the words for an x value (by default the number).
function chart(options) {
  const scales = scalesOf(options);
  const label = options.label || short;
  const { width, height, left, right, top, bottom } = CHART;
  const words = `${options.title}: ${options.lines.map((line) => line.name).join(", ")}; the values are in the table below`;
  const picture = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words });
  drawAxes(picture, options, scales);
  options.lines.forEach((line, at) => drawLine(picture, line, at, scales, options));
  const guide = draw("line", { class: "guide", y1: top, y2: height - bottom, visibility: "hidden" });
  picture.append(guide);
  const readout = make("p", { class: options.lines.length > 3 ? "readout long" : "readout" });
  const shown = (x) => options.lines.map((line) => [line.name, line.points.find((point) => point[0] === x)]).filter((each) => each[1]);
  const point = (event) => {
    const box = picture.getBoundingClientRect();
    const at = scales.back(((event.clientX - box.left) / box.width) * width);
    const x = scales.xs.reduce((best, each) => (Math.abs(each - at) < Math.abs(best - at) ? each : best));
    fill(guide, { x1: scales.x(x), x2: scales.x(x), visibility: "visible" }, []);
    readout.textContent = `${options.x} ${label(x)}: ${shown(x).map(([name, point]) => `${name} ${short(point[1])}`).join(", ")}`;
  };
  for (const kind of ["pointermove", "pointerdown"]) picture.addEventListener(kind, point);
  picture.addEventListener("pointerleave", () => guide.setAttribute("visibility", "hidden"));
  const legend = make("ul", { class: "legend" });
  options.lines.forEach((line, at) => {
    const sample = draw("svg", { viewBox: "0 0 36 12", "aria-hidden": "true" }, draw("line", { x1: 0, x2: 36, y1: 6, y2: 6, "stroke-width": 3, ...look(at) }));
    legend.append(make("li", {}, sample, line.name));
  });
  const heads = [{ words: options.x, number: true }, ...options.lines.map((line) => ({ words: line.name, number: true }))];
  const rows = scales.xs.map((x) => [label(x), ...options.lines.map((line) => cell(line, x))]);
  const values = folded("Values", table(options.title, heads, rows));
  return make("figure", { class: "chart" }, make("h3", {}, options.title), picture, legend, readout, values);
}

function cell(line, x) {
  const point = line.points.find((each) => each[0] === x);
  const band = (line.band || []).find((each) => each[0] === x);
  return point ? short(point[1]) + (band ? ` ± ${short((band[2] - band[1]) / 2)}` : "") : "–";
}

function scalesOf({ lines, low, high }) {
  const { width, height, left, right, top, bottom } = CHART;
  const points = lines.flatMap((line) => line.points);
  const ends = lines.flatMap((line) => (line.band || []).flatMap((each) => [each[1], each[2]]));
  const ys = [...points.map((point) => point[1]), ...ends];
  const xs = [...new Set(points.map((point) => point[0]))].sort((a, b) => a - b);
  let [x0, x1] = [xs[0], xs[xs.length - 1]];
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
  const y0 = low ?? Math.min(0, ...ys);
  const y1 = Math.max(high ?? Math.max(...ys) * 1.05, y0 + 1e-6);
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => height - bottom - ((Math.min(y1, Math.max(y0, value)) - y0) / (y1 - y0)) * (height - top - bottom);
  return { xs, x, y, x0, x1, y0, y1, back: (at) => x0 + ((at - left) / (width - left - right)) * (x1 - x0) };
}

function drawAxes(picture, options, { x, y, x0, x1, y0, y1 }) {
  const { width, height, left, right, top, bottom } = CHART;
  for (const value of ticks(y0, y1, 5)) {
    picture.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    picture.append(draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of options.ticks || ticks(x0, x1, 7).filter((each) => !options.wholeNumbers || Number.isInteger(each))) {
    picture.append(draw("text", { x: x(value), y: height - bottom + 17, "text-anchor": "middle" }, (options.label || short)(value)));
  }
  picture.append(draw("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}` }));
  picture.append(draw("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, options.x));
  picture.append(draw("text", { x: -(top + height - bottom) / 2, y: 13, "text-anchor": "middle", transform: "rotate(-90)" }, options.y));
}

function drawLine(picture, line, at, { x, y, y0 }, options) {
  const { class: colour, "stroke-dasharray": dashes } = look(at);
  const path = line.points.map(([px, py], step) => `${step ? "L" : "M"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join("");
  if (line.band) {
    const up = line.band.map(([px, , high], step) => `${step ? "L" : "M"}${x(px).toFixed(1)} ${y(high).toFixed(1)}`).join("");
    const down = [...line.band].reverse().map(([px, low]) => `L${x(px).toFixed(1)} ${y(low).toFixed(1)}`).join("");
    picture.append(draw("path", { class: `band ${colour}`, d: `${up}${down}Z` }));
  }
  if (options.filled) {
    const ends = [line.points[line.points.length - 1][0], line.points[0][0]];
    picture.append(draw("path", { class: `band ${colour}`, d: `${path}L${x(ends[0])} ${y(y0)}L${x(ends[1])} ${y(y0)}Z` }));
  }
  picture.append(draw("path", { class: `plot ${colour}`, d: path, "stroke-dasharray": dashes, fill: "none" }));
  if (line.points.length < 25) for (const [px, py] of line.points) picture.append(draw("circle", { class: colour, cx: x(px), cy: y(py), r: 2.5 }));
}

function curveCharts() {
  if (!DATA.curves) {
    const words = DATA.summary.has_run ? "No epoch of the training run is complete yet, so there are no curves." : "This checkpoint is not in the folder of a training run, so there are no curves.";
    return section("curves", "Training", paragraph(words, "note"));
  }
  const { losses, learning_rate: rates, figures } = DATA.curves;
  const inPercent = figures.map((line) => ({ ...line, points: line.points.map(([x, y]) => [x, 100 * y]) }));
  const charts = [
    { title: "Losses", x: "epoch", y: "loss", lines: losses },
    { title: "Learning rate", x: "epoch", y: "learning rate", lines: rates },
    { title: "Retrieval on the test identities", x: "epoch", y: "percent", lines: inPercent, low: 0 },
  ].filter((each) => each.lines.length);
  if (!charts.length) return section("curves", "Training", paragraph("The metrics.jsonl of the training run contains no numbers, so there are no curves.", "note"));
  return section("curves", "Training", make("div", { class: "charts" }, ...charts.map((each) => chart({ wholeNumbers: true, ...each }))));
}

function resultName({ setting, variant }) {
  return variant === "plain" ? setting : `${setting}, ${variant}`;
}

// One chart of all results, or a chart for each setting if there are more results than line colours.
function cmcCharts() {
  const results = DATA.cmc.map(({ setting, variant, mean, std }) => ({
    setting,
    variant,
    points: mean.map((value, at) => [at + 1, 100 * value]),
    band: std.some((value) => value > 0) ? mean.map((value, at) => [at + 1, 100 * (value - std[at]), 100 * (value + std[at])]) : null,
  }));
  const groups = results.length <= KINDS
    ? [["CMC", results.map((each) => ({ ...each, name: resultName(each) }))]]
    : [...new Set(results.map((each) => each.setting))].map((setting) => [`CMC, ${setting}`, results.filter((each) => each.setting === setting).map((each) => ({ ...each, name: each.variant }))]);
  const { draws } = DATA.cmc[0];
  const spread = draws > 1 ? `The bands show ± one standard deviation over ${draws} gallery draws.` : "There is only one gallery draw, so no spread is shown.";
  const words = `The share of queries whose identity is among the first k ${DATA.summary.cmc_counts} of the ranked gallery. ${spread}`;
  const options = { x: "rank", y: "percent of queries", low: 0, high: 100, ticks: [1, 5, 10, 15, 20] };
  return section("cmc", "Cumulative matching characteristic (CMC)", paragraph(words), make("div", { class: "charts" }, ...groups.map(([title, lines]) => chart({ ...options, title, lines }))));
}

function distanceChart() {
  const { edges, same, other, counts, means, closer } = DATA.distances;
  const centres = same.map((_, at) => (edges[at] + edges[at + 1]) / 2);
  const line = (name, shares) => ({ name, points: shares.map((share, at) => [centres[at], 100 * share]) });
  const lines = [line(`same identity (${counts[0].toLocaleString("en")} pairs)`, same), line(`different identities (${counts[1].toLocaleString("en")} pairs)`, other)];
  const mean = (value) => (value === null ? "–" : short(value));
  const words = `Cosine distances between the queries and the gallery (${galleryWords()}), without pairs that the match rules ignore. The mean distance is ${mean(means[0])} for the same identity and ${mean(means[1])} for different identities.`;
  const overlap = closer === null ? "" : ` ${percent(closer)}% of the pairs of different identities are closer than the median pair of the same identity.`;
  const options = { title: "Distances", x: "cosine distance", y: "percent of pairs", lines, low: 0, filled: true };
  return section("distances", "Distances within and between identities", paragraph(words + overlap), make("div", { class: "charts" }, chart(options)));
}

// The axis of false accept rates is logarithmic.
function rocChart() {
  if (!DATA.roc) return section("roc", "Verification: the same person or not?", paragraph("There are no pairs of one person, or none of two people, so there is no ROC curve.", "note"));
  const { points, figures, rows, counts } = DATA.roc;
  const [auc, eer] = figures;
  const words = `Two images count as one person if their score reaches a threshold. The false accept rate is the share of the ${counts[1].toLocaleString("en")} pairs of different identities that reach it, and the true accept rate that of the ${counts[0].toLocaleString("en")} pairs of the same identity (${galleryWords()}). The area under the curve is ${auc.toFixed(4)}, and the rate at which both kinds of error are equal ${percent(eer, 2)}%.`;
  const lines = [{ name: "true accept rate", points: points.map(([x, y]) => [x, 100 * y]) }];
  const least = Math.ceil(points[0][0] - 1e-9);
  const label = (x) => short(Number((10 ** x).toPrecision(3)));
  const options = { title: "ROC curve", x: "false accept rate", y: "percent accepted", low: 0, high: 100, label, lines };
  options.ticks = Array.from({ length: 1 - least }, (_, at) => least + at);
  const heads = ["false accept rate", "true accept rate", "score"].map((name) => ({ words: name, number: true }));
  const cells = rows.map(([far, tar, score]) => [short(far), `${percent(tar, 2)}%`, score === null ? "–" : score.toFixed(4)]);
  const scores = rows.length ? table("Scores for false accept rates", heads, cells) : paragraph("There are too few pairs for the score of any rate.", "hint");
  return section("roc", "Verification: the same person or not?", paragraph(words), make("div", { class: "charts" }, chart(options)), scores);
}
