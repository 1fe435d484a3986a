"use strict";
(() => {
  const { study, seed, items } = JSON.parse(document.getElementById("data").textContent);
  const place = `bench-study-${study}`, main = document.getElementById("main");
  const make = (tag, given = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(given)) key.startsWith("on") ? made.addEventListener(key.slice(2), value) : made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // What is kept: who, since when, and the answers. A browser that forbids storage still works until it is closed.
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(place)); } catch { /* starts anew */ }
  const asked = new URLSearchParams(location.search).get("person");
  if (!kept || (asked && kept.person !== asked)) {
    const random = [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    kept = { study, seed, person: asked || random, started: new Date().toISOString(), answers: [], orders: {} };
  }
  const save = () => { try { localStorage.setItem(place, JSON.stringify(kept)); } catch { /* not kept */ } };

  // The order of faces and of outputs follows from the seed, the person and the face: nobody sees the same one.
  const generator = (text) => {
    let state = 2166136261;
    for (const char of text) state = Math.imul(state ^ char.codePointAt(0), 16777619);
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  };
  const shuffled = (list, text) => {
    const random = generator(text), made = [...list];
    for (let last = made.length - 1; last > 0; last -= 1) {
      const other = Math.floor(random() * (last + 1));
      [made[last], made[other]] = [made[other], made[last]];
    }
    return made;
  };
  const queue = shuffled(items, `${seed}|${kept.person}`);
  let shownAt = 0, touched = false;

  const number = (list) => [...list.children].forEach((card, at) => {
    card.querySelector(".rank").textContent = at === 0 ? "1 best" : at === list.children.length - 1 ? `${at + 1} worst` : `${at + 1}`;
    card.setAttribute("aria-label", `Picture, place ${at + 1} of ${list.children.length}`);
  });
  const put = (list, card, at) => {
    const others = [...list.children].filter((other) => other !== card);
    list.insertBefore(card, others[Math.max(0, Math.min(at, others.length))] || null);
    number(list);
    kept.orders[list.dataset.image] = [...list.children].map((one) => one.dataset.code);
    touched = true;
    const next = document.getElementById("next");
    if (next) next.disabled = false;
    save();
  };

  const drag = (list, card) => {
    card.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button") || event.button > 0) return;
      event.preventDefault();
      card.focus();
      list.setPointerCapture(event.pointerId); // not the card: a card that moves in the page would lose it
      held = card;
      card.classList.add("held");
    });
    card.addEventListener("keydown", (event) => {
      const at = [...list.children].indexOf(card), step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const to = step ? at + step : /^[1-9]$/.test(event.key) ? +event.key - 1 : null;
      if (to === null || to < 0 || to >= list.children.length) return;
      event.preventDefault();
      put(list, card, to);
      card.focus();
    });
  };

  const votes = () => ({ format: 1, study, seed, person: kept.person, started: kept.started, saved: new Date().toISOString(), answers: kept.answers });
  const file = () => {
    const link = make("a", { href: URL.createObjectURL(new Blob([JSON.stringify(votes(), null, 1)], { type: "application/json" })), download: `votes-${study}-${kept.person}.json` });
    document.body.append(link);
    link.click();
    link.remove();
  };

  let held = null;
  const carry = (list) => {
    list.addEventListener("pointermove", (event) => {
      if (!held) return;
      const over = document.elementsFromPoint(event.clientX, event.clientY).find((one) => one.tagName === "LI" && one !== held);
      if (over) put(list, held, [...list.children].indexOf(over));
    });
    const drop = () => { if (held) held.classList.remove("held"); held = null; };
    list.addEventListener("pointerup", drop);
    list.addEventListener("pointercancel", drop);
  };

  const draw = () => {
    const done = kept.answers.length, item = queue[done];
    document.getElementById("progress").value = done / queue.length;
    document.getElementById("where").textContent = `${done} of ${queue.length} done`;
    const export_ = make("button", { type: "button", id: "save", onclick: file }, item ? "Save what I have so far" : "Save my answers as a file");
    if (!item) {
      export_.className = "main";
      main.replaceChildren(make("p", {}, "Thank you, that was all. Save your answers and send the file to whoever asked you."), make("p", { class: "foot" }, export_));
      export_.focus();
      return;
    }
    const order = kept.orders[item.image] || shuffled(Object.keys(item.choices), `${seed}|${kept.person}|${item.image}`);
    const first = shuffled(Object.keys(item.choices), `${seed}|${kept.person}|${item.image}`);
    const list = make("ol", { "data-image": item.image, "aria-label": "Pictures, best first" });
    carry(list);
    touched = Boolean(kept.orders[item.image]);
    order.forEach((code) => {
      const card = make("li", { tabindex: 0, "data-code": code }, make("img", { src: item.choices[code], alt: "An attempt to enlarge the picture" }), make("span", { class: "rank" }),
        make("span", { class: "move" }, ...[["◂", "Better", -1], ["▸", "Worse", 1]].map(([text, title, step]) => make("button", { type: "button", title, "aria-label": title, tabindex: -1,
          onclick: () => put(list, card, Math.max(0, [...list.children].indexOf(card) + step)) }, text))));
      list.append(card);
      drag(list, card);
    });
    const next = make("button", { type: "button", id: "next", class: "main", onclick: () => {
      kept.answers.push({ image: item.image, shown: first, ranking: [...list.children].map((card) => card.dataset.code), seconds: Math.round((performance.now() - shownAt) / 100) / 10 });
      delete kept.orders[item.image];
      save();
      draw();
    } }, "Next");
    const fits = make("button", { type: "button", id: "fits", onclick: () => { touched = true; next.disabled = false; next.focus(); } }, "This order is right as it is");
    next.disabled = !touched;
    const back = make("button", { type: "button", id: "back", onclick: () => {
      const last = kept.answers.pop();
      kept.orders[last.image] = last.ranking;
      save();
      draw();
    } }, "Back");
    back.disabled = done === 0;
    main.replaceChildren(make("div", { class: "task" }, make("figure", {}, make("img", { class: "lr", src: item.lr, alt: "The small picture" }), make("figcaption", { class: "soft" }, "as it was")), list),
      make("p", { class: "foot" }, back, fits, next, export_));
    number(list);
    list.firstChild.focus({ preventScroll: true });
    shownAt = performance.now();
    save();
  };
  document.addEventListener("keydown", (event) => {
    const next = document.getElementById("next");
    if (event.key === "Enter" && !event.target.closest("button") && next && !next.disabled) { event.preventDefault(); next.click(); }
  });
  draw();
})();
