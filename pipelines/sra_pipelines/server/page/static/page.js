// What the page does beyond htmx: panes, uploads with progress, copying, colors, and where it scrolls.

const $ = selector => document.querySelector(selector);
const source = $("#source"), scroll = $("#scroll"), question = $("#question"), form = $("#ask"), problem = $("#problem");
const narrow = matchMedia("(max-width: 60rem)");
const remembered = name => localStorage.getItem(`sra-rag-${name}`);
const remember = (name, value) => localStorage.setItem(`sra-rag-${name}`, value);
let turning;  // which control turned the page of the source, if one did
let opener = null;  // the control that opened the source; it gets the focus when the source is closed

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

// Errors of the server have the format of the API; their message is for users.
function messageOf(text, status) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `The server failed with status ${status}. Its log contains the reason. Try again.`;
  }
}
const show = message => { problem.textContent = message; };
document.addEventListener("htmx:response:error", event => {
  const { response, text, sourceElement } = event.detail.ctx;
  if (response.status === 401) location.reload();  // the login expired: the server redirects to it
  else if (sourceElement.closest(".picture, #source, [data-opens-source]")) failSource(messageOf(text, response.status));
  else show(messageOf(text, response.status));
});
document.addEventListener("htmx:error", event => {
  if (event.detail.ctx?.response || event.target.closest?.("[hx-sse\\:connect]")) return;
  show("The server cannot be reached. Check that it is running, then try again.");
});

// A running answer whose connection breaks is listened to again. A restarted server does not know it any more.
const LOST = "The connection to the server was lost. It is tried again.";
document.addEventListener("htmx:sse:error", event => {
  const body = event.target, { status } = event.detail;
  if (status === 401) location.reload();
  else if (status === 404) interrupt(body);
  else show(LOST);
});
document.addEventListener("htmx:sse:after:connection", () => { if (problem.textContent === LOST) show(""); });
function interrupt(body) {
  const ended = body.cloneNode(true);  // without its connection
  ended.removeAttribute("hx-sse:connect");
  ended.querySelector(".progress").replaceChildren();
  ended.querySelector(".progress").removeAttribute("data-running");
  ended.querySelector(".writing")?.classList.remove("writing");
  ended.querySelectorAll(".placeholder").forEach(element => element.remove());
  const note = document.createElement("p");
  note.className = "notice bad";
  note.setAttribute("role", "alert");
  note.textContent = "The server was restarted before the answer was complete. Ask again.";
  ended.append(note);
  body.replaceWith(ended);
  show("");
}

// The composer: Enter sends, the field is emptied, and the new question moves to the top, so that nothing jumps later.
question.addEventListener("keydown", event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!$("[data-running]")) form.requestSubmit();
  }
});
document.addEventListener("htmx:before:request", event => {
  const element = event.detail.ctx.sourceElement;
  if (element === form) {
    show("");
    $("#send").disabled = true;
    $("#advanced").open = false;
  } else if (element.matches("[data-opens-source]")) openSource(element);
  if (element.matches("[data-opens-source], [data-turns-page]")) turning = element.dataset.turnsPage;
});
document.addEventListener("htmx:finally:request", event => {
  if (event.detail.ctx.sourceElement === form) $("#send").disabled = false;
});
document.addEventListener("htmx:after:swap", event => {
  const { sourceElement, response } = event.detail.ctx;
  if (response.status >= 400) return;  // nothing was swapped
  if (sourceElement === form) {
    question.value = "";
    scroll.scrollTop = scroll.scrollHeight;
    const turn = $("#turns > .turn:last-child");
    // The conversation went on in another window, or the server was restarted: show it as it is there.
    if (turn.id !== `turn-${document.querySelectorAll(".turn").length - 1}`) location.reload();
    scroll.scrollTop += turn.getBoundingClientRect().top - scroll.getBoundingClientRect().top;
  } else if (sourceElement.matches(".picture")) showMark();
});
document.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".suggestion")) {
    question.value = button.textContent.trim();
    form.requestSubmit();
  } else if (button.matches(".copy")) copy(button);
  else if (button.dataset.closes) close(button.dataset.closes);
  else if (button.dataset.zooms) zoom(Number(button.dataset.zooms));
  else if (button.dataset.views) view(source.dataset.view === "text" ? "picture" : "text");
  else if (button.id === "theme") nextTheme();
  else if (button.id === "show-documents") showDocuments(true);
});
document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  if ($("#advanced").open) {
    $("#advanced").open = false;
    $("#advanced summary").focus();
  } else if (!source.hidden) close("source");
  else if ($("#documents").classList.contains("shown")) close("documents");
});
document.addEventListener("pointerdown", event => {
  if (!event.target.closest("#advanced")) $("#advanced").open = false;
});

