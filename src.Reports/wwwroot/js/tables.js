// <dq-csv data-name="file">: a button inside a table that saves the table as CSV. Cells say their full value in data-value.
"use strict";
(() => {
  // what stands there, without this button's own word and what is said to screen readers only
  const text = (cell) => {
    const copy = cell.cloneNode(true);
    for (const extra of copy.querySelectorAll("dq-csv, .unseen, [aria-hidden=true]")) extra.remove();
    for (const part of copy.querySelectorAll(".unit")) part.prepend(", ");
    return copy.textContent.replace(/\s+/g, " ").replace(/ ,/g, ",").trim();
  };

  class SaveTable extends HTMLElement {
    connectedCallback() {
      if (this.button) return;
      this.button = document.createElement("button");
      this.button.type = "button";
      this.button.textContent = "CSV";
      this.button.title = "Save this table";
      this.button.setAttribute("aria-label", `CSV: ${this.dataset.name}`);
      this.button.addEventListener("click", () => {
        const rows = [...this.closest("table").rows].map((row) => [...row.cells].map((cell) => cell.dataset.value ?? text(cell)));
        dq.saveText(`${this.dataset.name}.csv`, "text/csv", dq.csv(rows));
      });
      this.append(this.button);
    }
  }

  customElements.define("dq-csv", SaveTable);
})();
