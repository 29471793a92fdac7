// Ranked lists, which can be filtered by outcome, camera and identity; and the people who are confused most often.
const PAGE_SIZE = 12;
const OUTCOMES = [["", "all"], ["right", "all right"], ["mixed", "mixed"], ["wrong", "all wrong"]];
const ORDERS = {
  hardest: (a, b) => a.precision - b.precision,
  easiest: (a, b) => b.precision - a.precision,
  identity: (a, b) => IMAGES[a.image].identity - IMAGES[b.image].identity,
};

function distinct(lists, key) {
  return [...new Set(lists.map((list) => IMAGES[list.image][key]))].sort((a, b) => a - b);
}

function rankedLists() {
  const { lists, top, num_query: all, num_query_counted: counted } = DATA.lists;
  const wanted = { outcome: "", order: "hardest", camera: "", identity: "", most: PAGE_SIZE };
  const rows = make("div", { class: "lists", id: "lists-rows" });
  const count = make("p", { class: "count", role: "status" });
  const more = make("button", { type: "button", class: "more", onclick: () => show({ most: wanted.most + PAGE_SIZE }) }, "Show more");

  function show(change) {
    Object.assign(wanted, { most: PAGE_SIZE }, change);
    const chosen = lists
      .filter((list) => !wanted.outcome || list.outcome === wanted.outcome)
      .filter((list) => !wanted.camera || String(IMAGES[list.image].camera) === wanted.camera)
      .filter((list) => !wanted.identity || String(IMAGES[list.image].identity) === wanted.identity)
      .sort(ORDERS[wanted.order]);
    rows.replaceChildren(...chosen.slice(0, wanted.most).map(rankedList));
    more.hidden = chosen.length <= wanted.most;
    const shown = Math.min(chosen.length, wanted.most);
    count.textContent = chosen.length ? `Showing ${shown} of ${chosen.length} lists.` : "No list matches this choice.";
  }

  const cameras = distinct(lists, "camera").filter((each) => each !== null);
  const controls = make("div", { class: "controls" },
    radios("Outcome", "outcome", OUTCOMES, (outcome) => show({ outcome })),
    picker("Sort", [["hardest", "hardest first"], ["easiest", "easiest first"], ["identity", "by identity"]], (order) => show({ order })),
    cameras.length ? picker("Query camera", [["", "any"], ...cameras.map((each) => [each, each])], (camera) => show({ camera })) : null,
    picker("Identity", [["", "any"], ...distinct(lists, "identity").map((each) => [each, number(each)])], (identity) => show({ identity })),
  );
  const choice = lists.length === counted ? `All ${counted} queries with a true match` : `${lists.length} of the ${counted} queries with a true match (the ${Math.ceil(lists.length / 2)} hardest and others chosen at random)`;
  const unmatched = counted < all ? ` ${all - counted} of the ${all} queries have no true match in this gallery and don't count.` : "";
  const words = `${choice}, each with the ${top} gallery images that rank first (${galleryWords()}).${unmatched} Gallery images that the match rules ignore are left out.`;
  const key = "Right images have a solid frame and ✓, wrong ones a dashed frame and ✗. “All right” means that as many right images as possible come first, “all wrong” that no image in the list is right. AP is the average precision of the query.";
  show({});
  return section("lists", "Ranked lists", paragraph(words), paragraph(key, "hint"), controls, count, rows, more);
}

function rankedList(list) {
  const image = IMAGES[list.image];
  const camera = image.camera !== null ? `camera ${image.camera}` : "";
  const query = tile(list.image, "query", make("b", {}, `query ${number(image.identity)}`), camera, `AP ${percent(list.precision)}%`);
  const found = list.found.map(([imageNumber, score, right], at) => {
    const words = `${at + 1}. ${right ? "✓" : "✗"} ${number(IMAGES[imageNumber].identity)}`;
    return tile(imageNumber, right ? "right" : "wrong", make("b", {}, words), score.toFixed(3));
  });
  const label = `Ranked list for a query of identity ${number(image.identity)}${camera && `, ${camera}`}, average precision ${percent(list.precision)} percent`;
  return make("div", { class: "list", role: "group", tabindex: "0", "aria-label": label }, query, ...found);
}

function confusedPairs() {
  const title = "Most confused people";
  const pairs = DATA.confusions;
  if (!pairs.length) return section("confusions", title, paragraph("No query ranks a different person first, in any gallery draw."));
  const words = `The pairs of people that the network confuses most often: an image of one ranks first for a query of the other, counted over all gallery draws (${DATA.summary.shown_setting}). Each pair is shown with the query for which the wrong image has the largest lead over the best right one.`;
  const items = pairs.map(({ identities, count, images, scores }) => {
    const who = images.map((image) => number(IMAGES[image].identity));
    const row = make("div", { class: "row" },
      tile(images[0], "query", make("b", {}, who[0]), "query"),
      tile(images[1], "wrong", make("b", {}, `✗ ${who[1]}`), `rank 1, ${scores[0].toFixed(3)}`),
      tile(images[2], "right", make("b", {}, `✓ ${who[2]}`), `best right, ${scores[1].toFixed(3)}`));
    return make("li", {}, make("h3", {}, `${number(identities[0])} and ${number(identities[1])}: ${count === 1 ? "once" : `${count} times`}`), row);
  });
  return section("confusions", title, paragraph(words), make("ol", { class: "pairs" }, ...items));
}
