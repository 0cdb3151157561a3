// The charts: specifications are made beforehand; here they get their rows, colors and place.
const MOST_MATRICES = 12;
const FIRST_SHOWN = 12;
const switchedOn = new Set(DATA.contenders.slice(0, FIRST_SHOWN).map((_, index) => index));
const turns = {};

function isDark() {
  const chosen = document.documentElement.dataset.scheme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function chartConfig() {
  const [text, line] = isDark() ? ["#c9d0da", "#363c47"] : ["#3a424f", "#d9dde3"];
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent", font, autosize: { type: "fit-x", contains: "padding" },
    view: { stroke: line }, style: { cell: { stroke: line } },
    axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 500, labelFontSize: 11, titleFontSize: 12 },
    legend: { labelColor: text, titleColor: text }, rule: { color: text },
  };
}

const colorOf = (index) => DATA.contenders[index][isDark() ? "dark" : "light"];

function styled(spec) {
  const look = {
    color: DATA.contenders.map((_, index) => colorOf(index)),
    strokeDash: DATA.contenders.map((contender) => contender.dash),
  };
  for (const layer of spec.layer || [spec]) {
    for (const [channel, range] of Object.entries(look)) {
      const encoding = layer.encoding && layer.encoding[channel];
      if (encoding && encoding.field === "contender") {
        encoding.scale = { domain: DATA.contenders.map((contender) => contender.name), range };
      }
    }
  }
  return spec;
}

// Draw some charts into a group, one after another; a later call for the same group ends this one.
async function drawCharts(id, charts) {
  const turn = (turns[id] = (turns[id] || 0) + 1);
  const group = byId(id);
  group.setAttribute("aria-busy", "true");
  const figures = charts.map((chart) => {
    const plot = element("div", { className: "plot" });
    const button = element("button", { type: "button", textContent: "Save SVG" });
    button.setAttribute("aria-label", `Save the chart of ${chart.title} as SVG`);
    return { chart, plot, button, figure: element("figure", {}, element("figcaption", {}, element("span", { textContent: chart.title }), button), plot) };
  });
  const nothing = element("p", { className: "quiet", textContent: "Nothing to show here for the chosen rows and contenders." });
  group.replaceChildren(...(figures.length ? figures.map((each) => each.figure) : [nothing]));
  for (const { chart, plot, button } of figures) {
    if (turns[id] !== turn) return;
    const spec = styled(structuredClone(DATA.specs[chart.spec]));
    if (chart.change) chart.change(spec, chart.datasets.rows);
    spec.datasets = { ...spec.datasets, bounds: [], ...chart.datasets };
    spec.description = chart.description;
    const { view } = await vegaEmbed(plot, spec, { actions: false, renderer: "svg", config: chartConfig() });
    plot.view = view;
    button.onclick = async () => save(`${id}.svg`, await view.toSVG(), "image/svg+xml");
  }
  if (turns[id] === turn) group.removeAttribute("aria-busy");
}

const drawnRows = () => visibleRows().filter((row) => switchedOn.has(row.contender));

const wholeNumbers = (first, last) => Array.from({ length: last - first + 1 }, (_, place) => first + place);

// One chart for each setting that has rows of data.
function perSetting(spec, data, about, change) {
  const rows = drawnRows();
  return DATA.settings.flatMap((title, setting) => {
    const here = rows.filter((row) => row.setting === setting);
    const found = here.flatMap((row) => data(row).map((point) => ({ contender: DATA.contenders[row.contender].name, ...point })));
    if (!found.length) return [];
    const names = [...new Set(found.map((point) => point.contender))].join("; ");
    return [{ spec, title, change, datasets: { rows: found }, description: `${about}. ${title}. Contenders: ${names}` }];
  });
}

