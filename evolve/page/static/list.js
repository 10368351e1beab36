// All individuals as a table, narrowed down by kind and by words.

const AT_ONCE = 25; // rows

class List {
  constructor(individuals) {
    this.individuals = individuals;
    this.kind = document.getElementById("list-kind");
    this.words = document.getElementById("list-words");
    this.body = document.getElementById("list-body");
    this.said = document.getElementById("list-said");
    this.more = document.getElementById("list-more");
    const c = individuals.data.columns;
    this.texts = (c.id || []).map((id, row) =>
      [id, c.operator[row], c.hypothesis[row], c.reason[row], (c.edits[row] || []).join(" ")].join(" ").toLowerCase());
    for (const input of [this.kind, this.words]) input.addEventListener("input", () => this.show());
    this.more.addEventListener("click", () => this.append());
    this.show();
  }

  show() {
    const words = this.words.value.toLowerCase().split(/\s+/);
    const kinds = this.individuals.data.columns.kind || [];
    this.found = [];
    for (let row = this.individuals.length - 1; row >= 0; row--) {
      const wanted = !this.kind.value || kinds[row] === this.kind.value;
      if (wanted && words.every((word) => this.texts[row].includes(word))) this.found.push(row);
    }
    this.body.replaceChildren();
    this.append();
  }

  append() {
    const from = this.body.children.length;
    this.body.append(...this.found.slice(from, from + AT_ONCE).map((row) => this.row(this.individuals.at(row))));
    const shown = this.body.children.length;
    this.said.textContent = `${shown} of ${this.found.length.toLocaleString("en")} individuals, the latest first`;
    this.more.hidden = shown >= this.found.length;
  }

  row(one) {
    const told = ["failed", "rejected", "duplicate"];
    const values = this.individuals.data.run.objectives.map((_, i) => element("td", { className: "figure" }, one.values && one.values[i] ? estimate(one.values[i]).replace(/ \(.*/, "") : "–"));
    return element("tr", { "data-id": one.id },
      element("td", {}, link(one.id)),
      element("td", { className: "figure" }, String(one.generation)),
      element("td", {}, element("span", { className: "kind " + one.kind }, one.kind)),
      element("td", {}, one.operator),
      element("td", { className: "figure" }, one.parents.join(" ")),
      ...values,
      element("td", { className: "words" }, told.includes(one.kind) ? one.reason || one.hypothesis : one.hypothesis));
  }
}
