// What the kinds of charts share. A kind is a function of its spec (Charts/ChartSpec.cs), the look and the width, and gives what
// Chart.content asks for.
"use strict";
(() => {
  const NARROW = 480;

  // names and values in two columns
  const table = (rows) => {
    const row = ([name, value]) =>
      `<tr><td>${dq.escape(name)}</td><td style="text-align:right;padding-left:16px;font-weight:600">${dq.escape(value)}</td></tr>`;
    return `<table>${rows.map(row).join("")}</table>`;
  };

  const tooltip = (look, more) => ({ ...dq.tooltip(look, " max-width: 420px; white-space: normal;"), ...more });

  const nameInTheMiddle = (name, gap) => ({ name, nameLocation: "middle", nameGap: gap });

  const nothing = (text) => ({ empty: text, rows: () => [], summary: "No points." });

  dq.kinds = {};
  dq.kindParts = { NARROW, table, tooltip, nameInTheMiddle, nothing };
})();
