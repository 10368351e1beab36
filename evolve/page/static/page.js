// The page comes together: places in the address, the slider, and whether there is something new.

const NEWS = 2000; // milliseconds between two questions for a newer revision
const shown = {}; // what the page is made of, for the console

// The address without the place, so that the same one can be opened again.
function forgetPlace() {
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

// `#17`, `#best` and `#seed` open an individual, `#diff=0..17` a comparison; others are places of the page.
function follow(individuals, panel, comparison) {
  const place = placeIn(location.hash.slice(1));
  const pair = place.match(/^diff=(.*?)\.\.(.*)$/);
  if (pair) {
    if (panel.dialog.open) {
      panel.dialog.addEventListener("close", () => history.replaceState(null, "", "#" + place), { once: true });
      panel.dialog.close();
    }
    comparison.show(pair[1], pair[2]);
    document.getElementById("compare-title").scrollIntoView();
    return;
  }
  const individual = place && individuals.find(place);
  if (individual) panel.show(individual);
  else if (place === "best") panel.say("No best individual", "There is no front yet: nobody is confirmed.");
  else if (/^\d+$/.test(place)) panel.say(`Individual ${place}`, "It is not on this page: ", element("code", {}, `python -m evolve show ${place}`));
  else if (panel.dialog.open) panel.dialog.close();
}

// A percent sign that begins no escape is one.
function placeIn(hash) {
  try {
    return decodeURIComponent(hash);
  } catch {
    return hash;
  }
}

function slide(individuals, plots) {
  const slider = document.getElementById("generation");
  const said = document.getElementById("generation-said");
  const play = document.getElementById("play");
  let timer = 0;
  const show = () => {
    const members = plots.showGeneration(Number(slider.value));
    said.textContent = `${slider.value} of ${slider.max}: ${members} on the front`;
    slider.setAttribute("aria-valuetext", said.textContent);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  slider.addEventListener("input", () => { stop(); show(); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    play.textContent = "Stop";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + Math.max(1, Math.round(slider.max / 60));
      show();
      if (slider.value === slider.max) stop();
    }, 150);
  });
  show();
}

// Rows of tables open their individual, wherever they are clicked.
function openRows() {
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-id]");
    if (row && !event.target.closest("a")) location.hash = row.dataset.id;
  });
}

function askForNews(revision) {
  const news = document.getElementById("news");
  const always = document.getElementById("news-always");
  always.checked = sessionStorage.getItem("always") === "yes";
  always.addEventListener("change", () => sessionStorage.setItem("always", always.checked ? "yes" : "no"));
  document.getElementById("news-reload").addEventListener("click", () => location.reload());
  const ask = async () => {
    try {
      const answer = await (await fetch("revision")).json();
      document.getElementById("news-lost").hidden = true;
      if (answer.revision === revision) return;
      news.hidden = false;
      const busy = document.querySelector("dialog[open]") || document.activeElement?.matches("input, select");
      if (always.checked && !busy) location.reload();
    } catch {
      document.getElementById("news-lost").hidden = false;
    }
  };
  setInterval(ask, NEWS);
}

async function begin() {
  const revision = document.body.dataset.revision;
  if (revision) askForNews(revision);
  if (!document.getElementById("data")) return;
  const individuals = new Individuals(JSON.parse(await inflate("data")));
  const plots = new Plots(individuals);
  Object.assign(shown, { individuals, plots });
  const panel = new Panel(individuals);
  const comparison = new Comparison(individuals);
  new List(individuals);
  openRows();
  addEventListener("hashchange", () => follow(individuals, panel, comparison));
  follow(individuals, panel, comparison);
  if (Object.keys(plots.items).length) {
    document.head.append(element("script", { textContent: await inflate("bokeh") }));
    await plots.embed();
    if (document.getElementById("generation")) slide(individuals, plots);
  }
  document.body.dataset.ready = "yes";
}

begin().catch((error) => {
  const said = `The plots and the individuals cannot be shown in this browser (${error.message}): try a newer one.`;
  document.getElementById("main").prepend(element("p", { className: "weakness", role: "alert" }, said));
});
