(() => {
  "use strict";
  const MOST = 48; // pictures on the page
  const AT_ONCE = 4; // requests
  const byId = (id) => document.getElementById(id);
  const options = byId("options");
  const drop = byId("drop");
  const answers = byId("answers");
  const said = byId("said");

  function tell(text) {
    said.textContent = text;
    said.hidden = !text;
  }

  // Requests wait for each other here, so that the service need not refuse any; those that nobody wants any more
  // are not sent.
  let running = 0;
  const waiting = [];
  async function post(path, file, more = {}, isWanted = () => true) {
    while (running >= AT_ONCE) await new Promise((resume) => waiting.push(resume));
    if (!isWanted()) {
      waiting.shift()?.();
      throw new Error("no longer asked for");
    }
    running++;
    try {
      const form = new FormData();
      for (const [name, value] of new FormData(options)) {
        if (value && (name !== "top" || path === "/v1/classify")) form.append(name, value);
      }
      for (const [name, value] of Object.entries(more)) form.append(name, value);
      form.append("picture", file, file.name || "picture");
      const response = await fetch(path, { method: "POST", body: form });
      if (!response.ok) {
        const text = await response.text();
        let reason = text;
        try { reason = JSON.parse(text).error; } catch { /* from something between here and the service */ }
        throw new Error(reason || `status ${response.status}`);
      }
      return response;
    } catch (error) {
      throw error instanceof TypeError ? new Error("The service does not answer; was it stopped?") : error;
    } finally {
      running--;
      waiting.shift()?.();
    }
  }

  function showGuesses(list, guesses, choose) {
    list.replaceChildren(...guesses.map((guess) => {
      const button = document.createElement("button");
      const name = document.createElement("span");
      const share = document.createElement("span");
      button.type = "button";
      button.disabled = !choose;
      button.style.setProperty("--share", `${100 * Math.min(Math.max(guess.probability, 0), 1)}%`);
      name.textContent = guess.parent ? `${guess.label} (${guess.parent})` : guess.label;
      share.textContent = `${(100 * guess.probability).toFixed(1)}%`;
      button.title = choose ? `${guess.label}: where it is seen` : guess.label;
      button.append(name, share);
      if (choose) button.addEventListener("click", () => choose(guess.index));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  }

  const describe = (result, network) =>
    `${network}, ${result.preprocess}, ${result.width} x ${result.height}, ${(1000 * result.seconds).toFixed(0)} ms`;

  class Answer {
    constructor(file) {
      this.file = file;
      this.item = byId("answer").content.firstElementChild.cloneNode(true);
      this.image = this.item.querySelector("img");
      this.note = this.item.querySelector("[data-said]");
      this.item.querySelector("h3").textContent = file.name || "picture";
      this.picture = URL.createObjectURL(file);
      this.drawn = null;
      this.turn = 0;
      this.view = "picture";
      this.classified = false;
      this.image.addEventListener("error", () => {
        // The browser cannot show every format that the network reads: then what the network gets is shown.
        this.view = "input";
        this.image.removeAttribute("src");
        if (this.classified) this.show(this.view);
      });
      this.item.querySelector(".remove").addEventListener("click", () => this.remove());
      for (const button of this.item.querySelectorAll("[data-view]")) {
        button.addEventListener("click", () => this.show(button.dataset.view));
      }
      this.image.src = this.picture;
      this.image.alt = file.name || "picture";
    }

    async classify() {
      const turn = ++this.turn;
      this.item.classList.add("busy");
      this.item.classList.remove("failed");
      try {
        const response = await post("/v1/classify", this.file, {}, () => turn === this.turn);
        const { network, results: [result] } = await response.json();
        if (turn !== this.turn) return;
        showGuesses(this.item.querySelector("ol"), result.predictions, (index) => this.show("heatmap", index));
        this.note.textContent = describe(result, network);
        this.classified = true;
        if (this.view !== "picture") await this.show(this.view);
      } catch (error) {
        if (turn !== this.turn) return;
        this.fail(error);
        this.item.querySelector("ol").replaceChildren();
      } finally {
        if (turn === this.turn) this.item.classList.remove("busy");
      }
    }

    fail(error) {
      this.item.classList.add("failed");
      this.note.textContent = error.message;
    }

    async show(view, index) {
      const turn = this.shown = Symbol(view);
      this.view = view;
      for (const button of this.item.querySelectorAll("[data-view]")) {
        button.setAttribute("aria-pressed", button.dataset.view === view);
      }
      if (view === "picture") {
        this.image.src = this.picture;
        return;
      }
      this.item.classList.add("busy");
      try {
        const more = index === undefined ? {} : { index };
        const blob = await (await post(`/v1/${view}`, this.file, more, () => turn === this.shown)).blob();
        if (turn !== this.shown) return;
        URL.revokeObjectURL(this.drawn);
        this.drawn = URL.createObjectURL(blob);
        this.image.src = this.drawn;
      } catch (error) {
        if (turn === this.shown) this.fail(error);
      } finally {
        if (turn === this.shown) this.item.classList.remove("busy");
      }
    }

    remove() {
      this.turn++;
      this.shown = null;
      URL.revokeObjectURL(this.picture);
      URL.revokeObjectURL(this.drawn);
      this.item.remove();
      shown.splice(shown.indexOf(this), 1);
    }
  }

  const shown = []; // the newest first
  function add(files) {
    tell("");
    const most = Number(drop.dataset.most) - 4096; // a form has more in it than the file
    for (const file of files) {
      if (file.size > most) {
        tell(`${file.name}: ${Math.ceil(file.size / 2 ** 20)} MiB; at most ${Math.floor(most / 2 ** 20) + 1} are taken`);
        continue;
      }
      const answer = new Answer(file);
      shown.unshift(answer);
      answers.prepend(answer.item);
      answer.classify();
    }
    while (shown.length > MOST) shown.at(-1).remove();
  }

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!hasFiles(event)) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files ?? [];
    if (files.length) {
      event.preventDefault();
      add(files);
    }
  });
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
  options.addEventListener("submit", (event) => event.preventDefault());
  options.addEventListener("change", () => shown.forEach((answer) => answer.classify()));

  // The camera: a frame is sent when the previous one has been answered.
  const live = byId("live");
  const video = live.querySelector("video");
  const camera = byId("camera");
  let stream = null;

  const grab = (type) => new Promise((resolve) => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(resolve, type, 0.92);
  });

  async function follow(mine) {
    while (stream === mine) {
      const note = live.querySelector("[data-said]");
      try {
        if (video.videoWidth && !document.hidden) {
          const file = new File([await grab("image/jpeg")], "camera.jpg");
          const { network, results: [result] } = await (await post("/v1/classify", file)).json();
          if (stream !== mine) return;
          showGuesses(live.querySelector("ol"), result.predictions);
          note.textContent = describe(result, network);
          await new Promise(requestAnimationFrame);
          continue;
        }
      } catch (error) {
        note.textContent = error.message;
      }
      await new Promise((resume) => setTimeout(resume, 500));
    }
  }

  function stopCamera() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    live.hidden = true;
    camera.setAttribute("aria-pressed", "false");
  }

  camera.addEventListener("click", async () => {
    if (stream) return stopCamera();
    tell("");
    if (!navigator.mediaDevices) {
      return tell("The browser gives its camera to pages of this machine (127.0.0.1, localhost) and of https alone.");
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      return tell(`The camera cannot be used: ${error.message}`);
    }
    camera.setAttribute("aria-pressed", "true");
    live.hidden = false;
    video.srcObject = stream;
    await video.play();
    follow(stream);
  });
  byId("keep").addEventListener("click", async () => {
    if (video.videoWidth) add([new File([await grab("image/png")], "camera.png", { type: "image/png" })]);
  });
})();
