// What is packed in the page, and the individuals as objects.

async function inflate(id) {
  const packed = atob(document.getElementById(id).textContent.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

class Individuals {
  constructor(data) {
    this.data = data;
    this.names = Object.keys(data.columns);
    this.length = data.columns.id ? data.columns.id.length : 0;
    this.rows = new Map((data.columns.id || []).map((id, row) => [id, row]));
    this.texts = new Map();
  }

  at(row) {
    const found = { row };
    for (const name of this.names) found[name] = this.data.columns[name][row];
    return found;
  }

  // By an id, "seed" or "best"; null if there is none.
  find(name) {
    const id = { seed: "0", best: this.data.run.best }[name] ?? name;
    return this.rows.has(id) ? this.at(this.rows.get(id)) : null;
  }

  childrenOf(id) {
    return (this.data.columns.id || []).filter((_, row) => this.data.columns.parents[row].includes(id));
  }

  // The numbers of a program with those that are its defaults: address to [value, default].
  knobsOf(individual) {
    const found = new Map();
    if (individual.defaults == null) return found;
    for (const [number, normal] of this.data.defaults[individual.defaults]) {
      const value = individual.knobs[number];
      found.set(this.data.addresses[number], [value === undefined ? normal : value, normal]);
    }
    return found;
  }

  // The lines of a program, or null where it was left out.
  linesOf(individual) {
    return individual.program == null ? null : this.numbersOf(individual.program).map((n) => this.data.lines[n]);
  }

  // A program is kept as its differences from another: from the first one that is known on.
  numbersOf(program) {
    const chain = [];
    let at = program;
    while (at >= 0 && !this.texts.has(at)) {
      chain.push(at);
      at = this.data.programs[at][0];
    }
    let text = at >= 0 ? this.texts.get(at) : [];
    for (const number of chain.reverse()) {
      const next = [];
      let from = 0;
      for (const [start, end, ...lines] of this.data.programs[number][1]) {
        next.push(...text.slice(from, start), ...lines);
        from = end;
      }
      text = [...next, ...text.slice(from)];
      this.texts.set(number, text);
    }
    return text;
  }
}