function drawAccuracy() {
  const cost = byId("cost").value;
  const bands = byId("bands").checked;
  const points = (row) => (row.accuracy[cost] || []).map(([x, mean, low, high]) =>
    ({ x, mean, low: (bands ? low : null) ?? mean, high: (bands ? high : null) ?? mean }));
  const change = (spec, rows) => {
    const places = cost === "tasks" ? wholeNumbers(1, Math.max(...rows.map((point) => point.x))) : undefined;
    for (const layer of spec.layer) Object.assign(layer.encoding.x.axis, { values: places });
  };
  const about = `Accuracy on all classes seen against ${DATA.costs[cost]}`;
  return drawCharts("accuracy-charts", perSetting(`accuracy_${cost}`, points, about, change));
}

function drawCost() {
  const [x, y] = [byId("horizontal").value, byId("vertical").value].map(measureOf);
  const points = (row) => {
    if (!row.stats[x.name] || !row.stats[y.name]) return [];
    const [mean, low, high] = row.stats[y.name];
    return [{ x: row.stats[x.name][0], mean, low: low ?? mean, high: high ?? mean }];
  };
  const change = (spec) => {
    for (const layer of spec.layer) {
      layer.encoding.x.title = x.title;
      layer.encoding.y.title = y.title;
    }
  };
  return drawCharts("cost-charts", perSetting("cost", points, `${y.title} against ${x.title}`, change));
}

function drawEntropy() {
  const points = (row) =>
    row.entropy.flatMap((values, task) => values.map((entropy, place) => ({ task: task + 1, x: task + place / (values.length - 1), entropy })));
  const change = (spec, rows) => { spec.encoding.x.axis.values = wholeNumbers(0, Math.max(...rows.map((point) => point.task))); };
  return drawCharts("entropy-charts", perSetting("entropy", points, "Output entropy in training, over the classes of the task", change));
}

function drawCalibration() {
  const points = (row) => row.calibration.map(([confidence, accuracy, images]) => ({ confidence, accuracy, images }));
  return drawCharts("calibration-charts", perSetting("calibration", points, "Accuracy against confidence"));
}

function drawMatrices() {
  const kind = byId("matrix-kind").value;
  const charts = drawnRows().slice(0, MOST_MATRICES).map((row) => {
    const matrix = row.matrices[kind];
    const most = kind === "accuracy" ? 100 : Math.max(10, ...matrix.flat());
    const rows = matrix.flatMap((line, after) =>
      line.slice(0, after + 1).map((value, tested) => ({
        after: after + 1, tested: tested + 1, value, written: matrix.length <= 10, dark: value < 0.6 * most,
      })));
    const change = (spec) => { spec.layer[0].encoding.color.scale.domain = [0, most]; };
    const title = rowName(row);
    const last = matrix.at(-1).map((value) => rounded(value, 0)).join(", ");
    return { spec: "matrix", title, change, datasets: { rows }, description: `${kind} of each task after each task: ${title}. After the last task: ${last}` };
  });
  return drawCharts("matrix-charts", charts);
}

function drawLegend() {
  byId("legend-list").replaceChildren(...DATA.contenders.map((contender, index) => {
    const box = element("input", { type: "checkbox", checked: switchedOn.has(index) });
    box.onchange = () => {
      if (box.checked) switchedOn.add(index);
      else switchedOn.delete(index);
      drawCurves();
    };
    return element("label", {}, box, swatch(index), element("span", { textContent: contender.name }));
  }));
}

function swatch(index) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const dash = DATA.contenders[index].dash;
  const attributes = { x1: 0, x2: 26, y1: 6, y2: 6, stroke: colorOf(index), "stroke-width": 3, ...(dash[1] ? { "stroke-dasharray": dash.join(" ") } : {}) };
  for (const [name, value] of Object.entries({ width: 26, height: 12, "aria-hidden": "true" })) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

async function drawCurves() {
  const rows = drawnRows();
  const cut = rows.length > MOST_MATRICES ? ` The task matrices are those of the first ${MOST_MATRICES}.` : "";
  byId("shown").textContent = `${switchedOn.size} of ${DATA.contenders.length} contenders are in the charts.${cut}`;
  await Promise.all([drawAccuracy(), drawCost(), drawMatrices(), drawEntropy(), drawCalibration()]);
}
