
// The page is whole without this. With it: sorting, a filter, copying, and a choice of colours that is kept.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const by = id => document.getElementById(id);
  const make = (name, text, parts = {}) => Object.assign(document.createElement(name), { textContent: text, type: "button" }, parts);

  const kept = { get: () => null, set: () => {} };
  try {
    const store = window.localStorage;
    kept.get = () => store.getItem("backcast-theme");
    kept.set = theme => store.setItem("backcast-theme", theme);
    const theme = by(kept.get());
    if (theme && theme.name === "theme") theme.checked = true;
  } catch { /* A page from a file may have no storage. */ }
  for (const radio of all("input[name=theme]")) {
    radio.addEventListener("change", () => { try { kept.set(radio.value); } catch { /* as above */ } });
  }

  // Sorting: rows that are equal keep the order that the report gave them.
  for (const table of all("table.features")) {
    const body = table.tBodies[0];
    const given = all("tr", body);
    for (const head of all("th[data-sort]", table)) {
      const button = make("button", head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const first = head.dataset.first || "ascending";
        const next = now === null ? first : now === "ascending" ? "descending" : "ascending";
        for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", next);
        const at = head.cellIndex;
        const number = head.dataset.sort === "number";
        const value = row => { const v = row.cells[at].dataset.v; return number ? (v === "" ? null : Number(v)) : v; };
        const sign = next === "ascending" ? 1 : -1;
        const compare = (a, b) => {
          const x = value(a), y = value(b);
          if (x === null || y === null) return (x === null) - (y === null);
          return sign * (x < y ? -1 : x > y ? 1 : 0);
        };
        body.append(...[...given].sort(compare));
      });
    }
  }

  // Filter: rows of the tables, and the details below them.
  const tools = document.querySelector(".tools");
  if (tools) {
    const rows = all("table.features tbody tr");
    const find = by("find"), show = by("show"), tally = by("tally");
    const filter = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = (row.cells[0].textContent + " " + row.dataset.causes).toLowerCase();
        const is = show.value === "" || row.dataset.is.split(" ").includes(show.value);
        row.hidden = !(is && words.every(word => text.includes(word)));
        const card = by(row.id + "-card");
        if (card) card.hidden = row.hidden;
        shown += row.hidden ? 0 : 1;
      }
      tally.textContent = `${shown} of ${rows.length} shown`;
    };
    tools.hidden = false;
    tools.addEventListener("submit", event => event.preventDefault());
    find.addEventListener("input", filter);
    show.addEventListener("input", filter);
    for (const [id, open] of [["open", true], ["close", false]]) {
      by(id).addEventListener("click", () => {
        for (const card of all("details.feature")) card.open = open && !card.hidden;
      });
    }
    filter();
  }

  // Copying: the command is the text itself.
  const said = make("p", "", { className: "vh" });
  said.setAttribute("role", "status");
  document.body.append(said);
  const copy = async code => {
    const text = code.firstChild.data;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code.firstChild);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
    }
    said.textContent = "Copied: " + text;
  };
  for (const code of all("code.copy")) {
    const button = make("button", "Copy");
    button.setAttribute("aria-label", "Copy the command");
    button.addEventListener("click", () => {
      copy(code);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.append(button);
  }

  // On paper nothing can be opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details").filter(card => !card.open && !card.hidden);
    for (const card of closed) card.open = true;
  });
  addEventListener("afterprint", () => {
    for (const card of closed) card.open = false;
  });

  // A link to a feature's details opens them.
  const reveal = () => {
    const card = by(location.hash.slice(1));
    if (card && card.tagName === "DETAILS") { card.open = true; card.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  for (const link of all("table.features a")) link.addEventListener("click", () => setTimeout(reveal));
  reveal();
})();
