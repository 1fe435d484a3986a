"use strict";
// A cell opens: its value and protocol, its distribution over faces, the faces behind it, and tests against the others.
(() => {
  const { make, data } = bench;
  // Where a method's values of single faces are; without any, where its run's faces are.
  const gallery = (condition, metric, key, run) => {
    const known = data.galleries.findIndex((one) => one.condition === condition && one.values[metric] && one.values[metric][key]);
    return known >= 0 ? known : data.galleries.findIndex((one) => one.condition === condition && one.run === run);
  };
  const panel = make("dialog", { class: "detail", "aria-label": "A value in detail" });
  document.body.append(panel);
  panel.addEventListener("click", (event) => event.target === panel && panel.close());

  const svg = (tag, given, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };

  // A histogram of the method's values in front of all methods' values, on one axis.
  const histogram = (mine, all, digits) => {
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const bins = Math.min(30, Math.max(5, Math.ceil(Math.sqrt(mine.length) * 1.5)));
    const count = (values) => values.reduce((into, value) => {
      into[Math.min(bins - 1, Math.floor(((value - low) / (high - low || 1)) * bins))] += 1 / values.length;
      return into;
    }, Array(bins).fill(0));
    const [front, back] = [count(mine), count(all)];
    const top = Math.max(...front, ...back);
    const made = svg("svg", { viewBox: "0 0 360 110", width: "100%", role: "img", "aria-label": "Distribution over faces" });
    const bars = (heights, kind, inset) => heights.forEach((height, place) => made.append(svg("rect", { class: kind,
      x: (place * 360) / bins + inset, width: 360 / bins - 2 * inset, y: 92 - (height / top) * 88, height: (height / top) * 88 })));
    bars(back, "rest", 0);
    bars(front, "mine", 2);
    made.append(svg("text", { x: 0, y: 106 }, low.toFixed(digits)), svg("text", { x: 360, y: 106, "text-anchor": "end" }, high.toFixed(digits)));
    return made;
  };

  const face = (number, column, index, words) => make("button", { type: "button", onclick: () => { panel.close(); bench.view(number, column, index); } },
    make("img", { src: bench.source(number, column, index) || "data:,", alt: data.galleries[number].names[index] }), words);

  bench.detail = (cell) => {
    const row = cell.parentNode, { m: metric, c: condition, d: direction } = cell.dataset, key = cell.dataset.k;
    const digits = bench.digits(metric), number = gallery(condition, metric, key, row.dataset.run), one = data.galleries[number];
    const missing = cell.dataset.v === undefined, by = one && one.values[metric];
    const parts = [make("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => panel.close() }, "✕"),
      make("h3", {}, `${bench.title(metric)}: ${row.cells[0].textContent}${condition ? ` on ${condition}` : ""}`),
      make("p", { class: "big" }, missing ? "no value" : cell.dataset.m.startsWith("cost") || !metric ? cell.textContent : (+cell.dataset.v).toFixed(digits))];
    if (cell.dataset.ci) parts.push(make("p", {}, `95 % interval ${cell.dataset.ci.split(",").map((v) => (+v).toFixed(digits)).join(" to ")}; n = ${cell.dataset.n}`));
    parts.push(make("h4", {}, missing ? "Why" : "Protocol"), make("p", { class: "protocol" }, cell.title.replace(/^.*? n = \d+\. /, "")));
    if (by && by[key]) {
      const known = by[key].map((value, index) => [value, index]).filter(([value]) => value !== null).sort((a, b) => a[0] - b[0]);
      const all = Object.values(by).flat().filter((value) => value !== null);
      if (direction === "higher") known.reverse();
      parts.push(make("h4", {}, "Over faces"), histogram(known.map(([value]) => value), all, digits),
        make("p", { class: "soft" }, `Dark: this method's ${known.length} faces; light: all methods'.`));
      const column = one.columns.findIndex((other) => other.k === +key);
      if (column >= 0 && known.length > 2) {
        const some = [[0, "best"], [known.length >> 1, "median"], [known.length - 1, "worst"]];
        parts.push(make("h4", {}, "Faces behind it"), make("div", { class: "faces" }, ...some.map(([at, word]) =>
          face(number, column, known[at][1], `${word} ${known[at][0].toFixed(digits)}`))));
      }
    }
    const tests = (data.tests || []).find((test) => test.condition === condition && test.metric === metric && test.keys.includes(+key));
    if (tests) {
      const at = tests.keys.indexOf(+key);
      const list = tests.keys.map((other, place) => [data.labels[other], tests.p[at][place], other]).filter(([, , other]) => other !== +key);
      parts.push(make("h4", {}, "Against the others"), make("p", { class: "soft" }, "p of Wilcoxon's signed-rank test of single faces, Holm's correction."),
        make("table", { class: "pairs" }, ...list.map(([name, p]) => make("tr", {}, make("td", { class: "l" }, name), make("td", {}, p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`)))));
    }
    const link = cell.querySelector("a");
    if (link) parts.push(make("p", {}, make("a", { href: link.getAttribute("href"), onclick: () => panel.close() }, "Where all protocols stand")));
    panel.replaceChildren(...parts);
    panel.showModal();
    panel.scrollTop = 0;
  };

  document.querySelectorAll("td.opens").forEach((cell) => {
    cell.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      bench.detail(cell);
    });
    if (!cell.querySelector("a")) {
      cell.tabIndex = 0;
      cell.addEventListener("keydown", (event) => event.key === "Enter" && bench.detail(cell));
    }
  });
})();
