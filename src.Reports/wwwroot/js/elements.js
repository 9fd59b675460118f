// Last, when all they draw with is there: elements that are on the page already draw themselves at once.
"use strict";
customElements.define("dq-chart", dq.Chart);
customElements.define("dq-curves", dq.Curves);
