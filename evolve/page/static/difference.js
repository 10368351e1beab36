// The difference of two texts, line by line, and how it is shown.

// Rows [kind, line of a, line of b] with kind "same", "old" or "new"; a line that is not there is null. As few lines
// change as can be: a longest common subsequence, after what both begin and end with is set aside.
function difference(a, b) {
  let head = 0;
  let tail = 0;
  const most = Math.min(a.length, b.length);
  while (head < most && a[head] === b[head]) head++;
  while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const rows = [];
  for (let i = 0; i < head; i++) rows.push(["same", i, i]);
  rows.push(...middle(a, b, head, a.length - tail, b.length - tail));
  for (let i = tail; i > 0; i--) rows.push(["same", a.length - i, b.length - i]);
  return rows;
}

function middle(a, b, start, endOfA, endOfB) {
  const height = endOfA - start;
  const width = endOfB - start;
  const common = Array.from({ length: height + 1 }, () => new Uint32Array(width + 1));
  for (let i = height - 1; i >= 0; i--) {
    for (let j = width - 1; j >= 0; j--) {
      const same = a[start + i] === b[start + j];
      common[i][j] = same ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const rows = [];
  let i = 0;
  let j = 0;
  while (i < height || j < width) {
    if (i < height && j < width && a[start + i] === b[start + j]) rows.push(["same", start + i++, start + j++]);
    else if (j >= width || (i < height && common[i + 1][j] >= common[i][j + 1])) rows.push(["old", start + i++, null]);
    else rows.push(["new", null, start + j++]);
  }
  return rows;
}

const CONTEXT = 3; // lines around a change; the others are folded

function differenceTable(a, b, label) {
  const rows = difference(a, b);
  const near = new Uint8Array(rows.length);
  rows.forEach(([kind], at) => {
    if (kind !== "same") near.fill(1, Math.max(0, at - CONTEXT), at + CONTEXT + 1);
  });
  const body = element("tbody");
  for (let at = 0; at < rows.length; ) {
    if (near[at]) {
      body.append(differenceRow(rows[at++], a, b));
      continue;
    }
    const folded = [];
    while (at < rows.length && !near[at]) folded.push(rows[at++]);
    body.append(fold(folded, a, b));
  }
  const table = element("table", { className: "difference", "aria-label": label }, body);
  return element("div", { className: "wide code", tabIndex: 0, role: "region", "aria-label": label }, table);
}

function differenceRow([kind, old, now], a, b) {
  const sign = { same: " ", old: "−", new: "+" }[kind];
  const text = old == null ? b[now] : a[old];
  const place = (line) => element("td", { className: "place" }, line == null ? "" : String(line + 1));
  return element("tr", { className: kind }, place(old), place(now), element("td", { className: "sign" }, sign),
    element("td", { className: "text" }, text));
}

function fold(rows, a, b) {
  const button = element("button", { type: "button" }, `${rows.length} equal line${rows.length === 1 ? "" : "s"}`);
  const row = element("tr", { className: "fold" }, element("td", { colSpan: 4 }, button));
  button.addEventListener("click", () => row.replaceWith(...rows.map((each) => differenceRow(each, a, b))));
  return row;
}

function counts(a, b) {
  const rows = difference(a, b);
  const count = (kind) => rows.filter(([found]) => found === kind).length;
  return `${count("new")} lines added, ${count("old")} removed`;
}
