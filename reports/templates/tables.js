"use strict";
// What pages share: the data, a way to make elements, tabs for conditions, and tables that sort, filter and compare.
const bench = { data: JSON.parse(document.getElementById("data").textContent) };
document.documentElement.classList.add("js");

bench.make = (tag, given = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};
bench.digits = (metric) => (bench.data.metrics && bench.data.metrics[metric] ? bench.data.metrics[metric].digits : 3);
bench.title = (metric) => (bench.data.metrics && bench.data.metrics[metric] ? bench.data.metrics[metric].title : metric);

// Tabs: panes of a .switch, by condition; all switches of the page turn together.
bench.tabs = () => {
  const switches = [...document.querySelectorAll(".switch")].map((box, number) => {
    const panes = [...box.children].filter((child) => child.matches(".pane"));
    const names = [...new Set(panes.map((pane) => pane.dataset.cond))];
    if (names.length < 2) return null;
    const list = bench.make("div", { class: "tabs", role: "tablist", "aria-label": "Condition" });
    names.forEach((name, place) => {
      const first = panes.find((pane) => pane.dataset.cond === name);
      panes.filter((pane) => pane.dataset.cond === name).forEach((pane) => {
        pane.setAttribute("role", "tabpanel");
        pane.setAttribute("aria-label", name);
      });
      first.id = first.id || `pane-${number}-${place}`;
      list.append(bench.make("button", { type: "button", role: "tab", "aria-controls": first.id, "data-cond": name, title: name,
        onclick: () => turn(name) }, name));
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = names.indexOf(event.target.dataset.cond);
      turn(names[(at + step + names.length) % names.length]);
      list.querySelector('[aria-selected="true"]').focus();
    });
    box.prepend(list);
    return { panes, names, list };
  }).filter(Boolean);
  const show = ({ panes, list }, name) => {
    panes.forEach((pane) => { pane.hidden = pane.dataset.cond !== name; });
    list.querySelectorAll("button").forEach((tab) => {
      const on = tab.dataset.cond === name;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
    });
  };
  const turn = (name) => switches.forEach((one) => one.names.includes(name) && show(one, name));
  switches.forEach((one) => show(one, one.names[0]));
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const pane = target && target.closest(".pane");
    if (pane && pane.hidden) { turn(pane.dataset.cond); target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();
};

// The p value of two methods by a metric under a condition, corrected for all pairs; null where none was tested.
bench.p = (condition, metric, one, other) => {
  for (const test of bench.data.tests || []) {
    const [a, b] = [test.keys.indexOf(+one), test.keys.indexOf(+other)];
    if (test.condition === condition && test.metric === metric && a >= 0 && b >= 0) return test.p[a][b];
  }
  return null;
};

bench.table = (table) => {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const over = table.tHead.rows.length > 1 ? [...table.tHead.rows[0].cells] : [];
  const rows = [...table.tBodies[0].rows];
  const original = [...rows];
  const number = (cell) => (cell && cell.dataset.v !== undefined ? parseFloat(cell.dataset.v) : NaN);

  heads.forEach((head, place) => {
    const button = bench.make("button", { type: "button", title: `Sort by ${head.textContent}` });
    button.append(...head.childNodes);
    head.append(button);
    let state = 0;
    button.addEventListener("click", () => {
      const cells = rows.map((row) => row.cells[place]);
      const counted = cells.some((cell) => cell.dataset.v !== undefined);
      const higher = cells.some((cell) => cell.dataset.d === "higher");
      heads.forEach((other) => other !== head && other.removeAttribute("aria-sort"));
      if (!head.hasAttribute("aria-sort")) state = 0;
      state = (state + 1) % 3;
      const sign = state === 1 ? 1 : -1;
      const order = state ? [...original].sort((one, two) => {
        if (!counted) return sign * one.cells[place].textContent.localeCompare(two.cells[place].textContent);
        const [a, b] = [number(one.cells[place]), number(two.cells[place])];
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
        return a === b ? 0 : sign * (higher ? -1 : 1) * (a < b ? -1 : 1);
      }) : original;
      if (state) head.setAttribute("aria-sort", (counted && higher) === (sign === 1) ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
      table.tBodies[0].append(...order);
    });
  });
  if (rows.length < 2) return;

  const filter = bench.make("input", { type: "search", placeholder: "Filter methods", "aria-label": "Filter methods", oninput: () => {
    const words = filter.value.trim().toLowerCase();
    rows.forEach((row) => { row.hidden = Boolean(words) && !row.cells[0].textContent.toLowerCase().includes(words); });
  } });

  const hide = (place, on) => {
    heads[place].hidden = on;
    rows.forEach((row) => { row.cells[place].hidden = on; });
    let start = 0;
    for (const group of over) {
      const span = +(group.dataset.span || (group.dataset.span = group.colSpan));
      const open = heads.slice(start, start + span).filter((head) => !head.hidden).length;
      group.hidden = !open;
      group.colSpan = open || 1;
      start += span;
    }
  };
  const menu = bench.make("div");
  heads.slice(1).forEach((head, place) => menu.append(bench.make("label", {},
    bench.make("input", { type: "checkbox", checked: true, onchange: (event) => hide(place + 1, !event.target.checked) }),
    ` ${(over.length ? `${groupOf(place + 1)}: ` : "") + head.textContent}`)));
  function groupOf(place) {
    let start = 0;
    for (const group of over) { start += group.colSpan; if (place < start) return group.textContent; }
    return "";
  }
  const columns = bench.make("details", {}, bench.make("summary", {}, "Columns"), menu);

  const pin = bench.make("select", { "aria-label": "Baseline", onchange: () => compare(rows[+pin.value]) },
    bench.make("option", { value: "-1" }, "No baseline"),
    ...rows.map((row, place) => bench.make("option", { value: place }, `Baseline: ${row.cells[0].textContent}`.slice(0, 60))));
  const compare = (base) => {
    table.querySelectorAll(".delta").forEach((old) => old.remove());
    rows.forEach((row) => row.classList.toggle("pinned", row === base));
    if (!base) return;
    rows.filter((row) => row !== base).forEach((row) => [...row.cells].forEach((cell, place) => {
      const change = number(cell) - number(base.cells[place]);
      if (!Number.isFinite(change)) return;
      const p = bench.p(cell.dataset.c, cell.dataset.m, cell.dataset.k, base.cells[place].dataset.k);
      const sure = p === null || p <= 0.05;
      const good = change === 0 ? "same" : (change > 0) === (cell.dataset.d === "higher") ? "better" : "worse";
      const text = table.dataset.kind === "cost" || Math.abs(change) >= 1e5 ? change.toPrecision(3) : change.toFixed(bench.digits(cell.dataset.m));
      cell.append(bench.make("span", { class: `delta ${sure ? good : "same"}`,
        title: p === null ? "difference to the baseline; not tested" : `difference to the baseline; p = ${p}` },
      `${good === "better" ? "▲" : good === "worse" ? "▼" : "="} ${change > 0 ? "+" : ""}${text}${p === null ? "" : sure ? " *" : " ≈"}`));
    }));
  };

  const toggle = (name, text) => {
    const button = bench.make("button", { type: "button", "aria-pressed": "false", onclick: () => {
      button.setAttribute("aria-pressed", table.classList.toggle(name));
    } }, text);
    return button;
  };
  const bar = bench.make("div", { class: "bar" }, rows.length > 4 ? filter : null, columns, pin,
    table.querySelector("td small:not(:empty)") ? toggle("intervals", "± intervals") : null,
    table.querySelector(".tied") ? toggle("tests", "≈ significance") : null);
  (table.closest(".first") || table.parentNode).before(bar);
};

document.addEventListener("click", (event) => document.querySelectorAll(".bar details[open]").forEach((menu) => {
  if (!menu.contains(event.target)) menu.open = false;
}));
bench.tabs();
document.querySelectorAll("table.data").forEach(bench.table);
