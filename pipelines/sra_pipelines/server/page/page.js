() => {
  // A citation opens at its marked span.
  document.addEventListener("toggle", event => {
    const box = event.target.open && event.target.querySelector(".sra-page");
    const mark = box && box.querySelector("mark");
    if (mark) box.scrollTop = Math.max(0, mark.offsetTop - box.clientHeight / 3);
  }, true);

  const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

  // Files go to a route of the server, one by one; the line of each says what became of it.
  async function send(file, most) {
    if (file.size > most) return `${file.name}: the file is larger than ${most.toLocaleString("en")} bytes. Split it.`;
    const form = new FormData();
    form.append("file", file);
    try {
      const answer = await fetch(new URL("uploads", location.href), { method: "POST", body: form });
      const said = await answer.json();
      if (!answer.ok) return `${file.name}: ${said.error.message}`;
      return `${said.id} is there now: ${count(said.pages, "page")}, ${count(said.passages, "passage")}.`;
    } catch (error) {
      return `${file.name}: the server failed or cannot be reached; its log says why. Reload the page and try again.`;
    }
  }
  document.addEventListener("change", async event => {
    const input = event.target;
    if (!input.matches("#sra-upload input[type=file]") || !input.files.length) return;
    const lines = document.querySelector("#sra-upload .sra-lines");
    const waiting = Array.from(input.files, file => {
      const line = document.createElement("li");
      line.textContent = `${file.name}: waiting`;
      return [file, line];
    });
    lines.replaceChildren(...waiting.map(([, line]) => line));
    input.disabled = true;
    for (const [file, line] of waiting) {
      line.textContent = `${file.name}: sent, being read\u2026`;
      line.textContent = await send(file, Number(input.dataset.mostBytes));
    }
    input.value = "";
    input.disabled = false;
    document.getElementById("sra-refresh").click();
  });
}
