// The plots: embedding, the look in light and dark, the slider, and what a click does.

class Plots {
  constructor(individuals) {
    this.individuals = individuals;
    this.items = individuals.data.plots;
  }

  // Each in its own turn, so that the page can be read at once.
  async embed() {
    for (const [id, item] of Object.entries(this.items)) {
      await Bokeh.embed.embed_item(item, id);
      const source = this.find(id.replace("plot-", "") + "-source");
      if (source) this.connect(source);
      this.paint();
      this.name(document.getElementById(id));
      await new Promise((done) => setTimeout(done));
    }
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", () => this.paint());
    }
  }

  find(name) {
    for (const document of Bokeh.documents) {
      const found = document.get_model_by_name(name);
      if (found) return found;
    }
    return null;
  }

  // What bokeh leaves without a name and a role: the picture, and the tools above it, which come and go with the width.
  name(plot, root = plot) {
    for (const part of root.querySelectorAll("*")) {
      if (part.role) continue;
      if (part.matches(".bk-events")) {
        part.tabIndex = -1; // no key does anything there
        part.role = "img";
        part.ariaLabel = plot.ariaLabel;
      } else if (part.matches("[tabindex='0']")) {
        part.role = "button";
        part.ariaLabel = part.title || "More tools";
        const press = () => (part.ariaPressed = part.matches(".bk-active"));
        if (part.matches(".bk-OnOffButton")) {
          press();
          new MutationObserver(press).observe(part, { attributeFilter: ["class"] });
        }
      }
      if (part.shadowRoot) this.name(plot, part.shadowRoot);
      if (part.matches(".bk-Toolbar")) {
        new MutationObserver(() => this.name(plot, part.shadowRoot)).observe(part.shadowRoot, { childList: true, subtree: true });
      }
    }
  }

  connect(source) {
    source.data = { ...source.data, ...this.hover(source.data.row) };
    source.selected.properties.indices.change.connect(() => {
      const [chosen] = source.selected.indices;
      if (chosen === undefined) return;
      const id = source.data.id[chosen];
      source.selected.indices = [];
      location.hash = id;
    });
  }

  hover(rows) {
    const { objectives } = this.individuals.data.run;
    const found = { id: [], generation: [], operator: [], parents: [], hypothesis: [], objectives: [], metrics: [], knobs: [] };
    for (const row of rows) {
      const one = this.individuals.at(row);
      const metrics = one.metrics || {};
      found.id.push(one.id);
      found.generation.push(one.generation);
      found.operator.push(one.operator);
      found.parents.push(one.parents.join(" and ") || "nobody");
      found.hypothesis.push(one.hypothesis);
      found.objectives.push(objectives.map((name, i) => `${title(name)} ${estimate(one.values && one.values[i])}`).join(", "));
      found.metrics.push([
        metrics.tokens_per_second && `${number(metrics.tokens_per_second)} tokens/s`,
        metrics.peak_memory_mb && `${number(metrics.peak_memory_mb, 4)} MB`,
      ].filter(Boolean).join(", "));
      const tuned = [...this.individuals.knobsOf(one)].filter(([, [value, normal]]) => value !== normal);
      const more = tuned.length > 8 ? ` and ${tuned.length - 8} more` : "";
      found.knobs.push(tuned.slice(0, 8).map(([address, [value]]) => `${address} ${number(value, 4)}`).join(", ") + more);
    }
    return found;
  }

  // Who was there in a generation, and who was then on the front, with the line that bounds what it dominates.
  showGeneration(generation) {
    const source = this.find("front-source");
    if (!source) return 0;
    const c = this.individuals.data.columns;
    const indices = {};
    const front = [];
    source.data.row.forEach((row, at) => {
      if (c.generation[row] > generation) return;
      const member = c.since[row] != null && c.since[row] <= generation && (c.until[row] == null || c.until[row] > generation);
      const now = c.kind[row];
      const kind = now === "seed" ? "seed" : member ? "front" : now === "front" ? "dominated" : now;
      (indices[kind] ||= []).push(at);
      if (member) front.push(at);
    });
    for (const kind of Object.keys(this.individuals.data.run.kinds)) {
      const filter = this.find("front-" + kind);
      if (filter) filter.indices = indices[kind] || [];
    }
    this.find("front-line").data = this.boundary(front.map((at) => [source.data.x[at], source.data.y[at]]));
    return front.length;
  }

  // Between two members the corner has the worse value of both in each objective. A member of the front of three
  // objectives that another dominates in the two shown has no corner.
  boundary(members) {
    const [up, across] = this.individuals.data.run.directions;
    const line = { x: [], y: [] };
    if (!across) return line;
    const worse = (direction, p, q) => (direction === "minimize" ? Math.max(p, q) : Math.min(p, q));
    const dominates = (p, q) => (p[0] !== q[0] || p[1] !== q[1])
      && worse(across, p[0], q[0]) === q[0] && worse(up, p[1], q[1]) === q[1];
    const points = members.filter((q) => !members.some((p) => dominates(p, q)));
    points.sort((p, q) => p[0] - q[0]);
    points.forEach((point, i) => {
      if (i) {
        line.x.push(worse(across, points[i - 1][0], point[0]));
        line.y.push(worse(up, points[i - 1][1], point[1]));
      }
      line.x.push(point[0]);
      line.y.push(point[1]);
    });
    return line;
  }

  // Colours of the page's style sheet, for everything that is not a mark.
  paint() {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "dim", "line", "lead", "second", "count", "strip"];
    const [ink, dim, line, ...others] = names.map((name) => style.getPropertyValue("--" + name).trim());
    const tags = { ink, ...Object.fromEntries(others.map((colour, i) => [names[i + 3], colour])) };
    const look = {
      axis_label_text_color: dim, major_label_text_color: dim, axis_line_color: line, major_tick_line_color: line,
      minor_tick_line_color: line, grid_line_color: line, axis_label_text_font_style: "normal", title_text_color: dim,
    };
    for (const document of Bokeh.documents) {
      for (const model of document.all_models || document._all_models.values()) {
        const change = {};
        for (const name of Object.keys(look)) if (name in model.properties) change[name] = look[name];
        for (const tag of (model.tags || []).filter((name) => name in tags)) {
          for (const name of ["line_color", "fill_color", "text_color"]) if (name in model.properties) change[name] = tags[tag];
        }
        if (model.tags && model.tags.includes("rim")) change.line_color = ink;
        if (Object.keys(change).length) model.setv(change);
      }
    }
  }
}
