// What one contender predicts: classes, confusions, errors and sample images.
const pictureOf = (key, alt) => (key ? element("img", { className: "picture", src: DATA.pictures[key], alt, loading: "lazy" }) : "");

function drawErrors(row, classes) {
  byId("errors").replaceChildren(...row.errors.map(([picture, label, chosen, confidence]) =>
    element("li", {},
      pictureOf(picture, `test image of the class ${classes[label]}`),
      element("span", { className: "wrong", textContent: `✗ ${classes[chosen]}, ${rounded(confidence, 0)} %` }),
      element("br"),
      element("span", { textContent: `true: ${classes[label]}` }))));
}

function drawSamples(row, classes) {
  const samples = row.samples || { moments: [], images: [] };
  const heading = element("tr", {}, ...["test image", "task", "true class", ...samples.moments].map((textContent) => element("th", { scope: "col", textContent })));
  const examples = DATA.streams[row.stream].examples;
  const body = samples.images.map(([picture, task, label, chosen]) => element("tr", {},
    element("td", {}, pictureOf(picture, `test image of the class ${classes[label]}`)),
    element("td", { textContent: task }),
    element("td", { textContent: classes[label] }),
    ...chosen.map((answer) => {
      const right = answer === label;
      return element("td", { className: right ? "right" : "wrong" },
        pictureOf(examples[answer], `a training image of the class ${classes[answer]}`),
        `${right ? "✓" : "✗"} ${classes[answer]}`);
    })));
  byId("samples").replaceChildren(
    element("caption", { className: "hidden", textContent: "Choices for sample images" }),
    element("thead", {}, heading), element("tbody", {}, ...body));
}

function confusionChart(row, stream) {
  const count = stream.classes.length;
  const totals = {};
  for (const [label, , images] of row.confusion) totals[label] = (totals[label] || 0) + images;
  const rows = row.confusion.map(([label, chosen, images]) => ({
    x: chosen / count, x2: (chosen + 1) / count, y: 1 - label / count, y2: 1 - (label + 1) / count,
    label: stream.classes[label], chosen: stream.classes[chosen], count: images, share: (100 * images) / totals[label],
  }));
  const right = row.confusion.filter(([label, chosen]) => label === chosen).reduce((sum, [, , images]) => sum + images, 0);
  const all = row.confusion.reduce((sum, [, , images]) => sum + images, 0);
  const bounds = stream.bounds.flatMap((at) => [{ across: 1 - at / count, down: at / count }]);
  return {
    spec: "confusion", title: `seed ${row.seeds[0]}, classes in the order in which they are learned; lines between tasks`,
    datasets: { rows, bounds }, description: `Confusion matrix of ${rowName(row)}: ${right} of ${all} test images are right`,
  };
}

function drawPredictions() {
  const row = DATA.rows[Number(byId("row").value)];
  const there = row.classes.length > 0 && row.stream !== null;
  byId("row-content").hidden = !there;
  byId("row-status").textContent = there
    ? `Accuracies are means over ${row.seeds.length} seed${row.seeds.length > 1 ? "s" : ""}; confusions and pictures are those of seed ${row.seeds[0]}.`
    : "These runs have no readable predictions.";
  if (!there) return null;
  const stream = DATA.streams[row.stream];
  drawErrors(row, stream.classes);
  drawSamples(row, stream.classes);
  const name = DATA.contenders[row.contender].name;
  const rows = row.classes.map(([label, mean, low, high, images]) => ({ contender: name, name: label, mean, low, high, images }));
  const sorted = [...rows].sort((first, second) => first.mean - second.mean);
  const worst = sorted.slice(0, 3).map((each) => `${each.name} ${rounded(each.mean, 0)} %`).join(", ");
  const classes = { spec: "classes", title: `${rowName(row)}; lines reach from the lowest to the highest seed`, datasets: { rows: sorted }, description: `Accuracy of each class of ${rowName(row)}. Lowest: ${worst}` };
  return Promise.all([drawCharts("classes-chart", [classes]), drawCharts("confusion-chart", [confusionChart(row, stream)])]);
}
