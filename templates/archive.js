// Finds, sorts and draws the cells of an archive. All text goes in as text, never as markup.
"use strict";
(() => {
  const AT_ONCE = 60;
  const [ENTRY, RECORD, VERDICT, STATE, FORMAT, LOT, SPEC, VERSION, MEASURED, FAILED, PICTURED] = Array(11).keys();
  const data = globalThis.xctrulesArchive;
  const form = document.querySelector("form.wanted"), list = document.getElementById("cells");
  const more = document.getElementById("more"), told = document.querySelector("[role=status]");
  const blank = document.getElementById("blank").content.firstElementChild;
  if (!data) return;  // the plain list stays as it is

  const verdicts = new Map(data.verdicts.map(([code, ...shown]) => [code, shown]));
  const worst = new Map(data.verdicts.map(([code], place) => [code, place]));
  const cells = data.cells.map(([id, records, history]) => ({id, folded: id.toLowerCase(), records, history}));
  const natural = new Intl.Collator("en", {numeric: true}).compare;
  const word = (code) => verdicts.get(code)?.[0] ?? code;

  const values = {
    verdict: (r) => [r[VERDICT]], state: (r) => [r[STATE]], failed: (r) => r[FAILED],
    format: (r) => [r[FORMAT]], lot: (r) => [r[LOT]], spec: (r) => [r[SPEC]],
  };
  const orders = {
    newest: (a, b) => b.record[ENTRY] - a.record[ENTRY],
    oldest: (a, b) => a.record[ENTRY] - b.record[ENTRY],
    cell: (a, b) => natural(a.cell.id, b.cell.id),
    lot: (a, b) => natural(a.record[LOT], b.record[LOT]) || natural(a.cell.id, b.cell.id),
    worst: (a, b) => (worst.get(b.record[VERDICT]) ?? -1) - (worst.get(a.record[VERDICT]) ?? -1)
      || natural(a.cell.id, b.cell.id),
  };

  function fillChoices() {
    for (const [name, of] of Object.entries(values)) {
      const found = new Set();
      for (const cell of cells) for (const record of cell.records) for (const value of of(record)) found.add(value);
      found.delete("");
      const shown = (value) => name === "verdict" ? word(value) : value === "none" ? "nothing" : value;
      form.elements[name].append(new Option("all", ""), ...[...found].sort(natural).map((v) => new Option(shown(v), v)));
    }
  }

  function wanted() {
    const given = Object.fromEntries(new FormData(form));
    const chosen = Object.entries(values).filter(([name]) => given[name]);
    const typed = given.cell.trim().toLowerCase();
    const fits = (record) => chosen.every(([name, of]) => of(record).includes(given[name]))
      && (!given.since || record[MEASURED] >= given.since)
      && (!given.until || (record[MEASURED] && record[MEASURED] <= given.until));
    const found = [];
    for (const cell of cells) {
      if (typed && !cell.folded.includes(typed)) continue;
      const record = cell.records.find(fits);  // the newest one that fits
      if (record) found.push({cell, record});
    }
    return found.sort(orders[given.order] ?? orders.newest);
  }

  const folder = (sha256) => `records/${sha256.slice(0, 2)}/${sha256}`;

  function link(anchor, sha256, text) {
    anchor.href = `${folder(sha256)}/report.html`;
    anchor.textContent = text;
    return anchor;
  }

  function facts(r) {
    const lot = r[LOT] ? `lot ${r[LOT]}` : "";
    return [r[FORMAT], lot, r[MEASURED], `spec ${r[SPEC]} ${r[VERSION]}`].filter(Boolean).join(" · ");
  }

  function row({cell, record}) {
    const item = blank.cloneNode(true), part = (name) => item.querySelector(`[data-is=${name}]`);
    const [said, symbol, css] = verdicts.get(record[VERDICT]) ?? [record[VERDICT], "·", "is-not-applicable"];
    item.classList.add(css);
    link(part("cell"), record[RECORD], cell.id);
    part("facts").textContent = facts(record);
    part("verdict").className = `badge ${css}`;
    part("verdict").firstElementChild.textContent = symbol;
    part("verdict").append(` ${said}`);
    part("state").textContent = record[STATE] === "none" ? "" : record[STATE];
    part("failed").textContent = record[FAILED].length ? `not passed: ${record[FAILED].join(", ")}` : "";
    part("count").textContent = `(${cell.history.length})`;
    const history = item.querySelector(".history");
    item.querySelector("details").addEventListener("toggle", () => tell(history, cell), {once: true});
    if (record[PICTURED]) {
      const image = new Image(72, 72);
      image.loading = "lazy";
      image.alt = "";
      image.src = `pages/thumbnails/${record[RECORD].slice(0, 2)}/${record[RECORD]}.jpg`;
      item.querySelector(".thumbnail").append(image);
    }
    return item;
  }

  function tell(history, cell) {
    if (history.childElementCount) return;
    for (const [when, what, sha256] of cell.history) {
      const line = document.createElement("li"), day = document.createElement("span");
      day.className = "when";
      day.textContent = when;
      line.append(day, ` ${what} `, link(document.createElement("a"), sha256, `report ${sha256.slice(0, 8)}`));
      history.append(line);
    }
  }

  let found = [], drawn = 0;

  function draw(count) {
    const until = Math.min(found.length, drawn + count), rows = document.createDocumentFragment();
    for (; drawn < until; drawn += 1) rows.append(row(found[drawn]));
    list.append(rows);
    more.hidden = drawn >= found.length;
  }

  function show() {
    found = wanted();
    drawn = 0;
    list.replaceChildren();
    told.textContent = `${found.length} of ${cells.length} ${cells.length === 1 ? "cell" : "cells"}`;
    draw(AT_ONCE);
  }

  fillChoices();
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting)) drawFurther(); },
    {rootMargin: "1500px"}).observe(more);

  function drawFurther() {
    draw(AT_ONCE);
    if (!more.hidden && more.getBoundingClientRect().top < innerHeight + 1500) setTimeout(drawFurther);
  }

  addEventListener("beforeprint", () => {
    draw(2000);
    if (drawn < found.length) told.textContent += `; ${drawn} of them on paper`;
    for (const [place, item] of [...list.children].entries()) {
      tell(item.querySelector(".history"), found[place].cell);
      for (const image of item.querySelectorAll("img")) image.loading = "eager";
    }
  });
  show();
})();
