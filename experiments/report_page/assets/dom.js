// Small helpers for elements, numbers and files. Text is only ever set as text, so names cannot become markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function fillSelect(select, options) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text })));
}

const measureOf = (name) => DATA.measures.find((measure) => measure.name === name);
const rounded = (value, digits) => value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1");
const signed = (value, digits) => (rounded(value, digits).startsWith("-") ? "" : "+") + rounded(value, digits);

function withInterval([middle, low, high], digits, show = rounded) {
  if (middle === null || middle === undefined) return "";
  const ends = low === null || high === null ? "" : ` [${show(low, digits)}, ${show(high, digits)}]`;
  return show(middle, digits) + ends;
}

function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function tableCells(table) {
  return [...table.rows].filter((row) => !row.classList.contains("group")).map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
}

function asCsv(lines) {
  const quoted = (cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

const LATEX = {
  "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
  "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$", "±": "$\\pm$",
};

function asLatex(lines) {
  const escaped = (cell) =>
    cell.replace(/[\\{}&%$#_~^<>±]/g, (letter) => LATEX[letter]).replace(/(^|[ [])-(?=\d)/g, "$1$$-$$");
  const [heading, ...body] = lines.map((line) => line.map(escaped).join(" & ") + " \\\\");
  const columns = "l".repeat(lines[0].length);
  return [`\\begin{tabular}{${columns}}`, "\\toprule", heading, "\\midrule", ...body, "\\bottomrule", "\\end{tabular}", ""].join("\n");
}

function saveTable(button) {
  const lines = tableCells(byId(button.dataset.table));
  const csv = button.dataset.save === "csv";
  save(`${button.dataset.table}.${button.dataset.save}`, csv ? asCsv(lines) : asLatex(lines), csv ? "text/csv" : "text/x-tex");
}
