// Ranked lists, filtered by outcome, camera and identity.
const AT_ONCE = 12;
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
  const { lists, top, trial, counted, all } = DATA.lists;
  const wanted = { outcome: "", order: "hardest", camera: "", identity: "", most: AT_ONCE };
  const rows = make("div", { class: "lists", id: "lists-rows" });
  const count = make("p", { class: "count", role: "status" });
  const more = make("button", { type: "button", class: "more", onclick: () => show({ most: wanted.most + AT_ONCE }) }, "Show more");

  function show(change) {
    Object.assign(wanted, { most: AT_ONCE }, change);
    const chosen = lists
      .filter((list) => !wanted.outcome || list.outcome === wanted.outcome)
      .filter((list) => !wanted.camera || String(IMAGES[list.image].camera) === wanted.camera)
      .filter((list) => !wanted.identity || String(IMAGES[list.image].identity) === wanted.identity)
      .sort(ORDERS[wanted.order]);
    rows.replaceChildren(...chosen.slice(0, wanted.most).map(rankedList));
    more.hidden = chosen.length <= wanted.most;
    const shown = Math.min(chosen.length, wanted.most);
    count.textContent = chosen.length ? `${shown} of ${chosen.length} lists are shown.` : "No list is like that.";
  }

  const cameras = distinct(lists, "camera").filter((each) => each !== null);
  const controls = make("div", { class: "controls" },
    radios("Show", "outcome", OUTCOMES, (outcome) => show({ outcome })),
    picker("Order", [["hardest", "hardest first"], ["easiest", "easiest first"], ["identity", "by identity"]], (order) => show({ order })),
    cameras.length ? picker("Query's camera", [["", "any"], ...cameras.map((each) => [each, each])], (camera) => show({ camera })) : null,
    picker("Identity", [["", "any"], ...distinct(lists, "identity").map((each) => [each, number(each)])], (identity) => show({ identity })),
  );
  const choice = lists.length === counted ? `All ${counted} queries that have a match` : `${lists.length} of the ${counted} queries that have a match (the ${Math.ceil(lists.length / 2)} hardest, the others drawn)`;
  const ignored = counted < all ? ` ${all - counted} of ${all} queries have no match in this gallery and aren't counted.` : "";
  const words = `${choice}, each with the first ${top} of its gallery (${DATA.summary.shown_setting}, trial ${trial}).${ignored} Gallery images that the protocol ignores are left out.`;
  const key = "Right images have a solid frame and ✓, wrong ones a dashed frame and ✗. All right: the list begins with as many right images as it can have; all wrong: it has none. AP is the query's average precision.";
  show({});
  return section("lists", "Ranked lists", paragraph(words), paragraph(key, "hint"), controls, count, rows, more);
}

function rankedList(list) {
  const image = IMAGES[list.image];
  const camera = image.camera !== null ? `camera ${image.camera}` : "";
  const query = tile(list.image, "query", make("b", {}, `query ${number(image.identity)}`), camera, `AP ${percent(list.precision)} %`);
  const found = list.found.map(([place, score, right], at) => {
    const words = `${at + 1}. ${right ? "✓" : "✗"} ${number(IMAGES[place].identity)}`;
    return tile(place, right ? "right" : "wrong", make("b", {}, words), score.toFixed(3));
  });
  const label = `Ranked list of a query of identity ${number(image.identity)}${camera && `, ${camera}`}, average precision ${percent(list.precision)} percent`;
  return make("div", { class: "list", role: "group", tabindex: "0", "aria-label": label }, query, ...found);
}

function confusedPairs() {
  const pairs = DATA.confusions;
  if (!pairs.length) return section("confusions", "Who is taken for whom", paragraph("In no list of any trial is somebody else found first."));
  const words = `The identities of whom one is found first for queries of the other, most often over all trials (${DATA.summary.shown_setting}). Of each pair the list is shown where the wrong first image has the largest lead over the best right one.`;
  const items = pairs.map(({ identities, times, images, scores }) => {
    const who = images.map((place) => number(IMAGES[place].identity));
    const row = make("div", { class: "row" },
      tile(images[0], "query", make("b", {}, who[0]), "query"),
      tile(images[1], "wrong", make("b", {}, `✗ ${who[1]}`), `first, ${scores[0].toFixed(3)}`),
      tile(images[2], "right", make("b", {}, `✓ ${who[2]}`), `best, ${scores[1].toFixed(3)}`));
    return make("li", {}, make("h3", {}, `${number(identities[0])} and ${number(identities[1])}: ${times === 1 ? "once" : `${times} times`}`), row);
  });
  return section("confusions", "Who is taken for whom", paragraph(words), make("ol", { class: "pairs" }, ...items));
}
