(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  function offerThemes() {
    const button = document.getElementById("theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
    const label = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Show in ${isDark() ? "light" : "dark"} colours`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      label();
    });
    system.addEventListener("change", label);
    label();
    button.hidden = false;
  }

  function readCharts() {
    for (const figure of document.querySelectorAll("[data-chart]")) {
      const plot = figure.querySelector("[data-reads]");
      const readout = figure.querySelector("[data-readout]");
      readPlot(plot, JSON.parse(plot.dataset.reads), readout);
    }
  }

  // A read is [place in percent, text, heights in percent]. The plot acts as a slider over them.
  function readPlot(plot, reads, readout) {
    const initial = readout.textContent;
    const cursor = document.createElement("div");
    cursor.className = "cursor";
    cursor.hidden = true;
    let current = reads.length - 1;
    const show = (index) => {
      current = Math.min(Math.max(index, 0), reads.length - 1);
      const [at, text, marks] = reads[current];
      cursor.style.left = `${at}%`;
      cursor.replaceChildren(...marks.map((mark) => {
        const dot = document.createElement("i");
        dot.style.top = `${mark}%`;
        dot.hidden = mark < 0 || mark > 100;
        return dot;
      }));
      cursor.hidden = false;
      readout.textContent = text;
      plot.setAttribute("aria-valuenow", current + 1);
      plot.setAttribute("aria-valuetext", text);
    };
    const leave = () => {
      cursor.hidden = true;
      readout.textContent = initial;
    };
    const nearest = (at) => {
      let best = 0;
      reads.forEach((read, index) => {
        if (Math.abs(read[0] - at) < Math.abs(reads[best][0] - at)) best = index;
      });
      return best;
    };
    plot.append(cursor);
    plot.setAttribute("role", "slider");
    plot.setAttribute("aria-valuemin", 1);
    plot.setAttribute("aria-valuemax", reads.length);
    plot.setAttribute("aria-valuenow", reads.length);
    plot.setAttribute("aria-valuetext", reads[current][1]);
    plot.tabIndex = 0;
    const point = (event) => {
      const box = plot.getBoundingClientRect();
      show(nearest((100 * (event.clientX - box.left)) / box.width));
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const page = Math.ceil(reads.length / 20);
      const target = {
        ArrowLeft: current - 1, ArrowDown: current - 1, ArrowRight: current + 1, ArrowUp: current + 1,
        PageDown: current - page, PageUp: current + page, Home: 0, End: reads.length - 1,
      }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      show(target);
    });
  }

  const texts = new Intl.Collator("en", { numeric: true });

  function sortTable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const value = head.classList.contains("number")
        ? (row) => parseFloat(row.cells[column].textContent.replaceAll(",", ""))
        : (row) => row.cells[column].textContent;
      const compare = head.classList.contains("number") ? (a, b) => a - b : texts.compare;
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [value(row), row]);
        rows.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  function searchTable(table) {
    const input = document.getElementById("search");
    const found = document.getElementById("found");
    const rows = [...table.tBodies[0].rows].map((row) => [
      `${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase(), row,
    ]);
    const search = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const [text, row] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        count += !row.hidden;
      }
      found.textContent = words.length ? `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : "";
    };
    input.addEventListener("input", search);
    input.closest("[hidden]").hidden = false;
    search();
  }

  offerThemes();
  readCharts();
  const table = document.getElementById("class-table");
  if (table) {
    sortTable(table);
    searchTable(table);
  }
})();
