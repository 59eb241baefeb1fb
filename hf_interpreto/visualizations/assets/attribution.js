(() => {
  "use strict";
  const VISIBLE = 0.04;
  const STRONG = 0.25;
  const MAXIMUM_CELLS = 8000;
  const PIXELS = 8;

  const number = (value, signed) => {
    if (value === null || value === undefined) return "\u2014";
    const size = Math.abs(value);
    if (size === 0) return "0";
    let text;
    if (size < 1e-3 || size >= 1e5) text = size.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2");
    else if (size >= 100) text = size.toFixed(0);
    else text = size.toPrecision(3);
    return (value < 0 ? "\u2212" : signed ? "+" : "") + text;
  };

  const create = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const paint = (node, score, scale) => {
    const weight = score === null ? 0 : Math.max(-1, Math.min(1, score / scale));
    node.dataset.s = score === null ? "nan" : weight >= VISIBLE ? "pos" : weight <= -VISIBLE ? "neg" : "zero";
    node.style.setProperty("--w", Math.abs(weight).toFixed(3));
    return weight;
  };

  // One stop for the tab key per group; the arrow keys move inside it.
  const rove = (group, selector, width = 1) => {
    const nodes = [...group.querySelectorAll(selector)];
    const enter = (node) => {
      for (const other of nodes) other.tabIndex = other === node ? 0 : -1;
    };
    if (nodes.length) enter(nodes[0]);
    group.addEventListener("focusin", (event) => {
      if (nodes.includes(event.target)) enter(event.target);
    });
    group.addEventListener("keydown", (event) => {
      const at = nodes.indexOf(event.target);
      if (at < 0) return;
      const rtl = getComputedStyle(group).direction === "rtl";
      const next = { ArrowRight: at + (rtl ? -1 : 1), ArrowLeft: at + (rtl ? 1 : -1), ArrowDown: at + width, ArrowUp: at - width, Home: 0, End: nodes.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      if (nodes[next]) nodes[next].focus();
    });
  };

  // Pages number their sections, so two pages in one notebook bring the same ids.
  const claimIds = (root, tip) => {
    const base = root.id;
    for (let copy = 2; document.querySelectorAll(`[id="${root.id}"]`).length > 1; copy += 1) root.id = `${base}-${copy}`;
    tip.id = `${root.id}-tip`;
  };

  const start = (root) => {
    root.dataset.ready = "";
    const data = JSON.parse(root.querySelector(".hfi-data").textContent);
    const tip = root.querySelector(".hfi-tip");
    claimIds(root, tip);
    const elements = [...root.querySelectorAll(".hfi-e")];
    const chips = [...root.querySelectorAll(".hfi-chip")];
    const matrix = root.querySelector(".hfi-matrix");
    let pinned = chips.length ? data.first : null;
    let shown = data.first;
    let shared = false;
    let request = 0;

    const scaleOf = (row) => (shared ? data.shared : data.scales[row]);

    const draw = () => {
      request = 0;
      const target = data.targets[shown];
      const scale = scaleOf(shown);
      for (const node of elements) {
        const element = Number(node.dataset.e);
        paint(node, data.scores[shown][element], scale);
        node.classList.toggle("hfi-target", element === target.element);
        if (node.dataset.row) node.setAttribute("aria-pressed", String(pinned !== null && element === data.targets[pinned].element));
      }
      for (const chip of chips) {
        const row = Number(chip.dataset.row);
        chip.setAttribute("aria-pressed", String(row === pinned));
        chip.classList.toggle("hfi-shown", row === shown);
      }
      for (const button of matrix.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(Number(button.dataset.row) === shown));
      }
      const facts = { label: target.label, score: number(target.score), baseline: number(target.baseline), gap: number(target.gap), low: number(-scale), high: number(scale, true) };
      for (const node of root.querySelectorAll("[data-fact]")) node.textContent = facts[node.dataset.fact];
    };

    const show = (row) => {
      if (row === shown) return;
      shown = row;
      if (!request) request = requestAnimationFrame(draw);
    };

    const pin = (row) => {
      pinned = row;
      if (row !== null) shown = row;
      draw();
    };

    const hideTip = () => {
      tip.hidden = true;
      for (const node of root.querySelectorAll("[aria-describedby]")) node.removeAttribute("aria-describedby");
    };

    const place = (node) => {
      const frame = root.getBoundingClientRect();
      const box = node.getClientRects()[0] || node.getBoundingClientRect();
      tip.hidden = false;
      tip.style.left = "0";
      const left = box.left - frame.left + box.width / 2 - tip.offsetWidth / 2;
      tip.style.left = `${Math.max(PIXELS, Math.min(frame.width - tip.offsetWidth - PIXELS, left))}px`;
      const above = box.top - frame.top - tip.offsetHeight - PIXELS;
      // In the matrix the names of the columns stand above.
      const fits = !node.classList.contains("hfi-cell") && above >= 0 && box.top - tip.offsetHeight - PIXELS >= 0;
      tip.style.top = `${fits ? above : box.bottom - frame.top + PIXELS}px`;
    };

    const explain = (node, row, element) => {
      hideTip();
      const score = data.scores[row][element];
      const target = data.targets[row];
      const value = create("b", "", number(score, true));
      const error = data.errors && data.errors[row][element];
      if (score !== null && typeof error === "number") value.append(create("small", "", ` \u00b1 ${number(error)}`));
      const name = target.label.trim() || target.label;
      const missing = target.element === element ? "the explained element itself" : `not attributable to ${name}`;
      const about = score === null ? missing : `towards ${name}`;
      tip.replaceChildren(create("span", "", data.elements[element]), value, create("span", "hfi-tip-muted", about));
      const ownRow = node.dataset.row;
      if (ownRow !== undefined && node.classList.contains("hfi-e")) {
        const mine = data.targets[Number(ownRow)];
        const tag = data.tags ? `${mine.label}: ` : "";
        tip.append(create("span", "hfi-tip-muted", `${tag}f(x) = ${number(mine.score)}`));
      }
      node.setAttribute("aria-describedby", tip.id);
      place(node);
    };

    const react = (node) => {
      if (node.classList.contains("hfi-cell")) return explain(node, Number(node.dataset.row), Number(node.dataset.e));
      if (node.classList.contains("hfi-chip")) return show(Number(node.dataset.row));
      if (node.dataset.row !== undefined && pinned === null) show(Number(node.dataset.row));
      return explain(node, shown, Number(node.dataset.e));
    };

    const leave = () => {
      hideTip();
      if (pinned !== null) show(pinned);
    };

    const find = (event) => event.target.closest(".hfi-e, .hfi-chip, .hfi-cell");

    root.addEventListener("pointerover", (event) => {
      const node = find(event);
      if (node) react(node);
    });
    root.addEventListener("pointerout", (event) => {
      if (find(event)) leave();
    });
    root.addEventListener("focusin", (event) => {
      const node = find(event);
      if (node && node.matches(":focus-visible")) react(node);
    });
    root.addEventListener("focusout", leave);

    const choose = (node) => {
      const row = Number(node.dataset.row);
      pin(!chips.length && row === pinned ? null : row);
    };
    root.addEventListener("click", (event) => {
      const node = event.target.closest(".hfi-chip, .hfi-e, .hfi-matrix button");
      if (!node) return;
      if (node.dataset.row !== undefined) choose(node);
      if (node.classList.contains("hfi-e")) explain(node, shown, Number(node.dataset.e));
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        hideTip();
        if (!chips.length) pin(null);
      } else if ((event.key === "Enter" || event.key === " ") && event.target.matches(".hfi-e[data-row]")) {
        event.preventDefault();
        choose(event.target);
        explain(event.target, shown, Number(event.target.dataset.e));
      }
    });

    const columns = () => {
      const all = data.elements.map((_, element) => element);
      const room = Math.max(1, Math.floor(MAXIMUM_CELLS / data.targets.length));
      if (all.length <= room) return all;
      const size = (element) => Math.max(...data.scores.map((row) => Math.abs(row[element] || 0)));
      const kept = all.map((element) => [size(element), element]).sort((a, b) => b[0] - a[0]).slice(0, room);
      return kept.map((pair) => pair[1]).sort((a, b) => a - b);
    };

    const mark = (node, element) => node.classList.toggle("hfi-first-output", element === data.source && data.source < data.elements.length);

    const buildMatrix = () => {
      const kept = columns();
      const table = create("table");
      const head = table.createTHead().insertRow();
      head.append(create("th"));
      for (const element of kept) {
        const cell = create("th");
        cell.scope = "col";
        mark(cell, element);
        cell.append(create("span", "", data.elements[element].trim() || data.elements[element]));
        head.append(cell);
      }
      const body = table.createTBody();
      data.targets.forEach((target, row) => {
        const line = body.insertRow();
        const title = create("th");
        title.scope = "row";
        const button = create("button", "", target.label.trim() || target.label);
        button.type = "button";
        button.dataset.row = row;
        title.append(button);
        line.append(title);
        for (const element of kept) {
          const cell = line.insertCell();
          mark(cell, element);
          const square = create("span", "hfi-cell");
          square.dataset.row = row;
          square.dataset.e = element;
          const score = data.scores[row][element];
          if (paint(square, score, scaleOf(row)) <= -STRONG) square.dataset.strong = "";
          square.setAttribute("role", "img");
          square.setAttribute("aria-label", number(score, true));
          cell.append(square);
        }
      });
      matrix.replaceChildren(table);
      if (kept.length < data.elements.length) {
        matrix.append(create("p", "hfi-note", `The ${kept.length} of ${data.elements.length} elements with the largest scores.`));
      }
      rove(matrix, "button, .hfi-cell", kept.length + 1);
      draw();
    };

    const segments = [...root.querySelectorAll(".hfi-segments button")];
    for (const segment of segments) {
      segment.addEventListener("click", () => {
        const isMatrix = segment.dataset.view === "matrix";
        for (const other of segments) other.setAttribute("aria-pressed", String(other === segment));
        matrix.hidden = !isMatrix;
        root.querySelector(".hfi-text-view").hidden = isMatrix;
        if (isMatrix) buildMatrix();
      });
    }
    const share = root.querySelector(".hfi-share");
    if (share) {
      share.addEventListener("change", () => {
        shared = share.checked;
        if (!matrix.hidden) buildMatrix();
        draw();
      });
      shared = share.checked;
    }

    for (const tools of root.querySelectorAll(".hfi-tools, .hfi-hint")) tools.hidden = false;
    for (const group of root.querySelectorAll(".hfi-chips")) rove(group, ".hfi-chip");
    for (const group of root.querySelectorAll(".hfi-text")) rove(group, ".hfi-e");
    draw();
  };

  document.querySelectorAll(".hfi-attribution:not(.hfi-concepts):not([data-ready])").forEach(start);
})();