// The source beside the answer
function openSource(element) {
  if (!source.contains(element)) opener = element;
  document.querySelectorAll(".cite.open").forEach(cite => cite.classList.remove("open"));
  element.classList.toggle("open", element.matches(".cite"));
  if (source.hidden) {
    const note = document.createElement("p");
    note.className = "note busy";
    note.textContent = "Opening";
    source.replaceChildren(note);
  }
  source.hidden = false;
  if (narrow.matches) $("#documents").classList.remove("shown");
}
// The control that turned the page is replaced with the page, so its successor gets the focus.
new MutationObserver(() => {
  if (!$("#source .tools")) return;
  view(source.dataset.view);
  const again = turning && $(`#source [data-turns-page="${turning}"]:not(:disabled)`);
  (again || $("#source h2")).focus({ preventScroll: true });
}).observe(source, { childList: true });
function failSource(message) {
  const note = document.createElement("p");
  note.className = "notice bad";
  note.setAttribute("role", "alert");
  note.textContent = message;
  (source.querySelector(".picture") ?? source).replaceChildren(note);
}
function showMark() {
  const box = $(".paper-box");
  const mark = [...source.querySelectorAll(".paper rect, mark")].find(element => element.getClientRects().length);
  if (!box) return;
  if (!mark) { box.scrollTop = 0; return; }
  const at = mark.getBoundingClientRect(), frame = box.getBoundingClientRect();
  box.scrollTop += at.top - frame.top - frame.height / 3;
  if (at.left < frame.left || at.right > frame.right) box.scrollLeft += at.left - frame.left - 24;
}
function view(name) {
  source.dataset.view = name;
  const button = $("#source [data-views]");
  if (button) button.setAttribute("aria-pressed", String(name === "text"));
  showMark();
}
function zoom(step) {
  const levels = ["100", "150", "200", "300"];
  const at = levels.indexOf(source.dataset.zoom) + step;
  source.dataset.zoom = levels[Math.max(0, Math.min(levels.length - 1, at))];
  showMark();
}
function close(name) {
  if (name === "documents") {
    showDocuments(false);
    return;
  }
  source.hidden = true;
  document.querySelectorAll(".cite.open").forEach(cite => cite.classList.remove("open"));
  (opener?.isConnected && opener.getClientRects().length ? opener : question).focus();
}
function showDocuments(shown) {
  $("#documents").classList.toggle("shown", shown);
  $("#show-documents").setAttribute("aria-expanded", String(shown));
  (shown ? $("#documents [data-closes]") : $("#show-documents")).focus();
}

// Documents: files are sent one by one, each with its line.
const drop = $("#drop"), files = $("#files"), uploads = $("#uploads");
files.addEventListener("change", () => { sendAll([...files.files]); files.value = ""; });
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, event => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", event => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", event => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  drop.classList.remove("over");
  sendAll([...event.dataTransfer.files]);
});
// What the empty page says about the documents follows their list.
new MutationObserver(() => { if (!$(".turn")) htmx.trigger("#empty", "changed"); })
  .observe($("#document-list"), { childList: true, subtree: true });
let sending = Promise.resolve();
function sendAll(chosen) {
  const waiting = chosen.map(file => [file, uploadLine(file.name)]);
  sending = sending.then(async () => {
    for (const [file, line] of waiting) await send(file, line);
    htmx.trigger("#document-list", "changed");
  });
}
function uploadLine(name) {
  const line = document.createElement("li"), bar = document.createElement("progress"), state = document.createElement("span");
  line.append(`${name}: `, state, bar);
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${name}`);
  state.textContent = "waiting";
  uploads.append(line);
  return { line, bar, state };
}
function send(file, { line, bar, state }) {
  const ended = (text, failed) => {
    state.textContent = text;
    state.classList.toggle("bad", failed);
    bar.remove();
  };
  const most = Number(drop.dataset.mostBytes);
  if (file.size > most) {
    ended(`the file is larger than ${most.toLocaleString("en")} bytes. Split it.`, true);
    return Promise.resolve();
  }
  return new Promise(resolve => {
    const request = new XMLHttpRequest(), body = new FormData();
    body.append("file", file);
    request.upload.addEventListener("progress", event => {
      bar.value = event.loaded / event.total;
      state.textContent = event.loaded < event.total ? `sending, ${Math.floor(100 * bar.value)}%` : "reading";
      if (event.loaded === event.total) bar.removeAttribute("value");
    });
    request.addEventListener("load", () => {
      if (request.status === 201) {
        const document_ = JSON.parse(request.responseText);
        ended(`added as ${document_.id}, ${count(document_.pages, "page")}.`, false);
      } else ended(messageOf(request.responseText, request.status).replace(/^[^:]*\.\w{1,8}: /, ""), true);
      resolve();
    });
    request.addEventListener("error", () => {
      ended("the server cannot be reached. Try again.", true);
      resolve();
    });
    request.open("POST", new URL("../uploads", location.href));
    request.send(body);
  });
}

// Copying; without TLS on another host the clipboard is not available to scripts.
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const field = document.createElement("textarea");
    field.value = button.dataset.copy;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

// Colors
const themes = ["", "light", "dark"];
function nameTheme() {
  const theme = document.documentElement.dataset.theme ?? "";
  $("#theme-name").textContent = { "": "automatic", light: "light", dark: "dark" }[theme];
}
function nextTheme() {
  const theme = themes[(themes.indexOf(document.documentElement.dataset.theme ?? "") + 1) % themes.length];
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  remember("theme", theme);
  nameTheme();
}
nameTheme();

// The settings are kept in the browser. What differs from the default is named beside them.
const settings = ["mode", "evidence", "weight", "alpha", "rows"];
function describe() {
  const values = ["weight", "alpha", "rows"].map(name => form.elements[name]).filter(field => field?.value);
  const documents = document.querySelectorAll("[name=documents]:checked").length;
  const parts = values.map(field => `${field.name} ${field.selectedOptions?.[0].text ?? field.value}`);
  if (form.elements.evidence && !form.elements.evidence.checked) parts.push("no evidence");
  if (documents) parts.push(`only ${count(documents, "document")}`);
  $("#chosen").textContent = parts.join(", ");
}
for (const name of settings) {
  const field = form.elements[name], value = remembered(name);
  if (!field || value === null) continue;
  if (name === "evidence") field.checked = value === "true";
  else field.value = value;
}
document.addEventListener("change", event => {
  const { name, type, checked, value } = event.target;
  if (settings.includes(name)) remember(name, type === "checkbox" ? String(checked) : value);
  describe();
});
describe();

// A reload in the middle of a conversation shows its last question.
const last = $("#turns > .turn:last-child");
if (last) scroll.scrollTop += last.getBoundingClientRect().top - scroll.getBoundingClientRect().top;
