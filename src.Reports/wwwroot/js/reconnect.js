// A page that lost its server loads itself again once there is one: after a restart nobody knows the old page, and what it shows is in its
// address.
"use strict";
(() => {
  const BETWEEN = 2000;
  const notice = document.getElementById("components-reconnect-modal");

  const loadWhenBack = async () => {
    try {
      const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
      if (answer.status < 500) return location.reload();
    } catch {
      // not back yet
    }
    setTimeout(loadWhenBack, BETWEEN);
  };

  notice?.addEventListener("components-reconnect-state-changed", ({ detail }) => {
    if (detail.state === "rejected" || detail.state === "failed") loadWhenBack();
  });
})();
