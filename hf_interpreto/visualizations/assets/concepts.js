(() => {
  "use strict";
  const VISIBLE = 0.04;
  const PIXELS = 8;

  const number = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    let text;
    if (size < 1e-3 || size >= 1e5) text = size.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2");
    else text = size >= 100 ? size.toFixed(0) : size.toPrecision(3);
    return (value < 0 ? "\u2212" : "") + text;
  };

  const create = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.textContent = text;
    return node;
  };

  // One stop for the tab key per group; the arrow keys move inside it.
  const rove = (group, nodes, forward, backward) => {
    const enter = (node) => {
      for (const other of nodes) other.tabIndex = other === node ? 0 : -1;
    };
    if (nodes.length) enter(nodes[0]);
    group.addEventListener("focusin", (event) => {
      const node = nodes.find((other) => other.contains(event.target));
      if (node) enter(node);
    });
    group.addEventListener("keydown", (event) => {
      const at = nodes.indexOf(event.target);
      const rtl = getComputedStyle(group).direction === "rtl" ? -1 : 1;
      const step = { ArrowRight: rtl * forward, ArrowLeft: -rtl * forward, ArrowDown: backward, ArrowUp: -backward }[event.key];
      if (at < 0 || !step) return;
      event.preventDefault();
      if (nodes[at + step]) nodes[at + step].focus();
    });
  };

  // Two displays of one page in a notebook bring the same ids.
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
    const choices = [...root.querySelectorAll(".hfi-chip, .hfi-e[data-row]")];
    const lists = [...root.querySelectorAll(".hfi-bars")];
    let pinnedRow = "0";
    let pinnedConcept = null;

    const topConcept = (row) => {
      const first = lists[Number(row)].querySelector(".hfi-concept");
      return first && elements.length ? first.dataset.c : null;
    };
    const has = (row, concept) => concept !== null && lists[Number(row)].querySelector(`[data-c="${concept}"]`) !== null;

    const showRow = (row) => {
      for (const list of lists) list.hidden = list.dataset.row !== row;
      for (const node of choices) node.classList.toggle("hfi-shown", node.dataset.row === row);
      light(has(row, pinnedConcept) ? pinnedConcept : topConcept(row));
    };

    let lit = null;
    const light = (concept) => {
      lit = concept;
      for (const node of elements) {
        const value = concept === null ? 0 : data.activations[concept][Number(node.dataset.e)];
        const weight = concept === null ? 0 : Math.max(-1, Math.min(1, value / data.scales[concept]));
        node.dataset.s = weight >= VISIBLE ? "pos" : weight <= -VISIBLE ? "neg" : "zero";
        node.style.setProperty("--w", Math.abs(weight).toFixed(3));
      }
      for (const bar of root.querySelectorAll("button.hfi-concept")) bar.setAttribute("aria-pressed", String(bar.dataset.c === pinnedConcept));
    };

    const pinRow = (row) => {
      pinnedRow = row;
      if (!has(row, pinnedConcept)) pinnedConcept = topConcept(row);
      for (const node of choices) node.setAttribute("aria-pressed", String(node.dataset.row === row));
      showRow(row);
    };

    const hideTip = () => {
      tip.hidden = true;
      for (const node of root.querySelectorAll("[aria-describedby]")) node.removeAttribute("aria-describedby");
    };

    const explain = (node) => {
      const bar = lit === null ? null : root.querySelector(`.hfi-concept[data-c="${lit}"] .hfi-concept-label`);
      if (!bar) return;
      const place = Number(node.dataset.e);
      tip.replaceChildren(create("span", "", data.elements[place]), create("b", "", number(data.activations[lit][place])), create("span", "hfi-tip-muted", bar.textContent));
      node.setAttribute("aria-describedby", tip.id);
      const frame = root.getBoundingClientRect();
      const box = node.getClientRects()[0] || node.getBoundingClientRect();
      tip.hidden = false;
      tip.style.left = "0";
      const left = box.left - frame.left + box.width / 2 - tip.offsetWidth / 2;
      tip.style.left = `${Math.max(PIXELS, Math.min(frame.width - tip.offsetWidth - PIXELS, left))}px`;
      const above = box.top - frame.top - tip.offsetHeight - PIXELS;
      tip.style.top = `${above >= 0 && box.top - tip.offsetHeight >= PIXELS ? above : box.bottom - frame.top + PIXELS}px`;
    };

    const find = (event) => event.target.closest(".hfi-chip, .hfi-e, button.hfi-concept");
    const react = (node) => {
      hideTip();
      if (node.classList.contains("hfi-chip")) showRow(node.dataset.row);
      else if (node.classList.contains("hfi-concept")) light(node.dataset.c);
      else explain(node);
    };
    const leave = () => {
      hideTip();
      showRow(pinnedRow);
    };

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
      if (node.dataset.row !== undefined) pinRow(node.dataset.row);
      if (node.dataset.c !== undefined) {
        pinnedConcept = node.dataset.c;
        light(pinnedConcept);
      }
      if (node.classList.contains("hfi-e")) explain(node);
    };
    root.addEventListener("click", (event) => {
      const node = find(event);
      if (node) choose(node);
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hideTip();
      if ((event.key === "Enter" || event.key === " ") && event.target.matches(".hfi-e[data-row]")) {
        event.preventDefault();
        choose(event.target);
      }
    });

    for (const hint of root.querySelectorAll(".hfi-hint")) hint.hidden = false;
    for (const group of root.querySelectorAll(".hfi-chips")) rove(group, choices, 1, 1);
    for (const group of root.querySelectorAll(".hfi-text")) rove(group, elements, 1, 1);
    for (const list of lists) rove(list, [...list.querySelectorAll("button.hfi-concept")], 1, 1);
    pinRow(lists[0].dataset.row);
  };

  document.querySelectorAll(".hfi-concepts:not([data-ready])").forEach(start);
})();
