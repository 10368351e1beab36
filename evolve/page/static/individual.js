// The panel of one individual, and the comparison of two.

const WORD = /("""[^]*?"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(#[^\n]*)|\b(and|as|assert|break|class|continue|def|del|elif|else|except|False|finally|for|from|if|import|in|is|lambda|None|not|or|pass|raise|return|True|try|while|with|yield)\b|\b(\d[\w.]*(?:e[+-]?\d+)?)\b/g;

function coloured(text) {
  const code = element("code");
  let from = 0;
  for (const found of text.matchAll(WORD)) {
    const kind = ["string", "comment", "keyword", "figure"][found.slice(1).findIndex((part) => part !== undefined)];
    code.append(text.slice(from, found.index), element("span", { className: kind }, found[0]));
    from = found.index + found[0].length;
  }
  code.append(text.slice(from));
  return element("pre", { className: "wide code", tabIndex: 0 }, code);
}

class Panel {
  constructor(individuals) {
    this.individuals = individuals;
    this.dialog = document.getElementById("individual");
    this.body = document.getElementById("individual-body");
    document.getElementById("individual-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => forgetPlace());
  }

  show(individual) {
    const parent = individual.parents.length ? this.individuals.find(individual.parents[0]) : null;
    const kind = this.individuals.data.run.kinds[individual.kind];
    document.getElementById("individual-title").replaceChildren(
      `Individual ${individual.id} `, element("span", { className: "kind " + individual.kind }, individual.kind));
    this.body.replaceChildren(
      element("p", { className: "origin" }, ...this.origin(individual), `; ${kind}.`),
      ...this.claims(individual),
      this.numbers(individual, parent),
      ...this.knobs(individual, parent),
      ...this.rungs(individual),
      ...this.checks(individual),
      ...this.log(individual),
      ...this.code(individual, parent),
      ...this.home(individual),
    );
    this.open();
  }

  // Instead of an individual that there is not.
  say(name, ...words) {
    document.getElementById("individual-title").replaceChildren(name);
    this.body.replaceChildren(element("p", {}, ...words));
    this.open();
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
  }

  origin(individual) {
    const children = this.individuals.childrenOf(individual.id);
    const parents = individual.parents.length ? [" of ", ...links(individual.parents)] : [];
    const some = children.slice(0, 20);
    const more = children.length > some.length ? ` and ${children.length - some.length} more` : "";
    const offspring = children.length ? ["; children: ", ...links(some), more] : [];
    return [`By ${individual.operator}`, ...parents, ` in generation ${individual.generation}`, ...offspring];
  }

  claims(individual) {
    const expected = individual.expected == null ? "" : ` (expected ${number(individual.expected, 3)})`;
    const edits = (individual.edits || []).join(", ");
    const lines = [
      ["Quarantined", individual.quarantined],
      ["Reason", individual.reason],
      ["Hypothesis", individual.hypothesis && individual.hypothesis + expected],
      ["Note", individual.idea],
      ["Verdict", individual.verdict],
      ["Edits", edits],
    ].filter(([, text]) => text);
    if (!lines.length) return [];
    return [element("dl", {}, lines.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]))];
  }

  numbers(individual, parent) {
    const seed = this.individuals.find("seed");
    const others = [["parent", parent], ["seed", seed]].filter(([, other]) => other && other.id !== individual.id);
    const row = (name, of) => [name, of(individual), ...others.map(([, other]) => of(other))];
    const rows = this.individuals.data.run.objectives.map((name, i) => row(title(name), (one) => estimate(one.values && one.values[i])));
    if (individual.violation) rows.push(row("above the seed's loss by", (one) => number(one.violation)));
    for (const name of Object.keys(individual.metrics || {})) {
      if (!this.individuals.data.run.objectives.includes(name)) rows.push(row(title(name), (one) => number((one.metrics || {})[name])));
    }
    rows.push(row("charged seconds", (one) => `${number(one.seconds)} in ${one.trials} trials`));
    if (individual.tokens) rows.push(row("language model", (one) => `${number(one.tokens)} tokens, ${number(one.usd)} USD`));
    return section("Numbers", tableOf(["", individual.id, ...others.map(([word, other]) => `${word} ${other.id}`)], rows, "Numbers"));
  }

  knobs(individual, other) {
    const mine = this.individuals.knobsOf(individual);
    const theirs = other ? this.individuals.knobsOf(other) : new Map();
    const rows = [];
    for (const [address, [value, normal]] of mine) {
      const there = theirs.get(address);
      if (value === normal && (!there || there[0] === value)) continue;
      const changed = there && there[0] !== value ? "changed" : "";
      rows.push([address, element("span", { className: changed }, number(value)), there ? number(there[0]) : "–", number(normal)]);
    }
    if (!rows.length) return mine.size ? [section("Knobs", element("p", {}, `All ${mine.size} at their defaults${other ? ", as in the parent" : ""}.`))] : [];
    return [section("Knobs that differ", tableOf(["knob", "value", other ? `in ${other.id}` : "parent", "default"], rows, "Knobs"))];
  }

  rungs(individual) {
    const rungs = [...new Set([...Object.keys(individual.best || {}), ...Object.keys(individual.losses || {})])];
    const rows = rungs.sort((a, b) => a - b).map((rung) => [
      rung, number((individual.best || {})[rung]), ((individual.losses || {})[rung] || []).map((v) => number(v)).join("  ") || "–",
    ]);
    return rows.length ? [section("Rungs", tableOf(["share of the budget", "best loss", "by seed, final numbers"], rows, "Rungs"))] : [];
  }

  checks(individual) {
    const rows = Object.entries(individual.checks || {}).map(([name, found]) => {
      const word = found.split(":")[0].split(" ")[0];
      return [element("span", { className: "check " + (["ok", "failed", "skipped"].includes(word) ? word : "") }, word), name, found.slice(word.length).replace(/^[: ]+/, "")];
    });
    return rows.length ? [section("Probes", tableOf(["", "probe", "found"], rows, "Probes"))] : [];
  }

  log(individual) {
    if (individual.log) return [section("End of the log", element("pre", { className: "wide", tabIndex: 0 }, individual.log))];
    return [];
  }

  code(individual, parent) {
    const lines = this.individuals.linesOf(individual);
    if (!lines) return individual.defaults == null ? [] : [this.leftOut(individual)];
    const found = [];
    const before = parent && this.individuals.linesOf(parent);
    if (before) {
      const whole = element("p", {}, `${counts(before, lines)}. `, element("a", { href: `#diff=0..${individual.id}` }, "Compare with the seed"));
      const same = before.join("\n") === lines.join("\n");
      found.push(section(`Difference from ${parent.id}`, whole, same ? "" : differenceTable(before, lines, "Difference from the parent")));
    }
    found.push(element("details", {}, element("summary", {}, `Program, ${lines.length} lines, with default numbers`), coloured(lines.join("\n"))));
    return found;
  }

  leftOut(individual) {
    return element("p", {}, "Left out for want of room: ", element("code", {}, `python -m evolve show ${individual.id}`));
  }

  home(individual) {
    if (individual.defaults == null) return [];
    const directory = this.individuals.data.run.directory;
    const quoted = /^[\w./-]+$/.test(directory) ? directory : `'${directory.replaceAll("'", "'\\''")}'`;
    const command = `python -m evolve export ${individual.id} -o train.py --run-dir ${quoted}`;
    return [section("Take it home", element("pre", { className: "wide", tabIndex: 0 }, command))];
  }
}

function section(name, ...children) {
  return element("section", {}, element("h3", {}, name), ...children);
}

class Comparison {
  constructor(individuals) {
    this.individuals = individuals;
    this.form = document.getElementById("compare");
    this.result = document.getElementById("difference");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [a, b] = [this.form.elements.a.value.trim(), this.form.elements.b.value.trim()];
      const place = `#diff=${encodeURIComponent(a)}..${encodeURIComponent(b)}`;
      if (location.hash === place) this.show(a, b);
      else location.hash = place;
    });
  }

  show(nameOfA, nameOfB) {
    this.form.elements.a.value = nameOfA;
    this.form.elements.b.value = nameOfB;
    const [a, b] = [nameOfA, nameOfB].map((name) => this.individuals.find(name));
    if (!a || !b) {
      const missing = a ? nameOfB : nameOfA;
      return this.say(/^\d+$/.test(missing) ? `Individual ${missing} is not on this page: python -m evolve diff ${nameOfA} ${nameOfB}`
        : `There is no individual “${missing}”: write an id, best or seed.`);
    }
    const [before, after] = [a, b].map((one) => this.individuals.linesOf(one));
    if (!before || !after) {
      const which = before ? b : a;
      return this.say(which.defaults == null ? `Individual ${which.id} has no program: ${which.reason || which.kind}.`
        : `The code of ${which.id} was left out for want of room: python -m evolve diff ${a.id} ${b.id}`);
    }
    const same = before.join("\n") === after.join("\n");
    const said = element("p", {}, "From ", link(a.id), " to ", link(b.id), ": ", same ? "the same program" : counts(before, after),
      ". The numbers in the code are defaults; tuned ones that differ are in the table.");
    this.result.replaceChildren(said, ...this.knobs(a, b), same ? "" : differenceTable(before, after, `Difference of ${a.id} and ${b.id}`));
  }

  say(text) {
    this.result.replaceChildren(element("p", { role: "alert" }, text));
  }

  knobs(a, b) {
    const [left, right] = [a, b].map((one) => this.individuals.knobsOf(one));
    const rows = [...new Set([...left.keys(), ...right.keys()])]
      .map((address) => [address, ...[left, right].map((side) => side.get(address)?.[0])])
      .filter(([, before, after]) => before !== after)
      .map(([address, before, after]) => [address, number(before), number(after)]);
    return rows.length ? [tableOf(["knob", a.id, b.id], rows, "Knobs that differ")] : [];
  }
}
