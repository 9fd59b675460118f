// <dq-slider>: two pictures in one place with a handle between them. Its two children are drawn over each other; the second shows to the
// right of the handle. Works with pointer and arrow keys.
"use strict";
(() => {
  class Slider extends HTMLElement {
    connectedCallback() {
      if (!this.handle) {
        this.handle = document.createElement("input");
        Object.assign(this.handle, { type: "range", min: 0, max: 100, value: this.dataset.at ?? 50 });
        this.handle.setAttribute("aria-label", this.dataset.label ?? "How much of the original is shown");
        this.handle.addEventListener("input", () => this.move(this.handle.value));
      }
      this.append(this.handle);
      this.move(this.handle.value);
      this.addEventListener("pointermove", this.follow);
    }

    disconnectedCallback() {
      this.removeEventListener("pointermove", this.follow);
    }

    // a mouse needs no button held
    follow = (event) => {
      if (event.pointerType !== "mouse") return;
      const box = this.getBoundingClientRect();
      this.handle.value = (100 * (event.clientX - box.left)) / box.width;
      this.move(this.handle.value);
    };

    move(at) {
      this.style.setProperty("--at", `${at}%`);
    }
  }

  customElements.define("dq-slider", Slider);
})();
