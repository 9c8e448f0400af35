"use strict";
for (const input of document.querySelectorAll("input[data-searches]")) {
  const table = document.getElementById(input.dataset.searches), rows = [...table.tBodies[0].rows];
  const count = input.closest("p").querySelector("output");
  const search = () => {
    const wanted = input.value.toLowerCase();
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    count.textContent = wanted ? `${rows.filter(row => !row.hidden).length} of ${rows.length}` : "";
  };
  input.addEventListener("input", search);
  search();
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th"), table = button.closest("table"), column = heading.cellIndex;
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    const text = row => row.cells[column].textContent.trim();
    // A cell without a number is below all numbers.
    const number = row => (text(row) === "" ? -Infinity : parseFloat(text(row)));
    const byNumber = (a, b) => (number(a) === number(b) ? 0 : number(a) - number(b));
    const byText = (a, b) => text(a).localeCompare(text(b), undefined, {numeric: true, sensitivity: "base"});
    const rows = [...table.tBodies[0].rows].sort(heading.classList.contains("n") ? byNumber : byText);
    table.tBodies[0].append(...(rising ? rows : rows.reverse()));
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  });
}
for (const input of document.querySelectorAll("input[data-zooms]")) {
  const image = document.getElementById(input.dataset.zooms);
  input.addEventListener("input", () => image.style.setProperty("--zoom", input.value));
}
