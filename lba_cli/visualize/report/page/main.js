// The page: the summary, the sections in order, and the theme.
function summary() {
  const { model, dataset, synthetic, inflated, title, notes, facts, figures, settings, bounds, asked } = DATA.summary;
  const heads = ["setting", "queries", "gallery", "trials", "rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"];
  const rows = figures.map((row) => [named(row), row.queries, String(row.gallery), String(row.trials), ...row.figures.map(([, mean, spread]) => figureCell(mean, spread, row.trials))]);
  const list = make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  const smaller = asked ? `To keep the file small it shows ${bounds.queries} lists instead of ${asked.queries}, ${bounds.people} people instead of ${asked.people}, and at most ${bounds.points} images on the map instead of ${asked.points}.` : "";
  return make("section", { id: "summary", "aria-labelledby": "summary-title" },
    make("h1", { id: "summary-title" }, model),
    paragraph(`Visible-infrared person re-identification on ${dataset}`, "lead"),
    synthetic ? paragraph("These people are synthetic: they were drawn by a program and do not exist. The figures are for trying things out and say nothing about real data.", "note") : null,
    inflated ? paragraph(`Not to be compared with others' figures: ${inflated}.`, "note") : null,
    table(title, heads.map((words, at) => ({ words, number: at > 0 })), rows),
    ...notes.map((words) => paragraph(words, "hint")),
    smaller ? paragraph(smaller, "note") : null,
    list,
    folded("All settings", table("The settings of this report, by their keys", [{ words: "key" }, { words: "value" }], settings)),
  );
}

function figureCell(mean, spread, trials) {
  return make("span", {}, percent(mean, 2), trials > 1 ? make("small", {}, ` ± ${percent(spread, 2)}`) : null);
}

function themes() {
  const select = document.getElementById("theme");
  const apply = () => {
    if (select.value) document.documentElement.dataset.theme = select.value;
    else delete document.documentElement.dataset.theme;
  };
  select.addEventListener("change", apply);
  apply();
}

const main = document.getElementById("report");
main.replaceChildren(summary(), curveCharts(), cmcCharts(), rankedLists(), correspondences(), masks(), embeddingMap(), distanceChart(), confusedPairs());
const names = { summary: "Figures", curves: "Training", cmc: "CMC", lists: "Ranked lists", matching: "Correspondences", masks: "Masks", map: "Map", distances: "Distances", confusions: "Confusions" };
document.getElementById("sections").append(...Object.entries(names).map(([id, words]) => make("a", { href: `#${id}` }, words)));
themes();
