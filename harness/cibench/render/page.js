// Tables sort by a click on a heading and filter by what is typed above them.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, i) => {
    const cell = row.cells[i];
    return "v" in cell.dataset ? cell.dataset.v : cell.textContent.trim();
  };
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    head.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const blank = (row) => ["", "–"].includes(value(row, i));
      const rows = [...body.rows].sort((a, b) =>
        blank(a) - blank(b) || (up ? 1 : -1) * compare(value(a, i), value(b, i)));
      body.append(...rows);
    });
  });
  if (body.rows.length > 8) {
    const box = document.createElement("input");
    box.type = "search";
    box.placeholder = "filter rows: part of a method or a setting";
    box.setAttribute("aria-label", "filter rows");
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/);
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
    table.parentElement.before(box);
  }
}
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});
addEventListener("hashchange", openTarget);
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  for (const fold of target ? target.querySelectorAll(":scope > details.whole") : []) fold.open = true;
  if (target) target.scrollIntoView();
}
openTarget();
