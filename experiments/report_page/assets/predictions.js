// What one contender predicts: classes, confusions, errors and sample images.
const pictureOf = (key, alt) => (key ? element("img", { className: "picture", src: DATA.pictures[key], alt }) : "");

function drawErrors(row, classes) {
  byId("errors").replaceChildren(...row.errors.map(([picture, label, chosen, confidence]) =>
    element("li", {},
      pictureOf(picture, `test image of the class ${classes[label]}`),
      element("span", { className: "wrong", textContent: `✗ ${classes[chosen]}, ${rounded(confidence, 0)} %` }),
      element("br"),
      element("span", { textContent: `true: ${classes[label]}` }))));
}

function drawConfusions(row, classes) {
  const totals = imagesOfClasses(row);
  const wrong = row.confusion.filter(([label, chosen]) => label !== chosen).sort((first, second) => second[2] - first[2]);
  const lines = wrong.slice(0, 10).map(([label, chosen, images]) =>
    [classes[label], classes[chosen], images, rounded((100 * images) / totals[label], 1)]);
  fillTable(byId("confusions"), "Most frequent confusions", ["true class", "chosen class", "images", "% of the class"],
    lines.map((line) => line.map((textContent, place) => element("td", { textContent, className: place > 1 ? "number" : "" }))));
}

function imagesOfClasses(row) {
  const totals = {};
  for (const [label, , images] of row.confusion) totals[label] = (totals[label] || 0) + images;
  return totals;
}

function fillTable(table, title, headings, lines) {
  const heading = headings.map((textContent) => element("th", { scope: "col", textContent }));
  table.replaceChildren(
    element("caption", { className: "hidden", textContent: title }),
    element("thead", {}, element("tr", {}, ...heading)),
    element("tbody", {}, ...lines.map((cells) => element("tr", {}, ...cells))));
}

function drawSamples(row, classes) {
  const samples = row.samples || { moments: [], images: [] };
  const examples = DATA.streams[row.stream].examples;
  const body = samples.images.map(([picture, task, label, chosen]) => [
    element("td", {}, pictureOf(picture, `test image of the class ${classes[label]}`)),
    element("td", { textContent: task }),
    element("td", { textContent: classes[label] }),
    ...chosen.map((answer) => {
      const right = answer === label;
      return element("td", { className: right ? "right" : "wrong" },
        pictureOf(examples[answer], `a training image of the class ${classes[answer]}`),
        `${right ? "✓" : "✗"} ${classes[answer]}`);
    }),
  ]);
  fillTable(byId("samples"), "Choices for sample images", ["test image", "task", "true class", ...samples.moments], body);
}

function confusionChart(row, stream) {
  const count = stream.classes.length;
  const totals = imagesOfClasses(row);
  const rows = row.confusion.map(([label, chosen, images]) => ({
    x: chosen / count, x2: (chosen + 1) / count, y: 1 - label / count, y2: 1 - (label + 1) / count,
    label: stream.classes[label], chosen: stream.classes[chosen], count: images, share: (100 * images) / totals[label],
  }));
  const right = row.confusion.filter(([label, chosen]) => label === chosen).reduce((sum, [, , images]) => sum + images, 0);
  const all = row.confusion.reduce((sum, [, , images]) => sum + images, 0);
  const bounds = stream.bounds.flatMap((at) => [{ across: 1 - at / count, down: at / count }]);
  return {
    spec: "confusion", title: `seed ${row.tested[0]}, classes in the order in which they are learned; lines between tasks`,
    datasets: { rows, bounds }, description: `Confusion matrix of ${rowName(row)}: ${right} of ${all} test images are right`,
  };
}

function drawPredictions() {
  const row = DATA.rows[Number(byId("row").value)];
  const there = row.classes.length > 0 && row.stream !== null;
  byId("row-content").hidden = !there;
  byId("row-status").textContent = there
    ? `Accuracies are means over ${row.tested.length} seed${row.tested.length > 1 ? "s" : ""}; confusions and pictures are those of seed ${row.tested[0]}.`
    : row.untested;
  if (!there) return null;
  const stream = DATA.streams[row.stream];
  drawConfusions(row, stream.classes);
  drawErrors(row, stream.classes);
  drawSamples(row, stream.classes);
  const name = DATA.contenders[row.contender].name;
  const rows = row.classes.map(([label, mean, low, high, images]) => ({ contender: name, name: label, mean, low, high, images }));
  const sorted = [...rows].sort((first, second) => first.mean - second.mean);
  const worst = sorted.slice(0, 3).map((each) => `${each.name} ${rounded(each.mean, 0)} %`).join(", ");
  const classes = { spec: "classes", title: `${rowName(row)}; lines reach from the lowest to the highest seed`, datasets: { rows: sorted }, description: `Accuracy of each class of ${rowName(row)}. Lowest: ${worst}` };
  return Promise.all([drawCharts("classes-chart", [classes]), drawCharts("confusion-chart", [confusionChart(row, stream)])]);
}
