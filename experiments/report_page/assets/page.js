// Fill the controls and draw everything once.
function fillControls() {
  const measures = DATA.measures.map((measure) => [measure.name, measure.title]);
  for (const id of ["measure", "vertical", "horizontal"]) fillSelect(byId(id), measures);
  const costly = ["seconds", "training_seconds", "trainable_parameters"].find((name) => measureOf(name));
  if (costly) byId("horizontal").value = costly;
  fillSelect(byId("baseline"), DATA.contenders.map((contender, index) => [index, contender.name]));
  byId("baseline").value = DATA.baseline;
  byId("bands").checked = DATA.contenders.length <= 5 && DATA.rows.every((row) => row.seeds.length !== 2);
  const recorded = Object.entries(DATA.costs).filter(([cost]) => DATA.rows.some((row) => row.accuracy[cost]));
  fillSelect(byId("cost"), recorded);
  fillSelect(byId("row"), DATA.rows.map((row, index) => [index, rowName(row)]));
}

function fillProtocol() {
  byId("cards").replaceChildren(...DATA.cards.map(({ name, path, card }) => {
    const details = element("details", {}, element("summary", { textContent: name }));
    details.addEventListener("toggle", () => {
      if (details.children.length > 1) return;
      details.append(
        element("p", { className: "quiet", textContent: path }),
        element("pre", { tabIndex: 0 }, element("code", { textContent: JSON.stringify(card, null, 2) })));
    });
    return details;
  }));
  byId("definitions").replaceChildren(...DATA.measures.flatMap((measure) => [
    element("dt", { textContent: measure.title }), element("dd", { textContent: measure.definition || "no definition" })]));
}

async function drawAll() {
  delete document.body.dataset.drawn;
  drawLegend();
  drawLeaderboard();
  await Promise.all([drawCurves(), drawPredictions()]);
  document.body.dataset.drawn = "yes";
}

fillControls();
drawFilters();
fillProtocol();
byId("measure").onchange = () => { order.descending = null; drawLeaderboard(); };
byId("baseline").onchange = drawLeaderboard;
byId("cost").onchange = byId("bands").onchange = drawAccuracy;
byId("vertical").onchange = byId("horizontal").onchange = drawCost;
byId("matrix-kind").onchange = drawMatrices;
byId("row").onchange = drawPredictions;
for (const id of ["all", "none"]) {
  byId(id).onclick = () => {
    switchedOn.clear();
    if (id === "all") DATA.contenders.forEach((_, index) => switchedOn.add(index));
    drawLegend();
    drawCurves();
  };
}
for (const button of document.querySelectorAll("[data-save]")) button.onclick = () => saveTable(button);
byId("scheme").onchange = () => {
  const { value } = byId("scheme");
  if (value === "auto") delete document.documentElement.dataset.scheme;
  else document.documentElement.dataset.scheme = value;
  drawAll();
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
