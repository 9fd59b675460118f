// <dq-csv data-table="id" data-name="file">: a button that saves a table of the page as CSV. Cells say their full value in data-value.
"use strict";
(() => {
  class SaveTable extends HTMLElement {
    connectedCallback() {
      if (this.button) return;
      this.button = document.createElement("button");
      this.button.type = "button";
      this.button.textContent = "CSV";
      this.button.title = "Save this table";
      this.button.setAttribute("aria-label", `CSV: ${this.dataset.name}`);
      this.button.addEventListener("click", () => {
        const table = document.getElementById(this.dataset.table);
        const rows = [...table.rows].map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.innerText.trim()));
        dq.saveText(`${this.dataset.name}.csv`, "text/csv", dq.csv(rows));
      });
      this.append(this.button);
    }
  }

  customElements.define("dq-csv", SaveTable);
})();
