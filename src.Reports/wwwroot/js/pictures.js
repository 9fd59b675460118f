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

// <dq-cells data-width="columns">: links in a grid, of which the tab key stops at one and arrow keys reach the others.
(() => {
  class Cells extends HTMLElement {
    connectedCallback() {
      this.addEventListener("keydown", this.move);
    }

    disconnectedCallback() {
      this.removeEventListener("keydown", this.move);
    }

    move = (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const links = [...this.querySelectorAll("a")];
      const width = Number(this.dataset.width);
      const at = links.indexOf(document.activeElement);
      const ends = { Home: at - (at % width), End: at - (at % width) + width - 1 };
      const steps = { ArrowLeft: at % width > 0 ? -1 : 0, ArrowRight: at % width < width - 1 ? 1 : 0, ArrowUp: -width, ArrowDown: width };
      const to = links[ends[event.key] ?? at + (steps[event.key] ?? NaN)];
      if (at < 0 || !to) return;
      event.preventDefault();
      to.focus();
    };
  }

  customElements.define("dq-cells", Cells);
})();
