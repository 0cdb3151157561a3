// The leaderboard: filters, measure, baseline and order choose among numbers that are computed beforehand.
const chosenFilters = {};
let order = { column: "mean", descending: null };

const rowName = (row) => {
  const name = DATA.contenders[row.contender].name;
  return DATA.settings.length > 1 ? `${name} · ${DATA.settings[row.setting]}` : name;
};

function visibleRows() {
  return DATA.rows.filter((row) => Object.entries(chosenFilters).every(([name, value]) => value === undefined || row.filters[name] === value));
}

// The difference of a row to another: shared seeds, mean, low, high, and the probability of a larger value.
function difference(row, other, measure) {
  const pairs = DATA.pairs[measure];
  if (pairs[`${row},${other}`]) return pairs[`${row},${other}`];
  const mirrored = pairs[`${other},${row}`];
  if (!mirrored) return null;
  const [seeds, mean, low, high, larger] = mirrored;
  const minus = (value) => (value === null ? null : -value);
  return [seeds, minus(mean), minus(high), minus(low), 1 - larger];
}

// The row of the baseline in a setting. If it has none, the only row there of the same method and objective.
function referenceIn(setting, baseline) {
  const here = DATA.rows.map((row, index) => [row, index]).filter(([row]) => row.setting === setting);
  const exact = here.find(([row]) => row.contender === baseline);
  const alike = here.filter(([row]) => DATA.contenders[row.contender].id === DATA.contenders[baseline].id);
  return exact ? exact[1] : alike.length === 1 ? alike[0][1] : -1;
}

function entryOf(row, measure, baseline) {
  const index = DATA.rows.indexOf(row);
  const reference = referenceIn(row.setting, baseline);
  const isBaseline = index === reference;
  const stats = row.stats[measure.name];
  const pair = reference < 0 || isBaseline ? null : difference(index, reference, measure.name);
  const missing = isBaseline ? "baseline" : reference < 0 ? "no baseline here" : pair ? "" : "no shared seed";
  const probability = pair && (measure.better === "lower" ? 1 - pair[4] : pair[4]);
  return { row, stats, pair, missing, isBaseline, probability };
}

function columnsFor(measure) {
  const digits = measure.digits;
  const probability = measure.better ? "P(better)" : "P(larger)";
  const all = [
    ["setting", "setting", (entry) => DATA.settings[entry.row.setting], () => 0],
    ["contender", "contender", (entry) => DATA.contenders[entry.row.contender].name, (entry) => DATA.contenders[entry.row.contender].name],
    ["seeds", "seeds", (entry) => String(entry.stats ? entry.stats[6] : 0), (entry) => (entry.stats ? entry.stats[6] : null)],
    ["mean", `${measure.heading}, mean [95 %]`, (entry) => (entry.stats ? withInterval(entry.stats, digits) : "not measured"), (entry) => entry.stats && entry.stats[0]],
    ["iqm", "IQM [95 %]", (entry) => (entry.stats ? withInterval(entry.stats.slice(3), digits) : ""), (entry) => entry.stats && entry.stats[3]],
    ["difference", "difference [95 %]", (entry) => (entry.pair ? withInterval(entry.pair.slice(1), digits, signed) : entry.missing), (entry) => entry.pair && entry.pair[1]],
    ["shared", "pairs", (entry) => (entry.pair ? String(entry.pair[0]) : ""), (entry) => entry.pair && entry.pair[0]],
    ["probability", probability, (entry) => (entry.pair ? rounded(entry.probability, 2) : ""), (entry) => entry.probability],
  ];
  return all;
}

function compared(key, descending) {
  return (first, second) => {
    const [one, other] = [key(first), key(second)];
    if (one === null || one === undefined) return other === null || other === undefined ? 0 : 1;
    if (other === null || other === undefined) return -1;
    const way = typeof one === "string" ? one.localeCompare(other) : one - other;
    return descending ? -way : way;
  };
}

function drawLeaderboard() {
  const measure = measureOf(byId("measure").value);
  const baseline = Number(byId("baseline").value);
  const columns = columnsFor(measure);
  const descending = order.descending ?? measure.better !== "lower";
  const key = (columns.find(([name]) => name === order.column) || columns.find(([name]) => name === "mean"))[3];
  const visible = visibleRows();
  const entries = visible.map((row) => entryOf(row, measure, baseline)).sort(compared(key, descending));
  const numeric = (name) => (["setting", "contender"].includes(name) ? "" : "number");
  byId("leaderboard-table").tHead.replaceChildren(element("tr", {}, ...columns.map(([name, title]) => {
    const button = element("button", { type: "button", textContent: title });
    button.onclick = () => {
      order = { column: name, descending: order.column === name ? !descending : numeric(name) !== "" };
      drawLeaderboard();
      byId("leaderboard-table").tHead.querySelector(`[data-column="${name}"] button`).focus();
    };
    const cell = element("th", { scope: "col", className: numeric(name), hidden: name === "setting" }, button);
    cell.dataset.column = name;
    cell.setAttribute("aria-sort", order.column === name ? (descending ? "descending" : "ascending") : "none");
    return cell;
  })));
  const lineOf = (entry) => element("tr", { className: entry.isBaseline ? "baseline" : "" }, ...columns.map(([name, , text]) => {
    const cell = element(name === "contender" ? "th" : "td", { className: numeric(name), hidden: name === "setting" });
    if (name === "contender") {
      cell.scope = "row";
      cell.append(swatch(entry.row.contender), " ");
    }
    cell.append(text(entry));
    return cell;
  }));
  for (const body of [...byId("leaderboard-table").tBodies]) body.remove();
  DATA.settings.forEach((textContent, setting) => {
    const here = entries.filter((entry) => entry.row.setting === setting);
    if (!here.length) return;
    const heading = element("tr", { className: "group" }, element("th", { scope: "rowgroup", colSpan: columns.length - 1, textContent }));
    byId("leaderboard-table").append(element("tbody", {}, heading, ...here.map(lineOf)));
  });
  const better = { higher: "Higher is better.", lower: "Lower is better.", "": "Neither higher nor lower is better by itself." }[measure.better];
  byId("definition").textContent = `${measure.title}: ${measure.definition}. ${better}`;
  byId("count").textContent = `${visible.length} of ${DATA.rows.length} rows are shown.`;
}

function drawFilters() {
  for (const { name, title, values } of DATA.filters) {
    const select = element("select", { id: `filter-${name}` });
    select.dataset.filter = name;
    fillSelect(select, [["all", "all"], ...values.map((value, index) => [index, value || "not set"])]);
    select.onchange = () => {
      chosenFilters[name] = values[Number(select.value)];
      drawLeaderboard();
      drawCurves();
    };
    byId("filters").append(element("div", { className: "control" }, element("label", { htmlFor: select.id, textContent: title }), select));
  }
  byId("filters").hidden = !DATA.filters.length;
}
