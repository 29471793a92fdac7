// The whole page: the summary, the other sections in order, and the theme.
function summary() {
  const { model, dataset, synthetic, inflation_note: inflation, title, notes, facts, columns, figures, config, bounds, requested } = DATA.summary;
  const heads = ["setting", "queries", "gallery", "draws", ...columns];
  const rows = figures.map((row) => [resultName(row), row.queries, String(row.gallery), String(row.draws), ...row.figures.map(([, mean, spread]) => figureCell(mean, spread, row.draws))]);
  const list = make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  const smaller = requested ? `To keep the file small, this report shows ${bounds.queries} lists instead of ${requested.queries}, ${bounds.people} people instead of ${requested.people}, and at most ${bounds.points} images on the map instead of ${requested.points}.` : "";
  return make("section", { id: "summary", "aria-labelledby": "summary-title" },
    make("h1", { id: "summary-title" }, model),
    paragraph(`Visible-infrared person re-identification on ${dataset}`, "lead"),
    synthetic ? paragraph("These people are synthetic: a program drew them, and they do not exist. The figures are for trying things out and say nothing about real data.", "note") : null,
    inflation ? paragraph(`Mind this before you compare the figures with others: ${inflation}.`, "note") : null,
    table(title, heads.map((words, at) => ({ words, number: at > 0 })), rows),
    ...notes.map((words) => paragraph(words, "hint")),
    smaller ? paragraph(smaller, "note") : null,
    list,
    folded("Configuration", table("The configuration of this report", [{ words: "key" }, { words: "value" }], config)),
  );
}

function figureCell(mean, spread, draws) {
  return make("span", {}, percent(mean, 2), draws > 1 ? make("small", {}, ` ± ${percent(spread, 2)}`) : null);
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
main.replaceChildren(summary(), curveCharts(), cmcCharts(), rankedLists(), correspondences(), masks(), embeddingMap(), distanceChart(), rocChart(), confusedPairs());
const names = { summary: "Figures", curves: "Training", cmc: "CMC", lists: "Ranked lists", matching: "Correspondences", masks: "Masks", map: "Map", distances: "Distances", roc: "Verification", confusions: "Confusions" };
document.getElementById("sections").append(...Object.entries(names).map(([id, words]) => make("a", { href: `#${id}` }, words)));
themes();
