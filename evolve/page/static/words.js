// Elements and words. Text goes in as text, never as markup.

function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== ""));
  return made;
}

function tableOf(columns, rows, label) {
  const head = element("tr", {}, columns.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell))));
  const table = element("table", { "aria-label": label }, element("thead", {}, head), element("tbody", {}, body));
  return element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": label }, table);
}

function link(id) {
  return element("a", { href: "#" + id }, id);
}

function links(ids) {
  return ids.flatMap((id, i) => (i ? [", ", link(id)] : [link(id)]));
}

function number(value, digits = 5) {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size >= 10000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(digits)));
}

// [mean, standard error, seeds, censored] of an objective.
function estimate(value) {
  if (!value) return "–";
  const [mean, error, seeds, censored] = value;
  const digits = error ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error)))) : 4;
  const spread = !error ? "" : " ± " + error.toFixed(digits);
  return (censored ? "< " : "") + mean.toFixed(digits) + spread + ` (${seeds} seed${seeds === 1 ? "" : "s"})`;
}

function title(name) {
  return name.replaceAll("_", " ");
}
