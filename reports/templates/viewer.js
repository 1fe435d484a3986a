"use strict";
// The comparison viewer: two methods under a slider, all of them under one zoom, every face in the order of any metric.
(() => {
  const { make, data } = bench;
  const CROPS = { whole: [0, 0, 1], eyes: [0.12, 0.2, 0.76], mouth: [0.25, 0.5, 0.5] }; // left, top, side of an aligned face
  const FILM = 24; // faces of the film strip at a time
  const state = { g: 0, i: 0, a: 0, b: 1, zoom: 1, x: 0, y: 0, split: 0.5, order: "", sharp: true };
  let order = [];
  const shown = new Map(); // pictures that stand in the page already
  document.querySelectorAll("img[data-g]").forEach((img) => shown.set(`${img.dataset.g},${img.dataset.col},${img.dataset.i}`, img.src));

  bench.source = (g, column, index) => {
    const one = data.galleries[g].columns[column], name = data.galleries[g].names[index];
    return shown.get(`${g},${column},${index}`) || one.shots[index] || (one.root ? `${[...one.root.split("/"), `${name}.png`].map(encodeURIComponent).join("/")}` : "");
  };
  const current = () => data.galleries[state.g];

  // ---- the frame of the dialog
  const select = (label, change) => make("select", { "aria-label": label, title: label, onchange: change });
  const button = (text, title, click) => make("button", { type: "button", title, onclick: click }, text);
  const where = select("Condition", () => open(+where.value, state.b, 0));
  const sorting = select("Order of the faces", () => { state.order = sorting.value; arrange(); go(order[0]); });
  const [first, second] = [select("Left method", () => { state.a = +first.value; draw(); }), select("Right method", () => { state.b = +second.value; draw(); })];
  const name = make("span", { class: "name", "aria-live": "polite" });
  const smooth = button("Pixels", "Nearest neighbour or smooth (s)", () => { state.sharp = !state.sharp; draw(); });
  const slider = make("div", { class: "slider", tabindex: 0, role: "slider", "aria-label": "Divider between the two methods", "aria-valuemin": 0, "aria-valuemax": 100 });
  const tiles = make("div", { class: "tiles" });
  const film = make("div", { class: "film", role: "group", "aria-label": "Faces" });
  const close = button("✕", "Close (Esc)", () => dialog.close());
  close.className = "close";
  const dialog = make("dialog", { class: "viewer", "aria-label": "Comparison of faces" },
    make("div", { class: "bar" }, button("◂", "Previous face (←)", () => step(-1)), name, button("▸", "Next face (→)", () => step(1)),
      where, sorting, first, make("span", { class: "soft" }, "against"), second,
      button("Whole", "The whole face (0)", () => crop("whole")), button("Eyes", "Both eyes (e)", () => crop("eyes")), button("Mouth", "The mouth (m)", () => crop("mouth")),
      button("+", "Closer (+)", () => zoom(1.4)), button("−", "Farther (-)", () => zoom(1 / 1.4)), smooth, close),
    make("div", { class: "stage" }, slider, tiles), film);
  document.body.append(dialog);
  const over = make("div", { class: "over" }), handle = make("div", { class: "handle" });
  const [under, above] = [make("img", { alt: "" }), make("img", { alt: "" })];
  const [leftTag, rightTag] = [make("span", { class: "tag a" }), make("span", { class: "tag b" })];
  over.append(above);
  slider.append(under, over, handle, leftTag, rightTag);

  // ---- which faces, in which order
  const numbers = (metric) => {
    const by = Object.values(current().values[metric]);
    return current().names.map((_, index) => by.map((values) => values[index]).filter((value) => value !== null));
  };
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const arrange = () => {
    const count = current().names.length, [how, metric] = state.order.split("|");
    order = Array.from({ length: count }, (_, index) => index);
    if (!metric || !current().values[metric]) return;
    const score = numbers(metric).map((values) => {
      if (!values.length) return -Infinity;
      const middle = mean(values);
      if (how === "disagreement") return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
      return (how === "best" ? 1 : -1) * (current().directions[metric] === "higher" ? middle : -middle);
    });
    order.sort((one, two) => score[two] - score[one] || one - two);
  };
  const value = (column) => {
    const one = current(), metric = state.order.split("|")[1] || one.lead, by = one.values[metric];
    const found = by && by[one.columns[column].k] ? by[one.columns[column].k][state.i] : null;
    return found === null ? "" : `${bench.title(metric)} ${found.toFixed(bench.digits(metric))}`;
  };

  // ---- drawing
  const picture = (img, column) => {
    const source = bench.source(state.g, column, state.i);
    img.style.visibility = source ? "" : "hidden";
    if (source && img.getAttribute("src") !== source) img.src = source;
    img.classList.toggle("lr", current().columns[column].kind === "lr");
    img.alt = `${current().names[state.i]}, ${current().columns[column].label}`;
  };
  const move = () => {
    const change = `translate(${state.x * 100}%, ${state.y * 100}%) scale(${state.zoom})`;
    dialog.querySelectorAll(".frame img, .slider img").forEach((img) => { img.style.transform = change; });
    over.style.clipPath = `inset(0 0 0 ${state.split * 100}%)`;
    handle.style.left = `${state.split * 100}%`;
    slider.setAttribute("aria-valuenow", Math.round(state.split * 100));
  };
  const draw = () => {
    const one = current(), columns = one.columns;
    dialog.classList.toggle("sharp", state.sharp);
    smooth.textContent = state.sharp ? "Pixels" : "Smooth";
    smooth.setAttribute("aria-pressed", state.sharp);
    where.value = state.g;
    first.value = state.a;
    second.value = state.b;
    name.textContent = `${one.names[state.i]} (${order.indexOf(state.i) + 1} of ${one.names.length})`;
    picture(under, state.a);
    picture(above, state.b);
    leftTag.textContent = columns[state.a].label;
    rightTag.textContent = columns[state.b].label;
    [...tiles.children].forEach((tile, column) => {
      picture(tile.querySelector("img"), column);
      tile.classList.toggle("a", column === state.a);
      tile.classList.toggle("b", column === state.b);
      tile.querySelector(".value").textContent = value(column);
    });
    const at = Math.max(0, order.indexOf(state.i)), start = Math.floor(at / FILM) * FILM;
    film.replaceChildren(...order.slice(start, start + FILM).map((index) => make("button", { type: "button", title: one.names[index], "aria-current": index === state.i ? "true" : null,
      onclick: () => go(index) }, make("img", { alt: one.names[index], loading: "lazy", src: bench.source(state.g, state.b, index) || bench.source(state.g, 0, index) || "data:," }))));
    move();
  };
  const go = (index) => { state.i = index; draw(); };
  const step = (by) => go(order[(order.indexOf(state.i) + by + order.length) % order.length]);
  const fence = () => {
    state.zoom = Math.min(40, Math.max(1, state.zoom));
    for (const axis of ["x", "y"]) state[axis] = Math.min(0, Math.max(1 - state.zoom, state[axis]));
    move();
  };
  const zoom = (by, x = 0.5, y = 0.5) => {
    const next = Math.min(40, Math.max(1, state.zoom * by)), real = next / state.zoom;
    Object.assign(state, { zoom: next, x: x - (x - state.x) * real, y: y - (y - state.y) * real });
    fence();
  };
  const crop = (what) => {
    const [left, top, side] = CROPS[what];
    Object.assign(state, { zoom: 1 / side, x: -left / side, y: -top / side });
    fence();
  };

  const open = (g, b, index) => {
    const one = data.galleries[g];
    if (!one.columns.length) return;
    const moved = g !== state.g || !tiles.children.length;
    state.g = g;
    if (moved) {
      const metrics = Object.keys(one.values), keep = state.order;
      sorting.replaceChildren(make("option", { value: "" }, "By name"), ...metrics.flatMap((metric) => [
        make("option", { value: `best|${metric}` }, `Best ${bench.title(metric)} first`), make("option", { value: `worst|${metric}` }, `Worst ${bench.title(metric)} first`),
        make("option", { value: `disagreement|${metric}` }, `Most disagreement in ${bench.title(metric)}`)]));
      state.order = metrics.includes(keep.split("|")[1]) ? keep : "";
      sorting.value = state.order;
      for (const box of [first, second]) box.replaceChildren(...one.columns.map((column, place) => make("option", { value: place }, column.label)));
      tiles.replaceChildren(...one.columns.map((column, place) => {
        const frame = make("div", { class: "frame", title: "Click: to the right of the slider; with Shift: to the left", tabindex: 0 }, make("img", { alt: "", onerror: (event) => { event.target.style.visibility = "hidden"; } }));
        hold(frame, (event) => { state[event.shiftKey ? "a" : "b"] = place; draw(); });
        frame.addEventListener("keydown", (event) => { if (event.key === "Enter") { state[event.shiftKey ? "a" : "b"] = place; draw(); } });
        return make("figure", { class: "tile" }, frame, make("figcaption", {}, make("b", {}, column.label), make("br"), make("span", { class: "value" })));
      }));
    }
    arrange();
    state.a = Math.min(state.a, one.columns.length - 1);
    state.b = Math.min(Math.max(b, 0), one.columns.length - 1);
    if (state.a === state.b) state.a = state.b ? 0 : 1 % one.columns.length;
    state.i = index;
    draw();
  };
  bench.view = (g, column, index) => {
    open(g, column, index);
    if (!dialog.open) dialog.showModal();
    slider.focus();
  };
  bench.state = state;

  // ---- hands: drag to move, two fingers or the wheel to zoom, the divider by its handle
  const hold = (box, tap) => {
    const fingers = new Map();
    let travelled = 0;
    const spot = (event) => { const r = box.getBoundingClientRect(); return [(event.clientX - r.left) / r.width, (event.clientY - r.top) / r.height]; };
    box.addEventListener("pointerdown", (event) => { if (event.target !== handle) { travelled = 0; fingers.set(event.pointerId, spot(event)); box.setPointerCapture(event.pointerId); } });
    box.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = spot(event);
      if (fingers.size === 1) { state.x += now[0] - before[0]; state.y += now[1] - before[1]; fence(); } else {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        zoom(Math.hypot(now[0] - other[0], now[1] - other[1]) / (Math.hypot(before[0] - other[0], before[1] - other[1]) || 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      }
      travelled += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
      fingers.set(event.pointerId, now);
    });
    const up = (event) => { if (fingers.delete(event.pointerId) && !fingers.size && travelled < 0.02 && event.type === "pointerup" && tap) tap(event); };
    box.addEventListener("pointerup", up);
    box.addEventListener("pointercancel", up);
    box.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 300), ...spot(event)); }, { passive: false });
    box.addEventListener("dblclick", () => crop("whole"));
  };
  hold(slider, null);
  const slide = (share) => { state.split = Math.min(1, Math.max(0, share)); move(); };
  handle.addEventListener("pointerdown", (event) => { event.stopPropagation(); handle.setPointerCapture(event.pointerId); });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = slider.getBoundingClientRect();
    slide((event.clientX - box.left) / box.width);
  });

  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const count = current().columns.length;
    const acts = {
      ArrowRight: () => step(1), ArrowLeft: () => step(-1), "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: () => crop("whole"),
      e: () => crop("eyes"), m: () => crop("mouth"), s: () => { state.sharp = !state.sharp; draw(); }, ",": () => slide(state.split - 0.05), ".": () => slide(state.split + 0.05),
      ArrowDown: () => { state.b = (state.b + 1) % count; draw(); }, ArrowUp: () => { state.b = (state.b + count - 1) % count; draw(); }, x: () => { [state.a, state.b] = [state.b, state.a]; draw(); },
    };
    if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
  });

  data.galleries.forEach((one, place) => one.columns.length && where.append(make("option", { value: place }, one.run ? `${one.condition}, ${one.run}` : one.condition)));
  document.querySelectorAll(".open img").forEach((img) => {
    const [g, column, index] = img.dataset.go ? img.dataset.go.split(",").map(Number) : [+img.dataset.g, +img.dataset.col, +img.dataset.i];
    img.tabIndex = 0;
    img.setAttribute("role", "button");
    img.addEventListener("click", () => bench.view(g, column, index));
    img.addEventListener("keydown", (event) => event.key === "Enter" && bench.view(g, column, index));
  });
})();
